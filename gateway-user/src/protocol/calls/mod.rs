//! Calls of tools in a model's answer: none of one goes on before the whole of it has been decided on.
//!
//! In: an answer, whole or as a stream of events cut anywhere. Out: the calls that the client is to carry out ([`ToolCall`]), and the events
//! that may go on. An event that has a part of a call waits, and whatever follows it, until every call that has begun is whole and
//! [`Stream::permitted`]; text of OpenAI chat completions, whose order beside calls means nothing, does not wait.
//! Invariants: the same events in the same order for what passes, byte for byte (but for that text); nothing depends on how the stream was
//! cut; a call that is told twice in different words is two calls. Calls of tools that the provider runs are not among them.
//! Fails on events or documents that readers could understand differently.
//! Sources: OpenAI chat completion chunks and response stream events; Anthropic message stream events; Gemini's, Ollama's, Cohere's and Bedrock's API references.

mod bedrock;
mod chat;
mod cohere;
mod edit;
mod exact;
mod facts;
mod gemini;
mod hosts;
mod messages;
mod mistral;
mod ollama;
mod realtime;
mod responses;
mod shell;
mod sql;
mod stream;

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::Value;

use super::frames::Framing;
use super::json::JsonError;
use super::llm::Family;
use super::sse::{self, SseError};
use super::transcript::ToolCall;

pub use edit::Edit;
pub use facts::facts;
pub use stream::{Step, Stream};

/// Answers whose calls cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    /// Bytes that are not UTF-8.
    #[error("the answer is not UTF-8")]
    NotUtf8,
    /// A document, or the data of an event, that is not JSON or ambiguous.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Bytes that are not a stream of events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// A document where a stream should be.
    #[error("the stream of events begins as a document")]
    Document,
    /// A call whose arguments come in pieces that are not understood.
    #[error("a call comes in pieces")]
    Pieces,
    /// What looks like a call in a format that is not understood.
    #[error("a call is in a format that is not understood")]
    Strange,
    /// A call without an end in sight.
    #[error("a call of a tool is longer than {} MiB", stream::MAX_HELD >> 20)]
    TooLong,
    /// Arguments that stand where nothing can take their place.
    #[error("other arguments cannot be put into a call of this form")]
    Fixed,
    /// More than anybody decides on at once.
    #[error("an answer has more than {MAX_CALLS} calls of tools at once")]
    Many,
    /// More than policy can look at.
    #[error("the arguments name more than {} things", facts::MAX_NAMES)]
    TooMany,
}

/// Whether answers of a family can have calls.
#[must_use]
pub fn has_calls(family: Family) -> bool {
    matches!(
        family,
        Family::OpenAiChat
            | Family::OpenRouterChat
            | Family::OpenAiResponses
            | Family::OpenAiRealtime
            | Family::AnthropicMessages
            | Family::Gemini
            | Family::Ollama
            | Family::Cohere
            | Family::MistralConversations
            | Family::BedrockConverse
            | Family::BedrockInvoke
    )
}

/// The calls of an answer that is there in one piece: a document, or all events of a stream.
///
/// # Errors
/// [`CallsError`] where readers could find different ones.
pub fn of_body(
    family: Family,
    framing: Option<Framing>,
    body: &[u8],
) -> Result<Vec<ToolCall>, CallsError> {
    if let Some(framing) = events(framing, body) {
        let (calls, _) = stream::through(family, framing, body, &[])?;
        return Ok(calls);
    }
    let text = std::str::from_utf8(body).map_err(|_| CallsError::NotUtf8)?;
    let document = parse(text)?;
    let mut calls = Vec::new();
    match family {
        Family::AnthropicMessages => messages::document(&document, &mut calls),
        Family::OpenAiResponses => responses::document(&document, &mut calls),
        Family::Gemini => gemini::document(&document, &mut calls)?,
        Family::Ollama => ollama::document(&document, &mut calls),
        Family::Cohere => cohere::document(&document, &mut calls),
        Family::MistralConversations => mistral::document(&document, &mut calls),
        Family::BedrockConverse | Family::BedrockInvoke => {
            bedrock::document(&document, &mut calls)?;
        }
        _ => chat::document(&document, &mut calls),
    }
    match calls.len() {
        0..=MAX_CALLS => Ok(calls),
        _ => Err(CallsError::Many),
    }
}

/// The same answer, with other arguments for calls in it.
///
/// # Errors
/// [`CallsError`] where readers could find other calls then than those that were permitted.
pub fn edited(
    family: Family,
    framing: Option<Framing>,
    body: &[u8],
    edits: &[Edit],
) -> Result<Bytes, CallsError> {
    let new = match events(framing, body) {
        Some(framing) => stream::through(family, framing, body, edits)?.1.freeze(),
        None => {
            let text = std::str::from_utf8(body).map_err(|_| CallsError::NotUtf8)?;
            let new = edit::repeated(text, edits.iter(), true)?.ok_or(CallsError::Fixed)?;
            Bytes::from(new)
        }
    };
    let expected = of_body(family, framing, body)?.into_iter().map(|call| {
        let edit = edits.iter().find(|edit| edit.call == call);
        edit.map_or(call, Edit::edited)
    });
    let expected: HashSet<_> = expected.map(|call| identity(&call)).collect();
    let found: HashSet<_> = of_body(family, framing, &new)?
        .iter()
        .map(identity)
        .collect();
    (found == expected).then_some(new).ok_or(CallsError::Fixed)
}

/// How the events of an answer are framed, unless it is a document: what does not begin as events do.
fn events(framing: Option<Framing>, body: &[u8]) -> Option<Framing> {
    framing.or(sse::begins(body).then_some(Framing::Events))
}

/// The arguments of a call in one form: without white space between tokens, numbers as they are written. What is no JSON, or has a key twice,
/// stays as it is.
#[must_use]
pub fn canonical(arguments: &str) -> String {
    match parse(arguments) {
        Ok(value) => exact::written(&value),
        Err(_) => arguments.to_owned(),
    }
}

/// What one event says of calls.
#[derive(Debug, Default)]
struct Reading {
    pieces: Vec<Piece>,
    /// Calls that are there in full and nowhere else.
    whole: Vec<ToolCall>,
    /// Those that belong to an item, which tells them in other events as well.
    items: Vec<(u64, ToolCall)>,
    /// Those that earlier events have told, all of them at once.
    retold: Vec<ToolCall>,
    /// Items of which no more is said.
    past: Vec<u64>,
    ends: Ends,
    /// It has text of an answer and nothing else.
    text: bool,
    /// It says what no client reads.
    strange: bool,
}

/// A part of a call.
#[derive(Debug)]
struct Piece {
    key: Key,
    /// What its result calls it, empty where this piece does not say; of formats whose servers give several calls one place.
    id: Option<String>,
    name: Option<String>,
    arguments: String,
    /// The event has the arguments in full, too: that none follow means nothing.
    given: bool,
    /// It is no piece: it says in full what pieces have said.
    full: bool,
}

/// Which call a piece belongs to: the choice, content block or output item, and the place in it.
type Key = (u64, u64);

/// Which calls are whole with an event.
#[derive(Debug)]
enum Ends {
    /// Those of these choices, blocks or items.
    Parts(Vec<u64>),
    All,
}

impl Default for Ends {
    fn default() -> Self {
        Self::Parts(Vec::new())
    }
}

fn read(family: Family, event: &Value) -> Result<Reading, CallsError> {
    Ok(match family {
        Family::AnthropicMessages => messages::event(event),
        Family::OpenAiResponses => responses::event(event),
        Family::OpenAiRealtime => realtime::event(event),
        Family::Gemini => gemini::event(event)?,
        Family::Ollama => ollama::event(event),
        Family::Cohere => cohere::event(event),
        Family::MistralConversations => mistral::event(event),
        Family::BedrockConverse | Family::BedrockInvoke => bedrock::event(event)?,
        _ => chat::event(event),
    })
}

/// JSON that every parser reads alike, with its numbers as they are written.
fn parse(text: &str) -> Result<Value, CallsError> {
    exact::read(text)
}

/// What makes two calls the same.
fn identity(call: &ToolCall) -> (String, String) {
    (call.name.clone(), canonical(&call.arguments))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Arguments that are a document in the answer, or JSON in a string.
fn written(arguments: &Value) -> String {
    match arguments {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => exact::written(other),
    }
}

/// A model calls a few tools at once.
const MAX_CALLS: usize = 128;

fn elements(array: &Value) -> &[Value] {
    array.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests;
