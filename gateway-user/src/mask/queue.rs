//! Events in their order, each of which leaves when everything in it and before it is settled.

use std::collections::{HashSet, VecDeque};

use bytes::BytesMut;

use super::document::{Edit, blank, splice};
use super::event::{Reading, Slot};
use super::text::Part;
use super::{Set, Shape};
use crate::detect::Finding;
use crate::protocol::sse::Event;

/// Events that have not left.
#[derive(Default)]
pub(super) struct Queue {
    events: VecDeque<Queued>,
    /// How many events left before them.
    left: usize,
    bytes: usize,
}

/// A slot of an event, by their positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    event: usize,
    slot: usize,
}

struct Queued {
    event: Event,
    reading: Reading,
    texts: Vec<Settled>,
}

/// What is settled of a slot's text.
#[derive(Default)]
struct Settled {
    new: String,
    /// How much of the old text that covers.
    old: usize,
}

impl Queue {
    /// Adds an event; the places of its slots that have text.
    pub(super) fn push(&mut self, event: Event, reading: Reading) -> Vec<Place> {
        let position = self.left + self.events.len();
        let slots = reading.slots.iter().enumerate();
        let with_text = slots.filter(|(_, slot)| !slot.text.is_empty());
        let places = with_text.map(|(slot, _)| Place {
            event: position,
            slot,
        });
        let places = places.collect();
        let texts = reading.slots.iter().map(|_| Settled::default()).collect();
        self.bytes += event.raw.len();
        self.events.push_back(Queued {
            event,
            reading,
            texts,
        });
        places
    }

    /// The slot at a place, until its event leaves.
    pub(super) fn slot(&self, place: Place) -> Option<&Slot> {
        let queued = self.events.get(place.event.checked_sub(self.left)?)?;
        queued.reading.slots.get(place.slot)
    }

    /// Settles the next bytes of a text, whose slots from the first unsettled one on are `places`.
    pub(super) fn settle(&mut self, places: &mut VecDeque<Place>, parts: Vec<Part>) {
        for part in parts {
            let (mut width, placeholder) = match part {
                Part::Keep(width) => (width, None),
                Part::Replace(width, placeholder) => (width, Some(placeholder)),
            };
            let mut new = placeholder.as_deref();
            while width > 0
                && let Some(place) = places.front()
                && let Some(queued) = self.events.get_mut(place.event - self.left)
            {
                let old = &queued.reading.slots[place.slot].text;
                let settled = &mut queued.texts[place.slot];
                let from = settled.old;
                settled.old = old.len().min(from + width);
                width -= settled.old - from;
                match placeholder {
                    // It stands where the finding starts.
                    Some(_) => settled.new.push_str(new.take().unwrap_or_default()),
                    None => settled.new.push_str(&old[from..settled.old]),
                }
                if settled.old == old.len() {
                    places.pop_front();
                }
            }
        }
    }

    /// Lets the events go that are settled. `masked` are the parts in which something was masked; what is found in a piece by itself
    /// counts now.
    pub(super) fn leave(
        &mut self,
        shape: Shape,
        masked: &HashSet<u64>,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut BytesMut,
    ) {
        while self.events.front().is_some_and(Queued::is_settled)
            && let Some(queued) = self.events.pop_front()
        {
            self.left += 1;
            self.bytes -= queued.event.raw.len();
            queued.write(shape, masked, set, found, out);
        }
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Queued {
    fn is_settled(&self) -> bool {
        let mut slots = self.reading.slots.iter().zip(&self.texts);
        slots.all(|(slot, settled)| settled.old == slot.text.len())
    }

    fn write(
        self,
        shape: Shape,
        masked: &HashSet<u64>,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut BytesMut,
    ) {
        let Reading {
            slots,
            mut edits,
            logprobs,
            ..
        } = self.reading;
        for (slot, settled) in slots.into_iter().zip(self.texts) {
            let new = slot.write(&settled.new, set, found);
            let range = slot.range;
            edits.extend(new.map(|new| Edit { range, new }));
        }
        // The likelihoods spell the text token by token.
        for (part, range) in logprobs {
            if masked.contains(&part) {
                blank(range, shape, &mut edits);
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
