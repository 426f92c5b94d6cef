//! What goes into the ledger and what comes out of it. Everything is plain text and numbers, so that the ledger depends on no
//! other stage; the caller masks before it hands over.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::Id;
use super::time::Time;

/// What is known when a connection is attributed, before anything is decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionStart {
    /// The non-human identity.
    pub identity: String,
    /// The workload it was recognised by.
    pub workload: String,
    /// `enforce` or `observe`.
    pub mode: String,
    /// The calling process.
    pub process: Process,
    /// How far the containment reaches: `by construction`, `hooks`, `hooks + LSM`.
    pub containment: String,
    /// Who opened the connection. What earlier versions left in the spool was opened by workloads.
    #[serde(default = "Direction::unsaid")]
    pub direction: Direction,
    /// Where the process wanted to connect to; of an inbound connection, where the peer is.
    pub origin: SocketAddr,
    /// The destination's name, where it is known already.
    pub name: Option<String>,
}

/// A process as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id in the host's pid namespace.
    pub pid: u32,
    /// When it started, to about 10 ms; tells processes apart that had the same pid.
    pub start: Time,
    /// The path of its executable.
    pub exe: String,
    /// Its command line, for people only: the process itself can change it.
    pub argv: Vec<String>,
    /// Its cgroup, below the cgroup2 mount.
    pub cgroup: String,
}

/// What is known of a request when it has been decided, before any byte of it goes out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeStart {
    /// `http/1.1`, `h2`, `opaque`.
    pub protocol: String,
    /// The action's name in the policy schema.
    pub action: String,
    /// The service, or `name:port` where no service lists the destination.
    pub service: String,
    /// HTTP method.
    pub method: Option<String>,
    /// HTTP path, without the query.
    pub path: Option<String>,
    /// LLM model.
    pub model: Option<String>,
    /// Whether the answer was asked for as a stream.
    pub stream: Option<bool>,
    /// What holds now. `Ask` is followed by [`super::ExchangeEntry::decided`].
    pub decision: Decision,
    /// In observe mode: what would have been decided.
    pub would: Option<Decision>,
    /// The determining policies.
    pub policies: Vec<String>,
    /// What the decision demands, such as `mask:pii`.
    pub obligations: Vec<String>,
    /// What detectors found in the request.
    pub findings: Vec<Finding>,
    /// Why, where a reason can be told.
    pub reason: Option<String>,
    /// The version of the policy set that decided.
    pub policy_version: String,
    /// The whole question put to policy, so that it can be put again.
    pub query: Value,
}

/// The decision that follows an `Ask`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// `Permit` or `Deny`.
    pub decision: Decision,
    /// The determining policies.
    pub policies: Vec<String>,
    /// What the decision demands.
    pub obligations: Vec<String>,
    /// Why, where a reason can be told.
    pub reason: Option<String>,
}

/// How an exchange ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// Which way.
    pub outcome: Outcome,
    /// The status that the agent got.
    pub status: Option<u16>,
    /// Tokens, where the provider told.
    pub usage: Option<Usage>,
    /// What detectors found in the answer; added to what the request had.
    pub findings: Vec<Finding>,
    /// Why it ended so; without one, the decision's reason stays.
    pub reason: Option<String>,
    /// Nanodollars it cost, where that is known.
    #[serde(default)]
    pub cost: Option<u64>,
}

/// The findings of one detector in one exchange. Never the values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Detector id.
    pub detector: String,
    /// Its class.
    pub class: String,
    /// How often.
    pub count: u64,
}

/// Tokens of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read by the model.
    pub input: Option<u64>,
    /// Tokens written by the model.
    pub output: Option<u64>,
}

/// A session as `sessions --json` prints it, one object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "SessionStart documents the fields of the same name"
)]
pub struct Session {
    pub id: Id,
    pub started: Time,
    /// Absent while the connection is open.
    pub ended: Option<Time>,
    pub identity: String,
    pub workload: String,
    pub mode: String,
    pub process: Process,
    pub containment: String,
    #[serde(default = "Direction::unsaid")]
    pub direction: Direction,
    pub origin: String,
    pub name: Option<String>,
    /// The server name in the ClientHello.
    pub sni: Option<String>,
    /// The application protocol that TLS settled on.
    pub alpn: Option<String>,
    /// Oldest first.
    pub exchanges: Vec<Exchange>,
}

/// An exchange as part of a [`Session`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "ExchangeStart and Closed document the fields of the same name"
)]
pub struct Exchange {
    pub id: Id,
    pub at: Time,
    pub protocol: String,
    pub action: String,
    pub service: String,
    pub method: Option<String>,
    pub path: Option<String>,
    pub model: Option<String>,
    pub stream: Option<bool>,
    pub decision: Decision,
    pub would: Option<Decision>,
    pub policies: Vec<String>,
    pub obligations: Vec<String>,
    pub findings: Vec<Finding>,
    /// The question that a person was asked last, if any.
    pub approval: Option<Approval>,
    pub status: Option<u16>,
    pub usage: Option<Usage>,
    /// US dollars it cost; where that is not known, what was reserved for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Absent while it is under way.
    pub outcome: Option<Outcome>,
    pub reason: Option<String>,
    /// Milliseconds from the decision to the end.
    pub ms: Option<u64>,
    pub policy_version: String,
    /// Only in a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Text>,
    /// Only in a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Text>,
}

/// What a person said to a question, as part of an [`Exchange`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The question's id.
    pub id: Id,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who answered.
    pub by: Option<String>,
    /// The reason they gave.
    pub reason: Option<String>,
    /// When it was answered or expired.
    pub at: Option<Time>,
}

/// One direction of a recorded exchange, decoded and masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// What was kept.
    pub text: String,
    /// Bytes that were said.
    pub bytes: u64,
    /// More was said than is kept.
    pub truncated: bool,
}

/// A session with everything that was said in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// With request and response in its exchanges.
    #[serde(flatten)]
    pub session: Session,
    /// The exchange that was asked for, where the id was an exchange's.
    pub focus: Option<Id>,
}

/// Text values: the same word in SQL, in JSON and on the screen.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            pub(super) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What policy says.
    Decision {
        /// It may go out.
        Permit = "permit",
        /// A person has to be asked.
        Ask = "ask",
        /// It is refused.
        Deny = "deny",
    }
}

words! {
    /// Who opened a connection.
    Direction {
        /// A process of the workload.
        Outbound = "outbound",
        /// Somebody who came to a server of the workload.
        Inbound = "inbound",
    }
}

impl Direction {
    /// What is meant where nothing is said: earlier versions recorded nothing else.
    pub(super) fn unsaid() -> Self {
        Self::Outbound
    }
}

words! {
    /// How an exchange ended.
    Outcome {
        /// The answer was delivered whole.
        Completed = "completed",
        /// The gateway refused it.
        Refused = "refused",
        /// The agent went away first.
        Aborted = "aborted",
        /// The destination could not be reached, or broke off.
        Failed = "failed",
        /// It was open when a daemon died.
        Unknown = "unknown",
    }
}

words! {
    /// Where a question to a person stands.
    ApprovalState {
        /// Nobody has answered yet.
        Pending = "pending",
        /// Granted, for one use.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
        /// Nobody answered in time.
        Expired = "expired",
    }
}
