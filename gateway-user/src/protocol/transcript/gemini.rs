//! Gemini: a document, or the elements of a stream, each of which is one with the next parts of its candidates.

use serde_json::Value;

use super::{Answer, Usage};
use crate::protocol::Tier;

pub(super) fn read(value: &Value, answer: &mut Answer) {
    // Google's assistants for code put it one level deeper.
    let value = value.get("response").unwrap_or(value);
    answer.answered_by(&value["modelVersion"]);
    answer.fail(&value["error"]);
    let blocked = &value["promptFeedback"]["blockReason"];
    if blocked.is_string() {
        answer.fail(blocked);
    }
    usage(&value["usageMetadata"], answer);
    predicted(&value["predictions"], answer);
    let candidates = value["candidates"].as_array();
    // It has no event of its own for the end: the last piece says why it is the last, and has all counts.
    let finished = |candidate: &Value| candidate["finishReason"].is_string();
    if let Some(candidates) = candidates.filter(|candidates| !candidates.is_empty()) {
        answer.ended = value["usageMetadata"].is_object() && candidates.iter().all(finished);
    }
    for (place, candidate) in (0..).zip(candidates.into_iter().flatten()) {
        let choice = candidate["index"].as_u64().unwrap_or(place);
        let parts = candidate["content"]["parts"].as_array();
        for part in parts.into_iter().flatten() {
            if part["thought"] == true {
                answer.think(choice, &part["text"]);
            } else {
                answer.say(choice, &part["text"]);
            }
            let call = &part["functionCall"];
            if call.is_object() {
                answer.whole_call(choice, &call["name"], &call["args"]);
            }
            let code = &part["executableCode"];
            if code.is_object() {
                answer.whole_call(choice, &"code_execution".into(), &code["code"]);
            }
            answer.say(choice, &part["codeExecutionResult"]["output"]);
        }
    }
}

/// Totals so far.
fn usage(usage: &Value, answer: &mut Answer) {
    let count = |name: &str| usage[name].as_u64();
    let sum = |one: Option<u64>, other: &str| {
        one.map(|one| one.saturating_add(count(other).unwrap_or(0)))
    };
    answer.count(Usage {
        input: sum(count("promptTokenCount"), "toolUsePromptTokenCount"),
        output: sum(count("candidatesTokenCount"), "thoughtsTokenCount")
            .or_else(|| count("thoughtsTokenCount")),
        cached: count("cachedContentTokenCount").unwrap_or(0),
        tier: Tier::told(&usage["serviceTier"]),
        ..Usage::default()
    });
}

/// What Vertex counts of each text that became a vector.
fn predicted(predictions: &Value, answer: &mut Answer) {
    let predictions = predictions.as_array().into_iter().flatten();
    let counts = predictions
        .filter_map(|prediction| prediction["embeddings"]["statistics"]["token_count"].as_f64());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a count that is none comes to the nearest that is"
    )]
    let input = counts
        .map(|count| count.ceil() as u64)
        .reduce(u64::saturating_add);
    answer.count(Usage {
        input,
        ..Usage::default()
    });
}
