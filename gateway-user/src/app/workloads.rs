//! Workloads while the daemon runs: their listeners and their tags.
//!
//! A tag holds on to a path, so that a unit or container that restarts is governed from its first instruction; only launches are tagged as
//! the cgroups they are.

mod gaps;
mod launch;
mod offer;
mod publish;
mod resume;
mod scratch;
mod trust;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::adoption::Adoption;
use super::front::Front;
use super::namespaces::{Inside, Namespaces};
use super::{UpError, launches, systemd};
use crate::config::{Config, ExecutableRule, Identity, Mode, Offer, Paths, Subject};
use crate::identity::{Place, Rules, Saved, Workload};
use crate::kernel::{Hold, Kernel, KernelError, Scope, Tagged, tree};
use crate::listener::Listeners;
use crate::trust::adopt;

pub(super) use gaps::{Accepted, Wanted};
use publish::Published;

/// Ends the names of workloads whose launches live in the host's network namespace.
pub(super) const ON_HOST: &str = "@host";

/// A workload and what is tagged as it.
pub(super) type Governed = (Arc<Workload>, Vec<Tagged>);

/// Works the kernel part.
pub(super) struct Workloads {
    kernel: Arc<Kernel>,
    gateway: Arc<Front>,
    namespaces: Arc<Namespaces>,
    configured: Vec<Configured>,
    launches: PathBuf,
    paths: Paths,
    adoption: Arc<Adoption>,
    next: Mutex<u32>,
    /// Network namespaces of launches, by the launch's cgroup.
    inside: Mutex<HashMap<PathBuf, Inside>>,
    published: Published,
    /// Numbers are given out and listeners bound one after the other.
    adding: tokio::sync::Mutex<()>,
}

/// A workload of the configuration, where it is.
struct Configured {
    identity: Arc<Identity>,
    subject: Subject,
    place: PathBuf,
    executables: Vec<ExecutableRule>,
    mode: Mode,
    listen: Vec<Offer>,
    accept_uncontained: bool,
    ca_names: Vec<String>,
}

impl Workloads {
    /// Takes over what an earlier daemon governed, then governs what the configuration lists.
    pub(super) async fn new(
        kernel: Arc<Kernel>,
        config: &Config,
        gateway: Arc<Front>,
        namespaces: Arc<Namespaces>,
        adoption: Arc<Adoption>,
        saved: Vec<Saved>,
    ) -> Result<Self, UpError> {
        let mut configured = Vec::new();
        for workload in &config.workloads {
            configured.push(Configured {
                identity: Arc::clone(&workload.identity),
                subject: workload.subject.clone(),
                place: place(&kernel, &workload.subject).await?,
                executables: workload.executables.clone(),
                mode: workload.mode,
                listen: workload.listen.clone(),
                accept_uncontained: workload.accept_uncontained,
                ca_names: workload.ca_names.clone(),
            });
        }
        let workloads = Self {
            configured,
            adoption,
            launches: launches::folder(&config.paths)?,
            kernel,
            gateway,
            namespaces,
            paths: config.paths.clone(),
            next: Mutex::new(
                saved
                    .iter()
                    .map(|saved| saved.number + 1)
                    .max()
                    .unwrap_or(1),
            ),
            inside: Mutex::default(),
            published: Published::default(),
            adding: tokio::sync::Mutex::default(),
        };
        launches::sweep(&workloads.launches);
        workloads.retire()?;
        let mut kept = crate::sys::inherit::sockets();
        workloads.resume(saved, config, &mut kept).await?;
        workloads.resume_inside(kept).await?;
        for listed in &workloads.configured {
            let (identity, subject) = (&listed.identity, &listed.subject);
            workloads
                .tag(
                    identity,
                    subject,
                    &listed.place,
                    Wanted {
                        hold: Hold::Configured,
                        mode: listed.mode,
                        accepted: None,
                    },
                )
                .await
                .and_then(|workload| workloads.offer(&workload, &listed.listen))?;
        }
        Ok(workloads)
    }

    /// The workloads that something is tagged as; what was untagged may be tagged again.
    pub(super) fn governed(&self) -> Result<Vec<Governed>, UpError> {
        let tags = self.kernel.tags()?;
        let of = |workload: &Workload| -> Vec<Tagged> {
            tags.iter()
                .filter(|tag| tag.workload == workload.number)
                .cloned()
                .collect()
        };
        let workloads = self.gateway.registry.all().into_iter();
        Ok(workloads
            .map(|workload| {
                let tags = of(&workload);
                (workload, tags)
            })
            .filter(|(_, tags)| !tags.is_empty())
            .collect())
    }

    /// Where a workload's cgroup is or will be: its path from the root of the hierarchy.
    pub(super) async fn place(&self, subject: &Subject) -> Result<PathBuf, UpError> {
        place(&self.kernel, subject).await
    }

    /// Is there a cgroup at this place now?
    pub(super) fn exists(&self, place: &Path) -> bool {
        self.kernel.exists(place)
    }

    /// Governs whatever is or comes at `place` as `identity`. What cannot be governed leaves no workload behind.
    pub(super) async fn tag(
        &self,
        identity: &Arc<Identity>,
        subject: &Subject,
        place: &Path,
        wanted: Wanted,
    ) -> Result<Arc<Workload>, UpError> {
        let workload = match self.holder(identity, place)? {
            Some(workload) => workload,
            None => {
                self.named(subject.to_string(), identity, Some(place), wanted.mode)
                    .await?
            }
        };
        self.accept(&workload, place, wanted.accepted)?;
        self.switch(&workload, wanted.mode)?;
        let folder = self.kernel.folder(place);
        let there = move || adopt::members(&folder);
        let ahead = self.adoption.ahead(&workload, there).await?;
        self.hold(place, workload.number, wanted.hold)
            .inspect_err(|_| self.retract_ca(&workload))?;
        ahead.keep();
        Ok(workload)
    }

    /// Tags a place, on record before it stands, so that a reboot closes it again.
    fn hold(&self, place: &Path, workload: u32, hold: Hold) -> Result<(), UpError> {
        let registry = &self.gateway.registry;
        registry.hold(
            workload,
            Place {
                path: place.to_owned(),
                configured: hold == Hold::Configured,
            },
        )?;
        let tagged = self.kernel.tag_path(place, workload, hold);
        // An earlier tag stands, and stays on record.
        if tagged.is_err() && !self.kernel.tags()?.iter().any(|tag| tag.place == place) {
            registry.let_go(place)?;
        }
        Ok(tagged?)
    }

    /// What is open is decided again where it was only observed before.
    fn switch(&self, workload: &Workload, mode: Mode) -> Result<(), UpError> {
        if self.gateway.registry.switch(workload, mode)? {
            tracing::warn!(workload = workload.name, %mode, "the mode has changed");
            self.gateway.switched(workload, mode)?;
        }
        Ok(())
    }

    /// Who has this place already. A place has one identity, and tags do not nest.
    fn holder(&self, identity: &Identity, place: &Path) -> Result<Option<Arc<Workload>>, UpError> {
        for tag in self.kernel.tags()? {
            if tag.place != place {
                if tag.place.starts_with(place) || place.starts_with(&tag.place) {
                    return Err(KernelError::AlreadyTagged { path: tag.place }.into());
                }
                continue;
            }
            return match self.gateway.registry.by_number(tag.workload) {
                Some(holder) if *holder.identity == *identity => Ok(Some(holder)),
                holder => Err(UpError::OtherIdentity {
                    path: tag.place,
                    identity: holder.map_or_else(
                        || "a workload that is not on record".to_owned(),
                        |holder| holder.identity.id.clone(),
                    ),
                }),
            };
        }
        Ok(None)
    }

    /// Stops governing a place.
    pub(super) fn untag(&self, place: &Path) -> Result<(), UpError> {
        self.kernel.untag(place)?;
        Ok(self.gateway.registry.let_go(place)?)
    }

    /// Takes in a process that runs, with its descendants, as `identity`: into a cgroup of its own.
    pub(super) async fn adopt(
        &self,
        identity: &Arc<Identity>,
        pid: u32,
        mode: Mode,
        accepted: Option<Accepted>,
    ) -> Result<(Arc<Workload>, PathBuf), UpError> {
        let start = self.kernel.check_process(pid)?;
        let workload = self
            .named(format!("pid:{pid}"), identity, None, mode)
            .await?;
        self.switch(&workload, mode)?;
        // No identity has a colon in its name.
        let folder = self.launches.join(format!("pid:{pid}-{start}"));
        let place = self.kernel.place(&folder)?;
        self.accept(&workload, &place, accepted)?;
        let ahead = self.adoption.ahead(&workload, move || tree(pid)).await?;
        launches::make(&folder)?;
        self.kernel.tag(&folder, workload.number)?;
        if let Err(error) = self.kernel.take_in(pid, &folder) {
            // Not half: who was moved already is let go.
            let _ = self.kernel.untag(&folder);
            let _ = std::fs::remove_dir(&folder);
            self.retract_ca(&workload);
            return Err(error.into());
        }
        ahead.keep();
        Ok((workload, place))
    }

    /// Refusals by reason.
    pub(super) fn counters(&self) -> Result<Vec<(&'static str, u64)>, UpError> {
        Ok(self.kernel.counters()?)
    }

    /// Whether a process certainly belongs to no workload.
    pub(super) fn is_free(&self, pid: u32) -> Result<bool, UpError> {
        Ok(self.kernel.is_free(pid)?)
    }

    /// Detaches and unpins everything and forgets the workloads.
    pub(super) fn release(&self) -> Result<(), UpError> {
        self.kernel.down()?;
        launches::forget(&self.paths)?;
        launches::sweep(&self.launches);
        Ok(())
    }

    async fn named(
        &self,
        name: String,
        identity: &Arc<Identity>,
        place: Option<&Path>,
        mode: Mode,
    ) -> Result<Arc<Workload>, UpError> {
        let _adding = self.adding.lock().await;
        if let Some(workload) = self.gateway.registry.by_name(&name, identity) {
            return Ok(workload);
        }
        let rules = self.rules(&name, place)?;
        let number = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next - 1
        };
        let listeners = Listeners::bind(number)
            .await
            .map_err(|source| UpError::Listen {
                name: name.clone(),
                source,
            })?;
        let limits = self.limits(&name, place, identity);
        self.gateway.keeper.limit(&name, limits)?;
        self.start(number, name, Arc::clone(identity), rules, listeners, mode)
    }

    /// What the CAs of this workload or place may sign for.
    fn limits<'a>(
        &'a self,
        name: &str,
        place: Option<&Path>,
        identity: &'a Identity,
    ) -> &'a [String] {
        let listed = self.listed(name, place);
        listed.map_or(&identity.ca_names, |listed| &listed.ca_names)
    }

    /// What the configuration says of executables in this workload or place.
    fn rules(&self, name: &str, place: Option<&Path>) -> Result<Rules, UpError> {
        let listed = self.listed(name, place);
        Ok(Rules::load(
            listed.map_or(&[], |listed| listed.executables.as_slice()),
        )?)
    }

    /// What the configuration says of this workload or place.
    fn listed(&self, name: &str, place: Option<&Path>) -> Option<&Configured> {
        self.configured.iter().find(|listed| {
            listed.subject.to_string() == name || place == Some(listed.place.as_path())
        })
    }

    /// From here on the kernel may redirect to these listeners. What its CAs may sign for was said.
    fn start(
        &self,
        number: u32,
        name: String,
        identity: Arc<Identity>,
        rules: Rules,
        listeners: Listeners,
        mode: Mode,
    ) -> Result<Arc<Workload>, UpError> {
        let (v4, v6) = listeners.addresses().map_err(|source| UpError::Listen {
            name: name.clone(),
            source,
        })?;
        self.gateway.keeper.authority(&name)?;
        let workload = self.gateway.registry.add(Workload {
            number,
            name,
            identity,
            rules,
            v4,
            v6,
            bodies: Workload::body_budget(),
            mode: mode.into(),
        })?;
        systemd::keep(&listeners);
        self.gateway.serve(&workload, listeners)?;
        self.kernel.govern(&Scope {
            workload: number,
            v4,
            v6,
        })?;
        self.gateway.offer(&workload)?;
        Ok(workload)
    }
}

/// Where a workload's cgroup is or will be.
pub(super) async fn place(kernel: &Kernel, subject: &Subject) -> Result<PathBuf, UpError> {
    let path = match subject {
        Subject::Cgroup(path) => path.clone(),
        Subject::Unit(unit) => {
            let unit = unit.clone();
            tokio::task::spawn_blocking(move || unit.place())
                .await
                .map_err(|_| UpError::Ended)??
        }
    };
    Ok(kernel.place(&path)?)
}
