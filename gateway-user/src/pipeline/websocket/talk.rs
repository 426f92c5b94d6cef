//! A conversation with a model in a WebSocket, where its events are understood.
//!
//! In: what both ends say, a whole message at a time. Out: what policy wants masked in what the agent says, and what the agent gets.
//! Invariants: what the agent asks of the model is decided by policy as it comes, with every tool, limit and model that may be in force by then;
//! what the model says is read or withheld; no part of a call of a tool passes before the whole of it is permitted; each answer is reserved
//! for before it is asked for, or as it begins; one that is asked for with all that it depends on is an exchange of its own. Sound passes unread.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::created::{Answer, Ended, Opening};
use super::session::Session;
use super::terms::{Stop, Terms};
use crate::mask::{self, Shape};
use crate::pipeline::ConnectionError;
use crate::pipeline::charge::Charge;
use crate::pipeline::outcome::{Described, refusal};
use crate::pipeline::relay::shape_of;
use crate::pipeline::revoke::revoked;
use crate::pipeline::tools::{self, Blocked, Judgement, Tools};
use crate::policy::Permit;
use crate::protocol::frames::Framing;
use crate::protocol::http::Head;
use crate::protocol::llm::Family;
use crate::protocol::{Facts, Refusal, Why};
use crate::record::{ExchangeEntry, Id, Outcome};

/// What both directions of a conversation share.
pub(super) struct Talk {
    pub(super) family: Family,
    /// That of the handshake.
    pub(super) head: Head,
    pub(super) terms: Arc<Terms>,
    pub(super) described: Described,
    pub(super) tools: Option<Arc<Tools>>,
    pub(super) charge: Mutex<Charge>,
    pub(super) session: Mutex<Session>,
    /// Where it leads.
    pub(super) opening: Opening,
    /// What was asked for in messages of their own and has not begun.
    pub(super) answers: Mutex<VecDeque<Answer>>,
    /// The exchange that is the opening.
    pub(super) id: Id,
    entry: Mutex<Option<ExchangeEntry>>,
    /// Why an answer that is not over is no longer permitted, once one is.
    revoked: watch::Sender<Option<String>>,
}

/// A verdict, in the making.
pub(super) type Judging = Pin<Box<dyn Future<Output = Result<Verdict, ConnectionError>> + Send>>;

/// What becomes of that which waits for it.
pub(super) enum Verdict {
    /// Calls of tools pass, or do not.
    Calls(Judgement),
    /// A message of the agent that asks for an answer with these settings passes, and this is masked in it.
    Asked(mask::Set, Facts),
    /// It does not, and the agent is told so in this frame.
    Told(Bytes),
}

impl Talk {
    pub(super) fn new(
        terms: &Arc<Terms>,
        described: Described,
        tools: Option<Arc<Tools>>,
        entry: ExchangeEntry,
        charge: Charge,
        (family, head, opening): (Family, Head, Opening),
    ) -> Arc<Self> {
        let model = terms.permit().query().facts.text("model");
        let session = Session::opened(model.unwrap_or_default());
        Arc::new(Self {
            family,
            head,
            session: Mutex::new(session),
            terms: Arc::clone(terms),
            described,
            tools,
            opening,
            answers: Mutex::default(),
            id: entry.id(),
            entry: Mutex::new(Some(entry)),
            charge: Mutex::new(charge),
            revoked: watch::Sender::default(),
        })
    }

    /// Has the conversation end when policy no longer permits an answer, until what this returns is dropped.
    pub(super) fn watch(&self, permit: &Permit) -> JoinSet<()> {
        let standing = tools::standing(self.tools.as_ref(), Some(self.family), permit);
        let revoked = revoked(self.terms.connection(), standing);
        let told = self.revoked.clone();
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            told.send_replace(Some(revoked.await));
        });
        watching
    }

    /// Ends, with the reason, when it no longer permits one of those that are not over.
    pub(super) async fn revoked(&self) -> String {
        let mut told = self.revoked.subscribe();
        match told
            .wait_for(Option::is_some)
            .await
            .map(|told| told.clone())
        {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }

    /// The record, once nothing more is said, and what it cost that has no record of its own. What was asked for and has not begun is over.
    pub(super) fn end(&self, outcome: Outcome) -> (Option<ExchangeEntry>, Option<u64>) {
        for answer in lock(&self.answers).drain(..) {
            answer.end(Ended {
                outcome: unfinished(outcome),
                usage: None,
                findings: Vec::new(),
            });
        }
        let charge = std::mem::take(&mut *lock(&self.charge));
        (lock(&self.entry).take(), charge.total())
    }

    /// The first answer that was asked for in this lane and has not begun.
    pub(super) fn next(&self, lane: &str) -> Option<Answer> {
        let mut answers = lock(&self.answers);
        let place = answers.iter().position(|answer| answer.lane == lane)?;
        answers.remove(place)
    }

    /// What an agent is told that is cut off, as its library reads it.
    pub(super) fn last_word(&self, stop: &Stop, id: Id) -> Bytes {
        let told = stop.told.clone().unwrap_or_else(|| {
            let connection = self.terms.connection();
            refusal(connection, &self.described, stop.why, &stop.reason, id)
        });
        told.last(self.family, Framing::Frames, true)
    }

    /// What was said, masked for every class.
    pub(super) fn masked(&self, said: &Bytes) -> Option<Bytes> {
        let policies = self.terms.connection().gateway.policies.load();
        let everything = mask::Set::all().with(policies.detectors());
        let masked = mask::body(said, self.shape(), &everything).ok()?;
        Some(masked.bytes)
    }

    /// Adds that to the record.
    pub(super) fn note(&self, said: &Bytes, add: impl FnOnce(&mut ExchangeEntry, &[u8])) {
        if let Some(masked) = self.masked(said)
            && let Some(entry) = &mut *lock(&self.entry)
        {
            add(entry, &masked);
        }
    }

    /// Reserves for an answer that the agent asks for; it is on record when this returns.
    pub(super) fn ask(&self) -> Result<(), Stop> {
        let (connection, service) = (self.terms.connection(), self.service());
        let total = lock(&self.charge).ask(connection, service);
        self.reserved(total)
    }

    /// The same for one that begins, if it was not asked for.
    pub(super) fn begun(&self, lane: &str) -> Result<(), Stop> {
        let (connection, service) = (self.terms.connection(), self.service());
        let total = lock(&self.charge).begun(connection, service, lane);
        self.reserved(total)
    }

    /// What both ends say, as it is searched and masked.
    pub(super) fn shape(&self) -> Shape {
        shape_of(self.family)
    }

    fn service(&self) -> &str {
        &self.terms.permit().query().service
    }

    fn reserved(&self, total: Result<Option<u64>, (Why, String)>) -> Result<(), Stop> {
        let total = total.map_err(|(why, reason)| Stop {
            why,
            ..Stop::refused(&reason)
        })?;
        match (total, &mut *lock(&self.entry)) {
            (Some(total), Some(entry)) => entry
                .reserved_now(total)
                .map_err(|error| Stop::unavailable(&error.to_string())),
            _ => Ok(()),
        }
    }
}

/// A refusal of a call of a tool.
impl From<Box<Blocked>> for Stop {
    fn from(blocked: Box<Blocked>) -> Self {
        Self {
            told: Some(Refusal::clone(&blocked.refusal)),
            ..Self::refused(&blocked.reason)
        }
    }
}

/// How an answer ended that was under way when the conversation ended so.
pub(super) fn unfinished(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed => Outcome::Failed,
        _ => Outcome::Aborted,
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
