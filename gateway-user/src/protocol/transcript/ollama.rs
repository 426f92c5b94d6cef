//! Ollama: a document, or the lines of a stream, each of which is one with the next piece.

use serde_json::Value;

use super::{Answer, Usage};

pub(super) fn read(value: &Value, answer: &mut Answer) {
    answer.answered_by(&value["model"]);
    answer.fail(&value["error"]);
    answer.say(0, &value["response"]);
    answer.think(0, &value["thinking"]);
    let message = &value["message"];
    answer.say(0, &message["content"]);
    answer.think(0, &message["thinking"]);
    let calls = message["tool_calls"].as_array();
    for call in calls.into_iter().flatten() {
        let function = &call["function"];
        answer.whole_call(0, &function["name"], &function["arguments"]);
    }
    answer.ended |= value["done"] == true;
    answer.count(Usage {
        input: value["prompt_eval_count"].as_u64(),
        output: value["eval_count"].as_u64(),
        ..Usage::default()
    });
}
