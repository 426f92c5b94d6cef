//! Workloads while the daemon runs: their listeners, their tags, and the cgroups of launches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::UpError;
use crate::config::{Config, Identity, Paths};
use crate::identity::{Saved, Workload};
use crate::kernel::{self, Kernel, Scope};
use crate::listener::Listeners;
use crate::pipeline::Gateway;
use crate::tasks::Tasks;

/// A workload and the cgroups that are tagged as it.
pub(super) type Governed = (Arc<Workload>, Vec<PathBuf>);

/// Owns the kernel part.
pub(super) struct Workloads {
    kernel: Kernel,
    gateway: Arc<Gateway>,
    services: Tasks,
    root: PathBuf,
    /// Below this cgroup launches get theirs; it differs between instances on one host.
    launches: PathBuf,
    paths: Paths,
    next: Mutex<u32>,
    /// Numbers are given out and listeners bound one after the other.
    adding: tokio::sync::Mutex<()>,
}

impl Workloads {
    /// Takes over what an earlier daemon governed, then governs what the configuration lists.
    pub(super) async fn new(
        kernel: Kernel,
        config: &Config,
        gateway: Arc<Gateway>,
        services: Tasks,
        saved: Vec<Saved>,
    ) -> Result<Self, UpError> {
        let root = kernel::cgroup::mount()?;
        let workloads = Self {
            launches: root.join(launches_name(&config.paths)),
            root,
            kernel,
            gateway,
            services,
            paths: config.paths.clone(),
            next: Mutex::new(
                saved
                    .iter()
                    .map(|saved| saved.number + 1)
                    .max()
                    .unwrap_or(1),
            ),
            adding: tokio::sync::Mutex::default(),
        };
        sweep(&workloads.launches);
        for saved in saved {
            let Some(identity) = config.identity(&saved.identity) else {
                return Err(UpError::Orphan {
                    name: saved.name,
                    identity: saved.identity,
                });
            };
            let listeners = Listeners::rebind(saved.v4, saved.v6).await;
            let listeners = listeners.map_err(|source| UpError::Listen {
                name: saved.name.clone(),
                source,
            })?;
            workloads.start(saved.number, saved.name, Arc::clone(identity), listeners)?;
        }
        for workload in &config.workloads {
            let folder = workloads.root.join(workload.cgroup.trim_start_matches('/'));
            if !folder.is_dir() {
                tracing::warn!(
                    cgroup = workload.cgroup,
                    "the cgroup did not exist and has been made"
                );
                make(&folder)?;
            }
            workloads.tag(&workload.identity, &folder).await?;
        }
        Ok(workloads)
    }

    /// The workloads that have a cgroup now; what was untagged may be tagged again.
    pub(super) fn governed(&self) -> Result<Vec<Governed>, UpError> {
        let tagged = self.tagged()?;
        let cgroups = |workload: &Workload| -> Vec<PathBuf> {
            tagged
                .iter()
                .filter(|(_, number)| *number == workload.number)
                .map(|(path, _)| path.clone())
                .collect()
        };
        let workloads = self.gateway.registry.all().into_iter();
        Ok(workloads
            .map(|workload| {
                let cgroups = cgroups(&workload);
                (workload, cgroups)
            })
            .filter(|(_, cgroups)| !cgroups.is_empty())
            .collect())
    }

    /// The folder of a cgroup that was given as a folder or as its path in the hierarchy.
    pub(super) fn folder(&self, cgroup: &Path) -> Result<PathBuf, UpError> {
        Ok(self.kernel.folder(cgroup)?)
    }

    /// Governs the subtree of `folder` as `identity`. What cannot be governed leaves no workload behind.
    pub(super) async fn tag(
        &self,
        identity: &Arc<Identity>,
        folder: &Path,
    ) -> Result<Arc<Workload>, UpError> {
        let folder = &self.folder(folder)?;
        self.check_free(identity, folder)?;
        let below = folder.strip_prefix(&self.root).unwrap_or(folder);
        let workload = self
            .named(format!("cgroup:/{}", below.display()), identity)
            .await?;
        self.kernel.tag(folder, workload.number)?;
        Ok(workload)
    }

    /// A cgroup has one identity, and tags do not nest.
    fn check_free(&self, identity: &Identity, folder: &Path) -> Result<(), UpError> {
        for (tagged, number) in self.tagged()? {
            let holder = self.gateway.registry.by_number(number);
            match holder {
                Some(holder) if tagged == folder && *holder.identity != *identity => {
                    return Err(UpError::OtherIdentity {
                        path: tagged,
                        identity: holder.identity.id.clone(),
                    });
                }
                _ if tagged != folder
                    && (tagged.starts_with(folder) || folder.starts_with(&tagged)) =>
                {
                    return Err(kernel::KernelError::AlreadyTagged { path: tagged }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops governing the subtree of `folder`.
    pub(super) fn untag(&self, folder: &Path) -> Result<(), UpError> {
        Ok(self.kernel.untag(folder)?)
    }

    /// A fresh cgroup for one launch as `identity`, tagged before anything runs in it.
    pub(super) async fn launch(
        &self,
        identity: &Arc<Identity>,
        id: &str,
    ) -> Result<(Arc<Workload>, PathBuf), UpError> {
        let workload = self.named(format!("run:{}", identity.id), identity).await?;
        let parent = self.launches.join(&identity.id);
        make(&parent)?;
        self.kernel.tag(&parent, workload.number)?;
        let folder = parent.join(id);
        make(&folder)?;
        Ok((workload, folder))
    }

    /// Removes the cgroup of a launch, which fails while processes of it are left; they stay governed.
    pub(super) fn launch_ended(&self, folder: &Path) {
        if folder.parent().and_then(Path::parent) == Some(&self.launches) {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// What is tagged: cgroup folder and workload number.
    pub(super) fn tagged(&self) -> Result<Vec<(PathBuf, u32)>, UpError> {
        Ok(self.kernel.tagged()?)
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
        kernel::down(&self.paths.pins)?;
        forget(&self.paths)?;
        sweep(&self.launches);
        Ok(())
    }

    async fn named(
        &self,
        name: String,
        identity: &Arc<Identity>,
    ) -> Result<Arc<Workload>, UpError> {
        let _adding = self.adding.lock().await;
        if let Some(workload) = self.gateway.registry.by_name(&name, identity) {
            return Ok(workload);
        }
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
        self.start(number, name, Arc::clone(identity), listeners)
    }

    /// From here on the kernel may redirect to these listeners.
    fn start(
        &self,
        number: u32,
        name: String,
        identity: Arc<Identity>,
        listeners: Listeners,
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
            v4,
            v6,
            bodies: Workload::body_budget(),
        })?;
        listeners.serve(&self.gateway, &self.services);
        self.kernel.govern(&Scope {
            workload: number,
            v4,
            v6,
        })?;
        Ok(workload)
    }
}

/// Forgets which workloads a dead daemon had, and removes what its launches left; their tags are gone.
pub(super) fn forget_all(paths: &Paths) -> Result<(), UpError> {
    sweep(&kernel::cgroup::mount()?.join(launches_name(paths)));
    forget(paths)
}

/// Removes the cgroups of launches that are over; those with processes in them stay.
fn sweep(launches: &Path) {
    for identity in std::fs::read_dir(launches).into_iter().flatten().flatten() {
        for launch in std::fs::read_dir(identity.path())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = std::fs::remove_dir(launch.path());
        }
        let _ = std::fs::remove_dir(identity.path());
    }
    let _ = std::fs::remove_dir(launches);
}

fn forget(paths: &Paths) -> Result<(), UpError> {
    let _ = std::fs::remove_dir_all(super::ca_folder(paths));
    let path = super::registry_file(paths);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(UpError::Folder { path, source })
        }
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> Result<(), UpError> {
    std::fs::create_dir_all(folder).map_err(|source| UpError::Cgroup {
        path: folder.to_owned(),
        source,
    })
}

/// `tollgate`, or with the state's path hashed in where several instances share a host.
fn launches_name(paths: &Paths) -> String {
    if paths.state == Path::new("/var/lib/tollgate") {
        return "tollgate".to_owned();
    }
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        paths.state.as_os_str().as_encoded_bytes(),
    );
    let hex: String = digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("tollgate-{hex}")
}
