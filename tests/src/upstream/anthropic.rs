//! Anthropic messages: requests read, answers and streams written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, Tool, deltas, text};

/// Reads a request; none if it is not one.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let messages = body["messages"].as_array()?;
    let last = &messages.last()?["content"];
    let tools = body["tools"].as_array().into_iter().flatten();
    let tool_result = last
        .as_array()
        .into_iter()
        .flatten()
        .find(|block| block["type"] == "tool_result");
    let said =
        |message: &&Value| message["role"] == "user" && !text(&message["content"]).is_empty();
    Some(Conversation {
        model: body["model"].as_str()?.to_owned(),
        stream: body["stream"] == true,
        prompt: messages
            .iter()
            .rfind(said)
            .map(|message| text(&message["content"]))
            .unwrap_or_default(),
        tool_result: tool_result.map(|block| text(&block["content"])),
        tools: tools
            .filter_map(|tool| {
                Some(Tool {
                    name: tool["name"].as_str()?.to_owned(),
                    schema: tool["input_schema"].clone(),
                })
            })
            .collect(),
        words: messages
            .iter()
            .map(|message| text(&message["content"]).split_whitespace().count())
            .sum(),
    })
}

/// The answer in one piece.
pub(super) fn whole(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    let (block, stop) = match &answer {
        Answer::Text(text) => (json!({"type": "text", "text": text}), "end_turn"),
        Answer::Call { tool, arguments } => (
            json!({"type": "tool_use", "id": CALL, "name": tool, "input": arguments}),
            "tool_use",
        ),
    };
    message(conversation, &json!([block]), Some(stop), answer.words())
}

/// The answer as server-sent events.
pub(super) fn events(conversation: &Conversation) -> Vec<Bytes> {
    let answer = conversation.answer();
    let mut events = vec![event(
        "message_start",
        &json!({"message": message(conversation, &json!([]), None, 1)}),
    )];
    let (block, pieces, stop): (Value, Vec<Value>, &str) = match &answer {
        Answer::Text(text) => (
            json!({"type": "text", "text": ""}),
            deltas(text)
                .iter()
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect(),
            "end_turn",
        ),
        Answer::Call { tool, arguments } => (
            json!({"type": "tool_use", "id": CALL, "name": tool, "input": {}}),
            std::iter::once(String::new())
                .chain(deltas(&arguments.to_string()))
                .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                .collect(),
            "tool_use",
        ),
    };
    events.push(event(
        "content_block_start",
        &json!({"index": 0, "content_block": block}),
    ));
    events.push(event("ping", &json!({})));
    events.extend(
        pieces
            .iter()
            .map(|delta| event("content_block_delta", &json!({"index": 0, "delta": delta}))),
    );
    events.push(event("content_block_stop", &json!({"index": 0})));
    let delta = json!({"stop_reason": stop, "stop_sequence": null});
    events.push(event(
        "message_delta",
        &json!({"delta": delta, "usage": usage(conversation, answer.words())}),
    ));
    events.push(event("message_stop", &json!({})));
    events
}

/// The models that exist.
pub(super) fn models() -> Value {
    let model = json!({"type": "model", "id": "claude-haiku-4-5", "display_name": "Claude Haiku 4.5", "created_at": "2025-10-01T00:00:00Z"});
    json!({"data": [model], "has_more": false, "first_id": "claude-haiku-4-5", "last_id": "claude-haiku-4-5"})
}

/// An error in the provider's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}, "request_id": "req_0123456789"})
}

const CALL: &str = "toolu_0123456789";

fn message(
    conversation: &Conversation,
    content: &Value,
    stop: Option<&str>,
    output: usize,
) -> Value {
    json!({
        "id": "msg_0123456789", "type": "message", "role": "assistant", "model": conversation.model, "content": content,
        "stop_reason": stop, "stop_sequence": null,
        "usage": usage(conversation, output),
    })
}

fn usage(conversation: &Conversation, output: usize) -> Value {
    json!({
        "input_tokens": conversation.words, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": output, "service_tier": "standard",
    })
}

fn event(name: &str, fields: &Value) -> Bytes {
    let mut data = json!({"type": name});
    if let (Some(data), Some(fields)) = (data.as_object_mut(), fields.as_object()) {
        data.extend(fields.clone());
    }
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
