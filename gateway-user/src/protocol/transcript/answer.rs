//! An answer in the making: what its pieces come to, kept within bounds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Summary, ToolCall, Usage};

/// An answer in the making.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// By choice.
    pub(super) texts: BTreeMap<u64, String>,
    pub(super) reasoning: BTreeMap<u64, String>,
    /// By choice and place in it.
    pub(super) calls: BTreeMap<(u64, u64), ToolCall>,
    /// The answers of a conversation that have begun.
    pub(super) turns: Vec<String>,
    pub(super) usage: Option<Usage>,
    /// In nanodollars.
    pub(super) charged: Option<u64>,
    pub(super) model: Option<String>,
    pub(super) error: Option<String>,
    pub(super) kept: usize,
    /// Of all texts, kept or not.
    pub(super) bytes: u64,
    pub(super) truncated: bool,
    pub(super) unreadable: u64,
    /// The stream has said, in its own terms, that nothing more of the answer comes.
    pub(super) ended: bool,
}

impl Answer {
    pub(super) fn say(&mut self, choice: u64, text: &Value) {
        let text = self.fit(text);
        if !text.is_empty() && (self.texts.contains_key(&choice) || self.add()) {
            self.texts.entry(choice).or_default().push_str(text);
        }
    }

    pub(super) fn think(&mut self, choice: u64, text: &Value) {
        let text = self.fit(text);
        if !text.is_empty() && (self.reasoning.contains_key(&choice) || self.add()) {
            self.reasoning.entry(choice).or_default().push_str(text);
        }
    }

    /// A call, or the next fragment of one.
    pub(super) fn call(&mut self, choice: u64, place: u64, name: &Value, arguments: &Value) {
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
    pub(super) fn whole_call(&mut self, choice: u64, name: &Value, arguments: &Value) {
        let after = self.calls.range((choice, 0)..=(choice, u64::MAX)).count() as u64;
        let arguments = Value::String(arguments.to_string());
        self.call(choice, after, name, &arguments);
    }

    pub(super) fn answered_by(&mut self, model: &Value) {
        if self.model.is_none() && model.is_string() {
            self.model = Some(self.fit(model).to_owned());
        }
    }

    pub(super) fn fail(&mut self, error: &Value) {
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
    pub(super) fn count(&mut self, counted: Usage) {
        if counted.input.is_some() || counted.output.is_some() {
            let usage = self.usage.get_or_insert_default();
            usage.input = usage.input.max(counted.input);
            usage.output = usage.output.max(counted.output);
            usage.cached = usage.cached.max(counted.cached);
            usage.stored = usage.stored.max(counted.stored);
            usage.hour = usage.hour.max(counted.hour);
            usage.tier = counted.tier.or(usage.tier);
        }
    }

    /// Counts of one answer of several.
    pub(super) fn add_up(&mut self, counted: Usage) {
        if counted.input.is_some() || counted.output.is_some() {
            self.usage = Some(self.usage.unwrap_or_default().plus(counted));
        }
    }

    /// Another answer of a conversation begins.
    pub(super) fn turn(&mut self, id: &Value) {
        if let Some(id) = id.as_str()
            && self.add()
        {
            self.turns.push(id.to_owned());
        }
    }

    /// The place of an answer among those that have begun; of one that nobody has heard of, that of the last.
    pub(super) fn turn_of(&self, id: &Value) -> u64 {
        let mut turns = self.turns.iter();
        let found = turns.rposition(|turn| id == turn.as_str());
        found.unwrap_or(self.turns.len().saturating_sub(1)) as u64
    }

    /// Room for one more entry.
    pub(super) fn add(&mut self) -> bool {
        let room = self.kept + ENTRY <= MAX_KEPT;
        self.kept += if room { ENTRY } else { 0 };
        self.truncated |= !room;
        room
    }

    /// As much of a text as there is room for, up to the end of a word: what a cut leaves of a secret would no longer look like one.
    pub(super) fn fit<'a>(&mut self, text: &'a Value) -> &'a str {
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

    pub(super) fn summary(self) -> Summary {
        Summary {
            text: join(self.texts),
            reasoning: join(self.reasoning),
            tool_calls: self.calls.into_values().collect(),
            usage: self.usage,
            charged: self.charged,
            model: self.model,
            error: self.error,
            truncated: self.truncated,
            unreadable: self.unreadable,
        }
    }
}

/// Counts whose names are these (input, output, read from the cache, written to it), where cached input is counted apart.
pub(super) fn apart(counts: &Value, [input, output, cached, stored]: [&str; 4]) -> Usage {
    let count = |name: &str| counts[name].as_u64();
    let (cached, stored) = (count(cached).unwrap_or(0), count(stored).unwrap_or(0));
    let apart = stored.saturating_add(cached);
    Usage {
        input: count(input).map(|input| input.saturating_add(apart)),
        output: count(output),
        cached,
        stored,
        ..Usage::default()
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

/// What is kept of all texts of an answer together.
pub(super) const MAX_KEPT: usize = 1 << 20;
/// What an entry takes besides its text.
pub(super) const ENTRY: usize = 64;
/// A longer run of characters is no word, and may be cut.
const WORD: usize = 512;
