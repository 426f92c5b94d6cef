//! What the guard has of the gateway: its registry, the keeper, and the proxy to be told things.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::UpError;
use crate::boundary::{BoundaryError, Governed, Proxy, Tell};
use crate::config::{Mode, Offer};
use crate::identity::{Process, Registry, Workload};
use crate::keeper::Keeper;
use crate::kernel::{Containment, Entries};
use crate::listener::Listeners;

/// The gateway, from the guard's side.
pub(super) struct Front {
    pub(super) registry: Arc<Registry>,
    pub(super) keeper: Keeper,
    pub(super) proxy: Proxy,
    /// How far the hooks reach on this kernel.
    pub(super) containment: &'static str,
}

impl Front {
    /// Has the proxy serve a workload. The guard keeps none of its listeners: nobody would read what waits in them.
    pub(super) fn serve(&self, workload: &Workload, listeners: Listeners) -> Result<(), UpError> {
        let governed = Governed {
            number: workload.number,
            name: workload.name.clone(),
            identity: workload.identity.id.clone(),
            v4: workload.v4,
            v6: workload.v6,
            mode: workload.mode.get(),
            containment: self.containment.to_owned(),
        };
        self.hand_over(workload, &Tell::Govern(governed), listeners)
    }

    /// Has the proxy serve a workload in one more network namespace.
    pub(super) fn serve_inside(
        &self,
        workload: &Workload,
        namespace: u64,
        containment: Containment,
        listeners: Listeners,
    ) -> Result<(), UpError> {
        let tell = Tell::Inside {
            workload: workload.number,
            namespace,
            containment,
        };
        self.hand_over(workload, &tell, listeners)
    }

    fn hand_over(
        &self,
        workload: &Workload,
        tell: &Tell,
        listeners: Listeners,
    ) -> Result<(), UpError> {
        let descriptors = listeners.into_descriptors();
        let descriptors = descriptors.map_err(|source| UpError::Listen {
            name: workload.name.clone(),
            source,
        })?;
        self.tell(tell, &descriptors)?;
        Ok(())
    }

    /// Has the proxy give up its listeners in a network namespace.
    pub(super) fn leave(&self, workload: u32, namespace: u64) -> Result<(), BoundaryError> {
        let tell = Tell::Leave {
            workload,
            namespace,
        };
        self.tell(&tell, &[]).map(drop)
    }

    /// Has the proxy accept at these endpoints of the host for launches in network namespaces of their own.
    pub(super) fn publish(
        &self,
        workload: u32,
        listen: Vec<Offer>,
        listeners: Vec<OwnedFd>,
    ) -> Result<(), UpError> {
        self.tell(&Tell::Publish { workload, listen }, &listeners)?;
        Ok(())
    }

    /// Has it give them up.
    pub(super) fn unpublish(&self, workload: u32, listen: Vec<Offer>) -> Result<(), UpError> {
        self.tell(&Tell::Unpublish { workload, listen }, &[])?;
        Ok(())
    }

    /// Has the proxy decide where a workload serves others; how that came out, for each endpoint.
    pub(super) fn offer(&self, workload: &Workload) -> Result<Value, UpError> {
        let tell = Tell::Offer {
            workload: workload.number,
            listen: self.registry.offers(workload.number),
        };
        Ok(self.tell(&tell, &[])?)
    }

    /// Tells the proxy of flows from outside until the task is shut down.
    pub(super) async fn report(self: Arc<Self>, mut entries: Entries) {
        loop {
            match entries.next().await {
                Ok(entrant) => {
                    let process = Process::read(entrant.tgid, entrant.start);
                    if let Err(error) = self.tell(&Tell::Entrant { entrant, process }, &[]) {
                        tracing::error!(%error, "a flow from outside is not on record");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "flows from outside are not heard of");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Has the proxy look again at what is open.
    pub(super) fn switched(&self, workload: &Workload, mode: Mode) -> Result<(), UpError> {
        let tell = Tell::Mode {
            workload: workload.number,
            mode,
        };
        self.tell(&tell, &[])?;
        Ok(())
    }

    /// Tells the proxy; takes as long as it does.
    pub(super) fn tell(
        &self,
        tell: &Tell,
        descriptors: &[OwnedFd],
    ) -> Result<Value, BoundaryError> {
        tokio::task::block_in_place(|| self.proxy.tell(tell, descriptors))
    }
}

/// Short against a person's patience.
const PAUSE: Duration = Duration::from_secs(1);
