//! OpenAI chat completions: calls in `tool_calls`, or in the older `function_call`, of a message or of the deltas of one; those that are kept
//! come in a list, `data`, too.

use serde_json::Value;

use super::stream::{AGAIN, NEXT};
use super::{Ends, Key, Piece, Reading, elements, text, written};
use crate::protocol::llm::is_finish;
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let answers = elements(&document["data"]).iter().chain([document]);
    for choice in answers.flat_map(|answer| elements(&answer["choices"])) {
        for said in [&choice["message"], &choice["delta"]] {
            for call in elements(&said["tool_calls"]) {
                calls.push(of(call));
            }
            if said["function_call"].is_object() {
                calls.push(of(said));
            }
        }
    }
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let choices = elements(&event["choices"]);
    let mut ended = Vec::new();
    for (place, choice) in (0..).zip(choices) {
        let part = choice["index"].as_u64().unwrap_or(place);
        // A message beside deltas repeats what they say.
        for (said, again) in [(&choice["delta"], 0), (&choice["message"], AGAIN)] {
            for (place, call) in (0..).zip(elements(&said["tool_calls"])) {
                let place = call["index"].as_u64().unwrap_or(place);
                reading.strange |= place >= OLDER;
                let piece = piece((part, place | again), text(&call["id"]), of(call));
                reading.pieces.push(piece);
            }
            if said["function_call"].is_object() {
                let piece = piece((part, OLDER | again), String::new(), of(said));
                reading.pieces.push(piece);
            }
        }
        if choice["finish_reason"].as_str().is_some_and(is_finish) {
            ended.push(part);
        }
    }
    reading.text = !choices.is_empty() && reading.pieces.is_empty() && ended.is_empty();
    reading.ends = Ends::Parts(ended);
    reading
}

fn piece(key: Key, id: String, call: ToolCall) -> Piece {
    Piece {
        key,
        id: Some(id),
        name: Some(call.name).filter(|name| !name.is_empty()),
        arguments: call.arguments,
        given: false,
        full: false,
    }
}

fn of(call: &Value) -> ToolCall {
    let inner = ["function", "custom", "function_call"]
        .into_iter()
        .map(|kind| &call[kind])
        .find(|inner| inner.is_object())
        .unwrap_or(call);
    let arguments = [&inner["arguments"], &inner["input"]];
    ToolCall {
        name: text(&inner["name"]),
        arguments: arguments.into_iter().map(written).collect(),
    }
}

/// The place of the one call of the older form.
const OLDER: u64 = NEXT - 1;
