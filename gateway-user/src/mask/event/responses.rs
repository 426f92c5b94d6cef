//! Events of OpenAI responses, and of the answers in a conversation of its realtime API. Deltas of a text are followed by events that repeat it, from a part of an item up to the whole response:
//! those are masked as the deltas were, so that a client may read either. What an event of an unknown kind calls `delta` is a piece, too.
//! Source: the OpenAI API reference, streaming events of responses, server events of the realtime API.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Document, End, Field, Key, Reading, Token};
use crate::detect::Finding;
use crate::mask::content::whole;
use crate::mask::document::Edit;
use crate::mask::places::{is_part_logprobs, is_sound};
use crate::mask::{MaskError, Set, Shape};
use crate::protocol::json::{self, Kind, Step};

impl Document<'_> {
    pub(super) fn responses(
        &self,
        shape: Shape,
        set: &Set,
        found: &mut Vec<Finding>,
    ) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        let kind = self.find(&[], "type").map(json::decode).unwrap_or_default();
        let talks = shape == Shape::OpenAiRealtime;
        let mut key = self.channel(&kind)?;
        if talks {
            (key.part, key.call) = self.place(key.call);
        }
        // In a conversation it would wait for an end that nobody tells.
        let beside = !talks && self.find(&[], "delta").is_none();
        let stage = kind.rsplit_once('.').map_or(&*kind, |(_, stage)| stage);
        reading.ends.extend(match &*kind {
            // One answer of several is over.
            "response.done" if talks => Some(End::Part(key.part)),
            _ if talks => ENDS.contains(&stage).then_some(End::Channel(key)),
            "response.output_item.done" => Some(End::Part(key.part)),
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                Some(End::All)
            }
            _ => (stage == "done").then_some(End::Channel(key)),
        });
        for token in self.tokens {
            match (&token.path[..], token.kind) {
                (path, Kind::String) if stage == "delta" && is_piece(path) => {
                    // Sound is not text.
                    if !kind.ends_with("audio.delta") {
                        let written = &self.data[token.range.clone()];
                        reading.slot(key, token, written);
                    }
                }
                (path, Kind::String) if stage == "delta" && is_unknown(path, beside) => {
                    let place = (key.part, key.call);
                    self.piece(place, token, path, &mut reading, set, found);
                }
                (path, Kind::Container) if is_part_logprobs(path) => {
                    let part = owner(path).filter(|_| !talks).unwrap_or(key.part);
                    reading.logprobs.push((part, token.range.clone()));
                }
                ([.., Step::Key(name)], Kind::String) if REPEATED.contains(&&**name) => {
                    let part = owner(&token.path).filter(|_| !talks).unwrap_or(key.part);
                    self.repeated(token, part, name == ARGUMENTS, &mut reading, set);
                }
                (path, Kind::String)
                    if talks && is_sound(path, &self.data[token.range.clone()]) => {}
                _ => self.other(token, &mut reading, set, found),
            }
        }
        Ok(reading)
    }

    /// The text that an event of this kind goes on with, or ends.
    fn channel(&self, kind: &str) -> Result<Key, MaskError> {
        let mut inner = None;
        for name in ["content_index", "summary_index", "command_index"] {
            inner = inner.or(self.number(&[], name)?);
        }
        let field = match kind.rsplit_once('.').map_or(kind, |(channel, _)| channel) {
            "response.output_text" => Field::Content,
            "response.refusal" => Field::Refusal,
            "response.reasoning_text" => Field::ReasoningContent,
            "response.reasoning_summary_text" => Field::Reasoning,
            "response.custom_tool_call_input" => Field::CustomInput,
            channel if channel.ends_with("_arguments") => Field::Arguments,
            // An item has one text of such a kind: code, a transcript, a diff.
            _ => Field::Other,
        };
        Ok(Key {
            part: self.number(&[], "output_index")?.unwrap_or(0),
            field,
            call: inner.unwrap_or(0),
        })
    }

    /// Which answer of a conversation an event belongs to, or else which item; and which content of which item.
    fn place(&self, content: u64) -> (u64, u64) {
        let under = |object| [Step::Key(Cow::Borrowed(object))];
        let item = self.find(&[], "item_id");
        let item = item.or_else(|| self.find(&under("item"), "id"));
        let answer = self.find(&[], "response_id");
        let answer = answer.or_else(|| self.find(&under("response"), "id"));
        let hashed = |id: Option<&str>| {
            let mut place = DefaultHasher::new();
            id.map(json::decode).hash(&mut place);
            place
        };
        let mut within = hashed(item);
        content.hash(&mut within);
        (hashed(answer.or(item)).finish(), within.finish())
    }

    /// Masks a text in full as its deltas are.
    pub(super) fn repeated(
        &self,
        token: &Token<'_>,
        part: u64,
        json: bool,
        reading: &mut Reading,
        set: &Set,
    ) {
        let range = token.range.clone();
        let text = json::decode(&self.data[range.clone()]);
        let mut found = Vec::new();
        if let Some(new) = whole(&text, json, set, &mut found) {
            let new = json::encode(&new);
            reading.edits.push(Edit { range, new });
            reading
                .repeats
                .extend(found.into_iter().map(|finding| (part, finding)));
        }
    }
}

/// The string that a delta adds; some compatible servers wrap it in an object.
fn is_piece(path: &[Step<'_>]) -> bool {
    match path {
        [Step::Key(delta)] => delta == "delta",
        [Step::Key(delta), Step::Key(text)] => delta == "delta" && text == "text",
        _ => false,
    }
}

/// Whether a string of a delta may be a piece of a text of a kind that nobody described: in the delta, or `beside` what else is told.
fn is_unknown(path: &[Step<'_>], beside: bool) -> bool {
    match path {
        [Step::Key(delta), _, ..] => delta == "delta",
        [Step::Key(_)] => beside,
        _ => false,
    }
}

/// The item that a value of a whole response belongs to.
fn owner(path: &[Step<'_>]) -> Option<u64> {
    match path {
        [
            Step::Key(response),
            Step::Key(output),
            Step::Index(item),
            ..,
        ] if response == "response" && output == "output" => Some(*item as u64),
        _ => None,
    }
}

/// How the last event of a text of a conversation ends.
const ENDS: &[&str] = &["done", "completed", "failed"];
const ARGUMENTS: &str = "arguments";
/// The fields that repeat what came in deltas.
const REPEATED: &[&str] = &[
    "text",
    "refusal",
    ARGUMENTS,
    "input",
    "code",
    "transcript",
    "diff",
    "command",
];
