//! Mistral's conversations: outputs of the type `function.call`, whose arguments come in events that each have the name, and the same among
//! what is kept of one, its `entries` and `messages`. What the provider runs itself, `tool.execution`, is over before the client hears of it.

use serde_json::Value;

use super::{Ends, Piece, Reading, elements, text, written};
use crate::protocol::transcript::{ToolCall, mistral::place};

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let lists = ["outputs", "entries", "messages"].iter();
    let outputs = lists.flat_map(|list| elements(&document[list]));
    let called = outputs.filter(|output| output["type"] == "function.call");
    calls.extend(called.map(|output| ToolCall {
        name: text(&output["name"]),
        arguments: written(&output["arguments"]),
    }));
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    match event["type"].as_str().unwrap_or_default() {
        "function.call.delta" => {
            reading.pieces.push(Piece {
                id: None,
                key: place(event),
                name: event["name"].as_str().map(str::to_owned),
                arguments: written(&event["arguments"]),
                given: false,
                full: false,
            });
        }
        "conversation.response.done" | "conversation.response.error" => reading.ends = Ends::All,
        _ => {}
    }
    reading
}
