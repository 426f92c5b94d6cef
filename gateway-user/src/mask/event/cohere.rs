//! Events of Cohere's streams, of both its APIs: a content, a plan or the arguments of a call begin, go on and end by their index; the older API
//! repeats its text in full at the end.
//! Source: the API reference of Cohere, streamed chats.

use super::{Document, End, Field, Key, Reading};
use crate::detect::Finding;
use crate::mask::places::is_top_logprobs;
use crate::mask::{MaskError, Set};
use crate::protocol::json::{self, Kind, Step};

impl Document<'_> {
    pub(super) fn cohere(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        let kind = self.find(&[], "type").or(self.find(&[], "event_type"));
        let kind = kind.map(json::decode).unwrap_or_default();
        let call = self.index(&[], 0)?;
        let key = |field| Key {
            part: 0,
            field,
            call,
        };
        match &*kind {
            "content-end" => {
                let fields = [Field::Content, Field::Reasoning];
                reading
                    .ends
                    .extend(fields.map(|field| End::Channel(key(field))));
            }
            "tool-call-end" => reading.ends.push(End::Channel(key(Field::Arguments))),
            "message-end" | "stream-end" => reading.ends.push(End::All),
            _ => {}
        }
        for token in self.tokens {
            match (field(&kind, &token.path), token.kind) {
                (Some(Said::Piece(field)), Kind::String) => {
                    reading.slot(key(field), token, &self.data[token.range.clone()]);
                }
                (Some(Said::Again), Kind::String) => {
                    self.repeated(token, 0, false, &mut reading, set);
                }
                (_, Kind::Container) if is_top_logprobs(&token.path) => {
                    reading.logprobs.push((0, token.range.clone()));
                }
                (None, Kind::String) if in_delta(&token.path) => {
                    self.piece((0, call), token, &token.path, &mut reading, set, found);
                }
                _ => self.other(token, &mut reading, set, found),
            }
        }
        Ok(reading)
    }
}

fn in_delta(path: &[Step<'_>]) -> bool {
    matches!(path, [Step::Key(delta), ..] if delta == "delta")
}

/// What a text is.
enum Said {
    /// The next piece of one.
    Piece(Field),
    /// One that came in pieces, in full.
    Again,
}

fn field(kind: &str, path: &[Step<'_>]) -> Option<Said> {
    let mut keys = [""; 5];
    let length = path.len();
    for (key, step) in keys.iter_mut().zip(path) {
        let Step::Key(name) = step else {
            return None;
        };
        *key = name;
    }
    let field = match (keys, length) {
        (["delta", "message", "content", "text", _], 4) => Field::Content,
        (["delta", "message", "content", "thinking", _], 4) => Field::Reasoning,
        (["delta", "message", "tool_plan", ..], 3) => Field::Other,
        (["delta", "message", "tool_calls", "function", "arguments"], 5) => Field::Arguments,
        (["text", ..], 1) if kind == "text-generation" => Field::Content,
        (["text", ..], 1) if kind == "tool-calls-chunk" => Field::Other,
        (["tool_call_delta", "parameters", ..], 2) => Field::Arguments,
        (["response", "text", ..], 2) if kind == "stream-end" => return Some(Said::Again),
        _ => return None,
    };
    Some(Said::Piece(field))
}
