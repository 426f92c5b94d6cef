//! One question to a person: what it is bound to, where it stands, and who may use the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Ask, MAX_WITHIN, Pending, Verdict, Waiting, ms};
use crate::record::{Asked, Id, Time};

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
}

/// An answer counts for a request that has all of this in common with the one that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    identity: String,
    pub(super) requester_uid: u32,
    destination: String,
    action: String,
    digest: [u8; 32],
    policy_version: String,
    asks: Vec<Ask>,
}

#[derive(Debug)]
pub(super) enum State {
    /// Nobody has answered; one request may be waiting.
    Pending(Option<oneshot::Sender<Delivery>>),
    /// Approved, for the request that takes it.
    Granted(Grant),
    /// Denied, for every request until the deadline.
    Denied(Verdict),
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
    used: Option<Arc<AtomicBool>>,
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
        }
    }

    /// Whether a request with this binding may take over what this question has: its place in the queue, or its grant.
    pub(super) fn serves(&mut self, binding: &Binding, now: Instant) -> bool {
        self.deadline > now
            && match &mut self.state {
                State::Pending(waiter) => {
                    self.binding == *binding && waiter.as_ref().is_none_or(|w| w.is_closed())
                }
                State::Granted(grant) => self.binding == *binding && grant.is_free(),
                State::Denied(_) => self.binding.same_but_uid(binding),
            }
    }

    /// Which of several questions that serve a request is the one: a denial stands above all, a grant saves a person's time.
    pub(super) fn rank(&self) -> u8 {
        match self.state {
            State::Pending(_) => 0,
            State::Granted(_) => 1,
            State::Denied(_) => 2,
        }
    }

    /// Takes up a request that this question serves. The exchange is remembered, so that a person may name the question by it.
    pub(super) fn take_up(&mut self, exchange: Id) -> Held {
        self.last = exchange;
        match &mut self.state {
            State::Pending(waiter) => {
                let (send, receive) = oneshot::channel();
                *waiter = Some(send);
                Held::Waiting(self.id, receive)
            }
            State::Granted(grant) => Held::Answered(grant.delivery(&self.binding)),
            State::Denied(verdict) => Held::Answered(Delivery::of(verdict.clone())),
        }
    }

    /// Sets the answer and hands it to the request that waits, if there is one.
    pub(super) fn answer(&mut self, state: State) {
        if let State::Pending(Some(waiter)) = std::mem::replace(&mut self.state, state) {
            let delivery = match &self.state {
                State::Granted(grant) => grant.delivery(&self.binding),
                State::Denied(verdict) => Delivery::of(verdict.clone()),
                State::Pending(_) => return,
            };
            // A request that went away leaves the answer for the next one.
            let _ = waiter.send(delivery);
        }
    }

    /// By its own id, or that of the exchange that asked first or last.
    pub(super) fn is_called(&self, id: Id) -> bool {
        [self.id, self.first, self.last].contains(&id)
    }

    pub(super) fn row(&self) -> Result<Asked, serde_json::Error> {
        let Binding {
            identity,
            requester_uid,
            destination,
            action,
            digest,
            policy_version,
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
            policy_version,
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
            policy_version: pending.policy_version.clone(),
            asks: pending.asks.clone(),
        }
    }

    pub(super) fn is_of(&self, identity: &str) -> bool {
        self.identity == identity
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
    fn delivery(&self, binding: &Binding) -> Delivery {
        let groups = binding.asks.iter().flat_map(|ask| &ask.approvers);
        Delivery {
            verdict: Verdict::Granted {
                by: self.by.clone(),
                approvals: groups.cloned().collect(),
            },
            used: Some(Arc::clone(&self.used)),
        }
    }

    /// Neither used, nor on its way to a request that may still use it.
    fn is_free(&mut self) -> bool {
        Arc::get_mut(&mut self.used).is_some_and(|used| !*used.get_mut())
    }
}

impl Delivery {
    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            used: None,
        }
    }

    pub(super) fn take(self) -> Verdict {
        if let Some(used) = self.used {
            used.store(true, Ordering::Relaxed);
        }
        self.verdict
    }
}
