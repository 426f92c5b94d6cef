//! Streams of messages: Converse's events, and chunks with models' own documents. A finding lies across several of them.

use bytes::{Bytes, BytesMut};
use serde_json::json;

use super::*;
use crate::base64;
use crate::protocol::eventstream;
use crate::protocol::frames::Framer;

/// A message with an event of Converse.
pub(super) fn event(kind: &str, payload: &Value) -> Bytes {
    eventstream::event(kind, &payload.to_string())
}

/// A message with a document of a model's own.
pub(super) fn chunk(document: &str) -> Bytes {
    let bytes = String::from_utf8(base64::padded(document.as_bytes())).unwrap();
    event("chunk", &json!({"bytes": bytes, "p": "abcdefghijkl"}))
}

/// The documents of a stream, each under its type or the model's own.
pub(super) fn documents(stream: &[u8]) -> Vec<Value> {
    let (mut framer, mut events) = (Framer::new(Framing::Messages, 1 << 20), Vec::new());
    framer.push(stream, &mut events).unwrap();
    framer.finish(&mut events).unwrap();
    let data = events.into_iter().filter_map(|event| event.data);
    data.map(|data| serde_json::from_str(&data).unwrap())
        .collect()
}

fn out_of(set: &Set, stream: &[u8]) -> Bytes {
    let states = masked(Shape::Bedrock, set, [stream]).unwrap();
    states.last().unwrap().clone().freeze()
}

fn joined(documents: &[Value], at: &str) -> String {
    let pieces = documents
        .iter()
        .filter_map(|document| document.pointer(at)?.as_str());
    pieces.collect()
}

fn delta(part: u64, delta: Value) -> Bytes {
    event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": part, "delta": delta, "p": "abcdefghi"}),
    )
}

fn stop(part: u64) -> Bytes {
    event(
        "contentBlockStop",
        &json!({"contentBlockIndex": part, "p": "a"}),
    )
}

/// Thoughts with what signs them, an address, a call, and a piece of a kind that is new.
fn converse() -> Vec<u8> {
    let start =
        json!({"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "mail"}}});
    let sealed = json!({"reasoningContent": {"signature": "YW5uYS5sZWVAZXhhbXBsZS5jb20=", "redactedContent": "anna.lee@example.com"}});
    [
        event("messageStart", &json!({"role": "assistant", "p": "abc"})),
        delta(0, json!({"reasoningContent": {"text": "bob@"}})),
        delta(0, json!({"reasoningContent": {"text": "corp.com it is"}})),
        delta(0, sealed),
        stop(0),
        delta(1, json!({"text": "write to ann"})),
        delta(1, json!({"text": "a.lee@exam"})),
        delta(1, json!({"text": "ple.com"})),
        delta(1, json!({"citation": {"title": "of 4111 1111"}})),
        delta(1, json!({"citation": {"title": " 1111 1111"}})),
        stop(1),
        event("contentBlockStart", &start),
        delta(2, json!({"toolUse": {"input": "{\"to\":\"eve@co"}})),
        delta(
            2,
            json!({"toolUse": {"input": "rp.com\",\"n\":4111111111111111}"}}),
        ),
        stop(2),
        event("messageStop", &json!({"stopReason": "tool_use"})),
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 3, "outputTokens": 7}}),
        ),
    ]
    .concat()
}

/// The same text in the formats of Anthropic, OpenAI, Amazon Nova and Meta.
fn chunks() -> [(Vec<u8>, &'static str); 4] {
    let pieces = ["write to ann", "a.lee@exam", "ple.com now"];
    let of = |document: fn(&str) -> Value, end: Value| {
        let documents = pieces.iter().map(|piece| document(piece)).chain([end]);
        let chunks = documents.map(|document| chunk(&document.to_string()));
        chunks.collect::<Vec<_>>().concat()
    };
    let anthropic = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    let openai = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let nova = |text: &str| json!({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}});
    let meta = |text: &str| json!({"generation": text, "stop_reason": null});
    let metrics = json!({"generation": "", "stop_reason": "stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}});
    [
        (
            of(anthropic, json!({"type": "message_stop"})),
            "/delta/text",
        ),
        (
            of(
                openai,
                json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            ),
            "/choices/0/delta/content",
        ),
        (
            of(nova, json!({"messageStop": {"stopReason": "end_turn"}})),
            "/contentBlockDelta/delta/text",
        ),
        (of(meta, metrics), "/generation"),
    ]
}

#[test]
fn findings_across_messages_are_masked_and_what_is_sealed_stays() {
    let stream = converse();
    let out = out_of(&Set::all(), &stream);
    let (before, after) = (documents(&stream), documents(&out));
    assert_eq!(before.len(), after.len());
    let delta = "/contentBlockDelta/delta";
    assert_eq!(
        joined(&after, &format!("{delta}/text")),
        "write to [REDACTED:email]"
    );
    let thought = joined(&after, &format!("{delta}/reasoningContent/text"));
    assert_eq!(thought, "[REDACTED:email] it is");
    let input: Value =
        serde_json::from_str(&joined(&after, &format!("{delta}/toolUse/input"))).unwrap();
    assert_eq!(
        input,
        json!({"to": "[REDACTED:email]", "n": "[REDACTED:credit-card]"})
    );
    assert_eq!(
        joined(&after, &format!("{delta}/citation/title")),
        "of [REDACTED:credit-card]"
    );
    for sealed in ["signature", "redactedContent"] {
        let at = format!("{delta}/reasoningContent/{sealed}");
        assert_eq!(joined(&after, &at), joined(&before, &at));
    }
    assert_eq!(
        joined(&after, "/contentBlockDelta/p"),
        joined(&before, "/contentBlockDelta/p")
    );
    // What needs no change keeps its bytes.
    assert_eq!(out_of(&Set::new(["jwt"]), &stream), stream);
}

#[test]
fn chunks_are_masked_in_any_makers_format() {
    for (stream, at) in chunks() {
        let out = out_of(&Set::all(), &stream);
        let after = documents(&out);
        assert_eq!(
            joined(&after, at),
            "write to [REDACTED:email] now",
            "{after:?}"
        );
        assert_eq!(after.len(), documents(&stream).len());
        assert_eq!(out_of(&Set::new(["jwt"]), &stream), stream);
    }
}

#[test]
fn the_output_does_not_depend_on_where_messages_are_cut() {
    let streams = chunks().map(|(stream, _)| stream);
    for stream in streams.into_iter().chain([converse()]) {
        let expected = out_of(&Set::all(), &stream);
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            let states = masked(Shape::Bedrock, &Set::all(), [one, other]).unwrap();
            assert_eq!(states.last().unwrap(), &expected, "{at}");
        }
        for size in [1, 3, 7, 64] {
            let states = masked(Shape::Bedrock, &Set::all(), stream.chunks(size)).unwrap();
            // What is out at any time is the beginning of what comes out in the end.
            for state in &states {
                assert!(expected.starts_with(state));
            }
            assert_eq!(states.last().unwrap(), &expected);
        }
    }
}

#[test]
fn what_is_no_document_or_not_whole_does_not_pass() {
    let fails = |stream: &[u8]| {
        let (mut masking, mut out) = (
            Stream::new(Shape::Bedrock, Framing::Messages, Set::all()),
            BytesMut::new(),
        );
        let pushed = masking.push(stream, &mut out);
        assert!(pushed.and_then(|()| masking.finish(&mut out)).is_err());
        out
    };
    let good = delta(0, json!({"text": "fine. "}));
    let twice = eventstream::event("contentBlockDelta", r#"{"a":1,"a":2}"#);
    let text = eventstream::event("contentBlockDelta", "call 4111 1111 1111 1111");
    for bad in [
        &twice,
        &text,
        &good.slice(..good.len() - 1),
        &Bytes::from_static(b"<html>of an error</html>"),
    ] {
        let out = fails(&[&good[..], bad].concat());
        assert!(out.is_empty() || out == good, "{out:?}");
    }
    let plain = chunk("call 4111 1111 1111 1111");
    let out = documents_as_text(&out_of(&Set::all(), &plain));
    assert_eq!(out, "call [REDACTED:credit-card]");
}

fn documents_as_text(stream: &[u8]) -> String {
    let (mut framer, mut events) = (Framer::new(Framing::Messages, 1 << 20), Vec::new());
    framer.push(stream, &mut events).unwrap();
    events.into_iter().filter_map(|event| event.data).collect()
}

#[test]
fn unknown_events_and_exceptions_are_masked_too() {
    let stream = [
        event(
            "newEvent",
            &json!({"deep": [{"text": "to anna.le"}], "p": "abc"}),
        ),
        event(
            "newEvent",
            &json!({"deep": [{"text": "e@example.com"}], "p": "mail bob@corp.com"}),
        ),
        event(
            "validationException",
            &json!({"message": "no eve@corp.com here"}),
        ),
    ]
    .concat();
    let after = documents(&out_of(&Set::all(), &stream));
    assert_eq!(
        joined(&after, "/newEvent/deep/0/text"),
        "to [REDACTED:email]"
    );
    assert_eq!(after[1]["newEvent"]["p"], "mail [REDACTED:email]");
    assert_eq!(
        after[2]["validationException"]["message"],
        "no [REDACTED:email] here"
    );
}

#[test]
fn a_call_whose_tokens_are_counted_is_masked_in_its_base64() {
    let counted = |inside: &str| {
        let coded = String::from_utf8(base64::padded(inside.as_bytes())).unwrap();
        format!(r#"{{"input":{{"invokeModel":{{"body":"{coded}"}}}}}}"#)
    };
    let masked = |text: String| {
        let body = Bytes::from(text);
        crate::mask::body(&body, Shape::Bedrock, &Set::all()).map(|masked| masked.bytes)
    };
    let own = r#"{"messages":[{"content":"write to bob@corp.com é"}]}"#;
    let expected = counted(&own.replace("bob@corp.com", "[REDACTED:email]"));
    assert_eq!(masked(counted(own)).unwrap(), expected);
    let clean = counted(r#"{"messages":[]}"#);
    assert_eq!(masked(clean.clone()).unwrap(), clean);
    for wrong in ["write to bob@corp.com", r#"{"a":1,"a":"bob@corp.com"}"#] {
        assert!(masked(counted(wrong)).is_err(), "{wrong}");
    }
}
