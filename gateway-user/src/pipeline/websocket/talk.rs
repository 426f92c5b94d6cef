//! A conversation with a model in a WebSocket, where its events are understood.
//!
//! In: what both ends say, a whole message at a time. Out: what policy wants masked in what the agent says, and what the agent gets.
//! Invariants: what the agent asks of the model is decided by policy as it comes, with every tool, limit and model that may be in force by then;
//! what the model says is read or withheld; no part of a call of a tool passes before the whole of it is permitted; each answer is reserved
//! for before it is asked for, or as it begins. Sound passes unread.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::session::Session;
use super::terms::{Stop, Terms};
use crate::mask::{self, Shape};
use crate::pipeline::ConnectionError;
use crate::pipeline::charge::Charge;
use crate::pipeline::outcome::{Described, refusal};
use crate::pipeline::relay::shape_of;
use crate::pipeline::tools::{Blocked, Judgement, Tools};
use crate::protocol::frames::Framing;
use crate::protocol::http::Head;
use crate::protocol::llm::{Call, Family};
use crate::protocol::{Refusal, Why};
use crate::record::{ExchangeEntry, Id};

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
    entry: Mutex<Option<ExchangeEntry>>,
}

/// A verdict on calls, in the making.
pub(super) type Judging = Pin<Box<dyn Future<Output = Result<Judgement, ConnectionError>> + Send>>;

impl Talk {
    pub(super) fn new(
        terms: &Arc<Terms>,
        described: Described,
        tools: Option<Arc<Tools>>,
        entry: ExchangeEntry,
        charge: Charge,
        (family, head): (Family, Head),
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
            entry: Mutex::new(Some(entry)),
            charge: Mutex::new(charge),
        })
    }

    /// The record, once nothing more is said, and what it cost.
    pub(super) fn end(&self) -> (Option<ExchangeEntry>, Option<u64>) {
        let charge = std::mem::take(&mut *lock(&self.charge));
        (lock(&self.entry).take(), charge.total())
    }

    /// What an agent is told that is cut off, as its library reads it.
    pub(super) fn last_word(&self, stop: &Stop, id: Id) -> Bytes {
        let told = stop.told.clone().unwrap_or_else(|| {
            let connection = self.terms.connection();
            refusal(connection, &self.described, stop.why, &stop.reason, id)
        });
        told.last(self.family, Framing::Frames, true)
    }

    /// Adds to the record what was said, masked for every class.
    pub(super) fn note(&self, said: &Bytes, add: impl FnOnce(&mut ExchangeEntry, &[u8])) {
        let policies = self.terms.connection().gateway.policies.load();
        let everything = mask::Set::all().with(policies.detectors());
        if let Ok(masked) = mask::body(said, self.shape(), &everything)
            && let Some(entry) = &mut *lock(&self.entry)
        {
            add(entry, &masked.bytes);
        }
    }

    /// Reserves for an answer that the agent asks for in this lane, with a call of its own where it has one; it is on record when this returns.
    pub(super) fn ask(&self, lane: &str, call: Option<(&Call, &[u8])>) -> Result<(), Stop> {
        let (connection, service) = (self.terms.connection(), self.service());
        let total = lock(&self.charge).ask(connection, service, lane, call);
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

pub(super) fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
