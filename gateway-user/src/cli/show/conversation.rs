//! Who said what in a recorded LLM call: OpenAI chat completions and Anthropic messages, whole answers and streams put
//! together again. What has another shape gives `None`, and is then shown as it was recorded.

use std::collections::BTreeMap;

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

/// The answer in a response body, streamed or whole.
pub(super) fn response(body: &str) -> Option<Vec<Turn>> {
    let turns = match serde_json::from_str::<Value>(body) {
        Ok(body) => whole(&body)?,
        Err(_) => streamed(body),
    };
    (!turns.is_empty()).then_some(turns)
}

fn whole(body: &Value) -> Option<Vec<Turn>> {
    let mut turns = Vec::new();
    if let Some(choices) = body.get("choices") {
        for choice in choices.as_array()? {
            spoken(&mut turns, "assistant", choice.get("message")?);
        }
    } else {
        spoken(&mut turns, "assistant", body);
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
    for call in message
        .get("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
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

/// Puts the pieces of a server-sent event stream together. Pieces belong together when they have the same place: the choice
/// and the tool call in OpenAI's format, the block in Anthropic's.
fn streamed(body: &str) -> Vec<Turn> {
    let mut parts: BTreeMap<(u64, u64), Turn> = BTreeMap::new();
    let data = body.lines().filter_map(|line| line.strip_prefix("data:"));
    for event in data.filter_map(|data| serde_json::from_str::<Value>(data).ok()) {
        for choice in event
            .get("choices")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(delta) = choice.get("delta") {
                openai_delta(&mut parts, number(choice, "index"), delta);
            }
        }
        anthropic_event(&mut parts, &event);
    }
    let said = |turn: &Turn| !turn.text.is_empty() || turn.who.contains(" calls ");
    parts.into_values().filter(said).collect()
}

fn openai_delta(parts: &mut BTreeMap<(u64, u64), Turn>, choice: u64, delta: &Value) {
    if let Some(said) = text(delta, "content").or_else(|| text(delta, "refusal")) {
        part(parts, (choice, 0), "assistant").text.push_str(said);
    }
    for call in delta
        .get("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let function = call.get("function").unwrap_or(&Value::Null);
        let turn = part(
            parts,
            (choice, 1 + number(call, "index")),
            "assistant calls ?",
        );
        // Only the first piece has the name.
        if let Some(name) = text(function, "name") {
            turn.who = calls("assistant", Some(name));
        }
        turn.text
            .push_str(text(function, "arguments").unwrap_or_default());
    }
}

fn anthropic_event(parts: &mut BTreeMap<(u64, u64), Turn>, event: &Value) {
    let place = (number(event, "index"), 0);
    if let Some(block) = event.get("content_block") {
        let who = match text(block, "type") {
            Some("tool_use") => calls("assistant", text(block, "name")),
            Some("thinking") => "assistant thinks".to_owned(),
            _ => "assistant".to_owned(),
        };
        let begins = text(block, "text").unwrap_or_default();
        part(parts, place, &who).text.push_str(begins);
    }
    if let (Some("content_block_delta"), Some(delta)) = (text(event, "type"), event.get("delta")) {
        let piece = ["text", "partial_json", "thinking"]
            .iter()
            .find_map(|name| text(delta, name));
        part(parts, place, "assistant")
            .text
            .push_str(piece.unwrap_or_default());
    }
}

fn part<'a>(
    parts: &'a mut BTreeMap<(u64, u64), Turn>,
    place: (u64, u64),
    who: &str,
) -> &'a mut Turn {
    parts.entry(place).or_insert_with(|| Turn {
        who: who.to_owned(),
        text: String::new(),
    })
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

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}
