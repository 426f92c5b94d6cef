//! OpenAI responses: items whose type ends in `_call` are calls, but for those of tools that the provider runs. What deltas said is
//! repeated by the end of the item and by the end of the response.

use serde_json::Value;

use super::{Ends, Piece, Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let items = elements(&document["output"]).iter();
    calls.extend(items.filter(|item| is_call(item)).map(of));
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let part = event["output_index"].as_u64().unwrap_or(0);
    let kind = event["type"].as_str().unwrap_or_default();
    let piece = |place, name, arguments| Piece {
        id: None,
        key: (part, place),
        name,
        arguments,
        given: false,
        full: false,
    };
    match kind {
        "response.output_item.added" if is_call(&event["item"]) => {
            let item = &event["item"];
            let field = PIECEWISE.into_iter().find(|field| item[field].is_string());
            let given = &item[field.unwrap_or("")];
            let call = of(item);
            // It comes in one piece: nothing more may be said of it.
            if field.is_none() && !call.arguments.is_empty() {
                reading.items.push((part, call));
            }
            reading.pieces.push(Piece {
                id: None,
                given: given.as_str().is_none_or(|given| !given.is_empty()),
                ..piece(DELTAS, Some(of(item).name), written(given))
            });
        }
        "response.output_item.done" => {
            if is_call(&event["item"]) {
                reading.items.push((part, of(&event["item"])));
            }
            reading.ends = Ends::Parts(vec![part]);
        }
        "error" => reading.ends = Ends::All,
        _ => {
            let (channel, stage) = kind.rsplit_once('.').unwrap_or((kind, ""));
            let arguments = CHANNELS.contains(&channel);
            match stage {
                "delta" if arguments => {
                    reading
                        .pieces
                        .push(piece(DELTAS, None, text(&event["delta"])));
                }
                "done" if arguments => {
                    let full = PIECEWISE
                        .into_iter()
                        .map(|field| &event[field])
                        .map(written);
                    reading.pieces.push(Piece {
                        id: None,
                        full: true,
                        ..piece(REPEATED, None, full.collect())
                    });
                }
                _ if event["response"].is_object() => {
                    document(&event["response"], &mut reading.retold);
                    if ["completed", "incomplete", "failed", "cancelled"].contains(&stage) {
                        reading.ends = Ends::All;
                    }
                }
                _ => {}
            }
        }
    }
    reading
}

/// A call of a function has a name; one of a tool that OpenAI has defined goes by its type.
pub(super) fn of(item: &Value) -> ToolCall {
    let kind = item["type"].as_str().unwrap_or_default();
    let name = match item["name"].as_str() {
        Some(name) => name,
        None => kind.strip_suffix("_call").unwrap_or(kind),
    };
    let arguments = ARGUMENTS.iter().map(|field| &item[field]);
    let arguments = arguments.into_iter().filter(|given| !given.is_null());
    ToolCall {
        name: name.to_owned(),
        arguments: arguments.map(written).collect::<Vec<_>>().join("\n"),
    }
}

pub(super) fn is_call(item: &Value) -> bool {
    let kind = item["type"].as_str().unwrap_or_default();
    kind.ends_with("_call") && !HOSTED.contains(&kind)
}

/// What comes in pieces, and what repeats it, until the item is whole.
const DELTAS: u64 = 0;
const REPEATED: u64 = 1;
/// The fields of an item that have arguments.
const ARGUMENTS: &[&str] = &["arguments", "input", "action", "actions", "operation"];
/// Those of them that come in pieces.
const PIECEWISE: [&str; 2] = ["arguments", "input"];
/// Where the pieces come.
const CHANNELS: &[&str] = &[
    "response.function_call_arguments",
    "response.custom_tool_call_input",
];
/// Carried out by the provider before the client hears of them.
const HOSTED: &[&str] = &[
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "tool_search_call",
    "web_search_call",
];
