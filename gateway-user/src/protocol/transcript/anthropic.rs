//! Anthropic messages: a document, or the events that build it up.

use serde_json::Value;

use super::answer::apart;
use super::{Answer, Usage};
use crate::protocol::Tier;

pub(super) fn document(value: &Value, answer: &mut Answer) {
    answer.answered_by(&value["model"]);
    answer.fail(&value["error"]);
    usage(&value["usage"], answer);
    let blocks = value["content"].as_array();
    for (place, block) in (0..).zip(blocks.into_iter().flatten()) {
        self::block(place, block, answer);
    }
}

pub(super) fn event(value: &Value, answer: &mut Answer) {
    let place = value["index"].as_u64().unwrap_or(0);
    match value["type"].as_str() {
        Some("message_start") => document(&value["message"], answer),
        Some("content_block_start") => block(place, &value["content_block"], answer),
        Some("content_block_delta") => {
            let delta = &value["delta"];
            answer.say(0, &delta["text"]);
            answer.think(0, &delta["thinking"]);
            if delta["partial_json"].is_string() {
                answer.call(0, place, &Value::Null, &delta["partial_json"]);
            }
        }
        Some("message_delta") => usage(&value["usage"], answer),
        Some("message_stop") => answer.ended = true,
        _ => answer.fail(&value["error"]),
    }
}

/// A whole block, or the beginning of one.
fn block(place: u64, block: &Value, answer: &mut Answer) {
    answer.say(0, &block["text"]);
    answer.think(0, &block["thinking"]);
    if block["type"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("tool_use"))
    {
        // In a stream the input starts as `{}` and comes in fragments.
        let input = &block["input"];
        let whole = input.as_object().is_some_and(|input| !input.is_empty());
        let input = if whole {
            input.to_string()
        } else {
            String::new()
        };
        answer.call(0, place, &block["name"], &Value::String(input));
    }
}

/// Where the model was run several times for an answer, as for a compaction, the counts may be those of the last run alone.
fn usage(usage: &Value, answer: &mut Answer) {
    let runs = usage["iterations"].as_array();
    let runs = runs.into_iter().flatten().map(counts);
    let tier = Tier::of_speed(&usage["speed"]);
    for counted in [Some(counts(usage)), runs.reduce(Usage::plus)] {
        let counted = counted.unwrap_or_default();
        answer.count(Usage { tier, ..counted });
    }
}

fn counts(usage: &Value) -> Usage {
    let names = [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ];
    let hour = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64();
    Usage {
        hour: hour.unwrap_or(0),
        ..apart(usage, names)
    }
}
