//! The "model": what it answers is a function of the prompt, so that runs can be compared.
//!
//! - Tools are offered and the last message is no tool's result: it calls the first tool, with the prompt's last word in every text.
//! - The last message is a tool's result: it says what the tool said.
//! - The prompt contains `leak`: it names a card number and an e-mail address, so that masking of answers can be seen.
//! - Otherwise: it repeats the prompt.
//! - The prompt contains `twice`: one event of a stream has a key twice, which clients read and the gateway does not.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A card number (a test number of the card schemes) that a `leak` answer contains.
pub const LEAKED_CARD: &str = "4111 1111 1111 1111";

/// An e-mail address that a `leak` answer contains.
pub const LEAKED_EMAIL: &str = "ada.lovelace@example.com";

/// A conversation, as far as the answer depends on it.
pub(super) struct Conversation {
    pub(super) model: String,
    pub(super) stream: bool,
    /// The text of the last message of the user.
    pub(super) prompt: String,
    /// What the tool said, if that is the last message.
    pub(super) tool_result: Option<String>,
    pub(super) tools: Vec<Tool>,
    /// All words sent: the tokens of this model.
    pub(super) words: usize,
}

pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

pub(super) enum Answer {
    Text(String),
    Call { tool: String, arguments: Value },
}

impl Conversation {
    pub(super) fn answer(&self) -> Answer {
        if let Some(result) = &self.tool_result {
            return Answer::Text(format!("The tool said: {result}"));
        }
        if let Some(tool) = self.tools.first() {
            return Answer::Call {
                tool: tool.name.clone(),
                arguments: arguments(&tool.schema, last_word(&self.prompt)),
            };
        }
        if self.prompt.contains("leak") {
            return Answer::Text(format!(
                "The card on file is {LEAKED_CARD}, the contact is {LEAKED_EMAIL}. Anything else?"
            ));
        }
        Answer::Text(format!("You said: {}", self.prompt))
    }
}

impl Answer {
    /// The tokens of the answer.
    pub(super) fn words(&self) -> usize {
        match self {
            Self::Text(text) => text.split_whitespace().count(),
            Self::Call { .. } => 1,
        }
    }
}

/// The text of a message's content: a string, or the text parts of a list.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join(" "),
        _ => String::new(),
    }
}

/// A text in pieces of a few characters, as models stream it: a word to mask never lies in one piece.
pub(super) fn deltas(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(PIECE)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// The same events, but for one in the middle that has a key twice.
pub(super) fn doubled(mut events: Vec<Bytes>) -> Vec<Bytes> {
    let middle = events.len() / 2;
    if let Some(event) = events.get_mut(middle) {
        let text = String::from_utf8_lossy(event);
        *event = Bytes::from(text.replacen('{', "{\"twice\":1,\"twice\":2,", 1));
    }
    events
}

/// Characters of one streamed piece.
const PIECE: usize = 3;

fn arguments(schema: &Value, word: &str) -> Value {
    let mut arguments = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let value = match property["type"].as_str() {
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            _ => json!(word),
        };
        arguments.insert(name.clone(), value);
    }
    Value::Object(arguments)
}

fn last_word(prompt: &str) -> &str {
    prompt
        .split_whitespace()
        .last()
        .unwrap_or_default()
        .trim_matches(|character: char| !character.is_alphanumeric())
}
