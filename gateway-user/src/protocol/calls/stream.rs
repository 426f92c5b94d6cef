//! A stream of events whose calls are held until they are permitted.

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::BytesMut;

use super::{CallsError, Ends, Key, Reading, identity, parse, read};
use crate::protocol::frames::{Framer, Framing};
use crate::protocol::llm::Family;
use crate::protocol::sse::Event;
use crate::protocol::transcript::ToolCall;

/// Holds events back until the calls in them are permitted.
#[derive(Debug)]
pub struct Stream {
    family: Family,
    framer: Framer,
    /// Events that have come and were not looked at.
    ahead: VecDeque<Event>,
    /// Events that wait for calls.
    held: VecDeque<Event>,
    bytes: usize,
    calls: BTreeMap<Key, Open>,
    /// What has to be permitted before anything goes on.
    asked: Vec<ToolCall>,
    permitted: HashSet<(String, String)>,
    begun: bool,
    over: bool,
}

/// A call as far as it has come.
#[derive(Debug, Default)]
struct Open {
    call: ToolCall,
    given: bool,
    whole: bool,
}

/// How a stream goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It needs more bytes, or is over.
    More,
    /// These have to be permitted first.
    Decide(Vec<ToolCall>),
}

impl Stream {
    /// A stream of a family whose answers can have calls.
    #[must_use]
    pub fn new(family: Family, framing: Framing) -> Self {
        Self {
            family,
            framer: Framer::new(framing, MAX_HELD),
            ahead: VecDeque::new(),
            held: VecDeque::new(),
            bytes: 0,
            calls: BTreeMap::new(),
            asked: Vec::new(),
            permitted: HashSet::new(),
            begun: false,
            over: false,
        }
    }

    /// Takes the next bytes and appends to `out` what may go on.
    ///
    /// # Errors
    /// Nothing more may go on: see [`CallsError`].
    pub fn push(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<Step, CallsError> {
        let mut events = Vec::new();
        let framed = self.framer.push(bytes, &mut events);
        self.ahead.extend(events);
        let step = self.go_on(out)?;
        framed?;
        Ok(step)
    }

    /// What was to be decided is permitted: appends to `out` what may go on now.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn permit(&mut self, out: &mut BytesMut) -> Result<Step, CallsError> {
        self.permitted
            .extend(self.asked.drain(..).map(|call| identity(&call)));
        self.release(out);
        self.go_on(out)
    }

    /// The stream is over: calls that have no end yet have one now.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<Step, CallsError> {
        let mut events = Vec::new();
        self.framer.finish(&mut events)?;
        self.ahead.extend(events);
        self.over = true;
        self.go_on(out)
    }

    /// Everything that has come and waits, in its order, as it came: for a stream that is only watched.
    pub fn give_up(&mut self, out: &mut BytesMut) {
        for event in self.held.drain(..).chain(self.ahead.drain(..)) {
            out.extend_from_slice(&event.raw);
        }
        out.extend_from_slice(&self.framer.rest());
        self.bytes = 0;
    }

    fn go_on(&mut self, out: &mut BytesMut) -> Result<Step, CallsError> {
        if !self.asked.is_empty() {
            return Ok(Step::Decide(self.asked.clone()));
        }
        while let Some(event) = self.ahead.pop_front() {
            self.accept(event, out)?;
            if !self.asked.is_empty() {
                return Ok(Step::Decide(self.asked.clone()));
            }
        }
        if self.over {
            self.end(Ends::All);
            if !self.asked.is_empty() {
                return Ok(Step::Decide(self.asked.clone()));
            }
            self.release(out);
        }
        Ok(Step::More)
    }

    fn accept(&mut self, event: Event, out: &mut BytesMut) -> Result<(), CallsError> {
        let begins = !std::mem::replace(&mut self.begun, true);
        let reading = match event.data.as_deref().map(str::trim) {
            None if begins && event.raw.trim_ascii_start().starts_with(b"{") => {
                return Err(CallsError::Document);
            }
            Some(DONE) => Reading {
                ends: Ends::All,
                ..Reading::default()
            },
            Some(data) if data.starts_with(['{', '[']) => read(self.family, &parse(data)?)?,
            _ => Reading::default(),
        };
        let text = reading.text;
        self.note(reading);
        let waits = !self.asked.is_empty() || self.is_open() || !self.held.is_empty();
        if text || !waits {
            out.extend_from_slice(&event.raw);
        } else {
            self.bytes += event.raw.len();
            self.held.push_back(event);
            self.release(out);
        }
        if self.bytes > MAX_HELD {
            return Err(CallsError::TooLong);
        }
        Ok(())
    }

    /// Adds what an event says to the calls that are open.
    fn note(&mut self, reading: Reading) {
        for piece in reading.pieces {
            // A fragment of what has not begun as a call belongs to a tool that the provider runs; elsewhere a stream may be resumed in the
            // middle of a call.
            let begun = piece.name.is_some() || self.calls.contains_key(&piece.key);
            if !begun && ALL_BEGIN.contains(&self.family) {
                continue;
            }
            let open = self.calls.entry(piece.key).or_default();
            if open.call.name.is_empty() {
                open.call.name = piece.name.unwrap_or_default();
            }
            open.call.arguments.push_str(&piece.arguments);
            open.given |= piece.given;
            open.whole = false;
        }
        for call in reading.whole {
            self.ask(call);
        }
        self.end(reading.ends);
    }

    fn end(&mut self, ends: Ends) {
        let over = |part: u64| match &ends {
            Ends::Parts(parts) => parts.contains(&part),
            Ends::All => true,
        };
        let mut ended = Vec::new();
        let names: BTreeMap<u64, String> = self
            .calls
            .iter()
            .filter(|((_, place), _)| *place == 0)
            .map(|((part, _), open)| (*part, open.call.name.clone()))
            .collect();
        for ((part, _), open) in &mut self.calls {
            if open.whole || !over(*part) {
                continue;
            }
            open.whole = true;
            if open.given && open.call.arguments.is_empty() {
                continue;
            }
            let mut call = open.call.clone();
            // What repeats a call need not repeat its name.
            if call.name.is_empty() {
                call.name = names.get(part).cloned().unwrap_or_default();
            }
            ended.push(call);
        }
        for call in ended {
            self.ask(call);
        }
    }

    fn ask(&mut self, call: ToolCall) {
        let new = identity(&call);
        let known = self.permitted.contains(&new);
        if !known && !self.asked.iter().any(|asked| identity(asked) == new) {
            self.asked.push(call);
        }
    }

    fn is_open(&self) -> bool {
        self.calls.values().any(|open| !open.whole)
    }

    /// Lets go of what is held when nothing is open or asked.
    fn release(&mut self, out: &mut BytesMut) {
        if self.asked.is_empty() && !self.is_open() {
            for event in self.held.drain(..) {
                out.extend_from_slice(&event.raw);
            }
            self.bytes = 0;
        }
    }
}

/// The calls of a whole stream.
pub(super) fn of_events(
    family: Family,
    framing: Framing,
    body: &[u8],
) -> Result<Vec<ToolCall>, CallsError> {
    let mut stream = Stream::new(family, framing);
    let (mut out, mut calls) = (BytesMut::new(), Vec::new());
    let mut step = stream.push(body, &mut out)?;
    loop {
        match step {
            Step::Decide(asked) => {
                calls.extend(asked);
                step = stream.permit(&mut out)?;
            }
            Step::More if stream.over => return Ok(calls),
            Step::More => step = stream.finish(&mut out)?,
        }
    }
}

/// Families whose calls all begin with their name in the stream.
const ALL_BEGIN: &[Family] = &[
    Family::AnthropicMessages,
    Family::Cohere,
    Family::BedrockConverse,
    Family::BedrockInvoke,
];
const DONE: &str = "[DONE]";
/// Arguments of a call are a few KiB; a file that a model writes can be larger.
pub(super) const MAX_HELD: usize = 8 << 20;
