//! What a model answered: text, reasoning, tool calls, token counts, from a whole answer or a stream, for the record.
//!
//! In: the bytes of an answer, cut anywhere, and how it is framed if that is known; else it is a JSON document if its first byte that is
//! no space is `{`, or a stream of events. Out: a [`Summary`]. Never fails: what cannot be read is counted and left out, what is too long is cut and marked.
//! Sources: OpenAI chat completions, completions, responses and embeddings, Anthropic messages, Gemini, Ollama, Bedrock; answers and streams.

mod answer;
mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
pub(super) mod mistral;
mod ollama;
mod openai;
mod openrouter;
mod realtime;
mod responses;

use http::HeaderMap;
use serde_json::{Value, json};

use self::answer::Answer;
use super::frames::{Framer, Framing};
use super::llm::Family;
use super::sse::Event;
use super::tier::Tier;

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
    /// What the provider says that it charged, in nanodollars.
    pub charged: Option<u64>,
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
    /// Of those that went into it, how many stay for an hour.
    pub hour: u64,
    /// The tier of service, where the answer tells it.
    pub tier: Option<Tier>,
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

    /// Whether the stream has said, in its own terms, that the answer is over: what else comes is the end of the body.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.answer.ended
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
        let Some(data) = event.data.as_deref() else {
            return;
        };
        if data == "[DONE]" {
            self.answer.ended = true;
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            self.answer.unreadable += 1;
            return;
        };
        match self.family {
            Family::AnthropicMessages => anthropic::event(&value, &mut self.answer),
            Family::OpenAiResponses => responses::event(&value, &mut self.answer),
            Family::OpenAiRealtime => realtime::event(&value, &mut self.answer),
            Family::Gemini => gemini::read(&value, &mut self.answer),
            Family::Ollama => ollama::read(&value, &mut self.answer),
            Family::OpenRouterChat => openrouter::read(&value, &mut self.answer),
            Family::Cohere => cohere::event(&value, &mut self.answer),
            Family::MistralConversations => mistral::event(&value, &mut self.answer),
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
            Family::OpenRouterChat => openrouter::read(value, &mut self.answer),
            Family::Cohere => cohere::document(value, &mut self.answer),
            Family::MistralConversations => mistral::document(value, &mut self.answer),
            Family::BedrockConverse | Family::BedrockInvoke => {
                bedrock::document(value, &mut self.answer);
            }
            _ => openai::read(value, &mut self.answer),
        }
    }
}

impl Usage {
    /// What was written of a `total`: some count what was thought beside what was said, but in the total.
    #[must_use]
    pub fn within(self, total: Option<u64>) -> Self {
        let rest = total.zip(self.input);
        let rest = rest.map(|(total, input)| total.saturating_sub(input));
        Self {
            output: self.output.map(|output| output.max(rest.unwrap_or(0))),
            ..self
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
        };
        Self {
            input: sum(self.input, more.input),
            output: sum(self.output, more.output),
            cached: self.cached.saturating_add(more.cached),
            stored: self.stored.saturating_add(more.stored),
            hour: self.hour.saturating_add(more.hour),
            tier: self.tier.max(more.tier),
        }
    }
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

/// A document, or one event, that is longer is not read.
const MAX_READ: usize = 8 << 20;
/// Bytes of a token on average, in the text that has the longest.
const LONG_TOKEN: u64 = 32;

#[cfg(test)]
mod tests;
