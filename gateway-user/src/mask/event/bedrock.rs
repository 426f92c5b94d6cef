//! Streams of Amazon Bedrock: Converse's events, and models' own: those of Anthropic and of OpenAI, Converse's once more (Amazon Nova), and of
//! any other maker, of whose documents each string goes on in the one at the same place of the next.
//! Source: the API reference of Amazon Bedrock's runtime.

use super::pieces::place;
use super::{Document, End, Field, Key, Reading, Token};
use crate::detect::Finding;
use crate::mask::{MaskError, Set};
use crate::protocol::eventstream::is_padding;
use crate::protocol::json::{self, Kind, Step};
use crate::protocol::llm::bedrock::Format;

impl Document<'_> {
    pub(super) fn bedrock(
        &self,
        set: &Set,
        found: &mut Vec<Finding>,
    ) -> Result<Reading, MaskError> {
        let kind = self.find(&[], "type").map(json::decode);
        match Format::of_event(kind.as_deref(), |name| self.find(&[], name).is_some()) {
            Format::Converse => self.converse(set, found),
            Format::Anthropic => self.messages(set, found),
            Format::OpenAi => self.chat(set, found),
            Format::Other => Ok(self.any(set, found)),
        }
    }

    fn converse(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        for token in self.tokens {
            let [Step::Key(kind), rest @ ..] = &token.path[..] else {
                // The type of the event, which clients and the checks of its message go by.
                if token.kind != Kind::Key {
                    self.other(token, &mut reading, set, found);
                }
                continue;
            };
            let delta = match rest {
                [Step::Key(delta), inside @ ..] if kind == DELTA && delta == "delta" => inside,
                _ => &[],
            };
            match delta_field(delta).filter(|_| token.kind == Kind::String) {
                Some(Some(field)) => {
                    let key = Key {
                        part: self.part(kind)?,
                        field,
                        call: if field == Field::Other {
                            place(delta)
                        } else {
                            0
                        },
                    };
                    reading.slot(key, token, &self.data[token.range.clone()]);
                }
                Some(None) => {}
                None if self.is_padding(token) => {}
                None => self.other(token, &mut reading, set, found),
            }
            if rest.is_empty() && token.kind == Kind::Container {
                match kind.as_ref() {
                    "contentBlockStop" => reading.ends.push(End::Part(self.part(kind)?)),
                    "messageStop" | "metadata" => reading.ends.push(End::All),
                    _ => {}
                }
            }
        }
        Ok(reading)
    }

    /// The content block that an event of this type is about.
    fn part(&self, kind: &str) -> Result<u64, MaskError> {
        let event = [Step::Key(kind.into())];
        Ok(self.number(&event, "contentBlockIndex")?.unwrap_or(0))
    }

    fn any(&self, set: &Set, found: &mut Vec<Finding>) -> Reading {
        let mut reading = Reading::default();
        let part = self.index(&[], 0).unwrap_or(0);
        for token in self.tokens {
            let label = match token.path.last() {
                Some(Step::Key(key)) => LABELS.contains(&&**key),
                _ => false,
            };
            if token.kind == Kind::String && !label && !self.is_padding(token) {
                let key = Key {
                    part,
                    field: Field::Other,
                    call: place(&token.path),
                };
                reading.slot(key, token, &self.data[token.range.clone()]);
            } else if !self.is_padding(token) {
                self.other(token, &mut reading, set, found);
            }
        }
        if self.find(&[], METRICS).is_some() {
            reading.ends.push(End::All);
        }
        reading
    }

    /// Whether it is what Amazon makes events of one length with.
    fn is_padding(&self, token: &Token<'_>) -> bool {
        matches!(&token.path[..], [Step::Key(_), Step::Key(name)] if name == "p")
            && token.kind == Kind::String
            && is_padding(&json::decode(&self.data[token.range.clone()]))
    }
}

/// The field at a path in a delta; `Some(None)` is what the provider has signed or sealed, which stays as it is.
fn delta_field(path: &[Step<'_>]) -> Option<Option<Field>> {
    Some(Some(match path {
        [] => return None,
        [Step::Key(text)] if text == "text" => Field::Content,
        [Step::Key(call), Step::Key(input)] if call == "toolUse" && input == "input" => {
            Field::Arguments
        }
        [Step::Key(reasoning), Step::Key(key)] if reasoning == "reasoningContent" => {
            match key.as_ref() {
                "text" => Field::Reasoning,
                "signature" | "redactedContent" => return Some(None),
                _ => Field::Other,
            }
        }
        _ => Field::Other,
    }))
}

const DELTA: &str = "contentBlockDelta";
const METRICS: &str = "amazon-bedrock-invocationMetrics";
/// What is whole in each event: names and kinds, and not pieces of a text.
const LABELS: &[&str] = &[
    "type",
    "event_type",
    "role",
    "model",
    "id",
    "object",
    "stop_reason",
    "finish_reason",
    "completionReason",
];
