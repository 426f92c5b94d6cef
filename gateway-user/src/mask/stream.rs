//! Streams of events, masked while they pass.
//!
//! In: bytes of a server-sent event stream, cut anywhere. Out: the same events, each whole. An event waits, and with it all behind
//! it, as long as the end of its text may still become part of a finding; where it did, the placeholder stands in the event in
//! which the finding starts, and the others lose their part of it.
//! Invariants: as many events, in the same order, with the same names and ids unless something is found in them; an event that needs no
//! change keeps its bytes.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::BytesMut;

use super::content::Content;
use super::document::{self, Edit};
use super::event::{self, End, Field, Key, Reading};
use super::queue::{Place, Queue};
use super::text::Part;
use super::{MaskError, Set, Shape};
use crate::detect::Finding;
use crate::protocol::frames::{Framer, Framing};
use crate::protocol::sse::Event;

/// A stream that is masked while it passes.
pub struct Stream {
    shape: Shape,
    set: Set,
    framer: Framer,
    queue: Queue,
    channels: HashMap<Key, Channel>,
    /// The parts in which something was masked.
    masked: HashSet<u64>,
    /// The parts whose findings are counted already, should an event repeat them.
    told: HashSet<u64>,
    findings: Vec<Finding>,
    /// What came last at places that nobody described.
    last: HashMap<Key, Last>,
}

/// One text that is spread over events.
struct Channel {
    content: Content,
    /// Where its pieces came from, from the first one on that is not settled.
    places: VecDeque<Place>,
    /// How much text other fields of its part brought since its last piece.
    behind: usize,
    cut: bool,
}

/// What came last at a place, and how many times in a row.
#[derive(Default)]
struct Last {
    text: String,
    times: usize,
}

impl Stream {
    /// A stream of this shape.
    #[must_use]
    pub fn new(shape: Shape, framing: Framing, set: Set) -> Self {
        Self {
            shape,
            set,
            framer: Framer::new(framing, MAX_EVENT),
            queue: Queue::default(),
            channels: HashMap::new(),
            masked: HashSet::new(),
            told: HashSet::new(),
            findings: Vec::new(),
            last: HashMap::new(),
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
        self.framer.finish(&mut events)?;
        for event in events {
            self.accept(event, out)?;
        }
        self.end(End::All);
        self.leave(out);
        Ok(())
    }

    /// What was masked so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn accept(&mut self, event: Event, out: &mut BytesMut) -> Result<(), MaskError> {
        let event = self.beside(event)?;
        let mut reading = self.read(event.data.as_deref().unwrap_or_default())?;
        self.repeat(std::mem::take(&mut reading.repeats));
        self.label(&mut reading);
        let ends = reading.ends.clone();
        let places = self.queue.push(event, reading);
        self.switch(&places);
        for place in places {
            self.scan(place);
        }
        for end in ends {
            self.end(end);
        }
        self.leave(out);
        if self.queue.bytes() > MAX_QUEUED {
            return Err(MaskError::Stalled);
        }
        Ok(())
    }

    fn leave(&mut self, out: &mut BytesMut) {
        let found = &mut self.findings;
        self.queue
            .leave(self.shape, &self.masked, &self.set, found, out);
    }

    /// Masks what clients pass over: it is text of its own, or a document where events should be.
    fn beside(&mut self, event: Event) -> Result<Event, MaskError> {
        let (set, found) = (&self.set, &mut self.findings);
        let model = self.shape.is_model_call();
        event.beside(|text| match text.trim_start().starts_with(['{', '[']) {
            // An end that some servers write without the field.
            true if text.trim() == DONE => Ok(None),
            true if model => document::only(text, set, found),
            _ => Ok(document::any(text, set, found)),
        })
    }

    fn read(&mut self, data: &str) -> Result<Reading, MaskError> {
        let text = data.trim_ascii();
        let mut reading = Reading::default();
        if text == DONE {
            reading.ends.push(End::All);
        } else if self.shape.is_model_call()
            && (text.starts_with(['{', '[']) || self.framer.has_documents() && !text.is_empty())
        {
            return event::read(data, self.shape, &self.set, &mut self.findings);
        } else if let Some(new) = document::any(data, &self.set, &mut self.findings) {
            let range = 0..data.len();
            reading.edits.push(Edit { range, new });
        }
        Ok(reading)
    }

    /// What is the same word in event after event is no text that goes on, but a name of something: it would hold the stream back. A few
    /// signs in a row are equal in values too.
    fn label(&mut self, reading: &mut Reading) {
        for slot in std::mem::take(&mut reading.slots) {
            if slot.key.field != Field::Unknown || slot.text.is_empty() {
                reading.slots.push(slot);
                continue;
            }
            if self.last.len() >= MAX_LAST && !self.last.contains_key(&slot.key) {
                self.last.clear();
            }
            let last = self.last.entry(slot.key).or_default();
            if last.text != slot.text {
                *last = Last {
                    text: slot.text.clone(),
                    times: 0,
                };
            }
            last.times += 1;
            let word = slot.text.contains(|sign: char| sign.is_ascii_alphabetic());
            let many = last.times >= 3 && last.times * slot.text.len() >= LABEL;
            if !(word && many) {
                reading.slots.push(slot);
                continue;
            }
            let new = slot.write(&slot.text, &self.set, &mut self.findings);
            let range = slot.range;
            reading.edits.extend(new.map(|new| Edit { range, new }));
            // Those before it wait for nothing more.
            reading.ends.push(End::Channel(slot.key));
        }
    }

    /// Counts what is found in a text that an event has in full, unless events before it had the text.
    fn repeat(&mut self, repeats: Vec<(u64, Finding)>) {
        let parts: Vec<u64> = repeats.iter().map(|(part, _)| *part).collect();
        let new = repeats
            .into_iter()
            .filter(|(part, _)| !self.told.contains(part));
        self.findings.extend(new.map(|(_, finding)| finding));
        self.masked.extend(&parts);
        self.told.extend(parts);
    }

    /// A choice writes one field after the other, and seldom returns to one: what is held of the others' text waits for some more text of the
    /// new one, then it counts as over, or it would hold the answer back to its end. Once per field: one that goes on nevertheless is scanned
    /// with what it held, to its end.
    fn switch(&mut self, places: &[Place]) {
        let slots = places.iter().filter_map(|place| self.queue.slot(*place));
        let now: Vec<(Key, usize)> = slots.map(|slot| (slot.key, slot.text.len())).collect();
        for (key, channel) in &mut self.channels {
            let here = now.iter().filter(|(other, _)| other.part == key.part);
            if now.iter().any(|(other, _)| other == key) || channel.cut {
                continue;
            }
            channel.behind += here.map(|(_, length)| length).sum::<usize>();
            let mut parts = Vec::new();
            if let Content::Text(text) = &mut channel.content {
                if channel.places.is_empty() || channel.behind <= patience(key.field, text.held()) {
                    continue;
                }
                text.cut(&self.set, &mut self.findings, &mut parts);
                channel.cut = true;
            }
            settle(&mut self.queue, &mut self.masked, *key, channel, parts);
        }
    }

    /// Reads the piece of a text at a place.
    fn scan(&mut self, place: Place) {
        let Some(slot) = self.queue.slot(place) else {
            return;
        };
        let (key, mut parts) = (slot.key, Vec::new());
        let channel = self.channels.entry(key);
        let channel = channel.or_insert_with(|| Channel::new(key));
        channel.places.push_back(place);
        channel.behind = 0;
        self.told.insert(key.part);
        let (set, found) = (&self.set, &mut self.findings);
        channel.content.push(&slot.text, set, found, &mut parts);
        settle(&mut self.queue, &mut self.masked, key, channel, parts);
    }

    fn end(&mut self, end: End) {
        let over = |key: &Key| match end {
            End::Channel(channel) => channel == *key,
            End::Part(part) => part == key.part,
            End::All => true,
        };
        let ended = self.channels.extract_if(|key, _| over(key));
        for (key, mut channel) in ended {
            let (set, found, mut parts) = (&self.set, &mut self.findings, Vec::new());
            channel.content.finish(set, found, &mut parts);
            settle(&mut self.queue, &mut self.masked, key, &mut channel, parts);
        }
    }
}

impl Channel {
    fn new(key: Key) -> Self {
        Self {
            content: Content::new(key.field.is_json()),
            places: VecDeque::new(),
            behind: 0,
            cut: false,
        }
    }
}

/// How much text of other fields waits for one of which that is held to go on: for the rest of a value longer than for that of a word. A word at
/// a place that nobody described is the name of something.
fn patience(field: Field, held: &str) -> usize {
    let digits = held.bytes().filter(u8::is_ascii_digit).count();
    let mut words = held.split_ascii_whitespace();
    match field {
        _ if digits >= 4 || words.any(|word| word.len() >= 16 || word.contains('@')) => VALUE,
        Field::Unknown => 0,
        _ => WORD,
    }
}

fn settle(
    queue: &mut Queue,
    masked: &mut HashSet<u64>,
    key: Key,
    channel: &mut Channel,
    parts: Vec<Part>,
) {
    if parts.iter().any(|part| matches!(part, Part::Replace(..))) {
        masked.insert(key.part);
    }
    queue.settle(&mut channel.places, parts);
}

const DONE: &str = "[DONE]";
/// An event of a model is a few hundred bytes; one that repeats a whole answer can be large.
const MAX_EVENT: usize = 8 << 20;
/// A few words, which a model writes in a tenth of a second: most texts end with a word that is held.
const WORD: usize = 64;
/// Nobody who reads along waits longer than for some sentences.
const VALUE: usize = 512;
/// An answer has a handful of such places.
const MAX_LAST: usize = 256;
/// No value repeats the same signs over so many bytes.
const LABEL: usize = 24;
/// What may wait for one part of an answer to go on while the others are written.
pub(super) const MAX_QUEUED: usize = 8 << 20;
