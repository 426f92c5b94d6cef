//! What a model says in a conversation.
//!
//! In: a message of the provider at a time, and verdicts on the calls of tools in them. Out: what the agent gets, masked. Invariants: what
//! cannot be read is withheld; no part of a call passes before the whole of it is permitted, and what comes behind it waits. Answers that are
//! each a stream of their own are read by themselves, so that nothing that was decided or masked in one counts in the next; lanes of them come
//! beside each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::talk::{Judging, Talk, lock};
use super::terms::Stop;
use super::told::{self, Told, withheld};
use crate::mask;
use crate::pipeline::inspect::counted;
use crate::protocol::calls::{self, CallsError};
use crate::protocol::frames::Framing;
use crate::protocol::llm::{Family, realtime};
use crate::protocol::transcript::{Collector, ToolCall, Usage};
use crate::record::{self, Finding};

/// What the model says.
pub(super) struct Answering {
    talk: Arc<Talk>,
    /// By lane; a conversation that the provider keeps has one.
    voices: HashMap<String, Voice>,
    waits: Waits,
    /// What came while a call of another stream waited: what it says, and its frames.
    behind: VecDeque<(Bytes, Bytes)>,
    usage: Option<Usage>,
    found: Vec<Finding>,
}

/// A stream of answers.
struct Voice {
    calls: Option<calls::Stream>,
    mask: Option<mask::Stream>,
    collector: Collector,
    /// Between the judging of calls and the masking.
    between: BytesMut,
    begun: bool,
    /// The provider has said that something went wrong, of the answer or of something else that was asked for.
    failed: bool,
    ended: bool,
}

/// For what it waits before anything goes on.
enum Waits {
    Nothing,
    /// For these calls of a lane to be judged.
    Asked(String, Vec<ToolCall>),
    /// For the verdict on them.
    Judged(String),
}

impl Answering {
    pub(super) fn new(talk: Arc<Talk>) -> Self {
        Self {
            talk,
            voices: HashMap::new(),
            waits: Waits::Nothing,
            behind: VecDeque::new(),
            usage: None,
            found: Vec::new(),
        }
    }

    /// Takes the frames of a message and what it says; appends to `out` what the agent gets of all that came so far.
    pub(super) fn push(
        &mut self,
        says: Bytes,
        wire: Bytes,
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        if self.is_apart() && !matches!(self.waits, Waits::Nothing) {
            self.behind.push_back((says, wire));
            return Ok(());
        }
        self.take(&says, &wire, out)
    }

    /// Calls to judge, if any wait.
    pub(super) fn judging(&mut self) -> Option<Judging> {
        let tools = Arc::clone(self.talk.tools.as_ref()?);
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Asked(lane, calls) => {
                self.waits = Waits::Judged(lane);
                Some(Box::pin(async move { tools.judge_talk(calls).await }))
            }
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
        let waited = std::mem::replace(&mut self.waits, Waits::Nothing);
        if let Waits::Judged(lane) = waited
            && let Some(voice) = self.voices.get_mut(&lane)
            && let Some(calls) = &mut voice.calls
        {
            let step = calls.permit(edits, &mut voice.between);
            self.go_on(lane, step, out)?;
        }
        while matches!(self.waits, Waits::Nothing)
            && let Some((says, wire)) = self.behind.pop_front()
        {
            self.take(&says, &wire, out)?;
        }
        Ok(())
    }

    /// Nothing more comes: what was held back leaves, but for calls that nobody has permitted.
    pub(super) fn finish(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        let mut voices = self.voices.values_mut();
        voices.try_for_each(|voice| voice.finish(out))
    }

    /// Puts what the model said into the record; the tokens it counted.
    pub(super) fn summarise(mut self) -> (Option<record::Usage>, Vec<Finding>) {
        for voice in std::mem::take(&mut self.voices).into_values() {
            self.note(voice);
        }
        let usage = self.usage.map(|usage| record::Usage {
            input: usage.input,
            output: usage.output,
        });
        (usage, self.found)
    }

    /// Whether each answer is a stream of its own.
    fn is_apart(&self) -> bool {
        self.talk.family == Family::OpenAiResponses
    }

    fn take(&mut self, says: &[u8], wire: &[u8], out: &mut BytesMut) -> Result<(), Stop> {
        let told = told::read(says)?;
        let lane = match self.is_apart() {
            true => told.stream_id.clone().unwrap_or_default(),
            false => String::new(),
        };
        if self.voices.len() >= MAX_LANES && !self.voices.contains_key(&lane) {
            return Err(withheld(&"it comes in too many lanes"));
        }
        // An error may have been its last word.
        if told.begins() && self.voices.get(&lane).is_some_and(|voice| voice.failed) {
            lock(&self.talk.charge).end(&lane, None);
            self.conclude(&lane, out)?;
        }
        let voice = self.voices.entry(lane.clone());
        let voice = voice.or_insert_with(|| Voice::new(&self.talk));
        let answers = voice.begun;
        if self.talk.family == Family::OpenAiResponses {
            voice.note(&told)?;
        }
        hear(&self.talk, answers, &lane, told)?;
        let step = match &mut voice.calls {
            Some(calls) => calls.push(wire, &mut voice.between),
            None => {
                voice.between.extend_from_slice(wire);
                Ok(calls::Step::More)
            }
        };
        self.go_on(lane, step, out)
    }

    fn go_on(
        &mut self,
        lane: String,
        step: Result<calls::Step, CallsError>,
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        let Some(voice) = self.voices.get_mut(&lane) else {
            return Ok(());
        };
        let step = step.map_err(|error| withheld(&error))?;
        voice.pass(out)?;
        match step {
            // The same are named again by whatever comes meanwhile.
            calls::Step::Decide(calls) if matches!(self.waits, Waits::Nothing) => {
                self.waits = Waits::Asked(lane, calls);
            }
            calls::Step::More if voice.ended => self.conclude(&lane, out)?,
            _ => {}
        }
        Ok(())
    }

    /// Nothing more comes of this voice.
    fn conclude(&mut self, lane: &str, out: &mut BytesMut) -> Result<(), Stop> {
        if let Some(mut voice) = self.voices.remove(lane) {
            voice.finish(out)?;
            self.note(voice);
        }
        Ok(())
    }

    /// Puts what a voice has said into the record, and adds up what it counted.
    fn note(&mut self, voice: Voice) {
        let summary = voice.collector.finish();
        let mut said = summary.to_json().to_string();
        if self.is_apart() {
            said.push('\n');
        }
        self.talk
            .note(&Bytes::from(said), |entry, said| entry.response(said));
        if let Some(mask) = voice.mask {
            self.found.extend(counted(mask.findings()));
        }
        self.usage = match (self.usage, summary.usage) {
            (Some(before), Some(more)) => Some(before.plus(more)),
            (before, more) => more.or(before),
        };
    }
}

impl Voice {
    fn new(talk: &Talk) -> Self {
        let (family, framing) = (talk.family, Framing::Frames);
        let masks = talk.terms.answers();
        let judged = talk.tools.is_some();
        Self {
            calls: judged.then(|| calls::Stream::new(family, framing)),
            mask: (!masks.is_empty() || masks.tells())
                .then(|| mask::Stream::new(talk.shape(), framing, masks)),
            collector: Collector::new(family, Some(framing)),
            between: BytesMut::new(),
            begun: false,
            failed: false,
            ended: false,
        }
    }

    /// An answer that is a stream of its own begins, or ends.
    fn note(&mut self, told: &Told) -> Result<(), Stop> {
        if told.begins() && std::mem::replace(&mut self.begun, true) {
            return Err(withheld(
                &"an answer begins before the one before it is over",
            ));
        }
        self.failed |= told.kind == "error";
        self.ended |= told.ends() || self.failed && !self.begun;
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

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        match &mut self.mask {
            Some(mask) => mask.finish(out).map_err(|error| withheld(&error)),
            None => Ok(()),
        }
    }
}

/// Reserves for an answer that begins without having been asked for, and settles one that is over; learns what holds in the session.
fn hear(talk: &Talk, answers: bool, lane: &str, told: Told) -> Result<(), Stop> {
    if told.begins() {
        return talk.begun(lane);
    }
    if told.ends_in(talk.family) {
        let usage = told.response.and_then(|response| response.usage());
        lock(&talk.charge).end(lane, usage);
        return Ok(());
    }
    // What was asked for and is answered by an error alone has cost nothing.
    if told.kind == "error" && !answers && talk.family == Family::OpenAiResponses {
        lock(&talk.charge).rejected(lane);
        return Ok(());
    }
    let session = told.session.and_then(realtime::session);
    match (&*told.kind, session) {
        ("session.created" | "transcription_session.created", Some(holds)) => {
            lock(&talk.session).begun(&holds);
        }
        ("session.updated" | "transcription_session.updated", Some(holds)) => {
            lock(&talk.session).updated(&holds);
        }
        _ => {}
    }
    Ok(())
}

/// More than a provider answers in beside each other.
const MAX_LANES: usize = 64;
