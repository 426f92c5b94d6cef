//! Streams whose elements are documents like a whole answer, each with the next pieces of its texts: Gemini, Ollama. Calls of tools are there
//! whole, as documents in the document.
//! Sources: the Gemini API reference (`GenerateContentResponse`); Ollama's.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Document, End, Field, Key, Reading};
use crate::detect::Finding;
use crate::mask::places::{is_candidate_logprobs, is_top_logprobs};
use crate::mask::{MaskError, Set};
use crate::protocol::json::{self, Kind, Step};
use crate::protocol::llm::is_finish;

impl Document<'_> {
    pub(super) fn gemini(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        for token in self.tokens {
            // Google's assistants for code put it one level deeper.
            let depth = match &token.path[..] {
                [Step::Key(response), ..] if response == "response" => 1,
                _ => 0,
            };
            let [Step::Key(candidates), Step::Index(position), rest @ ..] = &token.path[depth..]
            else {
                self.other(token, &mut reading, set, found);
                continue;
            };
            if candidates != "candidates" {
                self.other(token, &mut reading, set, found);
                continue;
            }
            let candidate = &token.path[..depth + 2];
            match rest {
                _ if token.kind == Kind::Container && is_candidate_logprobs(&token.path) => {
                    let part = self.index(candidate, *position)?;
                    reading.logprobs.push((part, token.range.clone()));
                }
                // What the provider has signed stays as it is; of that name elsewhere, as in an argument of a call, is text like any.
                [
                    Step::Key(content),
                    Step::Key(parts),
                    Step::Index(_),
                    Step::Key(key),
                ] if content == "content" && parts == "parts" && key == "thoughtSignature" => {}
                [
                    Step::Key(content),
                    Step::Key(parts),
                    Step::Index(_),
                    Step::Key(text),
                ] if token.kind == Kind::String
                    && content == "content"
                    && parts == "parts"
                    && text == "text" =>
                {
                    let part = &token.path[..token.path.len() - 1];
                    let field = match self.find(part, "thought") {
                        Some("true") => Field::Reasoning,
                        _ => Field::Content,
                    };
                    let key = Key {
                        part: self.index(candidate, *position)?,
                        field,
                        call: 0,
                    };
                    reading.slot(key, token, &self.data[token.range.clone()]);
                }
                // An argument of a call, where a call may come in pieces.
                [
                    ..,
                    Step::Key(call),
                    Step::Key(pieces),
                    Step::Index(_),
                    Step::Key(text),
                ] if token.kind == Kind::String
                    && call == "functionCall"
                    && pieces == "partialArgs"
                    && text == "stringValue" =>
                {
                    let piece = &token.path[..token.path.len() - 1];
                    let mut place = DefaultHasher::new();
                    self.find(piece, "jsonPath").hash(&mut place);
                    let key = Key {
                        part: self.index(candidate, *position)?,
                        field: Field::CustomInput,
                        call: place.finish(),
                    };
                    reading.slot(key, token, &self.data[token.range.clone()]);
                }
                _ => {
                    self.other(token, &mut reading, set, found);
                    let ends = matches!(rest, [Step::Key(key)] if key == "finishReason");
                    let reason = || json::decode(&self.data[token.range.clone()]);
                    if ends && token.kind == Kind::String && is_finish(&reason()) {
                        let part = self.index(candidate, *position)?;
                        reading.ends.push(End::Part(part));
                    }
                }
            }
        }
        Ok(reading)
    }

    pub(super) fn ollama(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        for token in self.tokens {
            let field = match &token.path[..] {
                [Step::Key(key)] => text(key),
                [Step::Key(message), Step::Key(key)] if message == "message" => text(key),
                _ => None,
            };
            match field.filter(|_| token.kind == Kind::String) {
                _ if token.kind == Kind::Container && is_top_logprobs(&token.path) => {
                    reading.logprobs.push((0, token.range.clone()));
                }
                Some(field) => {
                    let key = Key {
                        part: 0,
                        field,
                        call: 0,
                    };
                    reading.slot(key, token, &self.data[token.range.clone()]);
                }
                None if matches!(&token.path[..], [Step::Key(message), _] if message == "message") =>
                {
                    self.piece((0, 0), token, &token.path, &mut reading, set, found);
                }
                None => self.other(token, &mut reading, set, found),
            }
        }
        if self.find(&[], "done") == Some("true") {
            reading.ends.push(End::All);
        }
        Ok(reading)
    }
}

fn text(key: &str) -> Option<Field> {
    match key {
        "content" | "response" => Some(Field::Content),
        "thinking" => Some(Field::Reasoning),
        _ => None,
    }
}
