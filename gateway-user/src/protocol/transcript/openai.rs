//! OpenAI chat completions, completions and embeddings: a chunk of a stream is a document whose choices have a `delta` in place of a `message`.

use serde_json::Value;

use super::{Answer, Usage};
use crate::protocol::Tier;

pub(super) fn read(value: &Value, answer: &mut Answer) {
    answer.answered_by(&value["model"]);
    answer.fail(&value["error"]);
    let told = &value["usage"];
    // Groq tells it at the end of a stream also where nobody asks.
    let usage = if told.is_object() {
        told
    } else {
        &value["x_groq"]["usage"]
    };
    let details = &usage["prompt_tokens_details"];
    let counted = Usage {
        input: usage["prompt_tokens"].as_u64(),
        output: usage["completion_tokens"].as_u64(),
        cached: details["cached_tokens"].as_u64().unwrap_or(0),
        stored: details["cache_write_tokens"].as_u64().unwrap_or(0),
        hour: 0,
        tier: Tier::told(&value["service_tier"]),
    };
    // xAI and Google count what was thought in the total alone.
    answer.count(counted.within(usage["total_tokens"].as_u64()));
    for (index, choice) in numbered(&value["choices"]) {
        let said = choice.get("delta").unwrap_or(&choice["message"]);
        message(index, said, answer);
        // Completions, the older API, have no messages.
        answer.say(index, &choice["text"]);
    }
}

fn message(choice: u64, said: &Value, answer: &mut Answer) {
    let content = &said["content"];
    answer.say(choice, content);
    for (_, part) in numbered(content) {
        for (_, thought) in numbered(&part["thinking"]) {
            answer.think(choice, &thought["text"]);
        }
        answer.say(choice, &part["text"]);
        answer.say(choice, &part["refusal"]);
    }
    answer.say(choice, &said["refusal"]);
    answer.say(choice, &said["audio"]["transcript"]);
    // Compatible servers call it by either name, some by both.
    let reasoning = said.get("reasoning_content").unwrap_or(&said["reasoning"]);
    answer.think(choice, reasoning);
    for (place, call) in numbered(&said["tool_calls"]) {
        let function = &call["function"];
        let custom = &call["custom"];
        if custom.is_object() {
            answer.call(choice, place, &custom["name"], &custom["input"]);
        } else {
            answer.call(choice, place, &function["name"], &function["arguments"]);
        }
    }
    let function = &said["function_call"];
    if function.is_object() {
        answer.call(choice, 0, &function["name"], &function["arguments"]);
    }
}

/// The elements of an array by their `index`, or by their place.
fn numbered(array: &Value) -> impl Iterator<Item = (u64, &Value)> {
    let elements = array.as_array().map(Vec::as_slice).unwrap_or_default();
    (0..)
        .zip(elements)
        .map(|(place, element)| (element["index"].as_u64().unwrap_or(place), element))
}
