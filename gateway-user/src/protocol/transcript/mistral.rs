//! Mistral's conversations: a document with outputs, or the events of a stream.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::{Answer, Usage};

pub(super) fn document(value: &Value, answer: &mut Answer) {
    if value["outputs"].is_null() {
        // An error has nothing else.
        answer.fail(&value["message"]);
        answer.fail(&value["error"]);
    }
    for (index, output) in (0..).zip(elements(&value["outputs"])) {
        said(&output["content"], answer);
        called((index, 0), output, answer);
        answer.answered_by(&output["model"]);
    }
    counts(&value["usage"], answer);
}

pub(super) fn event(value: &Value, answer: &mut Answer) {
    match value["type"].as_str() {
        Some("conversation.response.done") => {
            counts(&value["usage"], answer);
            answer.ended = true;
        }
        Some("conversation.response.error") => answer.fail(&value["message"]),
        // An error in the envelope of another protocol.
        None => answer.fail(&value["error"]),
        Some(_) => {
            said(&value["content"], answer);
            called(place(value), value, answer);
            answer.answered_by(&value["model"]);
        }
    }
}

/// Which call an event is of: an output may have several, which their ids tell apart.
pub(in crate::protocol) fn place(event: &Value) -> (u64, u64) {
    let mut call = DefaultHasher::new();
    event["tool_call_id"].as_str().hash(&mut call);
    (event["output_index"].as_u64().unwrap_or(0), call.finish())
}

/// A text, a part, or parts.
fn said(content: &Value, answer: &mut Answer) {
    answer.say(0, content);
    for part in elements(content).iter().chain([content]) {
        for thought in elements(&part["thinking"]) {
            answer.think(0, &thought["text"]);
        }
        answer.say(0, &part["text"]);
    }
}

/// A call of a function, or of a tool that the provider runs.
fn called((index, call): (u64, u64), value: &Value, answer: &mut Answer) {
    match &value["arguments"] {
        Value::Null => {}
        arguments @ Value::String(_) => answer.call(index, call, &value["name"], arguments),
        arguments => answer.whole_call(index, &value["name"], arguments),
    }
}

/// What tools of the provider's read is read by the model.
fn counts(usage: &Value, answer: &mut Answer) {
    let count = |name: &str| usage[name].as_u64();
    let tools = count("connector_tokens").unwrap_or(0);
    answer.count(Usage {
        input: count("prompt_tokens").map(|input| input.saturating_add(tools)),
        output: count("completion_tokens"),
        ..Usage::default()
    });
}

fn elements(array: &Value) -> &[Value] {
    array.as_array().map(Vec::as_slice).unwrap_or_default()
}
