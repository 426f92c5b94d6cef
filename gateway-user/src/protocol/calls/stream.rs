//! A stream of events whose calls are held until they are permitted.

mod edited;
mod places;

use std::collections::{BTreeMap, HashSet, VecDeque};

use bytes::BytesMut;

use super::{CallsError, Edit, Ends, Key, MAX_CALLS, Reading, identity, parse, read};
use crate::protocol::frames::{Framer, Framing};
use crate::protocol::llm::Family;
use crate::protocol::sse::{self, Event};
use crate::protocol::transcript::ToolCall;

pub(super) use edited::through;
pub(super) use places::{AGAIN, NEXT};

/// Holds events back until the calls in them are permitted.
#[derive(Debug)]
pub struct Stream {
    family: Family,
    framing: Framing,
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
    /// The arguments of those, in bytes.
    known: usize,
    /// Calls that go on with other arguments, wherever they are told again.
    edits: Vec<(Item, Edit)>,
    /// Items of answers that are over, to be forgotten.
    past: Vec<Item>,
    /// How many calls were told in one piece, and how many are decided on before anything goes on.
    told: u64,
    waiting: usize,
    begun: bool,
    over: bool,
}

/// A call as far as it has come.
#[derive(Debug, Default)]
struct Open {
    id: Option<String>,
    call: ToolCall,
    given: bool,
    whole: bool,
}

/// A call, and which one it is: the same call of another item is another act.
type Asked = (Item, ToolCall);
/// What makes two of them the same.
type Known = (Item, (String, String));

/// Which call of an answer, or of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Item {
    /// The one of this choice, block or item.
    Of(u64),
    /// The one that was told so many calls ago, in one piece.
    Nth(u64),
    /// One that is told again at the end; that it was told before is known by what it says.
    Any,
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
            framing,
            framer: Framer::new(framing, MAX_HELD),
            ahead: VecDeque::new(),
            held: VecDeque::new(),
            bytes: 0,
            calls: BTreeMap::new(),
            asked: Vec::new(),
            permitted: HashSet::new(),
            known: 0,
            edits: Vec::new(),
            past: Vec::new(),
            told: 0,
            waiting: 0,
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
            self.known += goes_on.arguments.len();
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
        let event = self.retold(event, false)?;
        let reading = match event.data.as_deref().map(str::trim) {
            None if begins && !self.is_framed() && !sse::begins(&event.raw) => {
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
        self.note(reading)?;
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
    fn note(&mut self, reading: Reading) -> Result<(), CallsError> {
        if reading.strange {
            return Err(CallsError::Strange);
        }
        for piece in reading.pieces {
            let key = self.place(&piece);
            // A fragment of what has not begun as a call belongs to a tool that the provider runs; elsewhere a stream may be resumed in the
            // middle of a call.
            let begun = piece.name.is_some() || self.calls.contains_key(&key);
            if !begun && ALL_BEGIN.contains(&self.family) {
                continue;
            }
            let item = self.item(key);
            let open = self.calls.entry(key).or_default();
            open.id = open.id.take().filter(|id| !id.is_empty()).or(piece.id);
            let name = piece.name.unwrap_or_default();
            match open.call.name.as_str() {
                "" => open.call.name = name,
                // Clients put the two together, or keep either.
                other if !name.is_empty() && name != other => return Err(CallsError::Strange),
                _ => {}
            }
            if piece.full {
                open.call.arguments = piece.arguments;
                open.whole = true;
                let name = self.name(key).to_owned();
                let arguments = self.calls[&key].call.arguments.clone();
                self.ask((item, ToolCall { name, arguments }));
                continue;
            }
            open.call.arguments.push_str(&piece.arguments);
            open.given |= piece.given;
            open.whole = false;
        }
        for call in reading.whole {
            self.told += 1;
            self.ask((Item::Nth(self.told), call));
        }
        for (item, call) in reading.items {
            self.ask((Item::Of(item), call));
        }
        for call in reading.retold {
            let said = identity(&call);
            let mut known_before = self.permitted.iter();
            let mut asked = self.asked.iter();
            if !known_before.any(|(_, known)| *known == said)
                && !asked.any(|(_, call)| identity(call) == said)
            {
                self.ask((Item::Any, call));
            }
        }
        self.end(reading.ends);
        self.past.extend(reading.past.into_iter().map(Item::Of));
        if self.waiting > MAX_CALLS {
            return Err(CallsError::Many);
        }
        Ok(())
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
            self.ask((self.item(key), call));
        }
    }

    fn ask(&mut self, call: Asked) {
        let new = known(call.clone());
        let is_new = |asked: &Asked| known(asked.clone()) != new;
        if !self.permitted.contains(&new) && self.asked.iter().all(is_new) {
            self.waiting += 1;
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
            self.calls
                .retain(|(part, _), _| !past.contains(&Item::Of(*part)));
            self.permitted.retain(|(item, _)| !past.contains(item));
            self.edits.retain(|(item, _)| !past.contains(item));
        }
        if self.permitted.len() > MAX_KNOWN || self.known > MAX_HELD {
            self.known = 0;
            self.permitted.clear();
            self.edits.clear();
            self.calls.retain(|_, open| !open.whole);
        }
    }

    #[cfg(test)]
    pub(super) fn remembers(&self) -> usize {
        self.calls.len() + self.permitted.len() + self.past.len() + self.edits.len()
    }

    /// Whether what is no event is told by the framing itself.
    fn is_framed(&self) -> bool {
        matches!(self.framing, Framing::Messages | Framing::Frames)
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
            (self.bytes, self.waiting) = (0, 0);
        }
    }
}

fn is_json(data: &str) -> bool {
    data.trim() != DONE && data.trim_start().starts_with(['{', '['])
}

fn known((item, call): Asked) -> Known {
    (item, identity(&call))
}

/// Families whose calls all begin with their name in the stream.
const ALL_BEGIN: &[Family] = &[
    Family::AnthropicMessages,
    Family::Cohere,
    Family::BedrockConverse,
    Family::BedrockInvoke,
];
/// So many calls of one answer, or beside the answers of a conversation, are remembered.
const MAX_KNOWN: usize = 4096;
const DONE: &str = "[DONE]";
/// Arguments of a call are a few KiB; a file that a model writes can be larger.
pub(super) const MAX_HELD: usize = 8 << 20;
