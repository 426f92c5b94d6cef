//! Cohere, in both versions of its API: chats whole and in streams, vectors, rankings, written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, deltas};
use super::openai;

/// Reads a chat; none if it is not one.
pub(super) fn read(body: &Value) -> Option<Conversation> {
    openai::read(body)
}

/// Reads a chat of the older version.
pub(super) fn read_older(body: &Value) -> Option<Conversation> {
    let mut asked = body.clone();
    asked["messages"] = json!([{"role": "user", "content": body["message"].as_str()?}]);
    let tools = body["tools"].as_array().into_iter().flatten();
    let tools: Vec<Value> = tools.map(newer).collect();
    asked["tools"] = json!(tools);
    openai::read(&asked)
}

/// A tool of the older version as the newer one writes it.
fn newer(tool: &Value) -> Value {
    let defined = tool["parameter_definitions"].as_object();
    let names = defined.into_iter().flat_map(serde_json::Map::keys);
    let properties: serde_json::Map<String, Value> = names
        .map(|name| (name.clone(), json!({"type": "string"})))
        .collect();
    json!({"function": {"name": tool["name"], "parameters": {"properties": properties}}})
}

/// The answer to a chat in one piece.
pub(super) fn whole(asked: &Conversation) -> Value {
    let answer = asked.answer();
    let message = match &answer {
        Answer::Text(text) => {
            json!({"role": "assistant", "content": [{"type": "text", "text": text}]})
        }
        Answer::Call { tool, arguments } => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            let call = json!({"id": CALL, "type": "function", "function": function});
            json!({"role": "assistant", "tool_plan": PLAN, "tool_calls": [call]})
        }
    };
    json!({"id": ID, "finish_reason": finished(&answer), "message": message, "usage": usage(asked, &answer)})
}

/// The answer to a chat as server-sent events.
pub(super) fn events(asked: &Conversation) -> Vec<Bytes> {
    let answer = asked.answer();
    let mut events = Events(Vec::new());
    let start = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    events.add(
        "message-start",
        json!({"id": ID, "delta": {"message": start}}),
    );
    match &answer {
        Answer::Text(text) => {
            let at =
                |content: Value| json!({"index": 0, "delta": {"message": {"content": content}}});
            events.add("content-start", at(json!({"type": "text", "text": ""})));
            for piece in deltas(text) {
                events.add("content-delta", at(json!({"text": piece})));
            }
            events.add("content-end", json!({"index": 0}));
        }
        Answer::Call { tool, arguments } => {
            for piece in deltas(PLAN) {
                let plan = json!({"delta": {"message": {"tool_plan": piece}}});
                events.add("tool-plan-delta", plan);
            }
            let at = |call: Value| json!({"index": 0, "delta": {"message": {"tool_calls": call}}});
            let function = json!({"name": tool, "arguments": ""});
            let call = json!({"id": CALL, "type": "function", "function": function});
            events.add("tool-call-start", at(call));
            for piece in deltas(&arguments.to_string()) {
                let function = json!({"function": {"arguments": piece}});
                events.add("tool-call-delta", at(function));
            }
            events.add("tool-call-end", json!({"index": 0}));
        }
    }
    let end = json!({"finish_reason": finished(&answer), "usage": usage(asked, &answer)});
    events.add("message-end", json!({"id": ID, "delta": end}));
    events.0
}

/// The answer to a chat of the older version in one piece.
pub(super) fn older(asked: &Conversation) -> Value {
    let answer = asked.answer();
    let counts = &usage(asked, &answer)["billed_units"];
    let mut whole = json!({"response_id": ID, "generation_id": ID, "text": "", "finish_reason": "COMPLETE", "meta": {"billed_units": counts}});
    match &answer {
        Answer::Text(text) => whole["text"] = json!(text),
        Answer::Call { tool, arguments } => {
            whole["tool_calls"] = json!([{"name": tool, "parameters": arguments}]);
        }
    }
    whole
}

/// The same as lines.
pub(super) fn older_lines(asked: &Conversation) -> Vec<Bytes> {
    let whole = older(asked);
    let mut lines = vec![json!({"event_type": "stream-start", "generation_id": ID})];
    for piece in deltas(whole["text"].as_str().unwrap_or_default()) {
        lines.push(json!({"event_type": "text-generation", "text": piece}));
    }
    if let Some(calls) = whole.get("tool_calls") {
        let call = &calls[0];
        let begun = json!({"name": call["name"], "index": 0});
        lines.push(json!({"event_type": "tool-calls-chunk", "tool_call_delta": begun}));
        for piece in deltas(&call["parameters"].to_string()) {
            let delta = json!({"parameters": piece, "index": 0});
            lines.push(json!({"event_type": "tool-calls-chunk", "tool_call_delta": delta}));
        }
        lines.push(json!({"event_type": "tool-calls-generation", "text": "", "tool_calls": calls}));
    }
    lines.push(json!({"event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole}));
    let last = lines.len() - 1;
    let lines = lines.into_iter().enumerate();
    let written = lines.map(|(place, mut line)| {
        line["is_finished"] = json!(place == last);
        Bytes::from(format!("{line}\n"))
    });
    written.collect()
}

/// Vectors of texts.
pub(super) fn vectors(body: &Value) -> Option<Value> {
    let texts = body["texts"].as_array()?;
    body["model"].as_str()?;
    let vectors: Vec<Value> = texts
        .iter()
        .map(|text| json!([0.25, text.to_string().len()]))
        .collect();
    Some(json!({
        "id": ID, "texts": texts, "embeddings": {"float": vectors}, "response_type": "embeddings_by_type",
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": texts.len()}},
    }))
}

/// Documents in the order of their length.
pub(super) fn ranked(body: &Value) -> Option<Value> {
    let documents = body["documents"].as_array()?;
    body["query"].as_str()?;
    let results: Vec<Value> = (0..documents.len())
        .map(|index| json!({"index": index, "relevance_score": 0.5}))
        .collect();
    Some(json!({"id": ID, "results": results, "meta": {"billed_units": {"search_units": 1}}}))
}

/// An error in the provider's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({"id": ID, "message": message})
}

struct Events(Vec<Bytes>);

impl Events {
    fn add(&mut self, kind: &str, mut data: Value) {
        data["type"] = json!(kind);
        self.0
            .push(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    }
}

fn finished(answer: &Answer) -> &'static str {
    match answer {
        Answer::Text(_) => "COMPLETE",
        Answer::Call { .. } => "TOOL_CALL",
    }
}

/// What is billed is written with a fraction; more is counted than billed.
fn usage(asked: &Conversation, answer: &Answer) -> Value {
    let (read, wrote) = (asked.words as f64, answer.words() as f64);
    json!({
        "billed_units": {"input_tokens": read, "output_tokens": wrote},
        "tokens": {"input_tokens": read + 60.0, "output_tokens": wrote + 2.0},
        "cached_tokens": 0,
    })
}

const ID: &str = "c14c80c3-18eb-4519-9460-6c92edd8cfb4";
const CALL: &str = "weather_k4s3vz1c9q8t";
const PLAN: &str = "I will look it up.";
