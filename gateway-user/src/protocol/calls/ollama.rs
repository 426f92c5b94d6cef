//! Ollama: calls in `message.tool_calls`, whole in one line of a stream.

use serde_json::Value;

use super::{Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    for call in elements(&document["message"]["tool_calls"]) {
        calls.push(ToolCall {
            name: text(&call["function"]["name"]),
            arguments: written(&call["function"]["arguments"]),
        });
    }
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    document(event, &mut reading.whole);
    reading
}
