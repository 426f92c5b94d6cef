//! Ollama: requests read, answers and lines of streams written as the server writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, deltas};
use super::openai;

/// Reads a chat, or a request for a text; none if it is neither. It is a stream unless the request says otherwise.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let mut asked = body.clone();
    if let Some(prompt) = body.get("prompt") {
        asked["messages"] = json!([{"role": "user", "content": prompt}]);
    }
    let mut conversation = openai::read(&asked)?;
    conversation.stream = body["stream"] != false;
    Some(conversation)
}

/// The answer to a chat in one piece.
pub(super) fn chat(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    let message = match &answer {
        Answer::Text(text) => json!({"role": "assistant", "content": text}),
        Answer::Call { tool, arguments } => call(tool, arguments),
    };
    line(conversation, &answer, "message", message, true)
}

/// The text in one piece.
pub(super) fn generated(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    line(
        conversation,
        &answer,
        "response",
        json!(said(&answer)),
        true,
    )
}

/// The answer to a chat as lines.
pub(super) fn chat_lines(conversation: &Conversation) -> Vec<Bytes> {
    let answer = conversation.answer();
    let say = |text: &str| json!({"role": "assistant", "content": text});
    let messages: Vec<Value> = match &answer {
        Answer::Text(text) => deltas(text).iter().map(|piece| say(piece)).collect(),
        Answer::Call { tool, arguments } => vec![say("Let me see."), call(tool, arguments)],
    };
    lines(conversation, &answer, "message", messages, say(""))
}

/// The text as lines.
pub(super) fn generated_lines(conversation: &Conversation) -> Vec<Bytes> {
    let answer = conversation.answer();
    let pieces = deltas(&said(&answer))
        .iter()
        .map(|piece| json!(piece))
        .collect();
    lines(conversation, &answer, "response", pieces, json!(""))
}

/// Vectors of one text, or of several.
pub(super) fn vectors(body: &Value) -> Option<Value> {
    let texts = match &body["input"] {
        Value::String(text) => vec![text.len()],
        Value::Array(texts) => texts.iter().map(|text| text.to_string().len()).collect(),
        _ => return None,
    };
    let vectors: Vec<Value> = texts.iter().map(|length| json!([0.25, length])).collect();
    Some(
        json!({"model": body["model"].as_str()?, "embeddings": vectors, "prompt_eval_count": texts.len()}),
    )
}

/// The models that exist.
pub(super) fn models() -> Value {
    json!({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 1, "digest": "a80c"}]})
}

/// An error in the server's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({ "error": message })
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Call { .. } => String::new(),
    }
}

fn call(tool: &str, arguments: &Value) -> Value {
    let call = json!({"function": {"index": 0, "name": tool, "arguments": arguments}});
    json!({"role": "assistant", "content": "", "tool_calls": [call]})
}

fn lines(
    conversation: &Conversation,
    answer: &Answer,
    field: &str,
    pieces: Vec<Value>,
    last: Value,
) -> Vec<Bytes> {
    let pieces = pieces.into_iter().map(|piece| (piece, false));
    let all = pieces.chain([(last, true)]);
    all.map(|(piece, done)| {
        let line = line(conversation, answer, field, piece, done);
        Bytes::from(format!("{line}\n"))
    })
    .collect()
}

fn line(
    conversation: &Conversation,
    answer: &Answer,
    field: &str,
    said: Value,
    done: bool,
) -> Value {
    let mut line = json!({"model": conversation.model, "created_at": "2025-10-09T08:53:20.000Z", "done": done});
    line[field] = said;
    if done {
        line["done_reason"] = json!("stop");
        line["total_duration"] = json!(1_000_000);
        line["prompt_eval_count"] = json!(conversation.words);
        line["eval_count"] = json!(answer.words());
    }
    line
}
