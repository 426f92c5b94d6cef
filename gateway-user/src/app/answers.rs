//! What the guard answers the proxy.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use super::Daemon;
use crate::boundary::{Answering, Ask, Reply};
use crate::identity::{self, Bundle, Registry};
use crate::kernel::{FlowTable, Flows, Kernel};
use crate::policy::Files;

/// Filled in as the guard starts; what is not there yet is refused.
pub(super) struct Answers {
    pub(super) policies: PathBuf,
    pub(super) registry: Arc<Registry>,
    pub(super) kernel: OnceLock<Arc<Kernel>>,
    pub(super) flows: OnceLock<Flows>,
    pub(super) daemon: OnceLock<Weak<Daemon>>,
}

impl Answering for Answers {
    fn answer(&self, ask: Ask) -> (Reply, Option<OwnedFd>) {
        let answered = match ask {
            Ask::Socket {
                workload,
                namespace,
                v6,
            } => self
                .socket(workload, namespace, v6)
                .map(|socket| (Reply::Socket, Some(socket))),
            ask => self.try_answer(ask).map(|reply| (reply, None)),
        };
        answered.unwrap_or_else(|why| (Reply::Refused(why), None))
    }
}

impl Answers {
    fn try_answer(&self, ask: Ask) -> Result<Reply, String> {
        match ask {
            Ask::Claim { cookie } => {
                let flows = self.flows.get().ok_or(NOT_YET)?;
                let flow = flows.claim(cookie).map_err(|error| error.to_string())?;
                Ok(Reply::Flow(flow))
            }
            Ask::Asker(question) => {
                let flows = self.flows.get().ok_or(NOT_YET)?;
                let flow = flows.asker(&question).map_err(|error| error.to_string())?;
                Ok(Reply::Flow(flow))
            }
            Ask::Look {
                workload,
                pid,
                start,
            } => {
                let known = self.registry.by_number(workload).ok_or(NOT_YET)?;
                let seen = identity::look(&known, pid, start);
                let (process, identity) = seen.map_err(|error| error.to_string())?;
                Ok(Reply::Seen {
                    process,
                    identity: identity.id.clone(),
                })
            }
            Ask::Opened { pid, start } => {
                let opened = self.daemon()?.adoption.opened(pid, start).into_iter();
                let opened = opened.map(|bundle| Bundle {
                    path: bundle.path.to_string_lossy().into_owned(),
                    held: bundle.held,
                });
                Ok(Reply::Opened(opened.collect()))
            }
            Ask::Offer {
                workload,
                endpoints,
                flows,
            } => {
                let declared = self.registry.offers(workload);
                // Launches in namespaces of their own serve there on their loopback.
                let same = |of: SocketAddr, at: &SocketAddr| {
                    of == *at || at.ip().is_loopback() && of.port() == at.port()
                };
                let declared = |at: &SocketAddr| declared.iter().any(|of| same(of.endpoint(), at));
                if !endpoints.iter().all(declared) || flows > FLOWS {
                    return Err("the workload does not declare that".to_owned());
                }
                let kernel = self.kernel.get().ok_or(NOT_YET)?;
                let offered = kernel.offer(workload, &endpoints, flows);
                offered.map_err(|error| error.to_string())?;
                Ok(Reply::Offered)
            }
            Ask::Socket { .. } => Err("a descriptor goes with this".to_owned()),
            Ask::Policies => {
                let files = Files::read(&self.policies).map_err(|error| error.to_string())?;
                Ok(Reply::Policies(files.into_texts()))
            }
            Ask::Governed => {
                let governed = self.daemon()?.governed();
                Ok(Reply::Governed(governed.map_err(|(_, why)| why)?))
            }
            Ask::Counters => {
                let counters = self.daemon()?.workloads.counters();
                let counters = counters.map_err(|error| error.to_string())?.into_iter();
                let named = counters.map(|(reason, count)| (reason.to_owned(), count));
                Ok(Reply::Counters(named.collect()))
            }
        }
    }

    fn socket(&self, workload: u32, namespace: u64, v6: bool) -> Result<OwnedFd, String> {
        let daemon = self.daemon()?;
        let made = daemon.workloads.socket_inside(workload, namespace, v6);
        made.map_err(|error| error.to_string())
    }

    fn daemon(&self) -> Result<Arc<Daemon>, String> {
        let daemon = self.daemon.get().and_then(Weak::upgrade);
        daemon.ok_or_else(|| NOT_YET.to_owned())
    }
}

/// Most flows from outside that a workload can be given.
const FLOWS: u32 = 4096;
const NOT_YET: &str = "the guard has not begun";
