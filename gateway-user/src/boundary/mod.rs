//! What the guard and the proxy say to each other: two closed sets of messages.
//!
//! The guard is root: it works the kernel part, binds listeners, looks at processes, and reads no network byte. The proxy parses everything
//! and has no privilege. [`Ask`] is all that the proxy can ask of the guard: to claim a flow, to learn who asks for a name, to look at the process behind it and the bundles of certificates that it has opened, to read the
//! policy folder, to count, and to answer others, or bring them inside, where a workload declares a server. Nothing in it changes what is governed. [`Tell`] is what the guard tells the proxy, some of it with
//! descriptors, each answered by what came of it. Both are JSON; a message that is not understood ends the process that sent it.
//!
//! Sources: unix(7) (SOCK_SEQPACKET keeps messages and the descriptors that came with them apart).

mod guard;
mod proxy;

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Mode, Offer};
use crate::control;
use crate::identity::{Bundle, Process};
use crate::kernel::{Containment, Entrant, Flow, Question};

pub use guard::{Answering, Proxy, answer_all};
pub use proxy::{Guard, Orders, Told};

/// Everything the proxy can ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Takes the flow of an accepted socket.
    Claim {
        /// SO_COOKIE.
        cookie: u64,
    },
    /// Who asks the DNS stage by a datagram.
    Asker(Question),
    /// Who a process is: what `/proc` has of it, and the identity it counts as in its workload.
    Look {
        /// The workload's number.
        workload: u32,
        /// Thread group id.
        pid: u32,
        /// When it started, since boot.
        start: Duration,
    },
    /// Which bundles of certificates a process was seen to open.
    Opened {
        /// Thread group id.
        pid: u32,
        /// When it started, since boot.
        start: Duration,
    },
    /// Has the kernel answer others at these endpoints, of those that the workload declares, and at no others.
    Offer {
        /// The workload's number.
        workload: u32,
        /// Where.
        endpoints: Vec<SocketAddr>,
        /// Flows at a time, at most.
        flows: u32,
    },
    /// A socket in the network namespace of a launch, not connected, to bring a flow to a server there.
    Socket {
        /// The workload's number.
        workload: u32,
        /// The namespace's cookie.
        namespace: u64,
        /// Of which family.
        v6: bool,
    },
    /// The policy files as they are now.
    Policies,
    /// What is governed, for `tollgate status`.
    Governed,
    /// What the kernel part counted.
    Counters,
}

/// The answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// To [`Ask::Claim`] and [`Ask::Asker`].
    Flow(Flow),
    /// To [`Ask::Look`].
    Seen {
        /// The process.
        process: Process,
        /// The identity's name.
        identity: String,
    },
    /// To [`Ask::Opened`], the last one last.
    Opened(Vec<Bundle>),
    /// To [`Ask::Offer`].
    Offered,
    /// To [`Ask::Socket`], with the descriptor.
    Socket,
    /// To [`Ask::Policies`]: path and content.
    Policies(Vec<(PathBuf, String)>),
    /// To [`Ask::Governed`].
    Governed(Value),
    /// To [`Ask::Counters`].
    Counters(Vec<(String, u64)>),
    /// To any of them.
    Refused(String),
}

/// Everything the guard tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tell {
    /// The first message, with the sockets to the guard and to the keeper. Answered by a [`Hello`].
    Start {
        /// The configuration.
        config: PathBuf,
        /// The user and group to become.
        user: u32,
        /// How many of the descriptors lead to the guard; the others lead to the keeper.
        asks: usize,
    },
    /// Serve a workload on these listeners.
    Govern(Governed),
    /// Serve a workload on these listeners, which are in a network namespace of its own.
    Inside {
        /// The workload's number.
        workload: u32,
        /// The namespace's cookie.
        namespace: u64,
        /// How what connects there is contained.
        containment: Containment,
    },
    /// Give up the listeners of a workload in a network namespace.
    Leave {
        /// The workload's number.
        workload: u32,
        /// The namespace's cookie.
        namespace: u64,
    },
    /// A workload's mode has changed.
    Mode {
        /// The workload's number.
        workload: u32,
        /// How it is governed from now on.
        mode: Mode,
    },
    /// Where a workload serves others. Answered by what became of each endpoint.
    Offer {
        /// The workload's number.
        workload: u32,
        /// The endpoints it declares.
        listen: Vec<Offer>,
    },
    /// Accept on these listeners of the host for launches in network namespaces of their own.
    Publish {
        /// The workload's number.
        workload: u32,
        /// Their endpoints, in the order of the descriptors.
        listen: Vec<Offer>,
    },
    /// Give such listeners up.
    Unpublish {
        /// The workload's number.
        workload: u32,
        /// Their endpoints.
        listen: Vec<Offer>,
    },
    /// A flow from outside.
    Entrant {
        /// What the kernel says of it.
        entrant: Entrant,
        /// Who serves it.
        process: Process,
    },
    /// A request of the control socket, whose client is the descriptor.
    Control {
        /// What is asked.
        request: control::Request,
        /// Who asks.
        uid: u32,
        /// The asking process.
        pid: u32,
    },
    /// Read the policies again.
    Reload,
    /// Finish.
    Stop,
}

/// A workload, as the proxy knows it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governed {
    /// The number the kernel's maps carry.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its identity's name.
    pub identity: String,
    /// Its listener.
    pub v4: SocketAddrV4,
    /// Its listener for IPv6.
    pub v6: Option<SocketAddrV6>,
    /// How it is governed.
    pub mode: Mode,
    /// How far the hooks reach on this kernel.
    pub containment: String,
}

/// What came of an order: [`Value::Null`] for most, or why it could not be carried out.
pub type Done = Result<Value, String>;

/// How a start went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Hello {
    /// Everything is open.
    Ready {
        /// How many policies there are.
        policies: usize,
    },
    /// It cannot go on.
    Failed {
        /// The exit code.
        code: u8,
        /// What to tell.
        message: String,
    },
}

/// A question from bytes. Nothing of it is believed.
///
/// # Errors
/// It is none.
pub fn parse(bytes: &[u8]) -> serde_json::Result<Ask> {
    serde_json::from_slice(bytes)
}

/// The process on the other side, or this one's way to it, is gone.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum BoundaryError {
    #[error("the {whom} does not answer: {source}")]
    Gone {
        whom: &'static str,
        source: std::io::Error,
    },
    #[error("the proxy cannot do that: {why}")]
    Refused { why: String },
    #[error("the {whom} said what is no answer")]
    Garbled { whom: &'static str },
}

/// Longer than any order: a request of the control socket is at most 64 KiB.
const MAX_ORDER: usize = 128 * 1024;
