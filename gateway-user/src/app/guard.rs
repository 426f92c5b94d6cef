//! `tollgate guard`: what is to be governed is closed before anything of it runs, without a daemon.
//!
//! In: the configuration, or what can be made out in a broken one, and the paths that were tagged before the host went down. Out: programs and
//! tags pinned as a dead daemon leaves them. Every connect there is refused at once, because nobody listens, and what is made there
//! makes no socket; the listeners' addresses are taken. `tollgate up` adopts all of it. Invariant: one thing that cannot be closed does not
//! keep the rest open; each is told.

use std::path::{Path, PathBuf};

use super::lock::Lock;
use super::{UpError, folders, registry_file, workloads};
use crate::config::{Config, ConfigError, Named, NamedWorkload, Paths};
use crate::identity::{Place, Registry, Saved};
use crate::kernel::{Hold, Kernel, KernelError, Options, Scope};
use crate::listener::Listeners;

/// What came of it.
#[derive(Debug, Default)]
pub struct Guarded {
    /// A daemon runs, which governs; nothing was done.
    pub daemon: bool,
    /// Paths that are closed.
    pub closed: Vec<PathBuf>,
    /// What could not be closed, or not be read.
    pub failures: Vec<GuardError>,
}

/// Something that is not closed, or not known.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The configuration cannot be used; what it names is closed all the same.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A workload, or everything, could not be closed.
    #[error(transparent)]
    Up(#[from] UpError),
}

/// Closes everything that the configuration at `path` and the registry name.
pub async fn guard(path: &Path) -> Guarded {
    let mut guarded = Guarded::default();
    let named = match Config::load(path) {
        Ok(config) => Named::of(&config),
        Err(error) => {
            guarded.failures.push(error.into());
            Named::salvage(path)
        }
    };
    match close(&named, &mut guarded).await {
        Err(
            UpError::AlreadyRunning { .. } | UpError::Kernel(KernelError::AlreadyGoverned { .. }),
        ) => {
            guarded.daemon = true;
        }
        Err(error) => guarded.failures.push(error.into()),
        Ok(()) => {}
    }
    guarded
}

async fn close(named: &Named, guarded: &mut Guarded) -> Result<(), UpError> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(UpError::Privilege);
    }
    folders(&named.paths)?;
    let _lock = Lock::take(&named.paths.run)?;
    let (registry, saved) = match registry(&named.paths) {
        Ok((registry, saved)) => (Some(registry), saved),
        // Its paths are unknown, and it stays as it is for whoever looks at it. What is configured is closed under other numbers.
        Err(error) => {
            guarded.failures.push(error.into());
            (None, Vec::new())
        }
    };
    let broken = !guarded.failures.is_empty();
    if named.workloads.is_empty() && saved.iter().all(|saved| saved.places.is_empty()) {
        return Ok(());
    }
    let kernel = Kernel::open(Options::new(&named.paths.pins))?;
    let mut closing = Closing {
        kernel,
        registry,
        saved,
        closed: Vec::new(),
    };
    for listed in &named.workloads {
        if let Err(error) = closing.configured(listed).await {
            guarded.failures.push(error.into());
        }
    }
    for saved in closing.saved.clone() {
        for place in &saved.places {
            // What the configuration had listed and no longer does is let go, unless it cannot be read.
            let wanted = !place.configured || broken;
            if wanted
                && !closing.closed.contains(&place.path)
                && let Err(error) = closing.tag(&saved, place)
            {
                guarded.failures.push(error.into());
            }
        }
    }
    guarded.closed = closing.closed;
    Ok(())
}

fn registry(paths: &Paths) -> Result<(Registry, Vec<Saved>), UpError> {
    Ok(Registry::open(&registry_file(paths))?)
}

/// Closes one after the other.
struct Closing {
    kernel: Kernel,
    registry: Option<Registry>,
    saved: Vec<Saved>,
    closed: Vec<PathBuf>,
}

impl Closing {
    async fn configured(&mut self, listed: &NamedWorkload) -> Result<(), UpError> {
        let place = Place {
            path: workloads::place(&self.kernel, &listed.subject).await?,
            configured: true,
        };
        let name = listed.subject.to_string();
        let known = self.saved.iter().find(|saved| {
            let here = saved.places.iter().any(|held| held.path == place.path);
            (here || saved.name == name) && saved.identity == listed.identity
        });
        let workload = match known {
            Some(saved) => saved.clone(),
            None => self.reserve(name, listed).await?,
        };
        self.tag(&workload, &place)
    }

    /// A number and addresses for a workload that is new.
    async fn reserve(&mut self, name: String, listed: &NamedWorkload) -> Result<Saved, UpError> {
        let tags = self.kernel.tags()?;
        let taken = self.saved.iter().map(|saved| saved.number);
        let number = taken.chain(tags.iter().map(|tag| tag.workload)).max();
        let number = number.unwrap_or(0) + 1;
        let failed = |source| UpError::Listen {
            name: name.clone(),
            source,
        };
        // Bound once, to know that they are free; the kernel part then keeps everybody off until the daemon binds them.
        let listeners = Listeners::bind(number).await.map_err(failed)?;
        let (v4, v6) = listeners.addresses().map_err(failed)?;
        let saved = Saved {
            number,
            name: name.clone(),
            identity: listed.identity.clone(),
            v4,
            v6,
            mode: listed.mode,
            places: Vec::new(),
            listen: Vec::new(),
            accepted: Vec::new(),
        };
        if let Some(registry) = &self.registry {
            registry.reserve(saved.clone())?;
        }
        self.saved.push(saved.clone());
        Ok(saved)
    }

    fn tag(&mut self, workload: &Saved, place: &Place) -> Result<(), UpError> {
        if let Some(registry) = &self.registry {
            registry.hold(workload.number, place.clone())?;
        }
        self.kernel.govern(&Scope {
            workload: workload.number,
            v4: workload.v4,
            v6: workload.v6,
        })?;
        let hold = if place.configured {
            Hold::Configured
        } else {
            Hold::ByHand
        };
        self.kernel.tag_path(&place.path, workload.number, hold)?;
        self.closed.push(place.path.clone());
        Ok(())
    }
}
