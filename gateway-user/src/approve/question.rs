//! One question to a person: what it is bound to, where it stands, and who may use the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Ask, MAX_WITHIN, Pending, Verdict, Waiting, denied, ms};
use crate::record::{ApprovalState, Asked, Id, Ledger, Standing, Time};

/// A question from asking to deadline.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) id: Id,
    pub(super) binding: Binding,
    pub(super) deadline: Instant,
    pub(super) state: State,
    first: Id,
    last: Id,
    asked: Time,
    expires: Time,
    summary: String,
    policy_version: String,
}

/// An answer counts for a request that has all of this in common with the one that asked. The version of the policy set is not part
/// of it: policy decides again, as it is then, on every request that an approval releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) identity: String,
    pub(super) requester_uid: u32,
    destination: String,
    action: String,
    pub(super) digest: [u8; 32],
    asks: Vec<Ask>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nobody has answered; one request may be waiting.
    Pending(Option<oneshot::Sender<Delivery>>),
    /// Approved, for the request that takes it.
    Granted(Grant),
    /// Denied, for every request until the deadline.
    Denied { by: String, reason: String },
}

/// The first reply to a held request.
#[derive(Debug)]
pub(super) enum Held {
    /// There is nothing to wait for.
    Answered(Delivery),
    /// The question, and where its answer will come.
    Waiting(Id, oneshot::Receiver<Delivery>),
}

/// A verdict on its way to the request. Only [`Delivery::take`] uses up a grant, so a request that goes away while the
/// verdict is on its way leaves the grant for the next one.
#[derive(Debug)]
pub(super) struct Delivery {
    verdict: Verdict,
    /// The question whose approval it uses, and whether it is used.
    grant: Option<(Id, Arc<AtomicBool>)>,
}

#[derive(Debug)]
pub(super) struct Grant {
    by: String,
    used: Arc<AtomicBool>,
}

impl Question {
    pub(super) fn new(id: Id, pending: Pending) -> Self {
        let within = pending.asks.iter().map(|ask| ask.within).min();
        let within = within.unwrap_or(Duration::ZERO).min(MAX_WITHIN);
        let asked = Time::now();
        let expires = asked.unix_ms() + i64::try_from(ms(within)).unwrap_or(i64::MAX);
        Self {
            id,
            deadline: Instant::now() + within,
            state: State::Pending(None),
            first: pending.exchange,
            last: pending.exchange,
            asked,
            expires: Time::from_unix_ms(expires),
            binding: Binding::of(&pending),
            summary: pending.summary,
            policy_version: pending.policy_version,
        }
    }

    /// As an earlier daemon left it in the ledger.
    pub(super) fn restored(standing: Standing) -> Result<Self, serde_json::Error> {
        let Standing {
            asked,
            state,
            by,
            reason,
        } = standing;
        let by = by.unwrap_or_default();
        let left = asked.expires.unix_ms() - Time::now().unix_ms();
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(MAX_WITHIN);
        Ok(Self {
            id: asked.id,
            deadline: Instant::now() + left,
            state: match state {
                ApprovalState::Approved => State::Granted(Grant::new(by)),
                ApprovalState::Denied => State::Denied {
                    by,
                    reason: reason.unwrap_or_default(),
                },
                ApprovalState::Pending | ApprovalState::Expired => State::Pending(None),
            },
            first: asked.exchange,
            last: asked.exchange,
            asked: asked.asked,
            expires: asked.expires,
            binding: Binding {
                identity: asked.identity,
                requester_uid: asked.requester_uid,
                destination: asked.destination,
                action: asked.action,
                digest: asked.digest,
                asks: serde_json::from_str(&asked.asks)?,
            },
            summary: asked.summary,
            policy_version: asked.policy_version,
        })
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Pending(_))
    }

    /// Whether a request with this binding may take over what this question has: its place in the queue, or its grant.
    pub(super) fn serves(&self, binding: &Binding) -> bool {
        match &self.state {
            State::Pending(waiter) => {
                self.binding == *binding && waiter.as_ref().is_none_or(|w| w.is_closed())
            }
            State::Granted(grant) => self.binding == *binding && grant.is_free(),
            State::Denied { .. } => self.binding.same_but_uid(binding),
        }
    }

    /// Which of several questions that serve a request is the one: a denial stands above all, a grant saves a person's time.
    pub(super) fn rank(&self) -> u8 {
        match self.state {
            State::Pending(_) => 0,
            State::Granted(_) => 1,
            State::Denied { .. } => 2,
        }
    }

    /// Takes up a request that this question serves. The exchange is remembered, so that a person may name the question by it.
    pub(super) fn take_up(&mut self, exchange: Id) -> Held {
        self.last = exchange;
        if let Some(delivery) = self.delivery() {
            return Held::Answered(delivery);
        }
        let (send, receive) = oneshot::channel();
        self.state = State::Pending(Some(send));
        Held::Waiting(self.id, receive)
    }

    /// Sets the answer and hands it to the request that waits, if there is one.
    pub(super) fn answer(&mut self, state: State) {
        let before = std::mem::replace(&mut self.state, state);
        if let (State::Pending(Some(waiter)), Some(delivery)) = (before, self.delivery()) {
            // A request that went away leaves the answer for the next one.
            let _ = waiter.send(delivery);
        }
    }

    /// The answer on its way to a request; `None` while there is none.
    fn delivery(&self) -> Option<Delivery> {
        match &self.state {
            State::Pending(_) => None,
            State::Granted(grant) => Some(grant.delivery(self.id, &self.binding)),
            State::Denied { by, reason } => Some(Delivery::of(Verdict::Denied {
                by: by.clone(),
                reason: reason.clone(),
                id: Some(self.id),
            })),
        }
    }

    pub(super) fn was_asked_by(&self, exchange: Id) -> bool {
        [self.first, self.last].contains(&exchange)
    }

    pub(super) fn row(&self) -> Result<Asked, serde_json::Error> {
        let Binding {
            identity,
            requester_uid,
            destination,
            action,
            digest,
            asks,
        } = self.binding.clone();
        Ok(Asked {
            id: self.id,
            exchange: self.first,
            asked: self.asked,
            expires: self.expires,
            identity,
            requester_uid,
            destination,
            action,
            summary: self.summary.clone(),
            digest,
            asks: serde_json::to_string(&asks)?,
            policy_version: self.policy_version.clone(),
            uses: 1,
        })
    }

    /// As people see it; `None` once it is answered.
    pub(super) fn waiting(&self, now: Instant) -> Option<Waiting> {
        let State::Pending(waiter) = &self.state else {
            return None;
        };
        Some(Waiting {
            id: self.id,
            exchange: self.last,
            at: self.asked,
            expires: self.expires,
            left_ms: ms(self.deadline.saturating_duration_since(now)),
            held: waiter.as_ref().is_some_and(|waiter| !waiter.is_closed()),
            identity: self.binding.identity.clone(),
            requester_uid: self.binding.requester_uid,
            destination: self.binding.destination.clone(),
            action: self.binding.action.clone(),
            summary: self.summary.clone(),
            asks: self.binding.asks.clone(),
        })
    }
}

impl Binding {
    pub(super) fn of(pending: &Pending) -> Self {
        Self {
            identity: pending.identity.clone(),
            requester_uid: pending.requester_uid,
            destination: pending.destination.clone(),
            action: pending.action.clone(),
            digest: pending.digest,
            asks: pending.asks.clone(),
        }
    }

    /// A denied request is not asked again by changing the user that sends it.
    fn same_but_uid(&self, other: &Self) -> bool {
        let requester_uid = self.requester_uid;
        *self
            == Self {
                requester_uid,
                ..other.clone()
            }
    }
}

impl Grant {
    pub(super) fn new(by: String) -> Self {
        Self {
            by,
            used: Arc::default(),
        }
    }

    /// A local admin may stand for any group, so the approval speaks for every group that was asked.
    fn delivery(&self, question: Id, binding: &Binding) -> Delivery {
        let groups = binding.asks.iter().flat_map(|ask| &ask.approvers);
        Delivery {
            verdict: Verdict::Granted {
                by: self.by.clone(),
                approvals: groups.cloned().collect(),
            },
            grant: Some((question, Arc::clone(&self.used))),
        }
    }

    /// Neither used, nor on its way to a request that may still use it.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.used) == 1 && !self.used.load(Ordering::Relaxed)
    }
}

impl Delivery {
    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            grant: None,
        }
    }

    /// The verdict, after the use of an approval is in the ledger. An approval whose use cannot be recorded is lost.
    pub(super) async fn take(self, ledger: &Ledger) -> Verdict {
        if let Some((question, used)) = self.grant {
            used.store(true, Ordering::Relaxed);
            if let Err(error) = ledger.used(question).await {
                return denied(error.to_string());
            }
        }
        self.verdict
    }
}
