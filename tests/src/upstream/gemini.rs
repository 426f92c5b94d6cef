//! Gemini: requests read, answers and streams written as the provider writes them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, Tool, deltas, text};

/// Reads a request; none if it is not one. The path says the model, and whether the answer is a stream.
pub(super) fn read(body: &Value, model: &str, stream: bool) -> Option<Conversation> {
    let contents = body["contents"].as_array()?;
    let last = contents.last()?;
    let result = parts(last).find(|part| part["functionResponse"].is_object());
    let said = |content: &&Value| content["role"] != "model" && !text(&content["parts"]).is_empty();
    let tools = body["tools"].as_array().into_iter().flatten();
    let declared = tools.flat_map(|tool| tool["functionDeclarations"].as_array().cloned());
    Some(Conversation {
        model: model.to_owned(),
        stream,
        prompt: contents
            .iter()
            .rfind(said)
            .map(|content| text(&content["parts"]))
            .unwrap_or_default(),
        tool_result: result.map(|part| {
            let response = &part["functionResponse"]["response"];
            let fields = response.as_object().into_iter().flatten();
            let texts = fields.filter_map(|(_, value)| value.as_str());
            texts.collect::<Vec<_>>().join(" ")
        }),
        tools: declared
            .flatten()
            .filter_map(|function| {
                Some(Tool {
                    name: function["name"].as_str()?.to_owned(),
                    schema: schema(&function),
                })
            })
            .collect(),
        words: contents
            .iter()
            .map(|content| text(&content["parts"]).split_whitespace().count())
            .sum(),
    })
}

/// The answer in one piece.
pub(super) fn whole(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    let part = match &answer {
        Answer::Text(text) => json!({"text": text}),
        Answer::Call { tool, arguments } => call(tool, arguments),
    };
    element(conversation, &answer, &part, true)
}

/// The elements of a stream.
pub(super) fn elements(conversation: &Conversation) -> Vec<Value> {
    let answer = conversation.answer();
    let parts: Vec<Value> = match &answer {
        Answer::Text(text) => deltas(text)
            .iter()
            .map(|piece| json!({"text": piece}))
            .collect(),
        Answer::Call { tool, arguments } => vec![
            json!({"text": "Let me see."}),
            call(tool, arguments),
            json!({"text": ""}),
        ],
    };
    let last = parts.len().saturating_sub(1);
    let parts = parts.iter().enumerate();
    parts
        .map(|(nth, part)| element(conversation, &answer, part, nth == last))
        .collect()
}

/// Elements as the provider writes them where `alt=sse` asks for events.
pub(super) fn events(elements: &[Value]) -> Vec<Bytes> {
    let events = elements.iter();
    events
        .map(|element| Bytes::from(format!("data: {element}\r\n\r\n")))
        .collect()
}

/// Elements as the provider writes them otherwise: one array, an element at a time.
pub(super) fn array(elements: &[Value]) -> Vec<Bytes> {
    let mut pieces: Vec<Bytes> = Vec::new();
    for (nth, element) in elements.iter().enumerate() {
        let before = if nth == 0 { "[" } else { ",\r\n" };
        pieces.push(Bytes::from(format!("{before}{element}\n")));
    }
    pieces.push(Bytes::from_static(b"]\n"));
    pieces
}

/// The tokens of a text.
pub(super) fn counted(asked: &Conversation) -> Value {
    json!({"totalTokens": asked.words, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked.words}]})
}

/// Vectors of one text, or of several.
pub(super) fn vectors(body: &Value) -> Option<Value> {
    let vector = |content: &Value| json!({"values": [0.25, text(&content["parts"]).len() as f64]});
    if let Some(requests) = body["requests"].as_array() {
        let vectors: Vec<Value> = requests
            .iter()
            .map(|request| vector(&request["content"]))
            .collect();
        return Some(json!({ "embeddings": vectors }));
    }
    let content = body.get("content")?;
    Some(
        json!({"embedding": vector(content), "usageMetadata": {"promptTokenCount": text(&content["parts"]).split_whitespace().count()}}),
    )
}

/// The models that exist.
pub(super) fn models() -> Value {
    let model = json!({"name": "models/gemini-2.5-flash", "version": "001", "displayName": "Gemini 2.5 Flash", "supportedGenerationMethods": ["generateContent"]});
    json!({ "models": [model] })
}

/// An error in the provider's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
}

fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    content["parts"].as_array().into_iter().flatten()
}

/// In any form of a declaration, types in small letters.
fn schema(function: &Value) -> Value {
    let given = [
        "parametersJsonSchema",
        "parameters_json_schema",
        "parameters",
    ];
    let found = given.iter().find_map(|name| function.get(*name));
    let text = found.map(Value::to_string).unwrap_or_default();
    let text = text.replace("\"STRING\"", "\"string\"");
    serde_json::from_str(&text).unwrap_or_default()
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"functionCall": {"name": tool, "args": arguments}, "thoughtSignature": "c2lnbmVk"})
}

fn element(conversation: &Conversation, answer: &Answer, part: &Value, last: bool) -> Value {
    let (read, written) = (conversation.words, answer.words());
    let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
    if last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written},
        "modelVersion": conversation.model, "responseId": "r0123456789",
    })
}
