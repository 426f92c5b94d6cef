//! Strings of an event at places that nobody described: each is a piece of the text that goes on at the same place of later events, and what
//! is not found in that is found in it by itself, as what is whole there is.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Document, Field, Key, Reading, Slot, Token};
use crate::detect::Finding;
use crate::mask::Set;
use crate::mask::above::Above;
use crate::protocol::json::{self, Kind, Step};

impl Document<'_> {
    /// Masks what stands at `place` in the part of an answer; `inner` is the index of a call or content in it.
    pub(super) fn piece(
        &self,
        (part, inner): (u64, u64),
        token: &Token<'_>,
        place: &[Step<'_>],
        reading: &mut Reading,
        set: &Set,
        found: &mut Vec<Finding>,
    ) {
        let label = match place.last() {
            Some(Step::Key(key)) => LABELS.contains(&&**key),
            _ => false,
        };
        if token.kind != Kind::String || label {
            return self.other(token, reading, set, found);
        }
        let written = &self.data[token.range.clone()];
        let mut above = Above::default();
        above.place(&token.path);
        reading.slots.push(Slot {
            key: Key {
                part,
                field: Field::Unknown,
                call: self::place(place) ^ inner,
            },
            range: token.range.clone(),
            text: json::decode(written).into_owned(),
            alone: Some(above.announce()),
        });
    }
}

/// A number for a path.
pub(super) fn place(path: &[Step<'_>]) -> u64 {
    let mut place = DefaultHasher::new();
    for step in path {
        match step {
            Step::Key(key) => key.hash(&mut place),
            Step::Index(index) => index.hash(&mut place),
        }
    }
    place.finish()
}

/// What is whole in each event: names, kinds and addresses, what is signed or sealed, sound and pictures.
const LABELS: &[&str] = &[
    "type",
    "role",
    "id",
    "name",
    "object",
    "model",
    "format",
    "url",
    "data",
    "signature",
    "thought_signature",
    "encrypted_content",
    "encrypted_index",
    "finish_reason",
    "native_finish_reason",
    "stop_reason",
    "tool_name",
    "tool_call_id",
    "item_id",
    "event_id",
    "response_id",
    "call_id",
    "file_id",
    "obfuscation",
];
