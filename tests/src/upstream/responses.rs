//! OpenAI responses: requests read, answers and streams written as the provider writes them, and one response that is kept.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, Tool, deltas, text};

/// The response that can be asked for later.
pub(super) const ID: &str = "resp_0123456789";

/// Reads a request; none if it is not one.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    let one = [json!({"role": "user", "content": body["input"]})];
    let items = match &body["input"] {
        Value::Array(items) => items.as_slice(),
        Value::String(_) => &one,
        _ => return None,
    };
    let last = items.last()?;
    let tools = body["tools"].as_array().into_iter().flatten();
    Some(Conversation {
        model: body["model"].as_str()?.to_owned(),
        stream: body["stream"] == true,
        prompt: items
            .iter()
            .rfind(|item| item["role"] == "user")
            .map(|item| text(&item["content"]))?,
        tool_result: (last["type"] == "function_call_output").then(|| text(&last["output"])),
        tools: tools
            .filter_map(|tool| {
                Some(Tool {
                    name: tool["name"].as_str()?.to_owned(),
                    schema: tool["parameters"].clone(),
                })
            })
            .collect(),
        words: items
            .iter()
            .map(|item| text(&item["content"]).split_whitespace().count())
            .sum(),
    })
}

/// The answer in one piece.
pub(super) fn whole(asked: &Conversation) -> Value {
    let answer = asked.answer();
    let output = json!([item(&answer, Stage::Done)]);
    response(asked, "completed", &output, usage(asked, &answer))
}

/// The answer as server-sent events.
pub(super) fn events(asked: &Conversation) -> Vec<Bytes> {
    let answer = asked.answer();
    let begun = response(asked, "in_progress", &json!([]), Value::Null);
    let mut events = Events(Vec::new());
    events.add("response.created", json!({"response": begun}));
    events.add("response.in_progress", json!({"response": begun}));
    let begun = item(&answer, Stage::Begun);
    events.add(
        "response.output_item.added",
        json!({"output_index": 0, "item": begun}),
    );
    match &answer {
        Answer::Text(text) => {
            let with = |mut fields: Value| {
                fields["item_id"] = json!(MESSAGE);
                fields["output_index"] = json!(0);
                fields["content_index"] = json!(0);
                fields
            };
            events.add(
                "response.content_part.added",
                with(json!({"part": part("")})),
            );
            for piece in deltas(text) {
                let fields = json!({"delta": piece, "logprobs": [], "obfuscation": "Jx0q"});
                events.add("response.output_text.delta", with(fields));
            }
            let fields = json!({"text": text, "logprobs": []});
            events.add("response.output_text.done", with(fields));
            events.add(
                "response.content_part.done",
                with(json!({"part": part(text)})),
            );
        }
        Answer::Call { tool, arguments } => {
            let arguments = arguments.to_string();
            for piece in deltas(&arguments) {
                let fields = json!({"item_id": CALL, "output_index": 0, "delta": piece, "obfuscation": "Jx0q"});
                events.add("response.function_call_arguments.delta", fields);
            }
            let fields =
                json!({"item_id": CALL, "output_index": 0, "name": tool, "arguments": arguments});
            events.add("response.function_call_arguments.done", fields);
        }
    }
    let done = item(&answer, Stage::Done);
    events.add(
        "response.output_item.done",
        json!({"output_index": 0, "item": done}),
    );
    let completed = response(asked, "completed", &json!([done]), usage(asked, &answer));
    events.add("response.completed", json!({"response": completed}));
    events.0
}

/// The response that is kept, in this state.
pub(super) fn kept(status: &str) -> Value {
    let mut kept = whole(&Conversation {
        model: "gpt-5-mini".to_owned(),
        stream: false,
        prompt: "leak".to_owned(),
        tool_result: None,
        tools: Vec::new(),
        words: 1,
    });
    kept["status"] = json!(status);
    kept
}

/// What the response that is kept was asked.
pub(super) fn input_items() -> Value {
    let content = json!([{"type": "input_text", "text": "leak"}]);
    let item = json!({"id": "msg_1", "type": "message", "role": "user", "status": "completed", "content": content});
    json!({"object": "list", "data": [item], "first_id": "msg_1", "last_id": "msg_1", "has_more": false})
}

const MESSAGE: &str = "msg_0123456789";
const CALL: &str = "fc_0123456789";
const CREATED: u64 = 1_760_000_000;

/// How far an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Done,
}

struct Events(Vec<Bytes>);

impl Events {
    fn add(&mut self, kind: &str, fields: Value) {
        let mut data = json!({"type": kind, "sequence_number": self.0.len()});
        if let (Some(data), Value::Object(fields)) = (data.as_object_mut(), fields) {
            data.extend(fields);
        }
        self.0
            .push(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    }
}

fn item(answer: &Answer, stage: Stage) -> Value {
    let done = stage == Stage::Done;
    let status = if done { "completed" } else { "in_progress" };
    match answer {
        Answer::Text(text) => {
            let content = if done { vec![part(text)] } else { Vec::new() };
            json!({"id": MESSAGE, "type": "message", "status": status, "role": "assistant", "content": content})
        }
        Answer::Call { tool, arguments } => {
            let arguments = if done {
                arguments.to_string()
            } else {
                String::new()
            };
            json!({
                "id": CALL, "type": "function_call", "status": status, "call_id": "call_0123456789", "name": tool, "arguments": arguments,
            })
        }
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn response(asked: &Conversation, status: &str, output: &Value, usage: Value) -> Value {
    json!({
        "id": ID, "object": "response", "created_at": CREATED, "status": status, "background": false, "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": null, "model": asked.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": true,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": usage, "user": null, "metadata": {},
    })
}

fn usage(asked: &Conversation, answer: &Answer) -> Value {
    json!({
        "input_tokens": asked.words, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": answer.words(),
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": asked.words + answer.words(),
    })
}
