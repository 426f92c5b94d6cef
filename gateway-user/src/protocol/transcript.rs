//! What a model answered: text, reasoning, tool calls, token counts, from a whole answer or a stream, for the record.
//!
//! In: the bytes of an answer, cut anywhere, and how it is framed if that is known; else it is a JSON document if its first byte that is
//! no space is `{`, or a stream of events. Out: a [`Summary`]. Never fails: what cannot be read is counted and left out, what is too long is cut and marked.
//! Sources: OpenAI chat completions, completions, responses and embeddings, Anthropic messages, Gemini, Ollama, Bedrock; answers and streams.

mod anthropic;
mod bedrock;
mod gemini;
mod ollama;
mod openai;
mod responses;

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Value, json};

use super::frames::{Framer, Framing};
use super::llm::Family;
use super::sse::Event;

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What it said and what it refused to say. With several choices, each begins with a line that names it.
    pub text: String,
    /// What it thought aloud.
    pub reasoning: String,
    /// The tools it called.
    pub tool_calls: Vec<ToolCall>,
    /// Tokens, as far as the provider counted them.
    pub usage: Option<Usage>,
    /// The model that answered.
    pub model: Option<String>,
    /// What the provider said went wrong.
    pub error: Option<String>,
    /// The answer is longer than what is kept of it.
    pub truncated: bool,
    /// Events, or the document, that could not be read.
    pub unreadable: u64,
}

/// A call of a tool by the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Name of the tool.
    pub name: String,
    /// Its arguments as the model wrote them, JSON unless the model erred.
    pub arguments: String,
}

/// Token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input: Option<u64>,
    /// Tokens written, reasoning included.
    pub output: Option<u64>,
    /// Of those read, how many came from the provider's cache.
    pub cached: u64,
    /// Of those read, how many went into it.
    pub stored: u64,
}

/// Reads an answer as it passes.
#[derive(Debug)]
pub struct Collector {
    family: Family,
    wire: Wire,
    answer: Answer,
    /// Counts that stand in the head.
    counted: Option<Usage>,
}

/// What the answer turned out to be.
#[derive(Debug)]
enum Wire {
    /// Nothing but space so far.
    Unknown,
    Document(Vec<u8>),
    Events(Framer),
    /// What comes is not read any more.
    Closed,
}

impl Collector {
    /// A collector for one answer.
    #[must_use]
    pub fn new(family: Family, framing: Option<Framing>) -> Self {
        let framer = framing.map(|framing| Wire::Events(Framer::new(framing, MAX_READ)));
        Self {
            family,
            wire: framer.unwrap_or(Wire::Unknown),
            answer: Answer::default(),
            counted: None,
        }
    }

    /// Takes the counts that the head has, for an answer that has none.
    pub fn head(&mut self, headers: &HeaderMap) {
        if self.family == Family::BedrockInvoke {
            self.counted = bedrock::counted(headers);
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if matches!(self.wire, Wire::Unknown) {
            self.wire = match bytes.trim_ascii_start().first() {
                None => return,
                Some(b'{') => Wire::Document(Vec::new()),
                Some(_) => Wire::Events(Framer::new(Framing::Events, MAX_READ)),
            };
        }
        match &mut self.wire {
            Wire::Document(document) if document.len() + bytes.len() <= MAX_READ => {
                document.extend_from_slice(bytes);
            }
            Wire::Events(framer) => {
                let mut events = Vec::new();
                let framed = framer.push(bytes, &mut events);
                for event in events {
                    self.event(&event);
                }
                if framed.is_err() {
                    self.close();
                }
            }
            Wire::Document(_) => self.close(),
            Wire::Unknown | Wire::Closed => {}
        }
    }

    /// Tokens that the model has written at least, as far as the answer has come: what the provider counted, or else what text of
    /// such a length cannot have fewer of.
    #[must_use]
    pub fn written(&self) -> u64 {
        let counted = self.answer.usage.and_then(|usage| usage.output);
        counted.unwrap_or(0).max(self.answer.bytes / LONG_TOKEN)
    }

    /// Ends the answer.
    #[must_use]
    pub fn finish(mut self) -> Summary {
        match std::mem::replace(&mut self.wire, Wire::Closed) {
            Wire::Document(document) => match serde_json::from_slice(&document) {
                Ok(value) => self.document(&value),
                Err(_) => self.answer.unreadable += 1,
            },
            Wire::Events(mut framer) => {
                let mut events = Vec::new();
                if framer.finish(&mut events).is_err() {
                    self.answer.unreadable += 1;
                }
                for event in events {
                    self.event(&event);
                }
            }
            Wire::Unknown | Wire::Closed => {}
        }
        if self.answer.usage.is_none() {
            self.answer.usage = self.counted;
        }
        self.answer.summary()
    }

    fn close(&mut self) {
        self.wire = Wire::Closed;
        self.answer.unreadable += 1;
        self.answer.truncated = true;
    }

    fn event(&mut self, event: &Event) {
        let Some(data) = event.data.as_deref().filter(|data| *data != "[DONE]") else {
            return;
        };
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            self.answer.unreadable += 1;
            return;
        };
        match self.family {
            Family::AnthropicMessages => anthropic::event(&value, &mut self.answer),
            Family::OpenAiResponses => responses::event(&value, &mut self.answer),
            Family::Gemini => gemini::read(&value, &mut self.answer),
            Family::Ollama => ollama::read(&value, &mut self.answer),
            Family::BedrockConverse | Family::BedrockInvoke => {
                bedrock::event(&value, &mut self.answer);
            }
            _ => openai::read(&value, &mut self.answer),
        }
    }

    fn document(&mut self, value: &Value) {
        match self.family {
            Family::AnthropicMessages => anthropic::document(value, &mut self.answer),
            Family::OpenAiResponses => responses::document(value, &mut self.answer),
            Family::Gemini => gemini::read(value, &mut self.answer),
            Family::Ollama => ollama::read(value, &mut self.answer),
            Family::BedrockConverse | Family::BedrockInvoke => {
                bedrock::document(value, &mut self.answer);
            }
            _ => openai::read(value, &mut self.answer),
        }
    }
}

/// An answer in the making.
#[derive(Debug, Default)]
struct Answer {
    /// By choice.
    texts: BTreeMap<u64, String>,
    reasoning: BTreeMap<u64, String>,
    /// By choice and place in it.
    calls: BTreeMap<(u64, u64), ToolCall>,
    usage: Option<Usage>,
    model: Option<String>,
    error: Option<String>,
    kept: usize,
    /// Of all texts, kept or not.
    bytes: u64,
    truncated: bool,
    unreadable: u64,
}

impl Answer {
    fn say(&mut self, choice: u64, text: &Value) {
        let text = self.fit(text);
        if !text.is_empty() && (self.texts.contains_key(&choice) || self.add()) {
            self.texts.entry(choice).or_default().push_str(text);
        }
    }

    fn think(&mut self, choice: u64, text: &Value) {
        let text = self.fit(text);
        if !text.is_empty() && (self.reasoning.contains_key(&choice) || self.add()) {
            self.reasoning.entry(choice).or_default().push_str(text);
        }
    }

    /// A call, or the next fragment of one.
    fn call(&mut self, choice: u64, place: u64, name: &Value, arguments: &Value) {
        let key = (choice, place);
        if !self.calls.contains_key(&key) && !self.add() {
            return;
        }
        let (name, arguments) = (self.fit(name), self.fit(arguments));
        let call = self.calls.entry(key).or_default();
        if call.name.is_empty() {
            call.name.push_str(name);
        }
        call.arguments.push_str(arguments);
    }

    /// A call that is there in one piece.
    fn whole_call(&mut self, choice: u64, name: &Value, arguments: &Value) {
        let after = self.calls.range((choice, 0)..=(choice, u64::MAX)).count() as u64;
        let arguments = Value::String(arguments.to_string());
        self.call(choice, after, name, &arguments);
    }

    fn answered_by(&mut self, model: &Value) {
        if self.model.is_none() && model.is_string() {
            self.model = Some(self.fit(model).to_owned());
        }
    }

    fn fail(&mut self, error: &Value) {
        let message = error.get("message").unwrap_or(error);
        if !message.is_null() && self.error.is_none() {
            let text = Value::String(
                message
                    .as_str()
                    .map_or_else(|| message.to_string(), str::to_owned),
            );
            self.error = Some(self.fit(&text).to_owned());
        }
    }

    /// Counts are totals so far: the largest is the last.
    fn count(&mut self, counted: Usage) {
        if counted.input.is_some() || counted.output.is_some() {
            let usage = self.usage.get_or_insert_default();
            usage.input = usage.input.max(counted.input);
            usage.output = usage.output.max(counted.output);
            usage.cached = usage.cached.max(counted.cached);
            usage.stored = usage.stored.max(counted.stored);
        }
    }

    /// Counts whose names are these (input, output, read from the cache, written to it), where cached input is counted apart.
    fn count_apart(&mut self, counts: &Value, [input, output, cached, stored]: [&str; 4]) {
        let count = |name: &str| counts[name].as_u64();
        let (cached, stored) = (count(cached).unwrap_or(0), count(stored).unwrap_or(0));
        let apart = stored.saturating_add(cached);
        self.count(Usage {
            input: count(input).map(|input| input.saturating_add(apart)),
            output: count(output),
            cached,
            stored,
        });
    }

    /// Room for one more entry.
    fn add(&mut self) -> bool {
        let room = self.kept + ENTRY <= MAX_KEPT;
        self.kept += if room { ENTRY } else { 0 };
        self.truncated |= !room;
        room
    }

    /// As much of a text as there is room for, up to the end of a word: what a cut leaves of a secret would no longer look like one.
    fn fit<'a>(&mut self, text: &'a Value) -> &'a str {
        let text = text.as_str().unwrap_or_default();
        self.bytes += text.len() as u64;
        let mut kept = text;
        if text.len() > MAX_KEPT - self.kept {
            kept = &text[..text.floor_char_boundary(MAX_KEPT - self.kept)];
            let words = kept.trim_end_matches(|c: char| !c.is_whitespace());
            if kept.len() - words.len() <= WORD {
                kept = words;
            }
            self.truncated = true;
            self.kept = MAX_KEPT;
        } else {
            self.kept += text.len();
        }
        kept
    }

    fn summary(self) -> Summary {
        Summary {
            text: join(self.texts),
            reasoning: join(self.reasoning),
            tool_calls: self.calls.into_values().collect(),
            usage: self.usage,
            model: self.model,
            error: self.error,
            truncated: self.truncated,
            unreadable: self.unreadable,
        }
    }
}

fn join(texts: BTreeMap<u64, String>) -> String {
    if texts.len() < 2 {
        return texts.into_values().collect();
    }
    let texts = texts.into_iter();
    let named = texts.map(|(choice, text)| format!("[choice {choice}]\n{text}"));
    named.collect::<Vec<_>>().join("\n\n")
}

impl Summary {
    /// What there is, as an object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "text": self.text });
        let calls = self.tool_calls.iter();
        let calls: Vec<_> = calls
            .map(|call| json!({ "name": call.name, "arguments": call.arguments }))
            .collect();
        if !self.reasoning.is_empty() {
            object["reasoning"] = json!(self.reasoning);
        }
        if !calls.is_empty() {
            object["tool_calls"] = json!(calls);
        }
        if let Some(usage) = self.usage {
            object["usage"] = json!({ "input": usage.input, "output": usage.output });
        }
        if let Some(model) = &self.model {
            object["model"] = json!(model);
        }
        if let Some(error) = &self.error {
            object["error"] = json!(error);
        }
        if self.truncated {
            object["truncated"] = json!(true);
        }
        if self.unreadable > 0 {
            object["unreadable"] = json!(self.unreadable);
        }
        object
    }
}

/// What is kept of all texts of an answer together.
const MAX_KEPT: usize = 1 << 20;
/// A document, or one event, that is longer is not read.
const MAX_READ: usize = 8 << 20;
/// Bytes of a token on average, in the text that has the longest.
const LONG_TOKEN: u64 = 32;
/// What an entry takes besides its text.
const ENTRY: usize = 64;
/// A longer run of characters is no word, and may be cut.
const WORD: usize = 512;

#[cfg(test)]
mod tests;
