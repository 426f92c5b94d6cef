//! The control socket: a closed set of requests between the command line and the daemon.
//!
//! One request per connection: a line of JSON in, lines of JSON out. The socket is 0600 and the peer's uid, as the
//! kernel gives it, is checked again and recorded with approvals.

mod client;
mod passed;
mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Mode, Offer};
use crate::record::Time;

pub use client::{ClientError, call, call_held, call_passing, call_within, follow};
pub use passed::Passed;
pub use server::{Answer, Handler, Peer, respond, serve};

/// Everything the command line can ask for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// What the daemon governs.
    Status,
    /// Prepares a launch as `identity`: answered with a [`RunGrant`]. The launch is over when the connection closes. Its network namespace, if it has
    /// one of its own, comes along as a descriptor.
    Run {
        /// The identity to run as.
        identity: String,
        /// The user who called sudo; root, who says so, could also be that user.
        user: Option<u32>,
        /// How it is governed.
        mode: Mode,
        /// Where it serves others.
        #[serde(default)]
        listen: Vec<Offer>,
        /// Where it reaches the network.
        network: Network,
    },
    /// Tells which bundles of certificates a launch opens from now on. Its mount namespace comes along as a descriptor.
    Watch,
    /// Prepares a workload that exists to be attacked: answered with a [`ScratchGrant`]. It is over when the connection closes.
    Scratch,
    /// Governs something as `identity`.
    Tag {
        /// The identity its processes take on.
        identity: String,
        /// What is governed.
        what: What,
        /// How it is governed.
        mode: Mode,
        /// Where it serves others.
        #[serde(default)]
        listen: Vec<Offer>,
        /// What hooks cannot judge in it is accepted, on record.
        #[serde(default)]
        accept_uncontained: bool,
        /// Nothing is governed: the answer says what would be.
        #[serde(default)]
        dry_run: bool,
    },
    /// Stops governing something.
    Untag {
        /// What is let go.
        what: What,
    },
    /// Questions that wait for a person.
    Approvals,
    /// Answers a question with yes.
    Approve {
        /// The exchange that asks.
        id: String,
        /// Why; recorded.
        reason: Option<String>,
    },
    /// Answers a question with no.
    Deny {
        /// The exchange that asks.
        id: String,
        /// Why; recorded.
        reason: Option<String>,
    },
    /// Sessions, oldest first, open ones included.
    Sessions {
        /// At most this many, the newest.
        limit: u32,
    },
    /// What models cost: budgets, then bills.
    Spend {
        /// Bills since then; without it, since the month began.
        since: Option<Time>,
    },
    /// One session or exchange with its transcript.
    Replay {
        /// An id or a unique prefix of one.
        id: String,
    },
    /// What policy says of a recorded exchange now.
    Explain {
        /// An exchange id or a unique prefix of one.
        id: String,
    },
    /// Has certificates vouch for upstreams of a service.
    ImportRoots {
        /// The service, or a destination as `name:port`.
        service: String,
        /// CA certificates.
        pem: String,
        /// Why; recorded.
        reason: Option<String>,
    },
    /// What was imported so.
    ImportedRoots,
    /// Takes an import back.
    WithdrawRoot {
        /// Its id.
        id: String,
    },
    /// Reads the policy folder now.
    Reload,
    /// Open sessions.
    Flows {
        /// Goes on with a [`crate::record::Change`] for each change, and never ends by itself.
        follow: bool,
    },
    /// The text that Prometheus reads.
    Metrics,
    /// Stops governing and ends the daemon; programs and pins go too.
    Down,
}

/// What can be tagged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// A cgroup's folder, or its path from the root of the hierarchy.
    Cgroup(PathBuf),
    /// A systemd unit.
    Unit(String),
    /// A process that runs, with its descendants.
    Pid(u32),
}

/// Where a launch reaches the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// In a namespace of its own, which has nothing but the gateway's listener.
    Own,
    /// In the host's: the weaker level, in which the hooks alone contain it.
    Host,
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// One object; a list is several.
    Item(Value),
    /// The request failed.
    Error {
        /// The exit code of the command, as in the table of exit codes.
        code: u8,
        /// What was wrong and what to do.
        message: String,
    },
    /// The answer is complete.
    Done,
}

/// What a launch needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunGrant {
    /// The workload it belongs to.
    pub workload: String,
    /// The tagged cgroup to join, an absolute folder.
    pub cgroup: PathBuf,
    /// The CA to trust, PEM.
    pub ca_pem: String,
    /// A folder for the launch's own files.
    pub scratch: PathBuf,
    /// Files and folders of the gateway that the launch must not see.
    pub hide: Vec<PathBuf>,
}

/// A workload for attempts at getting around the gateway.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScratchGrant {
    /// Its identity, which no configuration has.
    pub identity: String,
    /// The tagged cgroup to join, an absolute folder.
    pub cgroup: PathBuf,
    /// How it is contained.
    pub containment: String,
    /// What an ordinary user must not read.
    pub files: Vec<PathBuf>,
}

/// Longer than any request; longer ones are refused unread.
const MAX_REQUEST: usize = 64 * 1024;
