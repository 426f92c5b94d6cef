//! The proxy's side: asks the guard, and hears what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::{Ask, BoundaryError, Done, Hello, MAX_ORDER, Reply, Tell};
use crate::config::{Config, Identity};
use crate::identity::{Bundle, Eyes, Process, Workload};
use crate::kernel::{ClaimError, Flow, FlowTable, Question};
use crate::sys::exchange::Sockets;
use crate::sys::part;

/// The guard, to be asked.
pub struct Guard {
    sockets: Sockets,
}

impl Guard {
    /// Asks over these sockets.
    ///
    /// # Errors
    /// They are no sockets.
    pub fn new(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            sockets: Sockets::new(sockets)?,
        })
    }

    /// The policy files.
    ///
    /// # Errors
    /// The guard cannot read them, or is gone.
    pub fn policies(&self) -> Result<Vec<(PathBuf, String)>, String> {
        match self.ask(&Ask::Policies) {
            Ok(Reply::Policies(files)) => Ok(files),
            other => Err(refusal(other)),
        }
    }

    /// Has the kernel answer others at these endpoints of a workload.
    ///
    /// # Errors
    /// The workload does not declare them, or the guard is gone.
    pub fn offer(
        &self,
        workload: u32,
        endpoints: Vec<SocketAddr>,
        flows: u32,
    ) -> Result<(), String> {
        let ask = Ask::Offer {
            workload,
            endpoints,
            flows,
        };
        match self.ask(&ask) {
            Ok(Reply::Offered) => Ok(()),
            other => Err(refusal(other)),
        }
    }

    /// A socket in a network namespace of a workload, bound to its loopback.
    ///
    /// # Errors
    /// There is no such namespace, or the guard is gone.
    pub fn socket(&self, workload: u32, namespace: u64, v6: bool) -> Result<OwnedFd, String> {
        let ask = Ask::Socket {
            workload,
            namespace,
            v6,
        };
        let message = serde_json::to_vec(&ask).map_err(|error| error.to_string())?;
        let answered = self.sockets.ask_passed(&message);
        let (bytes, passed) = answered.map_err(|error| gone(error).to_string())?;
        match (serde_json::from_slice(&bytes), passed) {
            (Ok(Reply::Socket), Some(socket)) => Ok(socket),
            (reply, _) => Err(refusal(reply.map_err(|_| GARBLED))),
        }
    }

    /// What is governed.
    ///
    /// # Errors
    /// The guard cannot say, or is gone.
    pub fn governed(&self) -> Result<Value, String> {
        match self.ask(&Ask::Governed) {
            Ok(Reply::Governed(value)) => Ok(value),
            other => Err(refusal(other)),
        }
    }

    /// What the kernel part counted.
    ///
    /// # Errors
    /// The guard cannot say, or is gone.
    pub fn counters(&self) -> Result<Vec<(String, u64)>, String> {
        match self.ask(&Ask::Counters) {
            Ok(Reply::Counters(counters)) => Ok(counters),
            other => Err(refusal(other)),
        }
    }

    fn ask(&self, ask: &Ask) -> Result<Reply, BoundaryError> {
        let message = serde_json::to_vec(ask).map_err(|error| gone(error.into()))?;
        let bytes = self.sockets.ask(&message).map_err(gone)?;
        serde_json::from_slice(&bytes).map_err(|_| GARBLED)
    }
}

fn gone(source: io::Error) -> BoundaryError {
    BoundaryError::Gone {
        whom: "guard",
        source,
    }
}

const GARBLED: BoundaryError = BoundaryError::Garbled { whom: "guard" };

impl FlowTable for Guard {
    fn claim(&self, cookie: u64) -> Result<Flow, ClaimError> {
        match self.ask(&Ask::Claim { cookie }) {
            Ok(Reply::Flow(flow)) => Ok(flow),
            other => Err(ClaimError::Unreadable {
                cookie,
                reason: refusal(other),
            }),
        }
    }

    fn asker(&self, question: &Question) -> Result<Flow, ClaimError> {
        match self.ask(&Ask::Asker(*question)) {
            Ok(Reply::Flow(flow)) => Ok(flow),
            other => Err(ClaimError::NoAnswer {
                client: question.client,
                reason: refusal(other),
            }),
        }
    }
}

/// Looks at processes through the guard.
pub struct Told {
    /// The guard.
    pub guard: Arc<Guard>,
    /// Whose identities there are.
    pub config: Arc<Config>,
}

impl Eyes for Told {
    fn look(&self, flow: &Flow, workload: &Arc<Workload>) -> io::Result<(Process, Arc<Identity>)> {
        let ask = Ask::Look {
            workload: workload.number,
            pid: flow.tgid,
            start: flow.start,
        };
        match self.guard.ask(&ask) {
            Ok(Reply::Seen { process, identity }) => {
                if identity == workload.identity.id {
                    return Ok((process, Arc::clone(&workload.identity)));
                }
                let known = self.config.identity(&identity);
                let known = known.ok_or_else(|| io::Error::other("an identity of nobody's"))?;
                Ok((process, Arc::clone(known)))
            }
            other => Err(io::Error::other(refusal(other))),
        }
    }

    fn opened(&self, process: &Process) -> Vec<Bundle> {
        let ask = Ask::Opened {
            pid: process.pid,
            start: process.start,
        };
        match self.guard.ask(&ask) {
            Ok(Reply::Opened(bundles)) => bundles,
            _ => Vec::new(),
        }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

/// What the guard tells, in its order.
pub struct Orders {
    socket: UnixStream,
}

impl Orders {
    /// Hears over this socket.
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        Self { socket }
    }

    /// Waits for the next order; `None` once the guard is gone.
    ///
    /// # Errors
    /// What came is none.
    pub fn next(&self) -> io::Result<Option<(Tell, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MAX_ORDER];
        let (length, descriptors) = part::receive(&self.socket, &mut bytes)?;
        if length == 0 {
            return Ok(None);
        }
        Ok(Some((
            serde_json::from_slice(&bytes[..length])?,
            descriptors,
        )))
    }

    /// Says what came of the last order.
    ///
    /// # Errors
    /// The guard is gone.
    pub fn done(&self, done: &Done) -> io::Result<()> {
        part::send(&self.socket, &serde_json::to_vec(done)?, &[])
    }

    /// Says how the start went.
    ///
    /// # Errors
    /// The guard is gone.
    pub fn hello(&self, hello: &Hello) -> io::Result<()> {
        part::send(&self.socket, &serde_json::to_vec(hello)?, &[])
    }
}

fn refusal(other: Result<Reply, BoundaryError>) -> String {
    match other {
        Ok(Reply::Refused(why)) => why,
        Ok(_) => BoundaryError::Garbled { whom: "guard" }.to_string(),
        Err(error) => error.to_string(),
    }
}
