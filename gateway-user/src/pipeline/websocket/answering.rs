//! What a model says in a conversation.
//!
//! In: a message of the provider at a time, and verdicts on the calls of tools in them. Out: what the agent gets, masked. Invariants: what
//! cannot be read is withheld; no part of a call passes before the whole of it is permitted, and what comes behind it waits. Answers that are
//! each a stream of their own are read by themselves, so that nothing that was decided or masked in one counts in the next; lanes of them come
//! beside each other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::created::{Answer, Ended};
use super::talk::{Judging, Talk, Verdict, lock, unfinished};
use super::terms::Stop;
use super::told::{self, Told, withheld};
use crate::mask;
use crate::pipeline::inspect::counted;
use crate::pipeline::tools::Judgement;
use crate::protocol::calls::{self, CallsError};
use crate::protocol::frames::Framing;
use crate::protocol::llm::{Family, realtime};
use crate::protocol::transcript::{Collector, ToolCall, Usage};
use crate::record::{self, Finding, Outcome};

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
    /// One that was asked for in a message of its own.
    answer: Option<Answer>,
    /// A call of a tool in it was.
    refused: bool,
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
        match std::mem::replace(&mut self.waits, Waits::Nothing) {
            Waits::Asked(lane, calls) => {
                let voice = self.voices.get(&lane);
                let own = voice.and_then(|voice| voice.answer.as_ref()?.tools.as_ref());
                let tools = Arc::clone(own.or(self.talk.tools.as_ref())?);
                self.waits = Waits::Judged(lane);
                Some(Box::pin(async move {
                    tools.judge_talk(calls).await.map(Verdict::Calls)
                }))
            }
            before => {
                self.waits = before;
                None
            }
        }
    }

    /// The calls that were to be judged are permitted, some of them with other arguments, or one of them is refused.
    pub(super) fn judged(&mut self, judged: Judgement, out: &mut BytesMut) -> Result<(), Stop> {
        let waited = std::mem::replace(&mut self.waits, Waits::Nothing);
        if let Waits::Judged(lane) = waited
            && let Some(voice) = self.voices.get_mut(&lane)
            && let Some(calls) = &mut voice.calls
        {
            voice.refused = judged.is_err();
            let step = calls.permit(&judged?, &mut voice.between);
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
    pub(super) fn summarise(mut self, outcome: Outcome) -> (Option<record::Usage>, Vec<Finding>) {
        for voice in std::mem::take(&mut self.voices).into_values() {
            let outcome = match voice.refused {
                true => Outcome::Refused,
                false => unfinished(outcome),
            };
            self.note(voice, outcome);
        }
        (self.usage.map(recorded), self.found)
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
            if self.voices[&lane].answer.is_none() {
                lock(&self.talk.charge).end(&lane, None);
            }
            self.conclude(&lane, out)?;
        }
        let voice = self.voices.entry(lane.clone());
        let voice = voice.or_insert_with(|| Voice::new(&self.talk));
        match self.talk.family == Family::OpenAiResponses {
            true => voice.hear(&self.talk, &lane, told)?,
            false => hear(&self.talk, told)?,
        }
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
            self.note(voice, Outcome::Completed);
        }
        Ok(())
    }

    /// Puts what a voice has said into the record, its own or that of the conversation, and adds up what it counted.
    fn note(&mut self, voice: Voice, outcome: Outcome) {
        let summary = voice.collector.finish();
        let findings = voice.mask.map(|mask| counted(mask.findings()));
        let findings = findings.unwrap_or_default();
        if let Some(answer) = voice.answer {
            let ended = Ended {
                outcome,
                usage: summary.usage.map(recorded),
                findings,
            };
            return answer.close(&self.talk, &summary, ended);
        }
        let mut said = summary.to_json().to_string();
        if self.is_apart() {
            said.push('\n');
        }
        self.talk
            .note(&Bytes::from(said), |entry, said| entry.response(said));
        self.found.extend(findings);
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
            answer: None,
            refused: false,
        }
    }

    /// An event of answers that are each a stream of their own: one begins, is over, or was not taken.
    fn hear(&mut self, talk: &Talk, lane: &str, told: Told) -> Result<(), Stop> {
        let error = told.kind == "error";
        let rejected = error && !self.begun;
        if told.begins() {
            if std::mem::replace(&mut self.begun, true) {
                return Err(withheld(
                    &"an answer begins before the one before it is over",
                ));
            }
            self.answer = talk.next(lane);
            if self.answer.is_none() {
                talk.begun(lane)?;
            }
        }
        self.failed |= error;
        self.ended |= told.ends() || self.failed && !self.begun;
        if rejected {
            // What was asked for and is answered by an error alone has cost nothing.
            self.answer = talk.next(lane);
            if let Some(answer) = &mut self.answer {
                answer.rejected(told.status());
            }
        } else if told.ends_in(talk.family) {
            let usage = told.response.and_then(|response| response.usage());
            match &mut self.answer {
                Some(answer) => answer.settle(usage),
                None => lock(&talk.charge).end(lane, usage),
            }
        }
        Ok(())
    }

    fn pass(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        let passed = self.between.split();
        self.collector.push(&passed);
        match &mut self.mask {
            Some(mask) => mask.push(&passed, out).map_err(|error| withheld(&error))?,
            None => out.extend_from_slice(&passed),
        }
        let written = self.collector.written();
        match &self.answer {
            Some(answer) if answer.is_exceeded(written) => Err(Stop::overspent()),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        match &mut self.mask {
            Some(mask) => mask.finish(out).map_err(|error| withheld(&error)),
            None => Ok(()),
        }
    }
}

/// An event of a conversation that the provider keeps: reserves for an answer that begins without having been asked for, and settles one that
/// is over; learns what holds in the session.
fn hear(talk: &Talk, told: Told) -> Result<(), Stop> {
    if told.begins() {
        return talk.begun("");
    }
    if told.ends_in(talk.family) {
        let usage = told.response.and_then(|response| response.usage());
        lock(&talk.charge).end("", usage);
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

fn recorded(usage: Usage) -> record::Usage {
    record::Usage {
        input: usage.input,
        output: usage.output,
    }
}

/// More than a provider answers in beside each other.
const MAX_LANES: usize = 64;
