//! Amazon Bedrock: Converse's `toolUse` blocks, whose input comes in fragments in a stream, and calls in the formats of Anthropic and OpenAI.
//! What looks like one in the format of another maker is not understood.

use serde_json::Value;

use super::{CallsError, Ends, Piece, Reading, chat, elements, messages, text, written};
use crate::protocol::llm::bedrock::Format;
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) -> Result<(), CallsError> {
    match Format::of_document(document) {
        Format::Converse => {
            let blocks = elements(&document["output"]["message"]["content"]).iter();
            let found = blocks.map(|block| &block["toolUse"]);
            calls.extend(found.filter(|call| is_call(call)).map(|call| ToolCall {
                name: text(&call["name"]),
                arguments: written(&call["input"]),
            }));
        }
        Format::Anthropic => messages::document(document, calls),
        Format::OpenAi => chat::document(document, calls),
        Format::Other => understood(document)?,
    }
    Ok(())
}

pub(super) fn event(event: &Value) -> Result<Reading, CallsError> {
    let format = Format::of_event(event["type"].as_str(), |name| event.get(name).is_some());
    Ok(match format {
        Format::Converse => converse(event),
        Format::Anthropic => messages::event(event),
        Format::OpenAi => chat::event(event),
        Format::Other => {
            understood(event)?;
            Reading::default()
        }
    })
}

fn converse(event: &Value) -> Reading {
    let mut reading = Reading::default();
    for (kind, payload) in event.as_object().into_iter().flatten() {
        let part = payload["contentBlockIndex"].as_u64().unwrap_or(0);
        match kind.as_str() {
            "contentBlockStart" => {
                let call = &payload["start"]["toolUse"];
                let given = !call["input"].is_null();
                reading.pieces.extend(is_call(call).then(|| Piece {
                    id: None,
                    key: (part, 0),
                    name: Some(text(&call["name"])),
                    arguments: written(&call["input"]),
                    given,
                    full: false,
                }));
            }
            "contentBlockDelta" => {
                let fragment = &payload["delta"]["toolUse"]["input"];
                if !fragment.is_null() {
                    // Of a tool that the provider runs, unless its block has begun as a call.
                    reading.pieces.push(Piece {
                        id: None,
                        key: (part, 0),
                        name: None,
                        arguments: written(fragment),
                        given: false,
                        full: false,
                    });
                }
            }
            "contentBlockStop" => reading.ends = Ends::Parts(vec![part]),
            "messageStop" | "metadata" => reading.ends = Ends::All,
            _ => {}
        }
    }
    reading
}

/// One of type `server_tool_use` is carried out by the provider.
fn is_call(call: &Value) -> bool {
    call.is_object() && call["type"] != "server_tool_use"
}

/// Fails on what looks like a call.
fn understood(value: &Value) -> Result<(), CallsError> {
    match value {
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            let empty = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(list) => list.is_empty(),
                _ => false,
            };
            if !empty && CALLS.contains(&key.as_str()) {
                return Err(CallsError::Strange);
            }
            understood(value)
        }),
        Value::Array(list) => list.iter().try_for_each(understood),
        _ => Ok(()),
    }
}

/// What makers call their calls.
const CALLS: &[&str] = &[
    "tool_calls",
    "tool_call",
    "tool_call_delta",
    "toolCalls",
    "toolUse",
    "tool_use",
    "function_call",
    "functionCall",
    "function_calls",
];
