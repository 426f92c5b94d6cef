//! Servers of launches in network namespaces of their own: others reach them at endpoints of the host, which the gateway listens at.
//!
//! The listeners are made here and accepted from by the proxy, which brings what policy permits to the server inside. They last as long as a launch that
//! wants them. A restarted daemon no longer knows which launch wanted what, and serves all of them what their workload declares.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Workloads;
use crate::app::UpError;
use crate::config::Offer;
use crate::identity::Workload;
use crate::listener;
use crate::sys::namespace::{self, NamespaceError};

/// What is listened at, by the launch that wants it, with its workload.
#[derive(Default)]
pub(super) struct Published(Mutex<HashMap<PathBuf, (u32, Vec<Offer>)>>);

impl Workloads {
    /// Listens on the host for a launch.
    pub(super) fn publish(
        &self,
        workload: &Workload,
        launch: &Path,
        listen: &[Offer],
    ) -> Result<(), UpError> {
        let number = workload.number;
        let mut published = (self.published.0.lock()).unwrap_or_else(PoisonError::into_inner);
        let fresh = |offer: &Offer| !wanted(&published, number, *offer);
        let (mut new, mut listeners) = (Vec::new(), Vec::new());
        for offer in listen.iter().copied().filter(fresh) {
            let made = listener::unaccepted(offer.endpoint());
            let made = made.map_err(|source| UpError::Publish {
                endpoint: offer.to_string(),
                source,
            })?;
            listeners.push(OwnedFd::from(made));
            new.push(offer);
        }
        if !new.is_empty() {
            self.gateway.publish(number, new, listeners)?;
        }
        if !listen.is_empty() {
            published.insert(launch.to_owned(), (number, listen.to_vec()));
        }
        Ok(())
    }

    /// The same for a launch that an earlier daemon began.
    pub(super) fn publish_again(&self, workload: &Workload, launch: &Path) {
        let listen = self.gateway.registry.offers(workload.number);
        if let Err(error) = self.publish(workload, launch, &listen) {
            tracing::error!(%error, launch = %launch.display(), "nobody reaches the servers of this launch");
        }
    }

    /// Gives up what no launch wants any more.
    pub(super) fn unpublish(&self, launch: &Path) {
        let mut published = (self.published.0.lock()).unwrap_or_else(PoisonError::into_inner);
        let Some((workload, mut listen)) = published.remove(launch) else {
            return;
        };
        listen.retain(|offer| !wanted(&published, workload, *offer));
        if !listen.is_empty()
            && let Err(error) = self.gateway.unpublish(workload, listen)
        {
            tracing::warn!(%error, "what a launch served is still listened at");
        }
    }

    /// A socket in a launch's network namespace, for the proxy to reach a server there.
    pub(in crate::app) fn socket_inside(
        &self,
        workload: u32,
        cookie: u64,
        v6: bool,
    ) -> Result<OwnedFd, NamespaceError> {
        let served = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inside = served.values();
        let found = inside.find(|inside| (inside.workload, inside.cookie) == (workload, cookie));
        let namespace = match found {
            Some(inside) => inside
                .namespace
                .try_clone()
                .map_err(NamespaceError::Cookie)?,
            None => return Err(NamespaceError::Enter(nix::errno::Errno::ENOENT)),
        };
        drop(served);
        namespace::stream(namespace.as_fd(), v6)
    }
}

fn wanted(published: &HashMap<PathBuf, (u32, Vec<Offer>)>, workload: u32, offer: Offer) -> bool {
    let mut launches = published.values();
    launches.any(|(of, listen)| *of == workload && listen.contains(&offer))
}
