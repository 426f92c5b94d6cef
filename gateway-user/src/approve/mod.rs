//! Asks a person about a held request, with a deadline.
//!
//! In: what is asked, bound to identity, user id, destination, action, digest and what policy asks. Out: a [`Verdict`]. Policy is not
//! evaluated here: a grant only names the groups that approved, and policy decides again with exactly those.
//!
//! Invariants:
//! - One task owns all questions ([`owner`]); every answer and every expiry is in the ledger before the waiting request moves.
//! - A grant serves one request with the same binding, before the question's deadline; its use is in the ledger before that
//!   request moves. A second identical request that is held at the same time is a question of its own.
//! - A denial answers identical requests until the deadline.
//! - Open questions, unused grants and denials outlive the daemon: the ledger has them.
//! - Nobody approves what their own uid asked for, except root, who could do so anyway.
//! - A local admin may stand for any group, and is one person: what needs two people is denied.
//!
//! When it fails: ledger not writable, too many questions, task gone: the request is denied.

mod book;
mod digest;
mod owner;
mod question;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

pub use digest::Digest;
use owner::{Message, Owner};
use question::Held;

use crate::record::{ApprovalState, Id, Ledger, LedgerError, Time};

/// A request that needs a person's word.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The exchange in the ledger.
    pub exchange: Id,
    /// The non-human identity.
    pub identity: String,
    /// The uid of the process that sent the request.
    pub requester_uid: u32,
    /// The proven name and port.
    pub destination: String,
    /// The action's name.
    pub action: String,
    /// One line for the person who decides, masked.
    pub summary: String,
    /// What exactly is sent, see [`Digest`].
    pub digest: [u8; 32],
    /// What policy wants; each has to be granted.
    pub asks: Vec<Ask>,
    /// The policy set that asks, for the record.
    pub policy_version: String,
}

/// What one policy wants to hear from a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The policy's id.
    pub policy: String,
    /// Groups; a person of any of them may approve.
    pub approvers: Vec<String>,
    /// How many different people have to approve.
    pub people: u32,
    /// How long the question stays open.
    #[serde(rename = "within_ms", with = "milliseconds")]
    pub within: Duration,
    /// What the policy tells the person.
    pub message: Option<String>,
}

/// What became of a held request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be decided again with these groups' approval.
    Granted {
        /// The person.
        by: String,
        /// For `context.approvals`.
        approvals: BTreeSet<String>,
    },
    /// It is refused.
    Denied {
        /// The person, or `tollgate`.
        by: String,
        /// Their reason, which may be empty; safe to show to the agent.
        reason: String,
        /// The question that a person denied.
        id: Option<Id>,
    },
    /// Nobody has answered yet and the caller waited long enough. The question stays open; the identical request may be
    /// sent again.
    StillPending {
        /// The question.
        id: Id,
    },
    /// Nobody answered before the deadline.
    Expired {
        /// The question.
        id: Id,
    },
}

/// A person, as the control socket's peer credentials show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The user's name.
    pub name: String,
    /// The user's id.
    pub uid: u32,
}

/// An open question, as `approvals --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The question.
    pub id: Id,
    /// The exchange that asked last.
    pub exchange: Id,
    /// When it was asked.
    pub at: Time,
    /// Until when it can be answered.
    pub expires: Time,
    /// Milliseconds left until then.
    pub left_ms: u64,
    /// Whether a request is being held; if not, the next identical one takes the answer.
    pub held: bool,
    /// The non-human identity.
    pub identity: String,
    /// The uid of the process that sent the request.
    pub requester_uid: u32,
    /// The proven name and port.
    pub destination: String,
    /// The action's name.
    pub action: String,
    /// One line about the request.
    pub summary: String,
    /// What policy wants.
    pub asks: Vec<Ask>,
}

/// An answer that was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApproveError {
    /// Less than a whole id. Its beginning could come to mean a newer request before the answer arrives.
    #[error(
        "\"{0}\" is not a whole id: give all 16 characters, as `tollgate approvals` shows them"
    )]
    NotWhole(String),
    /// Nothing was ever asked under that id.
    #[error("nothing waits for approval under \"{0}\"; see `tollgate approvals`")]
    NotWaiting(Id),
    /// Somebody has answered.
    #[error("{id} is {state} already, by {by} at {at}")]
    Answered {
        /// As it was given.
        id: Id,
        /// The answer.
        state: ApprovalState,
        /// The person.
        by: String,
        /// When.
        at: Time,
    },
    /// Nobody answered in time.
    #[error("{id} expired at {at}; the same request, sent again, is a new question")]
    Expired {
        /// As it was given.
        id: Id,
        /// When.
        at: Time,
    },
    /// The approver runs under the uid that sent the request.
    #[error(
        "uid {uid} sent this request and cannot approve it; ask somebody else, or an administrator"
    )]
    OwnRequest {
        /// The uid of both.
        uid: u32,
    },
    /// The answer could not be recorded, so it does not count.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The daemon is shutting down.
    #[error("approvals are closed: the daemon is shutting down")]
    Stopped,
}

/// All questions. Clones share them.
#[derive(Clone, Debug)]
pub struct Approvals {
    messages: mpsc::Sender<Message>,
    ledger: Ledger,
}

impl Approvals {
    /// Starts with the questions, unused approvals and denials that the ledger has. Needs a tokio runtime, which the owning task
    /// then lives on.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn open(ledger: Ledger) -> Result<Self, LedgerError> {
        let owner = Owner::open(ledger.clone()).await?;
        let (messages, receive) = mpsc::channel(QUEUE);
        #[expect(
            clippy::disallowed_methods,
            reason = "the owner outlives the requests that wait for it, and ends with the last handle"
        )]
        tokio::spawn(owner.run(receive));
        Ok(Self { messages, ledger })
    }

    /// Asks, and waits for the answer for at most `hold_for`; `asked` is told the question as soon as there is something to wait
    /// for. Dropping the future leaves the question open.
    pub async fn hold(
        &self,
        pending: Pending,
        hold_for: Duration,
        asked: impl FnOnce(Id) + Send,
    ) -> Verdict {
        let until = Instant::now() + hold_for.min(MAX_WITHIN);
        let message = |reply| Message::Hold(Box::new(pending), reply);
        let (id, waiter) = match self.call(message).await {
            Ok(Held::Answered(delivery)) => return delivery.take(&self.ledger).await,
            Ok(Held::Waiting(id, waiter)) => (id, waiter),
            Err(error) => return denied(error.to_string()),
        };
        asked(id);
        match timeout_at(until, waiter).await {
            Ok(Ok(delivery)) => delivery.take(&self.ledger).await,
            Ok(Err(_)) => denied(ApproveError::Stopped.to_string()),
            Err(_) => Verdict::StillPending { id },
        }
    }

    /// The open questions, oldest first.
    ///
    /// # Errors
    /// The daemon is shutting down.
    pub async fn list(&self) -> Result<Vec<Waiting>, ApproveError> {
        self.call(Message::List).await
    }

    /// Approves a question, named by its id or by that of an exchange that asked it. Returns the question's id; the approval is in the ledger then.
    ///
    /// # Errors
    /// No such question, not this approver, or the ledger cannot be written.
    pub async fn approve(
        &self,
        id: &str,
        by: Approver,
        reason: Option<String>,
    ) -> Result<Id, ApproveError> {
        self.answer(id, ApprovalState::Approved, by, reason).await
    }

    /// Denies a question, as [`Self::approve`] approves it.
    ///
    /// # Errors
    /// No such question, or the ledger cannot be written.
    pub async fn deny(
        &self,
        id: &str,
        by: Approver,
        reason: Option<String>,
    ) -> Result<Id, ApproveError> {
        self.answer(id, ApprovalState::Denied, by, reason).await
    }

    async fn answer(
        &self,
        id: &str,
        state: ApprovalState,
        by: Approver,
        reason: Option<String>,
    ) -> Result<Id, ApproveError> {
        let id: Id = id
            .parse()
            .map_err(|_| ApproveError::NotWhole(id.to_owned()))?;
        let message = |reply| Message::Answer(id, state, by, reason, reply);
        self.call(message).await?
    }

    async fn call<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, ApproveError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.messages.send(message(reply)).await;
        sent.map_err(|_| ApproveError::Stopped)?;
        answer.await.map_err(|_| ApproveError::Stopped)
    }
}

/// A refusal that no person spoke.
fn denied(reason: String) -> Verdict {
    Verdict::Denied {
        by: "tollgate".to_owned(),
        reason,
        id: None,
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(super::ms(*d))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Messages wait here while the owner writes to the ledger; senders wait when it is full.
const QUEUE: usize = 256;

/// An upper bound for deadlines, so that no policy can make one that overflows a clock: 30 days.
pub const MAX_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
