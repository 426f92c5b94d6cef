//! Anthropic messages: a block of type `tool_use` is a call; in a stream its input comes in fragments.

use serde_json::Value;

use super::{Ends, Piece, Reading, elements, text, written};
use crate::protocol::transcript::ToolCall;

pub(super) fn document(document: &Value, calls: &mut Vec<ToolCall>) {
    let blocks = elements(&document["content"]).iter();
    calls.extend(blocks.filter(|block| is_call(block)).map(of));
}

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let part = event["index"].as_u64().unwrap_or(0);
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => document(&event["message"], &mut reading.whole),
        "content_block_start" => {
            let block = &event["content_block"];
            if is_call(block) {
                let empty = block["input"]
                    .as_object()
                    .is_none_or(|input| input.is_empty());
                if !empty {
                    reading.whole.push(of(block));
                }
                reading.pieces.push(Piece {
                    id: None,
                    key: (part, 0),
                    name: Some(text(&block["name"])),
                    arguments: String::new(),
                    given: !empty,
                    full: false,
                });
            }
        }
        "content_block_delta" => {
            let fragment = &event["delta"]["partial_json"];
            if fragment.is_string() {
                // Of a tool that the provider runs, unless its block has begun as a call.
                reading.pieces.push(Piece {
                    id: None,
                    key: (part, 0),
                    name: None,
                    arguments: text(fragment),
                    given: false,
                    full: false,
                });
            }
        }
        "content_block_stop" => reading.ends = Ends::Parts(vec![part]),
        "message_delta" | "message_stop" | "error" => reading.ends = Ends::All,
        _ => {}
    }
    reading
}

fn of(block: &Value) -> ToolCall {
    ToolCall {
        name: text(&block["name"]),
        arguments: written(&block["input"]),
    }
}

/// `server_tool_use` and `mcp_tool_use` are carried out by the provider.
fn is_call(block: &Value) -> bool {
    let kind = block["type"].as_str().unwrap_or_default();
    kind.ends_with("tool_use") && !HOSTED.contains(&kind)
}

const HOSTED: &[&str] = &["server_tool_use", "mcp_tool_use"];
