//! OpenAI completions, the older API: requests read, answers and streams written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, deltas};

/// Reads a request; none if it is not one.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let prompt = match &body["prompt"] {
        Value::Array(prompts) => prompts.first()?.as_str()?,
        prompt => prompt.as_str()?,
    };
    Some(Conversation {
        model: body["model"].as_str()?.to_owned(),
        stream: body["stream"] == true,
        prompt: prompt.to_owned(),
        tool_result: None,
        tools: Vec::new(),
        words: prompt.split_whitespace().count(),
    })
}

/// The answer in one piece.
pub(super) fn whole(asked: &Conversation) -> Value {
    let said = said(asked);
    let mut whole = chunk(asked, &said, Some("stop"));
    whole["usage"] = usage(asked, &said);
    whole
}

/// The answer as server-sent events; `usage` is asked for by `stream_options.include_usage`.
pub(super) fn events(asked: &Conversation, with_usage: bool) -> Vec<Bytes> {
    let said = said(asked);
    let mut chunks: Vec<Value> = deltas(&said)
        .iter()
        .map(|piece| chunk(asked, piece, None))
        .collect();
    chunks.push(chunk(asked, "", Some("stop")));
    if with_usage {
        let mut last = chunk(asked, "", None);
        last["choices"] = json!([]);
        last["usage"] = usage(asked, &said);
        chunks.push(last);
    }
    let events = chunks
        .iter()
        .map(|chunk| Bytes::from(format!("data: {chunk}\n\n")));
    events
        .chain([Bytes::from_static(b"data: [DONE]\n\n")])
        .collect()
}

fn said(asked: &Conversation) -> String {
    match asked.answer() {
        Answer::Text(text) => text,
        Answer::Call { .. } => String::new(),
    }
}

fn chunk(asked: &Conversation, text: &str, finish: Option<&str>) -> Value {
    json!({
        "id": "cmpl-0123456789", "object": "text_completion", "created": 1_760_000_000, "model": asked.model,
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish}],
    })
}

fn usage(asked: &Conversation, said: &str) -> Value {
    let made = said.split_whitespace().count();
    json!({"prompt_tokens": asked.words, "completion_tokens": made, "total_tokens": asked.words + made})
}
