//! Claiming a redirected connection: by the accepted socket's cookie, exactly once. Looking up who asks by datagram: by both endpoints, as
//! often as questions come.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use gateway_common::{
    flow::{FlowKey, Origin},
    names,
};

use super::maps::{Askers, Claims, optional};

/// What the kernel knows about a redirected connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The kernel part did not redirect this datagram, or its socket is closed by now.
    #[error(
        "the question from {client} was not redirected by the kernel part, or its socket is closed"
    )]
    Nobody {
        /// Where it came from.
        client: SocketAddr,
    },
    /// The map could not be read.
    #[error("who asks from {client} could not be looked up: {reason}")]
    NoAnswer {
        /// Where it came from.
        client: SocketAddr,
        /// The cause.
        reason: String,
    },
}

/// Where a datagram came from and where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Cookie of the network namespace.
    pub netns: u64,
    /// The side that asks.
    pub client: SocketAddr,
    /// The workload's listener.
    pub listener: SocketAddr,
}

/// Where accepted connections are claimed.
pub trait FlowTable: Send + Sync {
    /// Takes the flow of the accepted socket with this cookie (SO_COOKIE). Of any number of callers with the same cookie, one gets it.
    fn claim(&self, cookie: u64) -> Result<Flow, ClaimError>;

    /// Who asks by this datagram: the last one to ask by that socket, as long as it is open.
    fn asker(&self, question: &Question) -> Result<Flow, ClaimError>;
}

/// The flow table of the kernel part.
#[derive(Clone)]
pub struct Flows {
    claims: Arc<Mutex<Claims>>,
    askers: Arc<Mutex<Askers>>,
}

impl Flows {
    pub(super) fn new(claims: Claims, askers: Askers) -> Self {
        Self {
            claims: Arc::new(Mutex::new(claims)),
            askers: Arc::new(Mutex::new(askers)),
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

    fn asker(&self, question: &Question) -> Result<Flow, ClaimError> {
        let client = question.client;
        let key = FlowKey {
            netns: question.netns,
            client: client.into(),
            listener: question.listener.into(),
        };
        let askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = optional(askers.get(&key.to_bytes(), 0), names::ASKERS);
        let unreadable = |error: super::KernelError| ClaimError::NoAnswer {
            client,
            reason: error.to_string(),
        };
        match origin.map_err(unreadable)? {
            Some(origin) => Ok(Origin::from_bytes(&origin).into()),
            None => Err(ClaimError::Nobody { client }),
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
