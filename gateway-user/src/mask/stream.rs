//! Streams of events, masked while they pass.
//!
//! In: bytes of a server-sent event stream, cut anywhere. Out: the same events, each whole. Text that may still become a finding
//! moves into the next event of its channel, or into the last one when the channel ends; that event and all behind it wait.
//! Invariants: as many events, in the same order, with the same names and ids; an event that needs no change keeps its bytes.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::BytesMut;

use super::arguments::Arguments;
use super::document::{self, Edit, blank, splice};
use super::event::{self, End, Key, Reading};
use super::text::{Text, Writing};
use super::{MaskError, Set, Shape};
use crate::detect::Finding;
use crate::protocol::json;
use crate::protocol::sse::{Event, Framer};

/// A stream that is masked while it passes.
pub struct Stream {
    shape: Shape,
    set: Set,
    framer: Framer,
    /// Events that wait for the rest of a text, and those behind them.
    queue: VecDeque<Queued>,
    /// How many events left the queue.
    left: usize,
    queued_bytes: usize,
    channels: HashMap<Key, Channel>,
    /// The choices in which something was masked.
    masked: HashSet<u64>,
    findings: Vec<Finding>,
}

struct Queued {
    event: Event,
    reading: Reading,
    /// What each slot of the event says when it leaves.
    texts: Vec<String>,
}

struct Channel {
    content: Content,
    /// The event and slot that carried its last piece.
    last: (usize, usize),
    cut: bool,
}

enum Content {
    Text(Text),
    Arguments(Arguments),
}

impl Stream {
    /// A stream of this shape.
    #[must_use]
    pub fn new(shape: Shape, set: Set) -> Self {
        Self {
            shape,
            set,
            framer: Framer::new(MAX_EVENT),
            queue: VecDeque::new(),
            left: 0,
            queued_bytes: 0,
            channels: HashMap::new(),
            masked: HashSet::new(),
            findings: Vec::new(),
        }
    }

    /// Takes the next bytes and appends the events that are settled to `out`.
    ///
    /// # Errors
    /// [`MaskError`] when an event cannot be read; nothing more may be passed on then.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), MaskError> {
        let mut events = Vec::new();
        let framed = self.framer.push(chunk, &mut events);
        for event in events {
            self.accept(event, out)?;
        }
        Ok(framed?)
    }

    /// The stream is over: what was held back leaves.
    ///
    /// # Errors
    /// [`MaskError`] when the last event cannot be read.
    pub fn finish(&mut self, out: &mut BytesMut) -> Result<(), MaskError> {
        let mut events = Vec::new();
        self.framer.finish(&mut events);
        for event in events {
            self.accept(event, out)?;
        }
        self.end(End::All);
        self.flush(out);
        Ok(())
    }

    /// What was masked so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn accept(&mut self, event: Event, out: &mut BytesMut) -> Result<(), MaskError> {
        let reading = self.read(event.data.as_deref().unwrap_or_default())?;
        let ends = reading.ends.clone();
        let texts = Vec::new();
        self.queued_bytes += event.raw.len();
        self.queue.push_back(Queued { event, reading, texts });
        self.switch();
        self.scan();
        for end in ends {
            self.end(end);
        }
        self.flush(out);
        if self.queued_bytes > MAX_QUEUED {
            return Err(MaskError::Stalled);
        }
        Ok(())
    }

    fn read(&mut self, data: &str) -> Result<Reading, MaskError> {
        let text = data.trim_ascii();
        if text == "[DONE]" {
            let ends = vec![End::All];
            return Ok(Reading { ends, ..Reading::default() });
        }
        if self.shape.is_model_call() && text.starts_with(['{', '[']) {
            return event::read(data, self.shape, &self.set, &mut self.findings);
        }
        let new = document::any(data, &self.set, &mut self.findings);
        let edits = new.map(|new| Edit { range: 0..data.len(), new });
        Ok(Reading { edits: edits.into_iter().collect(), ..Reading::default() })
    }

    /// A part writes one field at a time: what goes on in another one ends the texts of the newest event's parts, so that they do
    /// not wait for the end of the answer. Should one go on nevertheless, it is scanned together with what it held, once.
    fn switch(&mut self) {
        let Some(newest) = self.queue.back() else { return };
        let slots = newest.reading.slots.iter();
        let active: Vec<Key> = slots.filter(|slot| !slot.text.is_empty()).map(|slot| slot.key).collect();
        let mut rests = Vec::new();
        for (key, channel) in &mut self.channels {
            let elsewhere = active.iter().any(|other| other.part == key.part);
            let Content::Text(text) = &mut channel.content else { continue };
            if elsewhere && !active.contains(key) && !channel.cut && text.holds() {
                let (mut rest, before) = (String::new(), self.findings.len());
                text.cut(&self.set, &mut self.findings, &mut rest);
                if self.findings.len() > before {
                    self.masked.insert(key.part);
                }
                channel.cut = true;
                rests.push((channel.last, rest));
            }
        }
        for (last, rest) in rests {
            self.append(last, &rest);
        }
    }

    /// Moves the pieces of the newest event through their channels.
    fn scan(&mut self) {
        let event = self.left + self.queue.len().saturating_sub(1);
        let Some(newest) = self.queue.back_mut() else { return };
        for (position, slot) in newest.reading.slots.iter().enumerate() {
            let channel = self.channels.entry(slot.key).or_insert_with(|| Channel::new(slot.key));
            channel.last = (event, position);
            let (mut text, before) = (String::new(), self.findings.len());
            channel.content.push(&slot.text, &self.set, &mut self.findings, &mut text);
            if self.findings.len() > before {
                self.masked.insert(slot.key.part);
            }
            newest.texts.push(text);
        }
    }

    /// Ends channels; what they held goes into the event that carried their last piece.
    fn end(&mut self, end: End) {
        let over = |key: &Key| end == End::All || end == End::Part(key.part);
        let mut ended: Vec<(Key, Channel)> = self.channels.extract_if(|key, _| over(key)).collect();
        ended.sort_by_key(|(_, channel)| channel.last);
        for (key, mut channel) in ended {
            let (mut rest, before) = (String::new(), self.findings.len());
            channel.content.finish(&self.set, &mut self.findings, &mut rest);
            if self.findings.len() > before {
                self.masked.insert(key.part);
            }
            self.append(channel.last, &rest);
        }
    }

    fn append(&mut self, (event, slot): (usize, usize), rest: &str) {
        let queued = event.checked_sub(self.left).and_then(|at| self.queue.get_mut(at));
        if let Some(text) = queued.and_then(|queued| queued.texts.get_mut(slot)) {
            text.push_str(rest);
        }
    }

    /// Lets every event go that does not wait for the rest of a text.
    fn flush(&mut self, out: &mut BytesMut) {
        let holding = self.channels.values().filter(|channel| channel.content.holds());
        let stay = holding.map(|channel| channel.last.0).min().unwrap_or(usize::MAX);
        while self.left < stay
            && let Some(queued) = self.queue.pop_front()
        {
            self.left += 1;
            self.queued_bytes -= queued.event.raw.len();
            queued.leave(&self.masked, out);
        }
    }
}

impl Queued {
    fn leave(self, masked: &HashSet<u64>, out: &mut BytesMut) {
        let Reading { slots, mut edits, logprobs, .. } = self.reading;
        let mut changed = HashSet::new();
        for (slot, text) in slots.into_iter().zip(self.texts) {
            if slot.text != text {
                changed.insert(slot.key.part);
                edits.push(Edit { range: slot.range, new: json::encode(&text) });
            }
        }
        // Tokens tell what was masked, and what is held back before it can be masked.
        for (part, range) in logprobs {
            if masked.contains(&part) || changed.contains(&part) {
                blank(range, &mut edits);
            }
        }
        match &self.event.data {
            Some(data) if !edits.is_empty() => {
                out.extend_from_slice(&self.event.with_data(&splice(data, edits)));
            }
            _ => out.extend_from_slice(&self.event.raw),
        }
    }
}

impl Channel {
    fn new(key: Key) -> Self {
        let content = if key.field.is_json() {
            Content::Arguments(Arguments::new())
        } else {
            Content::Text(Text::new(Writing::Plain))
        };
        Self { content, last: (0, 0), cut: false }
    }
}

impl Content {
    fn push(&mut self, piece: &str, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
        match self {
            Self::Text(text) => text.push(piece, piece, set, found, out),
            Self::Arguments(arguments) => arguments.push(piece, set, found, out),
        }
    }

    fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
        match self {
            Self::Text(text) => text.finish(set, found, out),
            Self::Arguments(arguments) => arguments.finish(set, found, out),
        }
    }

    fn holds(&self) -> bool {
        match self {
            Self::Text(text) => text.holds(),
            Self::Arguments(arguments) => arguments.holds(),
        }
    }
}

/// An event of a model is a few hundred bytes; one that repeats a whole answer can be large.
const MAX_EVENT: usize = 8 << 20;
/// What may wait for one part of an answer to go on while the others are written.
pub(super) const MAX_QUEUED: usize = 8 << 20;
