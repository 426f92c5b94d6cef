//! What is known from attacks on models, in the texts of a call.
//!
//! In: the body of a call, of any format. Out: names of [`KNOWN`]. Two things are looked for by rule: text that a person does not see
//! and a model reads, anywhere; and orders to the model in what tools have returned, for the user gives those. It is a filter for what is
//! common, not a proof: an order in other words, or as an image, is not found. A [`Classifier`] may judge beside the rules.
//! Sources: Unicode 16 (tags, variation selectors, bidirectional controls), "Trojan Source" (CVE-2021-42574), OWASP LLM01:2025.

mod orders;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

/// Judges texts of calls.
pub trait Classifier: Send + Sync {
    /// Whether this text, which a tool has returned or not, is an attack on the model.
    fn flags(&self, text: &str, from_tool: bool) -> bool;
}

/// Every risk there is.
pub const KNOWN: &[&str] = &[HIDDEN_TEXT, TOOL_INSTRUCTIONS, CLASSIFIER];

/// The class under which the record counts them.
pub const CLASS: &str = "risk";

/// What is found in a body; `classifiers` judge beside the rules.
#[must_use]
pub fn find(body: &[u8], classifiers: &[Arc<dyn Classifier>]) -> BTreeSet<&'static str> {
    let mut search = Search {
        classifiers,
        found: BTreeSet::new(),
    };
    match serde_json::from_slice(body) {
        Ok(value) => search.value(&value, false, NESTED),
        Err(_) => search.text(&String::from_utf8_lossy(body), false),
    }
    search.found
}

struct Search<'a> {
    classifiers: &'a [Arc<dyn Classifier>],
    found: BTreeSet<&'static str>,
}

impl Search<'_> {
    fn value(&mut self, value: &Value, from_tool: bool, nested: u8) {
        match value {
            Value::String(text) => {
                // What a tool returns is often a document itself, with escape sequences of its own.
                let document = text.trim_start().starts_with(['{', '[']) && nested > 0;
                // As it is written too: of two members with one name, this reading keeps one.
                self.text(text, from_tool);
                if let Some(Ok(inner)) = document.then(|| serde_json::from_str::<Value>(text)) {
                    self.value(&inner, from_tool, nested - 1);
                }
            }
            Value::Array(all) => {
                for one in all {
                    self.value(one, from_tool, nested);
                }
            }
            Value::Object(members) => {
                let told = |key: &str, of: &[&str]| {
                    let text = members.get(key).and_then(Value::as_str);
                    text.is_some_and(|text| of.contains(&text))
                };
                let kind = members.get("type").and_then(Value::as_str);
                let returned =
                    kind.is_some_and(|kind| RETURNED.iter().any(|end| kind.ends_with(end)));
                let from_tool =
                    from_tool || returned || told("role", ROLES) || told("type", BLOCKS);
                for (key, one) in members {
                    self.text(key, from_tool);
                    self.value(one, from_tool || MEMBERS.contains(&key.as_str()), nested);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str, from_tool: bool) {
        if hides_text(text) {
            self.found.insert(HIDDEN_TEXT);
        }
        if from_tool && orders::orders(text) {
            self.found.insert(TOOL_INSTRUCTIONS);
        }
        let mut classifiers = self.classifiers.iter();
        if classifiers.any(|classifier| classifier.flags(text, from_tool)) {
            self.found.insert(CLASSIFIER);
        }
    }
}

/// Whether a text has characters that a reader does not see, in a number or place that writing does not need.
fn hides_text(text: &str) -> bool {
    if takes_back(text) {
        return true;
    }
    if text.is_ascii() {
        return false;
    }
    let (mut selectors, mut blanks, mut spelt, mut flag) = (0, 0, 0, None);
    let mut before = ' ';
    for character in text.chars() {
        let blank = is_blank(character);
        selectors = if is_selector(character) {
            selectors + 1
        } else {
            0
        };
        blanks = if blank { blanks + 1 } else { 0 };
        // One after each letter hides a word from whoever searches for it.
        spelt = match (is_blank(before), blank) {
            (false, true) => spelt + 1,
            (true, false) => spelt,
            _ => 0,
        };
        // The flags of England, Scotland and Wales are spelt in tags.
        flag = match (character, flag) {
            (BLACK_FLAG, _) => Some(0),
            (_, Some(tags)) if is_tag(character) && tags < LONGEST_FLAG => Some(tags + 1),
            _ => None,
        };
        let hidden = is_tag(character) && flag.is_none()
            || matches!(character, LEFT_OVERRIDE | RIGHT_OVERRIDE)
            || selectors > MOST_SELECTORS
            || blanks > MOST_BLANKS
            || spelt > MOST_SPELT;
        if hidden {
            return true;
        }
        before = character;
    }
    false
}

/// Whether characters are taken back by backspaces as they are written. Manuals strike a character over itself, or over a line under it;
/// what is no text has all of these bytes.
fn takes_back(text: &str) -> bool {
    if !text.as_bytes().contains(&BACKSPACE) {
        return false;
    }
    let written = |byte: u8| byte == b' ' || byte.is_ascii_alphanumeric();
    let strikes = |part: &&[u8]| {
        matches!(**part, [before, BACKSPACE, after]
            if before != after && written(before) && written(after) && before != b'o')
    };
    let binary = |character| matches!(character, '\0'..='\x06' | '\x0e'..='\x1a' | '\u{fffd}');
    let strikes = text.as_bytes().windows(3).filter(strikes).count();
    strikes > MOST_STRIKES && !text.contains(binary)
}

fn is_tag(character: char) -> bool {
    ('\u{e0000}'..='\u{e007f}').contains(&character)
}

fn is_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Of no width: joiners, spaces, invisible operators.
fn is_blank(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{ad}')
}

/// Characters that nobody sees.
const HIDDEN_TEXT: &str = "hidden-text";
/// Orders to the model in what a tool returned.
const TOOL_INSTRUCTIONS: &str = "tool-instructions";
/// Whatever a plugged-in classifier flags.
const CLASSIFIER: &str = "classifier";

/// Whose messages tools have written: OpenAI, Ollama, Cohere, Mistral.
const ROLES: &[&str] = &["tool", "function"];
/// Items that tools have written: `tool_result`, `web_search_tool_result`, `function_call_output`.
const RETURNED: &[&str] = &["tool_result", "_output"];
const BLOCKS: &[&str] = &["search_result", "document", "mcp_call", "file_search_call"];
/// Members that tools have written: Gemini, Bedrock.
const MEMBERS: &[&str] = &["functionResponse", "function_response", "toolResult"];
/// Documents in strings of documents.
const NESTED: u8 = 4;

const BACKSPACE: u8 = 8;
/// Programs that show progress take a few back.
const MOST_STRIKES: usize = 4;
const BLACK_FLAG: char = '\u{1f3f4}';
const LEFT_OVERRIDE: char = '\u{202d}';
const RIGHT_OVERRIDE: char = '\u{202e}';
/// Five letters or digits and the end.
const LONGEST_FLAG: u32 = 6;
/// One follows a character to choose its look.
const MOST_SELECTORS: u32 = 2;
/// Indic scripts and emoji need one at a time.
const MOST_BLANKS: u32 = 5;
/// Names in code have one at each hump.
const MOST_SPELT: u32 = 6;
