//! Answers of Amazon Bedrock.

use super::*;
use crate::base64;
use crate::protocol::eventstream;

fn summary(family: Family, framing: Option<Framing>, bytes: &[u8], headers: &HeaderMap) -> Summary {
    let mut collector = Collector::new(family, framing);
    collector.head(headers);
    bytes.chunks(5).for_each(|piece| collector.push(piece));
    collector.finish()
}

fn stream(events: &[(&str, Value)]) -> Vec<u8> {
    let messages = events
        .iter()
        .map(|(kind, payload)| eventstream::event(kind, &payload.to_string()));
    messages.collect::<Vec<_>>().concat()
}

fn chunks(documents: &[Value]) -> Vec<u8> {
    let chunk = |document: &Value| {
        let bytes = base64::padded(document.to_string().as_bytes());
        ("chunk", json!({"bytes": String::from_utf8(bytes).unwrap()}))
    };
    stream(&documents.iter().map(chunk).collect::<Vec<_>>())
}

#[test]
fn converse_in_one_piece_and_in_messages() {
    let usage = json!({"inputTokens": 3, "outputTokens": 4, "totalTokens": 20, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 8});
    let content = json!([{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "ab"}, {"toolUse": {"name": "f", "input": {"x": 1}}}]);
    let document = json!({"output": {"message": {"content": content}}, "usage": usage});
    let delta = |part: u64, delta: Value| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": part, "delta": delta, "p": "abc"}),
        )
    };
    let events = stream(&[
        ("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "hm"}})),
        delta(1, json!({"text": "a"})),
        delta(1, json!({"text": "b"})),
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 2, "start": {"toolUse": {"name": "f"}}}),
        ),
        delta(2, json!({"toolUse": {"input": "{\"x\""}})),
        delta(2, json!({"toolUse": {"input": ":1}"}})),
        ("metadata", json!({"usage": usage})),
    ]);
    let expected = json!({
        "text": "ab", "reasoning": "hm", "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}], "usage": {"input": 16, "output": 4},
    });
    for (framing, bytes) in [
        (None, document.to_string().into_bytes()),
        (Some(Framing::Messages), events),
    ] {
        let summary = summary(Family::BedrockConverse, framing, &bytes, &HeaderMap::new());
        assert_eq!(summary.to_json(), expected);
        let usage = summary.usage.unwrap();
        assert_eq!((usage.cached, usage.stored), (5, 8));
    }
}

#[test]
fn models_own_formats_and_their_counts() {
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-bedrock-input-token-count", "7".parse().unwrap());
    headers.insert("x-amzn-bedrock-output-token-count", "9".parse().unwrap());
    let own = json!({"type": "message", "model": "c", "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 1, "output_tokens": 2}});
    for (document, usage) in [
        (own, json!({"input": 1, "output": 2})),
        (
            json!({"results": [{"outputText": "hi"}]}),
            json!({"input": 7, "output": 9}),
        ),
        (
            json!({"generation": "hi"}),
            json!({"input": 7, "output": 9}),
        ),
        (
            json!({"outputs": [{"text": "hi"}]}),
            json!({"input": 7, "output": 9}),
        ),
        (
            json!({"choices": [{"message": {"content": "hi"}}]}),
            json!({"input": 7, "output": 9}),
        ),
    ] {
        let read = summary(
            Family::BedrockInvoke,
            None,
            document.to_string().as_bytes(),
            &headers,
        )
        .to_json();
        assert_eq!(
            (&read["text"], &read["usage"]),
            (&json!("hi"), &usage),
            "{document}"
        );
    }
    let metrics =
        json!({"inputTokenCount": 3, "outputTokenCount": 4, "cacheReadInputTokenCount": 2});
    let anthropic = chunks(&[
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ]);
    let titan = chunks(&[
        json!({"outputText": "h", "index": 0}),
        json!({"outputText": "i", "amazon-bedrock-invocationMetrics": metrics}),
    ]);
    for bytes in [anthropic, titan] {
        let read = summary(
            Family::BedrockInvoke,
            Some(Framing::Messages),
            &bytes,
            &HeaderMap::new(),
        )
        .to_json();
        assert_eq!(
            read,
            json!({"text": "hi", "usage": {"input": 5, "output": 4}})
        );
    }
}

#[test]
fn errors_and_streams_that_break_are_noted() {
    let headers = HeaderMap::new();
    let refused = summary(
        Family::BedrockConverse,
        None,
        br#"{"message":"no access"}"#,
        &headers,
    );
    assert_eq!(refused.error.as_deref(), Some("no access"));
    let broken = stream(&[("validationException", json!({"message": "too long"}))]);
    let read = summary(
        Family::BedrockConverse,
        Some(Framing::Messages),
        &broken,
        &headers,
    );
    assert_eq!(read.error.as_deref(), Some("too long"));
    let cut = summary(
        Family::BedrockConverse,
        Some(Framing::Messages),
        &broken[..20],
        &headers,
    );
    assert_eq!(cut.unreadable, 1);
}
