//! Launches: a fresh cgroup for each, and a listener in its network namespace, where it has one of its own.
//!
//! A namespace stays governed when its daemon ends, so that connections there wait for the next daemon or are refused; it is let go with the launch.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::{ON_HOST, Workloads};
use crate::app::namespaces::Inside;
use crate::app::{UpError, launches, systemd};
use crate::config::{Identity, Mode, Offer};
use crate::identity::Workload;
use crate::kernel::Containment;
use crate::sys::inherit::Kept;
use crate::sys::namespace;

impl Workloads {
    /// A fresh cgroup for one launch as `identity`, tagged before anything runs in it.
    pub(in crate::app) async fn launch(
        &self,
        identity: &Arc<Identity>,
        id: &str,
        mode: Mode,
        listen: &[Offer],
        network: Option<OwnedFd>,
    ) -> Result<(Arc<Workload>, PathBuf), UpError> {
        // Launches of both modes, and with and without a network namespace, can run at a time. No identity has an `@` in its name.
        let observed = ["", "@observe"][usize::from(mode == Mode::Observe)];
        let host = ["", ON_HOST][usize::from(network.is_none())];
        let who = format!("{}{observed}{host}", identity.id);
        let workload = self
            .named(format!("run:{who}"), identity, None, mode)
            .await?;
        let parent = self.launches.join(who);
        launches::make(&parent)?;
        self.kernel.tag(&parent, workload.number)?;
        self.offer_launch(&workload, &parent, listen)?;
        let folder = parent.join(id);
        launches::make(&folder)?;
        if let Some(network) = network {
            self.begin_inside(&workload, &folder, network).await?;
            let published = self.publish(&workload, &folder, listen);
            published.inspect_err(|_| {
                self.launch_ended(&folder);
            })?;
        }
        Ok((workload, folder))
    }

    /// Serves a launch in its network namespace; one that cannot be served is undone.
    async fn begin_inside(
        &self,
        workload: &Arc<Workload>,
        launch: &Path,
        network: OwnedFd,
    ) -> Result<(), UpError> {
        let (served, _) = self
            .serve_inside(workload, network, Kept::default())
            .await?;
        let inside = served.inspect_err(|_| {
            self.launch_ended(launch);
        })?;
        self.keep_inside(launch.to_owned(), inside);
        Ok(())
    }

    /// Listens inside a launch's namespace; hands back what is left of the kept listeners.
    async fn serve_inside(
        &self,
        workload: &Arc<Workload>,
        network: OwnedFd,
        mut kept: Kept,
    ) -> Result<(Result<Inside, UpError>, Kept), UpError> {
        let (namespaces, workload) = (Arc::clone(&self.namespaces), Arc::clone(workload));
        let level = Containment::Construction;
        blocking(move || {
            let served = namespaces.serve(&workload, network.as_fd(), level, &mut kept);
            (served, kept)
        })
        .await
    }

    /// Keeps a namespace served until the launch in this cgroup has ended.
    fn keep_inside(&self, launch: PathBuf, inside: Inside) {
        let mut served = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        served.insert(launch, inside);
    }

    /// Removes the cgroup of a launch and lets its namespace go; false while processes of it are left, which stay governed.
    pub(in crate::app) fn launch_ended(&self, folder: &Path) -> bool {
        if folder.parent().and_then(Path::parent) != Some(&self.launches) {
            return true;
        }
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return false,
            _ => {}
        }
        let served = (self.inside.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .remove(folder);
        if let Some(inside) = served {
            self.namespaces.release(inside);
        }
        self.unpublish(folder);
        true
    }

    /// The launches that go on.
    pub(in crate::app) fn launched(&self) -> Vec<PathBuf> {
        launches::all(&self.launches)
    }

    /// How a launch is contained.
    pub(in crate::app) fn containment(&self, launch: &Path) -> Containment {
        let served = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        match served.get(launch) {
            Some(_) => Containment::Construction,
            None => Containment::Hooks,
        }
    }

    /// Listens again inside the namespaces of launches that an earlier daemon began. One that cannot be served stays refused.
    pub(super) async fn resume_inside(&self, mut kept: Kept) -> Result<(), UpError> {
        let mut known: HashMap<u64, u32> = self.kernel.namespaces()?.into_iter().collect();
        for launch in self.launched() {
            let Some((cookie, namespace)) = self.namespace_of(&launch, &known).await? else {
                continue;
            };
            let workload = known.remove(&cookie);
            let workload = workload.and_then(|number| self.gateway.registry.by_number(number));
            let Some(workload) = workload else { continue };
            let (served, left) = self.serve_inside(&workload, namespace, kept).await?;
            kept = left;
            match served {
                Ok(inside) => {
                    self.keep_inside(launch.clone(), inside);
                    self.publish_again(&workload, &launch);
                }
                Err(error) => {
                    tracing::error!(%error, launch = %launch.display(), "this launch reaches nothing");
                }
            }
        }
        // Of launches that have ended meanwhile; what else has namespaces is seen in them again.
        for (cookie, number) in known {
            let workload = self.gateway.registry.by_number(number);
            if workload.is_none_or(|workload| workload.name.starts_with("run:")) {
                self.kernel.release_namespace(cookie)?;
                kept.close(cookie);
                systemd::give_up_inside(cookie);
            }
        }
        self.namespaces.expect(kept);
        Ok(())
    }

    /// The governed network namespace that a member of a launch lives in.
    async fn namespace_of(
        &self,
        launch: &Path,
        known: &HashMap<u64, u32>,
    ) -> Result<Option<(u64, OwnedFd)>, UpError> {
        for pid in self.kernel.members(launch)? {
            let look = move || {
                let namespace = namespace::of_process(pid).ok()?;
                let cookie = namespace::cookie_of(namespace.as_fd()).ok()?;
                Some((cookie, namespace))
            };
            if let Some(found) = blocking(look)
                .await?
                .filter(|found| known.contains_key(&found.0))
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, UpError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| UpError::Ended)
}
