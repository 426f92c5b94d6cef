//! OpenAI chat completions: requests read, answers and streams written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, Tool, deltas, text};

/// Reads a request; none if it is not one.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let messages = body["messages"].as_array()?;
    let last = messages.last()?;
    Some(Conversation {
        model: body["model"].as_str()?.to_owned(),
        stream: body["stream"] == true,
        prompt: messages
            .iter()
            .rfind(|message| message["role"] == "user")
            .map(|message| text(&message["content"]))?,
        tool_result: (last["role"] == "tool").then(|| text(&last["content"])),
        tools: functions(body),
        words: messages
            .iter()
            .map(|message| text(&message["content"]).split_whitespace().count())
            .sum(),
    })
}

/// The tools that a request offers.
pub(super) fn functions(body: &Value) -> Vec<Tool> {
    let tools = body["tools"].as_array().into_iter().flatten();
    tools
        .filter_map(|tool| {
            let function = &tool["function"];
            Some(Tool {
                name: function["name"].as_str()?.to_owned(),
                schema: function["parameters"].clone(),
            })
        })
        .collect()
}

/// The answer in one piece.
pub(super) fn whole(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    let (message, finish) = match &answer {
        Answer::Text(text) => (
            json!({"role": "assistant", "content": text, "refusal": null, "annotations": []}),
            "stop",
        ),
        Answer::Call { tool, arguments } => {
            let call = json!({"id": CALL, "type": "function", "function": {"name": tool, "arguments": arguments.to_string()}});
            (
                json!({"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [call]}),
                "tool_calls",
            )
        }
    };
    json!({
        "id": ID, "object": "chat.completion", "created": CREATED, "model": conversation.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "usage": usage(conversation, &answer), "service_tier": "default", "system_fingerprint": null,
    })
}

/// The answer as server-sent events; `usage` is asked for by `stream_options.include_usage`.
pub(super) fn events(conversation: &Conversation, with_usage: bool) -> Vec<Bytes> {
    let answer = conversation.answer();
    let mut chunks = vec![json!([choice(
        &json!({"role": "assistant", "content": "", "refusal": null}),
        None
    )])];
    let finish = match &answer {
        Answer::Text(text) => {
            chunks.extend(
                deltas(text)
                    .iter()
                    .map(|piece| json!([choice(&json!({"content": piece}), None)])),
            );
            "stop"
        }
        Answer::Call { tool, arguments } => {
            let open = json!({"index": 0, "id": CALL, "type": "function", "function": {"name": tool, "arguments": ""}});
            chunks.push(json!([choice(&json!({"tool_calls": [open]}), None)]));
            chunks.extend(deltas(&arguments.to_string()).iter().map(|piece| {
                json!([choice(
                    &json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
                    None
                )])
            }));
            "tool_calls"
        }
    };
    chunks.push(json!([choice(&json!({}), Some(finish))]));
    let mut events: Vec<Bytes> = chunks
        .into_iter()
        .map(|choices| event(conversation, choices, Value::Null))
        .collect();
    if with_usage {
        events.push(event(conversation, json!([]), usage(conversation, &answer)));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

/// The models that exist.
pub(super) fn models() -> Value {
    let model =
        |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "system"});
    json!({"object": "list", "data": [model("gpt-5-mini"), model("gpt-5")]})
}

/// An error in the provider's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

const ID: &str = "chatcmpl-0123456789";
const CALL: &str = "call_0123456789";
const CREATED: u64 = 1_760_000_000;

fn choice(delta: &Value, finish: Option<&str>) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish})
}

fn event(conversation: &Conversation, choices: Value, usage: Value) -> Bytes {
    let chunk = json!({
        "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": conversation.model,
        "service_tier": "default", "system_fingerprint": null, "choices": choices, "usage": usage,
    });
    Bytes::from(format!("data: {chunk}\n\n"))
}

fn usage(conversation: &Conversation, answer: &Answer) -> Value {
    json!({
        "prompt_tokens": conversation.words, "completion_tokens": answer.words(),
        "total_tokens": conversation.words + answer.words(),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}
