//! Events of Mistral's conversations: texts, thoughts and arguments go on by the entry they belong to, until the answer is over.
//! Source: the API reference of Mistral, streamed events of conversations.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Document, End, Field, Key, Reading};
use crate::detect::Finding;
use crate::mask::{MaskError, Set};
use crate::protocol::json::{self, Kind, Step};

impl Document<'_> {
    pub(super) fn mistral(
        &self,
        set: &Set,
        found: &mut Vec<Finding>,
    ) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        let kind = self.find(&[], "type").map(json::decode).unwrap_or_default();
        if ["conversation.response.done", "conversation.response.error"].contains(&&*kind) {
            reading.ends.push(End::All);
        }
        let part = self.number(&[], "output_index")?.unwrap_or(0);
        let mut entry = DefaultHasher::new();
        self.find(&[], "id").map(json::decode).hash(&mut entry);
        self.number(&[], "content_index")?.hash(&mut entry);
        let call = entry.finish();
        for token in self.tokens {
            match field(&kind, &token.path).filter(|_| token.kind == Kind::String) {
                Some(field) => {
                    let written = &self.data[token.range.clone()];
                    reading.slot(Key { part, field, call }, token, written);
                }
                None if kind.ends_with(".delta") && in_content(&token.path) => {
                    let place = (part, call);
                    self.piece(place, token, &token.path, &mut reading, set, found);
                }
                None => self.other(token, &mut reading, set, found),
            }
        }
        Ok(reading)
    }
}

fn in_content(path: &[Step<'_>]) -> bool {
    matches!(path, [Step::Key(content), ..] if content == "content")
}

fn field(kind: &str, path: &[Step<'_>]) -> Option<Field> {
    let [Step::Key(first), rest @ ..] = path else {
        return None;
    };
    match (kind, first.as_ref(), rest) {
        ("message.output.delta", "content", []) => Some(Field::Content),
        ("message.output.delta", "content", [Step::Key(text)]) if text == "text" => {
            Some(Field::Content)
        }
        (
            "message.output.delta",
            "content",
            [Step::Key(thinking), Step::Index(_), Step::Key(text)],
        ) if thinking == "thinking" && text == "text" => Some(Field::Reasoning),
        (
            "function.call.delta" | "tool.execution.started" | "tool.execution.delta",
            "arguments",
            [],
        ) => Some(Field::Arguments),
        _ => None,
    }
}
