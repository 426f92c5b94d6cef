//! Mistral's conversations: outputs of the type `function.call`, whose arguments come in events that each have the name. What the provider
//! runs itself, `tool.execution`, is over before the client hears of it.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::{Ends, Piece, Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let outputs = elements(&document["outputs"]).iter();
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
            let mut call = DefaultHasher::new();
            text(&event["tool_call_id"]).hash(&mut call);
            reading.pieces.push(Piece {
                key: (event["output_index"].as_u64().unwrap_or(0), call.finish()),
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
