//! OpenAI responses: a document, or the events that build it up. Events repeat in full what their deltas said; only deltas are read.

use serde_json::Value;

use super::{Answer, Usage};
use crate::protocol::Tier;

pub(super) fn document(value: &Value, answer: &mut Answer) {
    totals(value, answer);
    let items = value["output"].as_array();
    for (place, item) in (0..).zip(items.into_iter().flatten()) {
        for part in parts(item, "content") {
            said(item, part, answer);
        }
        for part in parts(item, "summary") {
            answer.think(0, &part["text"]);
        }
        begun(0, place, item, answer);
        ended(0, place, item, answer);
        let arguments = ["arguments", "input", "code"].map(|field| &item[field]);
        if let Some(arguments) = arguments.into_iter().find(|field| field.is_string()) {
            answer.call(0, place, &Value::Null, arguments);
        }
    }
}

pub(super) fn event(value: &Value, answer: &mut Answer) {
    let kind = value["type"].as_str().unwrap_or_default();
    match kind {
        "error" => answer.fail(value.get("error").unwrap_or(value)),
        _ if kind.ends_with(".delta") || kind.contains(".output_item.") => {
            channel(kind, 0, value, answer);
        }
        _ if value["response"].is_object() => {
            totals(&value["response"], answer);
            answer.ended |= ENDS.contains(&kind);
        }
        // An error in the envelope of another protocol.
        _ => answer.fail(&value["error"]),
    }
}

/// An event about an item, or a piece of one.
pub(super) fn channel(kind: &str, choice: u64, value: &Value, answer: &mut Answer) {
    let place = value["output_index"].as_u64().unwrap_or(0);
    match kind {
        "response.output_item.added" => begun(choice, place, &value["item"], answer),
        "response.output_item.done" => ended(choice, place, &value["item"], answer),
        _ => {
            if let Some(channel) = kind.strip_suffix(".delta") {
                delta(channel, (choice, place), &value["delta"], answer);
            }
        }
    }
}

fn delta(channel: &str, (choice, place): (u64, u64), delta: &Value, answer: &mut Answer) {
    match channel {
        "response.output_text"
        | "response.text"
        | "response.refusal"
        | "response.audio.transcript"
        | "response.audio_transcript"
        | "response.output_audio_transcript" => answer.say(choice, delta),
        channel if channel.contains("reasoning") => answer.think(choice, delta),
        channel if CALLED.iter().any(|end| channel.ends_with(end)) => {
            answer.call(choice, place, &Value::Null, delta);
        }
        _ => {}
    }
}

/// What is known of a response at any time, and in full at its end.
fn totals(response: &Value, answer: &mut Answer) {
    answer.answered_by(&response["model"]);
    answer.fail(&response["error"]);
    let usage = &response["usage"];
    let details = &usage["input_tokens_details"];
    let counted = Usage {
        input: usage["input_tokens"].as_u64(),
        output: usage["output_tokens"].as_u64(),
        cached: details["cached_tokens"].as_u64().unwrap_or(0),
        stored: details["cache_write_tokens"].as_u64().unwrap_or(0),
        hour: 0,
        tier: Tier::told(&response["service_tier"]),
    };
    answer.count(counted.within(usage["total_tokens"].as_u64()));
}

fn said(item: &Value, part: &Value, answer: &mut Answer) {
    if item["type"] == "reasoning" {
        answer.think(0, &part["text"]);
    } else {
        answer.say(0, &part["text"]);
        answer.say(0, &part["refusal"]);
    }
}

/// The name of a call stands at its beginning. A tool that the provider runs goes by the type of its call.
fn begun(choice: u64, place: u64, item: &Value, answer: &mut Answer) {
    if is_call(item) {
        let name = if item["name"].is_string() {
            &item["name"]
        } else {
            &item["type"]
        };
        answer.call(choice, place, name, &Value::Null);
    }
}

/// Calls whose arguments are no text have them at the end only.
fn ended(choice: u64, place: u64, item: &Value, answer: &mut Answer) {
    let action = ["action", "queries", "operation"].map(|field| &item[field]);
    if is_call(item)
        && let Some(action) = action.into_iter().find(|action| !action.is_null())
    {
        let action = Value::String(action.to_string());
        answer.call(choice, place, &Value::Null, &action);
    }
}

fn is_call(item: &Value) -> bool {
    item["type"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("_call"))
}

fn parts<'a>(item: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    item[field].as_array().into_iter().flatten()
}

/// How the channels of arguments end.
const CALLED: &[&str] = &["_arguments", "_input", "_code"];
/// After these nothing comes, and they have the counts.
const ENDS: &[&str] = &[
    "response.completed",
    "response.incomplete",
    "response.failed",
];
