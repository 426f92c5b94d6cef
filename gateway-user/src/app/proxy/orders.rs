//! Orders of the guard, each carried out before the next is heard.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::control::Asked;
use super::{Namespaces, Proxying};
use crate::app::scratch;
use crate::boundary::{Done, Governed, Orders, Tell};
use crate::config::Offer;
use crate::control::{Peer, respond};
use crate::identity::{Rules, Workload};
use crate::kernel::Containment;
use crate::listener::{Listeners, Site};

/// Obeys on a thread of its own, until the guard is gone; then this process ends at once, and its listeners with it.
pub(super) fn obey(orders: Orders, proxying: Arc<Proxying>) -> io::Result<()> {
    let runtime = Handle::current();
    let obeying = move || {
        let _entered = runtime.enter();
        let error = loop {
            let heard = match orders.next() {
                Ok(Some(heard)) => heard,
                Ok(None) => break io::ErrorKind::UnexpectedEof.into(),
                Err(error) => break error,
            };
            let done = proxying.obey(heard.0, heard.1);
            if let Err(error) = orders.done(&done) {
                break error;
            }
        };
        tracing::error!(%error, "the proxy ends: the guard is gone, or said what is no order");
        std::process::exit(1);
    };
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(obeying)?;
    Ok(())
}

impl Proxying {
    /// An order that cannot be carried out is the guard's to undo, and does not concern other workloads.
    fn obey(self: &Arc<Self>, tell: Tell, descriptors: Vec<OwnedFd>) -> Done {
        if let Tell::Offer { workload, listen } = tell {
            return self.offer(workload, &listen);
        }
        let carried_out = self.carry_out(tell, descriptors);
        carried_out.map_err(|error| error.to_string())?;
        Ok(Value::Null)
    }

    /// Where a workload serves others, and what policy says of it.
    fn offer(&self, number: u32, listen: &[Offer]) -> Done {
        let registry = &self.gateway.registry;
        let workload = registry.by_number(number);
        let workload = workload.ok_or_else(|| "a workload of nobody's".to_owned())?;
        let noted = registry.offer(number, listen);
        noted.map_err(|error| error.to_string())?;
        self.inbound.apply(&workload)?;
        Ok(Value::Array(self.inbound.rows(number)))
    }

    fn carry_out(self: &Arc<Self>, tell: Tell, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        match tell {
            Tell::Start { .. } | Tell::Offer { .. } => Err(io::Error::other("it has started")),
            Tell::Entrant { entrant, process } => {
                let told = self.entrants.blocking_send((entrant, process));
                told.map_err(io::Error::other)
            }
            Tell::Govern(governed) => self.govern(governed, descriptors),
            Tell::Inside {
                workload,
                namespace,
                containment,
            } => self.inside((workload, namespace), containment, descriptors),
            Tell::Leave {
                workload,
                namespace,
            } => {
                drop(self.namespaces().remove(&(workload, namespace)));
                Ok(())
            }
            Tell::Publish { workload, listen } => self.publish(workload, &listen, descriptors),
            Tell::Unpublish { workload, listen } => {
                self.inbound.unpublish(workload, &listen);
                Ok(())
            }
            Tell::Mode { workload, mode } => {
                let registry = &self.gateway.registry;
                let workload = registry.by_number(workload);
                let workload = workload.ok_or(io::ErrorKind::NotFound)?;
                if registry.switch(&workload, mode).map_err(io::Error::other)? {
                    self.gateway.policies.look_again();
                }
                Ok(())
            }
            Tell::Control { request, uid, pid } => {
                let Some(connection) = descriptors.into_iter().next() else {
                    return Err(io::ErrorKind::NotFound.into());
                };
                let stream = std::os::unix::net::UnixStream::from(connection);
                let stream = UnixStream::from_std(stream)?;
                let asked = Asked(Arc::clone(self));
                self.services.spawn(async move {
                    let peer = Peer { uid, pid };
                    if let Err(error) = respond(stream, &asked, request, peer).await {
                        tracing::debug!(%error, "control connection ended early");
                    }
                });
                Ok(())
            }
            Tell::Reload => {
                self.policies.ask();
                Ok(())
            }
            Tell::Stop => {
                self.stop.notify_one();
                Ok(())
            }
        }
    }

    /// Accepts in a network namespace of a workload until it is left.
    fn inside(
        &self,
        at: (u32, u64),
        containment: Containment,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let gateway = &self.gateway;
        if gateway.registry.by_number(at.0).is_none() {
            return Err(io::Error::other("a workload of nobody's"));
        }
        let (open, closed) = watch::channel(());
        let site = Site {
            containment,
            closed: Some(closed),
        };
        let share = gateway.load.share(at.0);
        Listeners::given(descriptors)?.serve_at(site, gateway, &share, &self.services);
        self.namespaces().insert(at, open);
        Ok(())
    }

    pub(super) fn namespaces(&self) -> MutexGuard<'_, Namespaces> {
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn govern(&self, governed: Governed, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let identity = match governed.identity.as_str() {
            scratch::IDENTITY => scratch::identity(),
            id => self.config.identity(id).map(Arc::clone).ok_or_else(|| {
                io::Error::other(format!("no identity \"{id}\" in the configuration"))
            })?,
        };
        let listeners = Listeners::given(descriptors)?;
        let workload = Workload {
            number: governed.number,
            name: governed.name,
            identity,
            // The guard looks at executables.
            rules: Rules::default(),
            v4: governed.v4,
            v6: governed.v6,
            bodies: Workload::body_budget(),
            mode: governed.mode.into(),
        };
        let gateway = &self.gateway;
        let level = LEVELS
            .into_iter()
            .find(|level| *level == governed.containment);
        let level = level.ok_or_else(|| io::Error::other("a level of containment of nobody's"))?;
        let _ = gateway.containment.set(level);
        gateway.registry.add(workload).map_err(io::Error::other)?;
        let share = gateway.load.share(governed.number);
        listeners.serve(gateway, &share, &self.services);
        Ok(())
    }
}

/// How workloads are contained that hooks govern.
const LEVELS: [&str; 2] = ["hooks", "hooks+lsm"];
