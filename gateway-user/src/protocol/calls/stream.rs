//! A stream of events whose calls are held until they are permitted.

mod edited;

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::BytesMut;

use super::{CallsError, Edit, Ends, Key, Reading, identity, parse, read};
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
    asked: Vec<Asked>,
    permitted: HashSet<Known>,
    /// Calls that go on with other arguments, wherever they are told again.
    edits: Vec<(u64, Edit)>,
    /// Items of answers that are over, to be forgotten.
    past: Vec<u64>,
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

/// A call, and the item that it is where a stream goes on behind its answer: there the same call of another item is another act.
type Asked = (u64, ToolCall);
/// What makes two of them the same.
type Known = (u64, (String, String));

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
            edits: Vec::new(),
            past: Vec::new(),
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

    /// What was to be decided is permitted, some of it with other arguments: appends to `out` what may go on now.
    ///
    /// # Errors
    /// As [`Stream::push`]; and where a call cannot be told with its new arguments.
    pub fn permit(&mut self, edits: &[Edit], out: &mut BytesMut) -> Result<Step, CallsError> {
        let first = self.edits.len();
        for (item, call) in std::mem::take(&mut self.asked) {
            let edit = edits.iter().find(|edit| edit.call == call);
            let goes_on = edit.map_or(call, Edit::edited);
            self.permitted.insert(known((item, goes_on)));
            self.edits.extend(edit.map(|edit| (item, edit.clone())));
        }
        if first < self.edits.len() {
            self.edit(first)?;
        }
        self.forget();
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
            return Ok(self.decide());
        }
        while let Some(event) = self.ahead.pop_front() {
            self.accept(event, out)?;
            if !self.asked.is_empty() {
                return Ok(self.decide());
            }
        }
        if self.over {
            self.end(Ends::All);
            if !self.asked.is_empty() {
                return Ok(self.decide());
            }
            self.release(out);
        }
        Ok(Step::More)
    }

    fn decide(&self) -> Step {
        let calls = self.asked.iter().map(|(_, call)| call.clone());
        Step::Decide(calls.collect())
    }

    fn accept(&mut self, event: Event, out: &mut BytesMut) -> Result<(), CallsError> {
        let begins = !std::mem::replace(&mut self.begun, true);
        let event = self.retold(event)?;
        let reading = match event.data.as_deref().map(str::trim) {
            None if begins && event.raw.trim_ascii_start().starts_with(b"{") => {
                return Err(CallsError::Document);
            }
            Some(DONE) => Reading {
                ends: Ends::All,
                ..Reading::default()
            },
            Some(data) if is_json(data) => read(self.family, &parse(data)?)?,
            _ => Reading::default(),
        };
        let text = reading.text;
        self.note(reading);
        self.forget();
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
            self.ask((ANY, call));
        }
        for item in reading.items {
            self.ask(item);
        }
        self.end(reading.ends);
        self.past.extend(reading.past);
    }

    fn end(&mut self, ends: Ends) {
        let over = |part: u64| match &ends {
            Ends::Parts(parts) => parts.contains(&part),
            Ends::All => true,
        };
        if matches!(&ends, Ends::Parts(parts) if parts.is_empty()) {
            return;
        }
        let mut ended = Vec::new();
        for (key, open) in &mut self.calls {
            if open.whole || !over(key.0) {
                continue;
            }
            open.whole = true;
            if open.given && open.call.arguments.is_empty() {
                continue;
            }
            ended.push((*key, open.call.arguments.clone()));
        }
        for (key, arguments) in ended {
            let name = self.name(key).to_owned();
            let call = ToolCall { name, arguments };
            let (part, _) = key;
            let item = match self.family {
                Family::OpenAiRealtime => part,
                _ => ANY,
            };
            self.ask((item, call));
        }
    }

    /// The tool of a call that comes in pieces. What repeats a call need not repeat its name.
    fn name(&self, (part, place): Key) -> &str {
        let mut told = [place, 0].into_iter();
        let named = told.find_map(|place| {
            let name = &self.calls.get(&(part, place))?.call.name;
            (!name.is_empty()).then_some(&**name)
        });
        named.unwrap_or_default()
    }

    fn ask(&mut self, call: Asked) {
        let new = known(call.clone());
        let is_new = |asked: &Asked| known(asked.clone()) != new;
        if !self.permitted.contains(&new) && self.asked.iter().all(is_new) {
            self.asked.push(call);
        }
    }

    /// Forgets what nothing is said of any more: a conversation can go on for long. What is told again is decided again.
    fn forget(&mut self) {
        if !self.asked.is_empty() {
            return;
        }
        if !self.past.is_empty() {
            let past = std::mem::take(&mut self.past);
            self.calls.retain(|(part, _), _| !past.contains(part));
            self.permitted.retain(|(item, _)| !past.contains(item));
            self.edits.retain(|(item, _)| !past.contains(item));
        }
        if self.permitted.len() > MAX_KNOWN {
            self.permitted.clear();
            self.edits.clear();
            self.calls.retain(|_, open| !open.whole);
        }
    }

    #[cfg(test)]
    pub(super) fn remembers(&self) -> usize {
        self.calls.len() + self.permitted.len() + self.past.len() + self.edits.len()
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

fn is_json(data: &str) -> bool {
    data.trim() != DONE && data.trim_start().starts_with(['{', '['])
}

fn known((item, call): Asked) -> Known {
    (item, identity(&call))
}

/// The calls of a whole stream, and the stream with other arguments for some.
pub(super) fn through(
    family: Family,
    framing: Framing,
    body: &[u8],
    edits: &[Edit],
) -> Result<(Vec<ToolCall>, BytesMut), CallsError> {
    let mut stream = Stream::new(family, framing);
    let (mut out, mut calls) = (BytesMut::new(), Vec::new());
    let mut step = stream.push(body, &mut out)?;
    loop {
        match step {
            Step::Decide(asked) => {
                calls.extend(asked);
                step = stream.permit(edits, &mut out)?;
            }
            Step::More if stream.over => return Ok((calls, out)),
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
/// The item of every call where a stream is one answer, in which what is told twice is one call.
const ANY: u64 = 0;
/// So many calls of one answer, or beside the answers of a conversation, are remembered.
const MAX_KNOWN: usize = 4096;
const DONE: &str = "[DONE]";
/// Arguments of a call are a few KiB; a file that a model writes can be larger.
pub(super) const MAX_HELD: usize = 8 << 20;
