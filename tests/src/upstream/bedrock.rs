//! Amazon Bedrock: requests of Converse and in Anthropic's and Amazon Titan's own formats read, answers and messages of streams written as the
//! service writes them.

use bytes::{BufMut, Bytes, BytesMut};
use hyper::Response;
use serde_json::{Value, json};

use super::anthropic;
use super::model::{Answer, Conversation, Tool, deltas, text};
use super::pieces::Pieces;

/// Reads a request of Converse; none if it is not one.
pub(super) fn read(body: &Value, model: &str, stream: bool) -> Option<Conversation> {
    let messages = body["messages"].as_array()?;
    let last = messages.last()?;
    let result = blocks(last).find(|block| block["toolResult"].is_object());
    let said =
        |message: &&Value| message["role"] == "user" && !text(&message["content"]).is_empty();
    let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
    Some(Conversation {
        model: model.to_owned(),
        stream,
        prompt: messages
            .iter()
            .rfind(said)
            .map(|message| text(&message["content"]))
            .unwrap_or_default(),
        tool_result: result.map(|block| text(&block["toolResult"]["content"])),
        tools: tools
            .filter_map(|tool| {
                Some(Tool {
                    name: tool["toolSpec"]["name"].as_str()?.to_owned(),
                    schema: tool["toolSpec"]["inputSchema"]["json"].clone(),
                })
            })
            .collect(),
        words: messages
            .iter()
            .map(|message| text(&message["content"]).split_whitespace().count())
            .sum(),
    })
}

/// Reads a request in a model's own format: Anthropic's, or Titan's.
pub(super) fn read_own(body: &Value, model: &str, stream: bool) -> Option<Conversation> {
    let mut asked = body.clone();
    if let Some(said) = body.get("inputText") {
        asked["messages"] = json!([{"role": "user", "content": said}]);
    }
    asked["model"] = json!(model);
    asked["stream"] = json!(stream);
    anthropic::read(&asked)
}

/// The answer of Converse in one piece.
pub(super) fn whole(conversation: &Conversation) -> Value {
    let answer = conversation.answer();
    let (block, stop) = match &answer {
        Answer::Text(text) => (json!({"text": text}), "end_turn"),
        Answer::Call { tool, arguments } => (
            json!({"toolUse": {"toolUseId": CALL, "name": tool, "input": arguments}}),
            "tool_use",
        ),
    };
    json!({
        "output": {"message": {"role": "assistant", "content": [block]}},
        "stopReason": stop, "usage": usage(conversation, &answer), "metrics": {"latencyMs": 5},
    })
}

/// The answer of Converse in messages.
pub(super) fn messages(conversation: &Conversation) -> Vec<Bytes> {
    let answer = conversation.answer();
    let event = |kind: &'static str, payload: Value| (kind, payload.to_string());
    let delta = |part: u64, delta: Value| {
        let payload = json!({"contentBlockIndex": part, "delta": delta, "p": "abcdefghijkl"});
        event("contentBlockDelta", payload)
    };
    let stop = |part: u64| {
        event(
            "contentBlockStop",
            json!({"contentBlockIndex": part, "p": "abc"}),
        )
    };
    let mut messages = vec![event(
        "messageStart",
        json!({"role": "assistant", "p": "ab"}),
    )];
    let reason = match &answer {
        Answer::Text(text) => {
            messages.extend(
                deltas(text)
                    .iter()
                    .map(|piece| delta(0, json!({"text": piece}))),
            );
            messages.push(stop(0));
            "end_turn"
        }
        Answer::Call { tool, arguments } => {
            let start = json!({"toolUse": {"toolUseId": CALL, "name": tool}});
            let start = json!({"contentBlockIndex": 1, "start": start, "p": "a"});
            messages.push(delta(0, json!({"text": "Let me see."})));
            messages.push(stop(0));
            messages.push(event("contentBlockStart", start));
            let pieces = deltas(&arguments.to_string());
            messages.extend(
                pieces
                    .iter()
                    .map(|piece| delta(1, json!({"toolUse": {"input": piece}}))),
            );
            messages.push(stop(1));
            "tool_use"
        }
    };
    messages.push(event(
        "messageStop",
        json!({"stopReason": reason, "p": "abcd"}),
    ));
    let counted =
        json!({"usage": usage(conversation, &answer), "metrics": {"latencyMs": 5}, "p": "abcde"});
    messages.push(event("metadata", counted));
    if conversation.prompt.contains("twice") {
        let middle = messages.len() / 2;
        let (_, payload) = &mut messages[middle];
        *payload = twice(payload);
    }
    messages
        .iter()
        .map(|(kind, payload)| framed(kind, payload))
        .collect()
}

/// The answer in a model's own format in one piece; what Titan counts stands in the head as well.
pub(super) fn own(conversation: &Conversation, titan: bool) -> Value {
    if !titan {
        return anthropic::whole(conversation);
    }
    let answer = conversation.answer();
    json!({"results": [{"outputText": said(&answer), "completionReason": "FINISH"}]})
}

/// The answer in a model's own format in messages.
pub(super) fn chunks(conversation: &Conversation, titan: bool) -> Vec<Bytes> {
    let answer = conversation.answer();
    let mut documents: Vec<Value> = if titan {
        let pieces = deltas(&said(&answer));
        let document =
            |piece: &String| json!({"outputText": piece, "index": 0, "completionReason": null});
        pieces.iter().map(document).collect()
    } else {
        let events = anthropic::events(conversation);
        let document = |event: &Bytes| {
            let text = String::from_utf8_lossy(event).into_owned();
            let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
            serde_json::from_str(data).ok()
        };
        events.iter().filter_map(document).collect()
    };
    if let Some(last) = documents.last_mut() {
        last["amazon-bedrock-invocationMetrics"] = json!({
            "inputTokenCount": conversation.words, "outputTokenCount": answer.words(), "invocationLatency": 5,
        });
    }
    let mut documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    if conversation.prompt.contains("twice") {
        let middle = documents.len() / 2;
        documents[middle] = twice(&documents[middle]);
    }
    documents.iter().map(|document| chunk(document)).collect()
}

/// Whether a model is one of Titan's.
pub(super) fn is_titan(model: &str) -> bool {
    model.contains("titan")
}

/// Reads a call whose tokens are to be counted: of Converse, or in a model's own format, which comes in base64.
pub(super) fn to_count(input: &Value, model: &str) -> Option<Conversation> {
    let Some(coded) = input["invokeModel"]["body"].as_str() else {
        return read(&input["converse"], model, false);
    };
    read_own(
        &serde_json::from_slice(&unbase64(coded)?).ok()?,
        model,
        false,
    )
}

/// What a guardrail finds in texts, and makes of them.
pub(super) fn judged(body: &Value) -> Option<Value> {
    body["source"].as_str()?;
    let texts = body["content"].as_array()?.iter();
    let outputs: Vec<Value> = texts
        .map(|part| json!({"text": format!("Checked: {}", part["text"]["text"].as_str().unwrap_or_default())}))
        .collect();
    let usage = json!({"topicPolicyUnits": 1, "contentPolicyUnits": 1, "wordPolicyUnits": 1, "sensitiveInformationPolicyUnits": 1, "sensitiveInformationPolicyFreeUnits": 0, "contextualGroundingPolicyUnits": 0});
    Some(
        json!({"usage": usage, "action": "GUARDRAIL_INTERVENED", "outputs": outputs, "assessments": []}),
    )
}

/// The tokens of a text.
pub(super) fn counted(asked: &Conversation) -> Value {
    json!({"inputTokens": asked.words})
}

/// A vector of one text.
pub(super) fn vector(body: &Value) -> Option<Value> {
    let text = body["inputText"].as_str()?;
    Some(
        json!({"embedding": [0.25, text.len() as f64], "inputTextTokenCount": text.split_whitespace().count()}),
    )
}

/// The counts as the head of an answer has them.
pub(super) fn with_counts(
    mut response: Response<Pieces>,
    asked: &Conversation,
) -> Response<Pieces> {
    let counts = [
        ("x-amzn-bedrock-input-token-count", asked.words),
        ("x-amzn-bedrock-output-token-count", asked.answer().words()),
    ];
    for (name, count) in counts {
        response.headers_mut().insert(name, count.into());
    }
    response
}

/// An error in the service's envelope.
pub(super) fn error(message: &str) -> Value {
    json!({ "message": message })
}

/// The same document, but with a key twice.
fn twice(document: &str) -> String {
    document.replacen('{', "{\"twice\":1,\"twice\":2,", 1)
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

fn said(answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Call { tool, .. } => format!("I would call {tool}."),
    }
}

fn usage(conversation: &Conversation, answer: &Answer) -> Value {
    let (read, written) = (conversation.words, answer.words());
    json!({"inputTokens": read, "outputTokens": written, "totalTokens": read + written})
}

fn chunk(document: &str) -> Bytes {
    event(
        "chunk",
        &json!({"bytes": base64(document.as_bytes()), "p": "abcdefghijklmnop"}),
    )
}

fn event(kind: &str, payload: &Value) -> Bytes {
    framed(kind, &payload.to_string())
}

/// A message: lengths, headers, a payload, and a checksum behind the lengths and behind it all.
fn framed(kind: &str, payload: &str) -> Bytes {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    let mut written = BytesMut::new();
    for (name, value) in headers {
        written.put_u8(name.len() as u8);
        written.put_slice(name.as_bytes());
        written.put_u8(7);
        written.put_u16(value.len() as u16);
        written.put_slice(value.as_bytes());
    }
    let mut message = BytesMut::new();
    message.put_u32((16 + written.len() + payload.len()) as u32);
    message.put_u32(written.len() as u32);
    message.put_u32(crc32(&message));
    message.put_slice(&written);
    message.put_slice(payload.as_bytes());
    message.put_u32(crc32(&message));
    message.freeze()
}

/// CRC-32 as in Ethernet and gzip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            crc >> 1 ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= group.len() { digit } else { '=' });
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit)? as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

const CALL: &str = "tooluse_0123456789";
