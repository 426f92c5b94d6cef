//! The workloads this daemon governs, kept across restarts so that tags pinned in the kernel keep their meaning.

use std::io;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Rules;
use crate::config::{Identity, Mode};

/// One workload: how the kernel knows it and who it is.
#[derive(Debug)]
pub struct Workload {
    /// The number the kernel's maps carry.
    pub number: u32,
    /// `cgroup:/path` for a tagged cgroup, `run:identity` for launches.
    pub name: String,
    /// Who its processes are.
    pub identity: Arc<Identity>,
    /// Which of its executables run as somebody stricter.
    pub rules: Rules,
    /// Its own listener.
    pub v4: SocketAddrV4,
    /// Its own listener for IPv6; `None` on a host without it.
    pub v6: Option<SocketAddrV6>,
    /// Memory for request bodies that are held while they are decided on, in bytes. One workload cannot take another's.
    pub bodies: Arc<Semaphore>,
    /// How it is governed, now.
    pub mode: Switch,
}

/// A [`Mode`] that can change while connections are open.
#[derive(Debug)]
pub struct Switch(AtomicBool);

impl From<Mode> for Switch {
    fn from(mode: Mode) -> Self {
        Self(AtomicBool::new(mode == Mode::Observe))
    }
}

impl Switch {
    /// What holds now.
    #[must_use]
    pub fn get(&self) -> Mode {
        if self.0.load(Ordering::Acquire) {
            Mode::Observe
        } else {
            Mode::Enforce
        }
    }

    fn set(&self, mode: Mode) {
        self.0.store(mode == Mode::Observe, Ordering::Release);
    }
}

impl Workload {
    /// A full budget for [`Workload::bodies`].
    #[must_use]
    pub fn body_budget() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(BODY_BUDGET))
    }
}

/// Four of the largest bodies, or thousands of prompts.
const BODY_BUDGET: usize = 128 << 20;

/// The registry file cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum RegistryError {
    #[error("cannot use {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is damaged ({source}): stop all agents, run `tollgate down`, remove it", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// All workloads, by number and by name.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    workloads: RwLock<Vec<Arc<Workload>>>,
}

/// What the file keeps of a workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Saved {
    /// As [`Workload::number`].
    pub number: u32,
    /// As [`Workload::name`].
    pub name: String,
    /// The identity's name.
    pub identity: String,
    /// As [`Workload::v4`].
    pub v4: SocketAddrV4,
    /// As [`Workload::v6`].
    pub v6: Option<SocketAddrV6>,
    /// As [`Workload::mode`]. Files of earlier versions have none.
    #[serde(default)]
    pub mode: Mode,
}

impl Registry {
    /// An empty registry that keeps itself in `path`, and what an earlier daemon left there.
    ///
    /// # Errors
    /// The file is there but cannot be read or understood.
    pub fn open(path: &Path) -> Result<(Self, Vec<Saved>), RegistryError> {
        let saved = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| RegistryError::Damaged {
                path: path.to_owned(),
                source,
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(RegistryError::File {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        Ok((
            Self {
                path: path.to_owned(),
                workloads: RwLock::default(),
            },
            saved,
        ))
    }

    /// Adds a workload and keeps it in the file before it is used.
    ///
    /// # Errors
    /// The file cannot be written; the workload is not added.
    pub fn add(&self, workload: Workload) -> Result<Arc<Workload>, RegistryError> {
        let workload = Arc::new(workload);
        let mut workloads = self
            .workloads
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        workloads.push(Arc::clone(&workload));
        if let Err(source) = self.save(&workloads) {
            workloads.pop();
            return Err(RegistryError::File {
                path: self.path.clone(),
                source,
            });
        }
        Ok(workload)
    }

    /// Switches how a workload is governed; says whether that is new. What is open has to be looked at again.
    ///
    /// # Errors
    /// The file cannot be written; nothing is switched.
    pub fn switch(&self, workload: &Workload, mode: Mode) -> Result<bool, RegistryError> {
        let workloads = self
            .workloads
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = workload.mode.get();
        if before == mode {
            return Ok(false);
        }
        workload.mode.set(mode);
        if let Err(source) = self.save(&workloads) {
            workload.mode.set(before);
            return Err(RegistryError::File {
                path: self.path.clone(),
                source,
            });
        }
        Ok(true)
    }

    /// The workload the kernel knows by that number.
    #[must_use]
    pub fn by_number(&self, number: u32) -> Option<Arc<Workload>> {
        self.find(|workload| workload.number == number)
    }

    /// The workload of that name, as that identity. A cgroup that changes hands is another workload.
    #[must_use]
    pub fn by_name(&self, name: &str, identity: &Identity) -> Option<Arc<Workload>> {
        self.find(|workload| workload.name == name && *workload.identity == *identity)
    }

    /// All workloads.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Workload>> {
        self.workloads
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn find(&self, wanted: impl Fn(&Workload) -> bool) -> Option<Arc<Workload>> {
        let workloads = self
            .workloads
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        workloads.iter().find(|workload| wanted(workload)).cloned()
    }

    fn save(&self, workloads: &[Arc<Workload>]) -> io::Result<()> {
        let saved: Vec<Saved> = workloads
            .iter()
            .map(|workload| Saved {
                number: workload.number,
                name: workload.name.clone(),
                identity: workload.identity.id.clone(),
                v4: workload.v4,
                v6: workload.v6,
                mode: workload.mode.get(),
            })
            .collect();
        let partial = self.path.with_extension("partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(&saved)?)?;
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(partial, &self.path)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::Ipv4Addr;

    use super::*;
    use crate::config::Credentials;

    #[test]
    fn a_cgroup_that_changes_hands_is_another_workload() {
        let folder = tempfile::tempdir().unwrap();
        let (registry, _) = Registry::open(&folder.path().join("workloads.json")).unwrap();
        let identity = |id: &str| {
            Arc::new(Identity {
                id: id.to_owned(),
                groups: Vec::new(),
                launch: None,
                credentials: Credentials::Served,
            })
        };
        let (first, second) = (identity("first"), identity("second"));
        let add = |number, identity: &Arc<Identity>| {
            registry.add(Workload {
                number,
                name: "cgroup:/agents".to_owned(),
                identity: Arc::clone(identity),
                rules: Rules::default(),
                v4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001),
                v6: None,
                bodies: Workload::body_budget(),
                mode: Mode::Enforce.into(),
            })
        };
        add(1, &first).unwrap();
        assert!(registry.by_name("cgroup:/agents", &second).is_none());
        add(2, &second).unwrap();
        let number = |identity| registry.by_name("cgroup:/agents", identity).unwrap().number;
        assert_eq!((number(&first), number(&second)), (1, 2));
    }

    #[test]
    fn a_switched_mode_outlives_the_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("workloads.json");
        let (registry, _) = Registry::open(&file).unwrap();
        let workload = registry
            .add(Workload {
                number: 1,
                name: "cgroup:/agents".to_owned(),
                identity: Arc::new(Identity {
                    id: "first".to_owned(),
                    groups: Vec::new(),
                    launch: None,
                    credentials: Credentials::Served,
                }),
                rules: Rules::default(),
                v4: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 15001),
                v6: None,
                bodies: Workload::body_budget(),
                mode: Mode::Enforce.into(),
            })
            .unwrap();
        assert!(!registry.switch(&workload, Mode::Enforce).unwrap());
        assert!(registry.switch(&workload, Mode::Observe).unwrap());
        assert_eq!(workload.mode.get(), Mode::Observe);
        let (_, saved) = Registry::open(&file).unwrap();
        assert_eq!(saved[0].mode, Mode::Observe);
        // A file that cannot be written leaves all as it was.
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(registry.switch(&workload, Mode::Enforce).is_err());
        assert_eq!(workload.mode.get(), Mode::Observe);
    }
}
