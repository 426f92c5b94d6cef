//! Cohere: calls in `message.tool_calls` with their arguments in a string, which a stream begins, goes on with and ends; in the older API in
//! `tool_calls` with `parameters`, which a stream repeats in full.

use serde_json::Value;

use super::{Ends, Piece, Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let both = [&document["message"], document];
    for call in both.iter().flat_map(|said| elements(&said["tool_calls"])) {
        calls.push(of(call));
    }
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let part = event["index"].as_u64().unwrap_or(0);
    let call = &event["delta"]["message"]["tool_calls"];
    let kind = event["type"].as_str().or(event["event_type"].as_str());
    match kind.unwrap_or_default() {
        "tool-call-start" => {
            let call = of(call);
            reading.pieces.push(Piece {
                id: None,
                key: (part, 0),
                name: Some(call.name),
                arguments: call.arguments,
                given: false,
                full: false,
            });
        }
        "tool-call-end" => reading.ends = Ends::Parts(vec![part]),
        "message-end" => reading.ends = Ends::All,
        "tool-calls-chunk" => {
            let call = &event["tool_call_delta"];
            if call.is_object() {
                reading.pieces.push(Piece {
                    id: None,
                    key: (call["index"].as_u64().unwrap_or(0), 0),
                    name: call["name"].as_str().map(str::to_owned),
                    arguments: written(&call["parameters"]),
                    // It is told in full, with its name, before anything goes on.
                    given: true,
                    full: false,
                });
            }
        }
        "tool-calls-generation" => {
            let mut calls = Vec::new();
            document(event, &mut calls);
            reading.items = (0..).zip(calls).collect();
        }
        "stream-end" => {
            document(&event["response"], &mut reading.retold);
            reading.ends = Ends::All;
        }
        _ if call.is_object() => reading.pieces.push(Piece {
            id: None,
            key: (part, 0),
            name: None,
            arguments: of(call).arguments,
            given: false,
            full: false,
        }),
        _ => {}
    }
    reading
}

fn of(call: &Value) -> ToolCall {
    let inner = [&call["function"], call]
        .into_iter()
        .find(|inner| inner.is_object())
        .unwrap_or(call);
    let arguments = [&inner["arguments"], &inner["parameters"]];
    ToolCall {
        name: text(&inner["name"]),
        arguments: arguments.into_iter().map(written).collect(),
    }
}
