//! Claiming a redirected connection: by the accepted socket's cookie, exactly once.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gateway_common::{flow::Origin, names};

use super::maps::{Claims, optional};

/// What the kernel knows about a redirected connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The workload that the calling task was tagged with.
    pub workload: u32,
    /// The destination that was dialled.
    pub origin: SocketAddr,
    /// The calling thread group, in the host's process namespace.
    pub tgid: u32,
    /// When that thread group started, since boot.
    pub start: Duration,
    /// Cgroup of the calling task.
    pub cgroup: u64,
    /// Effective user of the calling task.
    pub uid: u32,
}

/// Why a connection could not be claimed. Such a connection is refused.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The kernel part did not redirect this connection, or it was claimed before.
    #[error("connection {cookie} was not redirected by the kernel part, or was claimed before")]
    Unknown {
        /// The cookie of the accepted socket.
        cookie: u64,
    },
    /// The map could not be read.
    #[error("connection {cookie} could not be claimed: {reason}")]
    Unreadable {
        /// The cookie of the accepted socket.
        cookie: u64,
        /// The cause.
        reason: String,
    },
}

/// Where accepted connections are claimed.
pub trait FlowTable: Send + Sync {
    /// Takes the flow of the accepted socket with this cookie (SO_COOKIE). Of any number of callers with the same cookie, one gets it.
    fn claim(&self, cookie: u64) -> Result<Flow, ClaimError>;
}

/// The flow table of the kernel part.
#[derive(Clone)]
pub struct Flows {
    claims: Arc<Mutex<Claims>>,
}

impl Flows {
    pub(super) fn new(claims: Claims) -> Self {
        Self {
            claims: Arc::new(Mutex::new(claims)),
        }
    }
}

impl FlowTable for Flows {
    fn claim(&self, cookie: u64) -> Result<Flow, ClaimError> {
        let unreadable = |error: super::KernelError| ClaimError::Unreadable {
            cookie,
            reason: error.to_string(),
        };
        // A panic elsewhere cannot leave a map half written: the kernel holds it.
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = claims.get(&cookie, 0);
        let Some(origin) = optional(origin, names::CLAIMS).map_err(unreadable)? else {
            return Err(ClaimError::Unknown { cookie });
        };
        // Removing decides who has it, also between processes.
        match optional(claims.remove(&cookie), names::CLAIMS).map_err(unreadable)? {
            Some(()) => Ok(Origin::from_bytes(&origin).into()),
            None => Err(ClaimError::Unknown { cookie }),
        }
    }
}

impl From<Origin> for Flow {
    fn from(origin: Origin) -> Self {
        Self {
            workload: origin.workload,
            origin: origin.dialled.socket_addr(),
            tgid: origin.tgid,
            start: Duration::from_nanos(origin.start),
            cgroup: origin.cgroup,
            uid: origin.uid,
        }
    }
}
