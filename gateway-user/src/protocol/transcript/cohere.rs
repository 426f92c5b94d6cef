//! Cohere: a document, or the events of a stream; both APIs, and vectors.

use serde_json::Value;

use super::{Answer, Usage};

pub(super) fn document(value: &Value, answer: &mut Answer) {
    if value["message"].is_string() {
        // An error has nothing else.
        answer.fail(&value["message"]);
    }
    let message = &value["message"];
    for part in elements(&message["content"]) {
        answer.think(0, &part["thinking"]);
        answer.say(0, &part["text"]);
    }
    answer.think(0, &message["tool_plan"]);
    for (place, call) in (0..).zip(elements(&message["tool_calls"])) {
        let function = &call["function"];
        answer.call(0, place, &function["name"], &function["arguments"]);
    }
    older(value, answer);
    counts(value, answer);
}

pub(super) fn event(value: &Value, answer: &mut Answer) {
    let place = value["index"].as_u64().unwrap_or(0);
    let delta = &value["delta"];
    let message = &delta["message"];
    let content = &message["content"];
    answer.think(0, &content["thinking"]);
    answer.say(0, &content["text"]);
    answer.think(0, &message["tool_plan"]);
    let function = &message["tool_calls"]["function"];
    if function.is_object() {
        answer.call(0, place, &function["name"], &function["arguments"]);
    }
    answer.fail(&delta["error"]);
    counts(delta, answer);
    answer.ended |= value["type"] == "message-end";
    match value["event_type"].as_str() {
        Some("text-generation") => answer.say(0, &value["text"]),
        Some("tool-calls-generation") => older(value, answer),
        Some("stream-end") => {
            answer.fail(&value["error"]);
            counts(&value["response"], answer);
            answer.ended = true;
        }
        _ => {}
    }
}

/// The older API has its text and calls at the top.
fn older(value: &Value, answer: &mut Answer) {
    answer.say(0, &value["text"]);
    for call in elements(&value["tool_calls"]) {
        answer.whole_call(0, &call["name"], &call["parameters"]);
    }
}

/// What is billed, or else what was counted.
fn counts(value: &Value, answer: &mut Answer) {
    for counted in [&value["usage"], &value["meta"]] {
        let kinds = [&counted["billed_units"], &counted["tokens"]];
        let count = |name: &str| kinds.iter().find_map(|kind| tokens(&kind[name]));
        answer.count(Usage {
            input: count("input_tokens"),
            output: count("output_tokens"),
            cached: tokens(&counted["cached_tokens"]).unwrap_or(0),
            ..Usage::default()
        });
    }
}

/// A count that may be written with a fraction.
fn tokens(count: &Value) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    count
        .as_f64()
        .filter(|count| (0.0..=1e15).contains(count))
        .map(|count| count.ceil() as u64)
}

fn elements(array: &Value) -> &[Value] {
    array.as_array().map(Vec::as_slice).unwrap_or_default()
}
