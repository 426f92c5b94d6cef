//! The workloads this daemon governs, kept across restarts so that tags pinned in the kernel keep their meaning.

use std::io;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Acceptance, Eyes, Rules};
use crate::config::{Identity, Mode, Offer};

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
    /// `None` where another process keeps it.
    path: Option<PathBuf>,
    eyes: Option<Arc<dyn Eyes>>,
    entries: RwLock<Vec<Entry>>,
}

/// What the file has of a workload, and the workload once this daemon governs it. What is not governed yet stays in the file.
#[derive(Debug)]
struct Entry {
    saved: Saved,
    live: Option<Arc<Workload>>,
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
    /// The paths that are tagged as it, so that they can be tagged again after a reboot. Files of earlier versions have none.
    #[serde(default)]
    pub places: Vec<Place>,
    /// Where it serves others, if policy permits. Files of earlier versions have none.
    #[serde(default)]
    pub listen: Vec<Offer>,
    /// What was accepted of it although hooks cannot judge it. Files of earlier versions have none.
    #[serde(default)]
    pub accepted: Vec<Acceptance>,
}

/// A path that is tagged as a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From the root of the cgroup hierarchy.
    pub path: PathBuf,
    /// The configuration listed it, as opposed to somebody who asked for it.
    pub configured: bool,
}

impl Registry {
    /// A registry that keeps itself in `path`, and what an earlier daemon left there.
    ///
    /// # Errors
    /// The file is there but cannot be read or understood.
    pub fn open(path: &Path) -> Result<(Self, Vec<Saved>), RegistryError> {
        let saved = read(path)?;
        let entries = saved.iter().cloned();
        Ok((
            Self {
                path: Some(path.to_owned()),
                eyes: None,
                entries: RwLock::new(entries.map(|saved| Entry { saved, live: None }).collect()),
            },
            saved,
        ))
    }

    /// A registry of what another process governs and keeps, with how to look at the processes there.
    #[must_use]
    pub fn told(eyes: Arc<dyn Eyes>) -> Self {
        Self {
            path: None,
            eyes: Some(eyes),
            entries: RwLock::default(),
        }
    }

    /// How to look at processes, where this one may not.
    #[must_use]
    pub fn eyes(&self) -> Option<&dyn Eyes> {
        self.eyes.as_deref()
    }

    /// Adds a workload and keeps it in the file before it is used.
    ///
    /// # Errors
    /// The file cannot be written; the workload is not added.
    pub fn add(&self, workload: Workload) -> Result<Arc<Workload>, RegistryError> {
        let workload = Arc::new(workload);
        self.change(|entries| {
            let at = entries
                .iter()
                .position(|entry| entry.saved.number == workload.number);
            let before = at.map(|at| entries.swap_remove(at).saved);
            let (places, listen, accepted) = before
                .map(|saved| (saved.places, saved.listen, saved.accepted))
                .unwrap_or_default();
            entries.push(Entry {
                saved: Saved {
                    number: workload.number,
                    name: workload.name.clone(),
                    identity: workload.identity.id.clone(),
                    v4: workload.v4,
                    v6: workload.v6,
                    mode: workload.mode.get(),
                    places,
                    listen,
                    accepted,
                },
                live: Some(Arc::clone(&workload)),
            });
        })?;
        Ok(workload)
    }

    /// Keeps a workload that is only closed, with its places, for the daemon that will govern it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn reserve(&self, saved: Saved) -> Result<(), RegistryError> {
        self.change(|entries| entries.push(Entry { saved, live: None }))
    }

    /// Forgets a workload.
    ///
    /// # Errors
    /// The file cannot be written; nothing is forgotten.
    pub fn forget(&self, number: u32) -> Result<(), RegistryError> {
        self.change(|entries| entries.retain(|entry| entry.saved.number != number))
    }

    /// Notes that a path is tagged as a workload. To be called before the tag stands.
    ///
    /// # Errors
    /// The file cannot be written; nothing is noted.
    pub fn hold(&self, number: u32, place: Place) -> Result<(), RegistryError> {
        self.change(|entries| {
            for entry in entries {
                let places = &mut entry.saved.places;
                places.retain(|held| held.path != place.path);
                if entry.saved.number == number {
                    places.push(place.clone());
                }
            }
        })
    }

    /// Notes that a path is no longer tagged. To be called after the tag is gone.
    ///
    /// # Errors
    /// The file cannot be written; the path would be tagged again after a reboot.
    pub fn let_go(&self, path: &Path) -> Result<(), RegistryError> {
        self.change_saved(|saved| {
            saved.places.retain(|held| held.path != path);
            saved.accepted.retain(|accepted| accepted.path != path);
        })
    }

    /// Where a workload serves others, if policy permits.
    #[must_use]
    pub fn offers(&self, number: u32) -> Vec<Offer> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let of = entries.iter().find(|entry| entry.saved.number == number);
        of.map_or_else(Vec::new, |entry| entry.saved.listen.clone())
    }

    /// Notes where a workload serves others.
    ///
    /// # Errors
    /// The file cannot be written; nothing is noted.
    pub fn offer(&self, number: u32, listen: &[Offer]) -> Result<(), RegistryError> {
        if self.offers(number) == listen {
            return Ok(());
        }
        self.change(|entries| {
            for entry in entries {
                if entry.saved.number == number {
                    entry.saved.listen = listen.to_vec();
                }
            }
        })
    }

    /// Switches how a workload is governed; says whether that is new. What is open has to be looked at again.
    ///
    /// # Errors
    /// The file cannot be written; nothing is switched.
    pub fn switch(&self, workload: &Workload, mode: Mode) -> Result<bool, RegistryError> {
        let before = workload.mode.get();
        if before == mode {
            return Ok(false);
        }
        workload.mode.set(mode);
        let changed = self.change(|entries| {
            for entry in entries {
                if entry.saved.number == workload.number {
                    entry.saved.mode = mode;
                }
            }
        });
        if let Err(error) = changed {
            workload.mode.set(before);
            return Err(error);
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
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .filter_map(|entry| entry.live.clone())
            .collect()
    }

    fn find(&self, wanted: impl Fn(&Workload) -> bool) -> Option<Arc<Workload>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut live = entries.iter().filter_map(|entry| entry.live.as_ref());
        live.find(|workload| wanted(workload)).cloned()
    }

    /// What the file keeps of a workload.
    pub(super) fn saved(&self, number: u32) -> Option<Saved> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut saved = entries.iter().map(|entry| &entry.saved);
        saved.find(|saved| saved.number == number).cloned()
    }

    /// Changes what is kept of each workload.
    pub(super) fn change_saved(&self, change: impl Fn(&mut Saved)) -> Result<(), RegistryError> {
        self.change(|entries| {
            entries
                .iter_mut()
                .for_each(|entry| change(&mut entry.saved))
        })
    }

    /// Changes the entries and the file, or neither.
    fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), RegistryError> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut next: Vec<Entry> = entries
            .iter()
            .map(|entry| Entry {
                saved: entry.saved.clone(),
                live: entry.live.clone(),
            })
            .collect();
        change(&mut next);
        let saved: Vec<&Saved> = next.iter().map(|entry| &entry.saved).collect();
        if let Some(path) = &self.path {
            write(path, &saved).map_err(|source| RegistryError::File {
                path: path.clone(),
                source,
            })?;
        }
        *entries = next;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<Saved>, RegistryError> {
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|source| RegistryError::Damaged {
            path: path.to_owned(),
            source,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(RegistryError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

fn write(path: &Path, saved: &[&Saved]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, serde_json::to_vec_pretty(saved)?)?;
    std::fs::File::open(&partial)?.sync_all()?;
    std::fs::rename(partial, path)
}

#[cfg(test)]
mod tests;
