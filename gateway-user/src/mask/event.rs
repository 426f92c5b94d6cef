//! What one event of a stream carries: pieces of texts that go on in later events, texts of its own, ends of texts.
//!
//! Sources: OpenAI chat completion and completion chunks; OpenAI response stream events and the server's events of its realtime API; Anthropic message stream events; the streams of
//! Gemini, Ollama, Cohere, Mistral and Amazon Bedrock.

mod bedrock;
mod cohere;
mod documents;
mod mistral;
mod pieces;
mod responses;

use std::ops::Range;

use super::above::Above;
use super::document::{Edit, NESTED, literal, string};
use super::places::is_logprobs;
use super::{MaskError, Set, Shape};
use crate::detect::Finding;
use crate::protocol::json::{self, Keys, Kind, Step};
use crate::protocol::llm::is_finish;

/// Names a text that is spread over events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The index of the choice, content block or output item; of a conversation, which answer it is.
    pub(super) part: u64,
    pub(super) field: Field,
    /// The index of the tool call or content, where a part has several.
    pub(super) call: u64,
}

/// The fields whose pieces make up one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Content,
    Refusal,
    Reasoning,
    ReasoningContent,
    CustomInput,
    Arguments,
    FunctionArguments,
    /// What a model says, in words.
    Transcript,
    Thinking,
    Other,
    /// At a place that nobody described.
    Unknown,
}

/// One piece of such a text.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// Its literal in the event's data.
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// Where it may be a text of its own as well: what tells what it is.
    pub(super) alone: Option<String>,
}

/// Which texts are over with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Channel(Key),
    Part(u64),
    All,
}

/// An event's data, read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) slots: Vec<Slot>,
    /// Masks in every other string.
    pub(super) edits: Vec<Edit>,
    pub(super) ends: Vec<End>,
    /// The likelihoods of a part's tokens, by its index.
    pub(super) logprobs: Vec<(u64, Range<usize>)>,
    /// What is found in texts that earlier events had in pieces, by the index of the part.
    pub(super) repeats: Vec<(u64, Finding)>,
}

/// Reads an event's data, which has to be JSON.
pub(super) fn read(
    data: &str,
    shape: Shape,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Reading, MaskError> {
    let mut tokens = Vec::new();
    json::walk(data, Keys::Unique, |path, kind, range| {
        tokens.push(Token {
            path: path.to_vec(),
            kind,
            range,
        });
    })?;
    let event = Document {
        data,
        tokens: &tokens,
    };
    match shape {
        Shape::AnthropicMessages => event.messages(set, found),
        Shape::OpenAiResponses | Shape::OpenAiRealtime => event.responses(shape, set, found),
        Shape::Gemini => event.gemini(set, found),
        Shape::Ollama => event.ollama(set, found),
        Shape::Cohere => event.cohere(set, found),
        Shape::Mistral => event.mistral(set, found),
        Shape::Bedrock => event.bedrock(set, found),
        _ => event.chat(set, found),
    }
}

impl Field {
    /// Whether its text is a JSON document.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Arguments | Self::FunctionArguments)
    }
}

struct Token<'a> {
    path: Vec<Step<'a>>,
    kind: Kind,
    range: Range<usize>,
}

struct Document<'a> {
    data: &'a str,
    tokens: &'a [Token<'a>],
}

impl Document<'_> {
    fn chat(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        for token in self.tokens {
            let [Step::Key(choices), Step::Index(position), rest @ ..] = &token.path[..] else {
                self.other(token, &mut reading, set, found);
                continue;
            };
            if choices != "choices" {
                self.other(token, &mut reading, set, found);
                continue;
            }
            let written = &self.data[token.range.clone()];
            if token.kind == Kind::String
                && let Some((field, call)) = chat_field(rest)
            {
                let part = self.index(&token.path[..2], *position)?;
                let call = match call {
                    Some(position) => self.index(&token.path[..5], position)?,
                    None => 0,
                };
                // Some say pieces in a message, or all of it there once more.
                let message = matches!(rest, [Step::Key(said), ..] if said == MESSAGE);
                let call = if message { call ^ AGAIN } else { call };
                reading.slot(Key { part, field, call }, token, written);
            } else if token.kind == Kind::Container && is_logprobs(&token.path) {
                let part = self.index(&token.path[..2], *position)?;
                reading.logprobs.push((part, token.range.clone()));
            } else {
                if token.kind == Kind::String && is_said(rest) {
                    let part = self.index(&token.path[..2], *position)?;
                    self.piece((part, 0), token, rest, &mut reading, set, found);
                } else {
                    self.other(token, &mut reading, set, found);
                }
                let ends = matches!(rest, [Step::Key(key)] if key == "finish_reason");
                if ends && token.kind == Kind::String && is_finish(&json::decode(written)) {
                    let part = self.index(&token.path[..2], *position)?;
                    reading.ends.push(End::Part(part));
                }
            }
        }
        Ok(reading)
    }

    fn messages(&self, set: &Set, found: &mut Vec<Finding>) -> Result<Reading, MaskError> {
        let mut reading = Reading::default();
        let kind = self.find(&[], "type").map(json::decode).unwrap_or_default();
        let part = self.index(&[], 0)?;
        match kind.as_ref() {
            "content_block_stop" => reading.ends.push(End::Part(part)),
            "message_delta" | "message_stop" | "error" => reading.ends.push(End::All),
            _ => {}
        }
        for token in self.tokens {
            let field = messages_field(&kind, &token.path);
            match field.filter(|_| token.kind == Kind::String) {
                Some(Some(field)) => {
                    let written = &self.data[token.range.clone()];
                    reading.slot(
                        Key {
                            part,
                            field,
                            call: 0,
                        },
                        token,
                        written,
                    );
                }
                Some(None) => {}
                None => match (&*kind, &token.path[..]) {
                    // A block begins with what its deltas go on with.
                    ("content_block_start", [Step::Key(_), place @ Step::Key(_)]) => {
                        let place = std::slice::from_ref(place);
                        self.piece((part, 0), token, place, &mut reading, set, found);
                    }
                    ("content_block_delta", [Step::Key(delta), place @ ..]) if delta == "delta" => {
                        self.piece((part, 0), token, place, &mut reading, set, found);
                    }
                    _ => self.other(token, &mut reading, set, found),
                },
            }
        }
        Ok(reading)
    }

    /// Masks a literal that is a text of its own.
    fn other(&self, token: &Token<'_>, reading: &mut Reading, set: &Set, found: &mut Vec<Finding>) {
        let range = token.range.clone();
        let mut above = Above::default();
        above.place(&token.path);
        let new = literal(
            &self.data[range.clone()],
            &above,
            token.kind,
            NESTED,
            set,
            found,
        );
        reading.edits.extend(new.map(|new| Edit { range, new }));
    }

    /// The `index` of the object at a path; its position in the array where it tells none.
    fn index(&self, path: &[Step<'_>], position: usize) -> Result<u64, MaskError> {
        let index = self.number(path, "index")?;
        Ok(index.unwrap_or(position as u64))
    }

    /// A whole number of the object at a path.
    fn number(&self, path: &[Step<'_>], key: &'static str) -> Result<Option<u64>, MaskError> {
        match self.find(path, key) {
            None | Some("null") => Ok(None),
            Some(written) => {
                let shown = || written.chars().take(20).collect();
                let number = written.parse();
                number.map(Some).map_err(|_| MaskError::Index(key, shown()))
            }
        }
    }

    /// How the member of the object at a path is written.
    fn find(&self, path: &[Step<'_>], key: &str) -> Option<&str> {
        let token = self.tokens.iter().find(|token| {
            let [object @ .., Step::Key(last)] = &token.path[..] else {
                return false;
            };
            token.kind != Kind::Key && object == path && last == key
        })?;
        Some(&self.data[token.range.clone()])
    }
}

impl Slot {
    /// The literal that says `text`, with what is found in it by itself masked; `None` where that is the one there is.
    pub(super) fn write(&self, text: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
        let written = json::encode(text);
        let key = self.alone.as_ref();
        let new = key.and_then(|key| string(&written, key.clone(), NESTED, set, found));
        new.or_else(|| (text != self.text).then_some(written))
    }
}

impl Reading {
    fn slot(&mut self, key: Key, token: &Token<'_>, written: &str) {
        let (range, text) = (token.range.clone(), json::decode(written).into_owned());
        self.slots.push(Slot {
            key,
            range,
            text,
            alone: None,
        });
    }
}

/// The field at a path in a choice, and the position of its tool call.
fn chat_field(path: &[Step<'_>]) -> Option<(Field, Option<usize>)> {
    let [Step::Key(delta), rest @ ..] = path else {
        return None;
    };
    let field = match rest {
        // Completions, the older API, have no deltas.
        [] if delta == "text" => Field::Content,
        _ if delta != "delta" && delta != MESSAGE => return None,
        [Step::Key(key)] => match key.as_ref() {
            "content" => Field::Content,
            "refusal" => Field::Refusal,
            "reasoning" => Field::Reasoning,
            "reasoning_content" => Field::ReasoningContent,
            "thinking" => Field::Thinking,
            _ => return None,
        },
        [Step::Key(audio), Step::Key(key)] if audio == "audio" && key == "transcript" => {
            Field::Transcript
        }
        // Mistral's content comes in parts, thoughts in parts of those.
        [Step::Key(content), Step::Index(_), Step::Key(text)]
            if content == "content" && text == "text" =>
        {
            Field::Content
        }
        [
            Step::Key(content),
            Step::Index(_),
            Step::Key(thinking),
            Step::Index(_),
            Step::Key(text),
        ] if content == "content" && thinking == "thinking" && text == "text" => Field::Reasoning,
        // OpenRouter tells thoughts a second time.
        [Step::Key(details), Step::Index(_), Step::Key(text)]
            if details == "reasoning_details" && (text == "text" || text == "summary") =>
        {
            Field::Other
        }
        [Step::Key(object), Step::Key(key)] if object == "function_call" && key == "arguments" => {
            Field::FunctionArguments
        }
        [
            Step::Key(calls),
            Step::Index(position),
            Step::Key(object),
            Step::Key(key),
        ] if calls == "tool_calls" => {
            let field = match (object.as_ref(), key.as_ref()) {
                ("function", "arguments") => Field::Arguments,
                ("custom", "input") => Field::CustomInput,
                _ => return None,
            };
            return Some((field, Some(*position)));
        }
        _ => return None,
    };
    Some((field, None))
}

/// Whether what stands at a path in a choice is said by the model: in a delta or message, or right in the choice.
fn is_said(path: &[Step<'_>]) -> bool {
    match path {
        [Step::Key(_)] => true,
        [Step::Key(said), ..] => said == "delta" || said == MESSAGE,
        _ => false,
    }
}

/// The field at a path of an event; `Some(None)` is a signature, which proves what the provider wrote and stays as it is.
fn messages_field(kind: &str, path: &[Step<'_>]) -> Option<Option<Field>> {
    let [Step::Key(object), Step::Key(key)] = path else {
        return None;
    };
    match (kind, object.as_ref(), key.as_ref()) {
        ("content_block_delta", "delta", "text")
        | ("content_block_start", "content_block", "text") => Some(Some(Field::Content)),
        ("content_block_delta", "delta", "thinking")
        | ("content_block_start", "content_block", "thinking") => Some(Some(Field::Reasoning)),
        ("content_block_delta", "delta", "partial_json") => Some(Some(Field::Arguments)),
        ("content_block_delta", "delta", "signature") => Some(None),
        _ => None,
    }
}

const MESSAGE: &str = "message";
/// Tells what a message says from what a delta does.
const AGAIN: u64 = 1 << 63;
