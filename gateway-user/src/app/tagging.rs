//! `tollgate tag` and `untag`: what they name, who may take on the identity, and what comes of it.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, Uid, User, getgrouplist};
use serde_json::{Value, json};

use super::Daemon;
use super::control::{Refused, failed};
use crate::config::{Account, Identity, Mode, Subject, Taker};
use crate::control::What;
use crate::kernel::Hold;
use crate::unit::Unit;

impl Daemon {
    /// Governs what is named, now and whenever it comes again.
    pub(super) async fn tag(
        &self,
        identity: &str,
        what: &What,
        mode: Mode,
    ) -> Result<Vec<Value>, Refused> {
        let identity = self.identity(identity)?;
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
        let workload = self
            .workloads
            .tag(identity, &subject, &place, Hold::ByHand, mode)
            .await
            .map_err(|error| failed(&error))?;
        Ok(vec![json!({
            "workload": workload.name,
            "identity": workload.identity.id,
            "mode": mode,
            "cgroup": place,
            "exists": exists,
            "ca": super::ca_file(&self.config.paths, &workload),
        })])
    }

    /// Lets go what is named.
    pub(super) async fn untag(&self, what: &What) -> Result<Vec<Value>, Refused> {
        let (subject, place) = self.locate(what).await?;
        let place = self.tagged_place(&subject, place)?;
        self.workloads
            .untag(&place)
            .map_err(|error| failed(&error))?;
        Ok(vec![json!({"cgroup": place})])
    }

    /// Where the subject was tagged, which for a unit need not be where it would be now.
    fn tagged_place(&self, subject: &Subject, place: PathBuf) -> Result<PathBuf, Refused> {
        let governed = self.workloads.governed().map_err(|error| failed(&error))?;
        let name = subject.to_string();
        let tags = governed.iter().flat_map(|(workload, tags)| {
            let named = workload.name == name;
            tags.iter().map(move |tag| (named, &tag.place))
        });
        let found = tags.clone().find(|(named, _)| *named);
        let found = found.or_else(|| tags.clone().find(|(_, tagged)| **tagged == place));
        match found {
            Some((_, tagged)) => Ok(tagged.clone()),
            None => Err((
                9,
                format!(
                    "{} is not tagged: `tollgate status` lists what is",
                    shown(subject, &place)
                ),
            )),
        }
    }

    /// What is named, and where it is or will be.
    async fn locate(&self, what: &What) -> Result<(Subject, PathBuf), Refused> {
        let subject = match what {
            What::Cgroup(path) => Subject::Cgroup(path.clone()),
            What::Unit(name) => {
                let unit = Unit::parse(name).map_err(|error| (2, error.to_string()))?;
                Subject::Unit(unit)
            }
        };
        let place = self.workloads.place(&subject).await;
        let place = place.map_err(|error| failed(&error))?;
        match subject {
            Subject::Cgroup(_) => Ok((Subject::Cgroup(place.clone()), place)),
            unit => Ok((unit, place)),
        }
    }
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

fn shown(subject: &Subject, place: &Path) -> String {
    match subject {
        Subject::Cgroup(_) => place.display().to_string(),
        Subject::Unit(unit) => unit.name().to_owned(),
    }
}
