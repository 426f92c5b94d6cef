//! Calls in messages of Amazon's: Converse's, and Anthropic's and OpenAI's in chunks.

use super::*;
use crate::base64;
use crate::protocol::eventstream::event;

fn chunk(document: &str) -> bytes::Bytes {
    let bytes = String::from_utf8(base64::padded(document.as_bytes())).unwrap();
    event("chunk", &format!("{{\"bytes\":\"{bytes}\"}}"))
}

pub(super) fn converse() -> Vec<bytes::Bytes> {
    let start = |part: u64, more: &str| {
        event(
            "contentBlockStart",
            &format!("{{\"contentBlockIndex\":{part},\"start\":{{\"toolUse\":{{{more}}}}}}}"),
        )
    };
    let delta = |part: u64, delta: &str| {
        event(
            "contentBlockDelta",
            &format!("{{\"contentBlockIndex\":{part},\"delta\":{{{delta}}}}}"),
        )
    };
    let stop = |part: u64| {
        event(
            "contentBlockStop",
            &format!("{{\"contentBlockIndex\":{part}}}"),
        )
    };
    vec![
        event("messageStart", r#"{"role":"assistant"}"#),
        delta(0, r#""text":"Let me ""#),
        stop(0),
        start(
            1,
            r#""name":"web","type":"server_tool_use","toolUseId":"s""#,
        ),
        delta(1, r#""toolUse":{"input":"{}"}"#),
        stop(1),
        start(2, r#""name":"shell","toolUseId":"t""#),
        delta(2, r#""toolUse":{"input":"{\"command\":"}"#),
        event("waiting", "{}"),
        delta(2, r#""toolUse":{"input":"\"ls\"}"}"#),
        stop(2),
        start(3, r#""name":"now","toolUseId":"u""#),
        stop(3),
        event("messageStop", r#"{"stopReason":"tool_use"}"#),
        event("metadata", r#"{"usage":{"inputTokens":1}}"#),
    ]
}

/// The documents of events that the other families have.
pub(super) fn chunks(stream: &str) -> Vec<bytes::Bytes> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(chunk).collect()
}

/// What went on, and the calls that were decided on behind so much of it.
type Ran = (Vec<u8>, Vec<(usize, String)>);

fn run(family: Family, pieces: &[&[u8]]) -> Result<Ran, CallsError> {
    let mut stream = Stream::new(family, Framing::Messages);
    let (mut out, mut asked) = (BytesMut::new(), Vec::new());
    for piece in pieces.iter().map(Some).chain([None]) {
        let mut step = match piece {
            Some(piece) => stream.push(piece, &mut out)?,
            None => stream.finish(&mut out)?,
        };
        while let Step::Decide(calls) = step {
            let said = calls
                .iter()
                .map(|call| format!("{} {}", call.name, call.arguments));
            asked.extend(said.map(|said| (out.len(), said)));
            step = stream.permit(&[], &mut out)?;
        }
    }
    Ok((out.to_vec(), asked))
}

#[test]
fn messages_with_calls_wait_for_their_decision_wherever_a_stream_is_cut() {
    for (family, messages, calls) in [
        (
            Family::BedrockConverse,
            converse(),
            ["shell {\"command\":\"ls\"}", "now "],
        ),
        (
            Family::BedrockInvoke,
            chunks(MESSAGES),
            ["shell {\"command\":\"ls\"}", "now "],
        ),
        (
            Family::BedrockInvoke,
            chunks(CHAT),
            ["shell {\"command\":\"ls\"}", "now {}"],
        ),
    ] {
        let stream = messages.concat();
        let whole = run(family, &[&stream]).unwrap();
        assert_eq!(whole.0.len(), stream.len());
        let asked: Vec<&str> = whole.1.iter().map(|(_, call)| call.as_str()).collect();
        assert_eq!(asked, calls, "{family:?}");
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(
                run(family, &[one, other]).unwrap(),
                whole,
                "{family:?} {at}"
            );
        }
    }
    let (out, asked) = run(Family::BedrockConverse, &[&converse().concat()]).unwrap();
    assert_eq!(out, converse().concat());
    // What has begun before its call goes on, and no part of the call.
    assert_eq!(asked[0].0, converse()[..6].concat().len());
}

#[test]
fn documents_have_the_same_calls() {
    let converse = r#"{"output":{"message":{"role":"assistant","content":[{"text":"x"},{"toolUse":{"toolUseId":"t","name":"shell","input":{"command":"ls"}}},{"toolUse":{"name":"web","type":"server_tool_use","input":{}}}]}},"stopReason":"tool_use"}"#;
    let anthropic = r#"{"type":"message","content":[{"type":"tool_use","name":"shell","input":{"command":"ls"}}]}"#;
    let openai = r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"shell","arguments":"{\"command\":\"ls\"}"}}]}}]}"#;
    for body in [converse, anthropic, openai] {
        let calls = of_body(Family::BedrockInvoke, None, body.as_bytes()).unwrap();
        assert_eq!(calls.len(), 1, "{body}");
        assert_eq!(
            (calls[0].name.as_str(), calls[0].arguments.as_str()),
            ("shell", "{\"command\":\"ls\"}")
        );
    }
    let plain = br#"{"generation":"hi","tool_calls":[],"stop_reason":"stop"}"#;
    assert!(
        of_body(Family::BedrockInvoke, None, plain)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_looks_like_a_call_of_another_maker_does_not_go_on() {
    let strange = r#"{"text":"x","tool_calls":[{"name":"shell","parameters":{"command":"ls"}}]}"#;
    assert!(of_body(Family::BedrockInvoke, None, strange.as_bytes()).is_err());
    let stream = [chunk(r#"{"text":"x"}"#), chunk(strange)];
    let mut held = Stream::new(Family::BedrockInvoke, Framing::Messages);
    let mut out = BytesMut::new();
    assert!(held.push(&stream.concat(), &mut out).is_err());
    assert_eq!(out, stream[0]);
    let cut = chunk("{}");
    assert!(run(Family::BedrockInvoke, &[&cut[..cut.len() - 1]]).is_err());
}

#[test]
fn a_call_that_is_not_the_first_of_its_choice_has_its_arguments() {
    let delta = |delta: &str| {
        chunk(&format!(
            "{{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}"
        ))
    };
    let end = || chunk(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let second = [
        delta(r#""tool_calls":[{"index":1,"function":{"name":"shell","arguments":""}}]"#),
        delta(r#""tool_calls":[{"index":1,"function":{"arguments":"{\"command\":\"ls\"}"}}]"#),
        end(),
    ];
    let older = [
        delta(r#""function_call":{"name":"shell","arguments":""}"#),
        delta(r#""function_call":{"arguments":"{\"command\":\"ls\"}"}"#),
        end(),
    ];
    for stream in [second, older] {
        let (_, asked) = run(Family::BedrockInvoke, &[&stream.concat()]).unwrap();
        let asked: Vec<&str> = asked.iter().map(|(_, call)| call.as_str()).collect();
        assert_eq!(asked, ["shell {\"command\":\"ls\"}"]);
    }
}
