//! Who said what in a recorded LLM call: requests in the OpenAI and Anthropic formats, and answers as the record keeps them, put
//! together already. What has another shape gives `None`, and is then shown as it was recorded.

use serde_json::Value;

/// One thing said by one side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// `system`, `user`, `assistant`, `assistant calls weather`, ...
    pub(super) who: String,
    pub(super) text: String,
}

/// The messages of a request body.
pub(super) fn request(body: &str) -> Option<Vec<Turn>> {
    let body: Value = serde_json::from_str(body).ok()?;
    let mut turns = Vec::new();
    if let Some(system) = body.get("system") {
        content(&mut turns, "system", system);
    }
    for message in body.get("messages")?.as_array()? {
        let who = text(message, "role").unwrap_or("message");
        spoken(&mut turns, who, message);
    }
    Some(turns)
}

/// The answer, as the transcript of a model call has it.
pub(super) fn response(body: &str) -> Option<Vec<Turn>> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let said = text(&answer, "text")?;
    let mut turns = Vec::new();
    if let Some(thought) = text(&answer, "reasoning") {
        push(&mut turns, "assistant thinks", thought);
    }
    if !said.is_empty() {
        push(&mut turns, "assistant", said);
    }
    for call in array(&answer, "tool_calls") {
        if let Some(written) = text(call, "written") {
            push(&mut turns, "before policy edited it", written);
        }
        let arguments = text(call, "arguments").unwrap_or_default();
        push(
            &mut turns,
            &calls("assistant", text(call, "name")),
            arguments,
        );
    }
    if let Some(error) = text(&answer, "error") {
        push(&mut turns, "provider's error", error);
    }
    Some(turns)
}

/// A message in either format: its content, then the tools it calls.
fn spoken(turns: &mut Vec<Turn>, who: &str, message: &Value) {
    if let Some(said) = message.get("content") {
        content(turns, who, said);
    }
    if let Some(refusal) = text(message, "refusal") {
        push(turns, &format!("{who} refuses"), refusal);
    }
    for call in array(message, "tool_calls") {
        let function = call.get("function").unwrap_or(&Value::Null);
        let arguments = text(function, "arguments").unwrap_or_default();
        push(turns, &calls(who, text(function, "name")), arguments);
    }
}

/// Text, or a list of blocks.
fn content(turns: &mut Vec<Turn>, who: &str, content: &Value) {
    match content {
        Value::String(said) => push(turns, who, said),
        Value::Array(blocks) => blocks.iter().for_each(|b| block(turns, who, b)),
        _ => {}
    }
}

fn block(turns: &mut Vec<Turn>, who: &str, block: &Value) {
    match text(block, "type") {
        Some("text") => push(turns, who, text(block, "text").unwrap_or_default()),
        Some("thinking") => {
            let thought = text(block, "thinking").unwrap_or_default();
            push(turns, &format!("{who} thinks"), thought);
        }
        Some("tool_use") => {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            push(turns, &calls(who, text(block, "name")), &input);
        }
        Some("tool_result") => {
            if let Some(result) = block.get("content") {
                content(turns, "tool", result);
            }
        }
        other => push(
            turns,
            who,
            &format!("[{}]", other.unwrap_or("unknown block")),
        ),
    }
}

fn push(turns: &mut Vec<Turn>, who: &str, text: &str) {
    turns.push(Turn {
        who: who.to_owned(),
        text: text.to_owned(),
    });
}

fn calls(who: &str, tool: Option<&str>) -> String {
    format!("{who} calls {}", tool.unwrap_or("?"))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn array<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
