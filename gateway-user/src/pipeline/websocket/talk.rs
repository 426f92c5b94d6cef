//! A conversation with a model in a WebSocket, where its events are understood.
//!
//! In: what both ends say, a whole message at a time. Out: what policy wants masked in what the agent says, and what the agent gets.
//! Invariants: what the agent asks of the model is decided by policy as it comes, with every tool, limit and model that may be in force by then;
//! what the model says is read or withheld; no part of a call of a tool passes before the whole of it is permitted; each answer is reserved
//! for before it is asked for, or as it begins. Sound passes unread.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::session::{Session, State};
use super::terms::{Looked, Stop, Terms};
use super::told::{self, Told, withheld};
use crate::mask::{self, Shape};
use crate::pipeline::ConnectionError;
use crate::pipeline::charge::{self, Charge};
use crate::pipeline::inspect::counted;
use crate::pipeline::outcome::{Described, refusal};
use crate::pipeline::relay::shape_of;
use crate::pipeline::tools::{Judgement, Tools};
use crate::protocol::calls::{self, CallsError};
use crate::protocol::frames::Framing;
use crate::protocol::llm::realtime::{self, Event};
use crate::protocol::llm::{Family, risks};
use crate::protocol::transcript::{Collector, ToolCall};
use crate::protocol::{Fact, Facts, Refusal, Why};
use crate::record::{self, ExchangeEntry, Finding, Id};

/// What both directions of a conversation share.
pub(super) struct Talk {
    pub(super) terms: Arc<Terms>,
    pub(super) described: Described,
    pub(super) tools: Option<Arc<Tools>>,
    entry: Mutex<Option<ExchangeEntry>>,
    charge: Mutex<Charge>,
    session: Mutex<Session>,
}

/// What the agent says.
pub(super) struct Asking {
    talk: Arc<Talk>,
    texts: usize,
}

/// What the model says.
pub(super) struct Answering {
    talk: Arc<Talk>,
    calls: Option<calls::Stream>,
    mask: Option<mask::Stream>,
    collector: Collector,
    /// Between the judging of calls and the masking.
    between: BytesMut,
    waits: Waits,
}

/// For what it waits before anything goes on.
enum Waits {
    Nothing,
    /// For these calls to be judged.
    Asked(Vec<ToolCall>),
    /// For the verdict on them.
    Judged,
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
    ) -> Arc<Self> {
        let model = terms.permit().query().facts.text("model");
        let session = Session::opened(model.unwrap_or_default());
        Arc::new(Self {
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
        told.event(Family::OpenAiRealtime)
    }

    /// Adds to the record what was said, masked for every class.
    fn note(&self, said: &Bytes, add: impl FnOnce(&mut ExchangeEntry, &[u8])) {
        let policies = self.terms.connection().gateway.policies.load();
        let everything = mask::Set::all().with(policies.detectors());
        if let Ok(masked) = mask::body(said, Shape::OpenAiRealtime, &everything)
            && let Some(entry) = &mut *lock(&self.entry)
        {
            add(entry, &masked.bytes);
        }
    }

    /// Reserves for an answer; it is on record when this returns. `expected` tells that the agent asks for it.
    fn reserve(&self, expected: bool) -> Result<(), Stop> {
        let service = &self.terms.permit().query().service;
        let total = lock(&self.charge).begin(self.terms.connection(), service, expected);
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

impl Asking {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        Self { talk, texts: 0 }
    }

    /// What has to be masked in a message in which that is.
    pub(super) fn judge(&mut self, says: &Bytes, looked: Looked) -> Result<mask::Set, Stop> {
        let event = realtime::event(says).map_err(|error| Stop {
            why: Why::Malformed,
            ..Stop::refused(&error.to_string())
        })?;
        if event.speaks {
            let line = [says, &b"\n"[..]].concat().into();
            self.talk.note(&line, |entry, said| entry.request(said));
        }
        self.texts += event.texts;
        let mut masks = self.talk.terms.opened();
        if event.speaks || !looked.found.is_empty() {
            let facts = self.facts(says, looked);
            masks = self.decide(&event, &facts)?;
        }
        if event.answers {
            self.talk.reserve(true)?;
        }
        Ok(masks)
    }

    /// Decides on a message with all that may be in force when the provider hears it.
    fn decide(&self, event: &Event, facts: &Facts) -> Result<mask::Set, Stop> {
        let mut session = lock(&self.talk.session);
        let states = session.states()?;
        let states = states.iter().flat_map(|state| under(event, state));
        // What is heard may be written down by another model.
        let models = session.name(event.models.clone())?;
        let models = models.union(&event.transcribers);
        let models: Vec<&String> = models.collect();
        let known = states.flat_map(|state| {
            let of = |model: &&String| {
                let mut facts = facts.clone();
                facts.set("model", model.as_str());
                facts.set("tools", Fact::Set(state.tools.clone()));
                if let Some(limit) = state.limit {
                    facts.set("max_tokens", limit);
                }
                facts
            };
            models.iter().map(of).collect::<Vec<_>>()
        });
        let masks = self.talk.terms.decide_all(known)?;
        if let Some(change) = &event.session {
            session.ask(change.clone())?;
        }
        Ok(masks)
    }

    /// What is known of the conversation by now.
    fn facts(&self, says: &Bytes, looked: Looked) -> Facts {
        let connection = self.talk.terms.connection();
        let mut facts = Facts::default();
        let names = looked
            .found
            .iter()
            .flat_map(|finding| [finding.detector.to_string(), finding.class.to_string()]);
        facts.set("findings", names.collect::<Fact>());
        facts.set("moved", Fact::Set(looked.moved));
        facts.set("messages", i64::try_from(self.texts).unwrap_or(i64::MAX));
        charge::spent(connection, &mut facts);
        let query = self.talk.terms.permit().query();
        let policies = connection.gateway.policies.load();
        if policies.needs_risks(&query.action, &query.service, &query.service_groups) {
            let found = risks::find(says, &connection.gateway.classifiers);
            let names = found.into_iter().map(str::to_owned);
            facts.set("risks", names.collect::<Fact>());
        }
        facts
    }
}

impl Answering {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        let (family, framing) = (Family::OpenAiRealtime, Framing::Frames);
        let masks = talk.terms.answers();
        Self {
            calls: talk
                .tools
                .is_some()
                .then(|| calls::Stream::new(family, framing)),
            mask: (!masks.is_empty() || masks.tells())
                .then(|| mask::Stream::new(shape_of(family), framing, masks)),
            collector: Collector::new(family, Some(framing)),
            between: BytesMut::new(),
            waits: Waits::Nothing,
            talk,
        }
    }

    /// Takes the frames of a message and what it says; appends to `out` what the agent gets of all that came so far.
    pub(super) fn push(
        &mut self,
        says: &[u8],
        wire: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        self.hear(told::read(says)?)?;
        match &mut self.calls {
            Some(calls) => {
                let step = calls.push(wire, &mut self.between);
                self.go_on(step)?;
            }
            None => self.between.extend_from_slice(wire),
        }
        self.pass(out)
    }

    /// Calls to judge, if any wait.
    pub(super) fn judging(&mut self) -> Option<Judging> {
        let tools = Arc::clone(self.talk.tools.as_ref()?);
        match std::mem::replace(&mut self.waits, Waits::Judged) {
            Waits::Asked(calls) => Some(Box::pin(async move { tools.judge_talk(calls).await })),
            before => {
                self.waits = before;
                None
            }
        }
    }

    /// The calls that were to be judged are permitted, some of them with other arguments.
    pub(super) fn permitted(
        &mut self,
        edits: &[calls::Edit],
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        self.waits = Waits::Nothing;
        if let Some(calls) = &mut self.calls {
            let step = calls.permit(edits, &mut self.between);
            self.go_on(step)?;
        }
        self.pass(out)
    }

    /// Nothing more comes: what was held back leaves, but for calls that nobody has permitted.
    pub(super) fn finish(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        match &mut self.mask {
            Some(mask) => mask.finish(out).map_err(|error| withheld(&error)),
            None => Ok(()),
        }
    }

    /// Puts what the model said into the record; the tokens it counted.
    pub(super) fn summarise(self) -> (Option<record::Usage>, Vec<Finding>) {
        let summary = self.collector.finish();
        let text = Bytes::from(summary.to_json().to_string());
        self.talk.note(&text, |entry, said| entry.response(said));
        let found = self.mask.map(|mask| counted(mask.findings()));
        let usage = summary.usage.map(|usage| record::Usage {
            input: usage.input,
            output: usage.output,
        });
        (usage, found.unwrap_or_default())
    }

    fn go_on(&mut self, step: Result<calls::Step, CallsError>) -> Result<(), Stop> {
        match step.map_err(|error| withheld(&error))? {
            // The same are named again by whatever comes meanwhile.
            calls::Step::Decide(calls) if matches!(self.waits, Waits::Nothing) => {
                self.waits = Waits::Asked(calls);
            }
            _ => {}
        }
        Ok(())
    }

    fn pass(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        let passed = self.between.split();
        self.collector.push(&passed);
        match &mut self.mask {
            Some(mask) => mask.push(&passed, out).map_err(|error| withheld(&error)),
            None => {
                out.extend_from_slice(&passed);
                Ok(())
            }
        }
    }

    /// Reserves for an answer that begins without having been asked for, and settles one that is over; learns what holds in the session.
    fn hear(&self, told: Told) -> Result<(), Stop> {
        let session = told.session.and_then(realtime::session);
        match (&*told.kind, told.response, session) {
            ("response.created", Some(_), _) => self.talk.reserve(false)?,
            ("response.done", Some(response), _) => {
                lock(&self.talk.charge).end(response.usage());
            }
            ("session.created" | "transcription_session.created", _, Some(holds)) => {
                lock(&self.talk.session).begun(&holds);
            }
            ("session.updated" | "transcription_session.updated", _, Some(holds)) => {
                lock(&self.talk.session).updated(&holds);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What holds for a message in a session in which that holds. Tools of one answer count beside those of the session, and alone.
fn under(event: &Event, state: &State) -> Vec<State> {
    let Some(change) = event.session.as_ref().or(event.response.as_ref()) else {
        return vec![state.clone()];
    };
    let alone = state.with(change);
    let mut beside = alone.clone();
    if event.session.is_none() {
        beside.tools.extend(state.tools.iter().cloned());
    }
    match alone == beside {
        true => vec![alone],
        false => vec![alone, beside],
    }
}

/// A refusal of a call of a tool.
impl From<Box<crate::pipeline::tools::Blocked>> for Stop {
    fn from(blocked: Box<crate::pipeline::tools::Blocked>) -> Self {
        Self {
            told: Some(Refusal::clone(&blocked.refusal)),
            ..Self::refused(&blocked.reason)
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
