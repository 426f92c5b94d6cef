//! OpenAI's realtime API: the events of a conversation, each answer in it counted by itself.

use serde_json::Value;

use super::{Answer, Usage, responses};

pub(super) fn event(value: &Value, answer: &mut Answer) {
    let response = &value["response"];
    match value["type"].as_str().unwrap_or_default() {
        "response.created" => answer.turn(&response["id"]),
        "response.done" => {
            let usage = &response["usage"];
            let count = |name: &str| usage[name].as_u64();
            answer.add_up(Usage {
                input: count("input_tokens"),
                output: count("output_tokens"),
                cached: usage["input_token_details"]["cached_tokens"]
                    .as_u64()
                    .unwrap_or(0),
                ..Usage::default()
            });
            answer.fail(&response["status_details"]["error"]);
        }
        "session.created" | "session.updated" => answer.answered_by(&value["session"]["model"]),
        "error" => answer.fail(&value["error"]),
        kind => responses::channel(kind, answer.turn_of(&value["response_id"]), value, answer),
    }
}
