//! Mistral's conversations, its completions of code, and its agents, written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, LEAKED_CARD, deltas, text};
use super::openai;

/// Reads what starts a conversation or goes on with one; none if it is neither.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let entries = match &body["inputs"] {
        Value::String(said) => {
            vec![json!({"type": "message.input", "role": "user", "content": said})]
        }
        Value::Array(entries) => entries.clone(),
        _ => return None,
    };
    let last = entries.last()?;
    Some(Conversation {
        model: body["model"].as_str().unwrap_or(MODEL).to_owned(),
        stream: body["stream"] == true,
        prompt: entries
            .iter()
            .rfind(|entry| entry["role"] == "user")
            .map(|entry| text(&entry["content"]))
            .unwrap_or_default(),
        tool_result: (last["type"] == "function.result").then(|| text(&last["result"])),
        tools: openai::functions(body),
        words: entries
            .iter()
            .map(|entry| text(&entry["content"]).split_whitespace().count() + 1)
            .sum(),
    })
}

/// Reads code to be completed.
pub(super) fn code(body: &Value) -> Option<Conversation> {
    let mut asked = body.clone();
    asked["messages"] = json!([{"role": "user", "content": body["prompt"].as_str()?}]);
    openai::read(&asked)
}

/// Reads what an agent is asked.
pub(super) fn agents(body: &Value) -> Option<Conversation> {
    let mut asked = body.clone();
    body["agent_id"].as_str()?;
    asked["model"] = json!(MODEL);
    openai::read(&asked)
}

/// The answer in one piece.
pub(super) fn whole(asked: &Conversation) -> Value {
    let answer = asked.answer();
    let output = match &answer {
        Answer::Text(text) => message("message.output", "assistant", text),
        Answer::Call { tool, arguments } => json!({
            "object": "entry", "type": "function.call", "created_at": AT, "completed_at": AT, "id": "fc_0123456789",
            "tool_call_id": CALL, "name": tool, "arguments": arguments.to_string(), "model": asked.model,
        }),
    };
    json!({"object": "conversation.response", "conversation_id": ID, "outputs": [output], "usage": usage(asked, &answer)})
}

/// The answer as server-sent events.
pub(super) fn events(asked: &Conversation) -> Vec<Bytes> {
    let answer = asked.answer();
    let mut events = Vec::new();
    let mut add = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        data["created_at"] = json!(AT);
        events.push(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    };
    add(
        "conversation.response.started",
        json!({"conversation_id": ID}),
    );
    match &answer {
        Answer::Text(text) => {
            for piece in deltas(text) {
                let said = json!({"id": "msg_0123456789", "role": "assistant", "model": asked.model, "output_index": 0, "content_index": 0, "content": piece});
                add("message.output.delta", said);
            }
        }
        Answer::Call { tool, arguments } => {
            for piece in deltas(&arguments.to_string()) {
                let call = json!({"id": "fc_0123456789", "tool_call_id": CALL, "name": tool, "model": asked.model, "output_index": 0, "arguments": piece});
                add("function.call.delta", call);
            }
        }
    }
    let counted = json!({"usage": usage(asked, &answer)});
    add("conversation.response.done", counted);
    events
}

/// What is kept of a conversation.
pub(super) fn history() -> Value {
    let said = format!("The card on file is {LEAKED_CARD}.");
    let entries = [
        message("message.input", "user", "which card?"),
        message("message.output", "assistant", &said),
    ];
    json!({"object": "conversation.history", "conversation_id": ID, "entries": entries})
}

/// The conversation that is kept.
pub(super) const ID: &str = "conv_0123456789";

/// What agents and kept conversations use.
/// What it answers to a member that it does not know.
pub(super) fn unknown(member: &str) -> Value {
    json!({"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", member], "msg": "Extra inputs are not permitted"}]}, "type": "invalid_request_error"})
}

const MODEL: &str = "mistral-medium-latest";
const CALL: &str = "a1B2c3D4e";
const AT: &str = "2026-01-02T03:04:05Z";

fn message(kind: &str, role: &str, text: &str) -> Value {
    json!({"object": "entry", "type": kind, "created_at": AT, "completed_at": AT, "id": "msg_0123456789", "role": role, "content": text})
}

fn usage(asked: &Conversation, answer: &Answer) -> Value {
    let (read, wrote) = (asked.words, answer.words());
    json!({"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote, "connector_tokens": null})
}
