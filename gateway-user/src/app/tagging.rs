//! `tollgate tag` and `untag`: what they name, who may take on the identity, and what comes of it.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User, getgrouplist};
use serde_json::{Value, json};

use super::control::{Refused, failed};
use super::workloads::{Accepted, Wanted};
use super::{Daemon, containment};
use crate::config::{Account, Identity, Mode, Offer, Subject, Taker};
use crate::control::What;
use crate::identity::Workload;
use crate::kernel::{Gap, Hold, tree};
use crate::unit::Unit;

impl Daemon {
    /// Governs what is named, now and whenever it comes again; in a dry run it only says what that would be.
    pub(super) async fn tag(
        &self,
        identity: &str,
        what: &What,
        mode: Mode,
        listen: &[Offer],
        accepting: Option<u32>,
        dry_run: bool,
    ) -> Result<Vec<Value>, Refused> {
        let identity = self.identity(identity)?;
        if let What::Pid(pid) = what {
            let owner = owner(*pid)?;
            let owner = tokio::task::spawn_blocking(move || account(owner)).await;
            let owner = owner.map_err(|error| (1, error.to_string()))??;
            admit(identity, taker(&owner))?;
            let gaps = self
                .workloads
                .gaps_of(*pid)
                .map_err(|error| failed(&error))?;
            let named = format!("process {pid}");
            containment::admit(&named, &gaps, mode, accepting.is_some())?;
            if dry_run {
                return Ok(vec![prospect(&format!("pid:{pid}"), &tree(*pid))]);
            }
            let accepted = accepted(accepting, &gaps);
            let adopted = self.workloads.adopt(identity, *pid, mode, accepted).await;
            let (workload, place) = adopted.map_err(|error| failed(&error))?;
            self.offer(&workload, listen)?;
            self.watch.look_now().await;
            self.adoption.look_now().await;
            return Ok(vec![self.answer_tag(&workload, mode, &place, true, &gaps)]);
        }
        let (subject, place) = self.locate(what).await?;
        admit(identity, subject.taker())?;
        let exists = self.workloads.exists(&place);
        if let (Subject::Cgroup(_), false) = (&subject, exists) {
            return Err((
                9,
                format!(
                    "cgroup {} does not exist: check the path; one that is yet to be made is tagged by [[workload]] or by its unit",
                    place.display()
                ),
            ));
        }
        let gaps = self
            .workloads
            .gaps(&place)
            .await
            .map_err(|error| failed(&error))?;
        containment::admit(
            &place.display().to_string(),
            &gaps,
            mode,
            accepting.is_some(),
        )?;
        if dry_run {
            let processes = self.workloads.members(&place);
            return Ok(vec![prospect(&subject.to_string(), &processes)]);
        }
        let wanted = Wanted {
            hold: Hold::ByHand,
            mode,
            accepted: accepted(accepting, &gaps),
        };
        let workload = self
            .workloads
            .tag(identity, &subject, &place, wanted)
            .await
            .map_err(|error| failed(&error))?;
        self.offer(&workload, listen)?;
        self.watch.look_now().await;
        self.adoption.look_now().await;
        Ok(vec![
            self.answer_tag(&workload, mode, &place, exists, &gaps),
        ])
    }

    fn offer(&self, workload: &Workload, listen: &[Offer]) -> Result<(), Refused> {
        let offered = self.workloads.offer(workload, listen);
        offered.map_err(|error| failed(&error))
    }

    fn answer_tag(
        &self,
        workload: &Workload,
        mode: Mode,
        place: &Path,
        exists: bool,
        gaps: &[Gap],
    ) -> Value {
        json!({
            "workload": workload.name,
            "identity": workload.identity.id,
            "mode": mode,
            "cgroup": place,
            "exists": exists,
            "listen": self.workloads.offers(workload).unwrap_or_default(),
            "ca": super::ca_file(&self.config.paths, workload),
            "uncontained": containment::rows(gaps.iter()),
        })
    }

    /// Lets go what is named: where it was tagged, which for a unit need not be where it would be now.
    pub(super) async fn untag(&self, what: &What) -> Result<Vec<Value>, Refused> {
        let (name, place) = match what {
            What::Pid(pid) => (format!("pid:{pid}"), None),
            other => {
                let (subject, place) = self.locate(other).await?;
                (subject.to_string(), Some(place))
            }
        };
        let places = self.tagged(&name, place.as_deref())?;
        if places.is_empty() {
            let what = name.strip_prefix("cgroup:").unwrap_or(&name);
            return Err((
                9,
                format!("{what} is not tagged: `tollgate status` lists what is"),
            ));
        }
        let mut answers = Vec::new();
        for place in &places {
            self.workloads
                .untag(place)
                .map_err(|error| failed(&error))?;
            answers.push(json!({"cgroup": place}));
        }
        self.adoption.look_now().await;
        Ok(answers)
    }

    /// What is tagged under this name, else at this place.
    fn tagged(&self, name: &str, place: Option<&Path>) -> Result<Vec<PathBuf>, Refused> {
        let governed = self.workloads.governed().map_err(|error| failed(&error))?;
        let tags = governed.iter().flat_map(|(workload, tags)| {
            let named = workload.name == name;
            tags.iter().map(move |tag| (named, &tag.place))
        });
        let mut places: Vec<PathBuf> = tags
            .clone()
            .filter_map(|(named, tagged)| named.then_some(tagged))
            .cloned()
            .collect();
        if places.is_empty() {
            let there = tags.map(|(_, tagged)| tagged);
            places.extend(
                there
                    .filter(|tagged| Some(tagged.as_path()) == place)
                    .cloned(),
            );
        }
        Ok(places)
    }

    /// What is named, and where it is or will be.
    async fn locate(&self, what: &What) -> Result<(Subject, PathBuf), Refused> {
        let subject = match what {
            What::Cgroup(path) => Subject::Cgroup(path.clone()),
            What::Unit(name) => {
                let unit = Unit::parse(name).map_err(|error| (2, error.to_string()))?;
                Subject::Unit(unit)
            }
            What::Pid(pid) => return Err((2, format!("process {pid} has no place of its own"))),
        };
        let place = self.workloads.place(&subject).await;
        let place = place.map_err(|error| failed(&error))?;
        match subject {
            Subject::Cgroup(_) => Ok((Subject::Cgroup(place.clone()), place)),
            unit => Ok((unit, place)),
        }
    }
}

/// What a tag would govern.
fn prospect(workload: &str, processes: &BTreeSet<u32>) -> Value {
    json!({"workload": workload, "processes": processes})
}

/// What is accepted, where somebody accepts and there is something to accept.
fn accepted(by: Option<u32>, gaps: &[Gap]) -> Option<Accepted> {
    let found: Vec<Gap> = gaps
        .iter()
        .filter(|gap| gap.class.needs_acceptance())
        .cloned()
        .collect();
    let by = by.filter(|_| !found.is_empty())?;
    Some(Accepted { by, found })
}

/// Refuses who may not take on the identity.
pub(super) fn admit(identity: &Identity, taker: Taker<'_>) -> Result<(), Refused> {
    identity
        .admit(taker)
        .map_err(|error| (5, error.to_string()))
}

/// The user who called sudo, with all names and groups; blocks while it asks the host's databases.
pub(super) fn account(uid: u32) -> Result<Account, Refused> {
    look_up(uid).map_err(|errno| (1, format!("user {uid} cannot be looked up: {errno}")))
}

fn look_up(uid: u32) -> nix::Result<Account> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else {
        return Ok(Account {
            uid,
            name: None,
            groups: Vec::new(),
        });
    };
    let name = CString::new(user.name.as_str()).map_err(|_| Errno::EINVAL)?;
    let mut groups = Vec::new();
    for gid in getgrouplist(&name, user.gid)? {
        groups.push(gid.to_string());
        groups.extend(Group::from_gid(gid)?.map(|group| group.name));
    }
    Ok(Account {
        uid,
        name: Some(user.name),
        groups,
    })
}

/// Who takes on an identity when a process of this user does.
fn taker(owner: &Account) -> Taker<'_> {
    match owner.uid {
        0 => Taker::Root,
        _ => Taker::User(owner),
    }
}

/// The user that a process belongs to.
fn owner(pid: u32) -> Result<u32, Refused> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("Uid:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .ok_or_else(|| (9, format!("no process {pid} runs")))
}
