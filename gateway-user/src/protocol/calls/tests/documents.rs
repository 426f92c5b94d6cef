//! Calls that stand in one document of a stream: Gemini's as events and as an array, Ollama's in lines.

use super::*;

const EVENTS: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Let me \"}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"see\"},{\"functionCall\":{\"name\":\"shell\",\"args\":{\"command\":\"ls\"}}}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"now\"}},{\"executableCode\":{\"code\":\"x\"}}]},\"finishReason\":\"STOP\"}]}\r\n\r\n",
);

const ARRAY: &str = concat!(
    "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Let me \"}]}}]}\n,\r\n",
    "{\"response\":{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"shell\",\"args\":{\"command\":\"ls\"}}}]}}]}}\n,\r\n",
    "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"now\"}}]}}]}\n]\n",
);

const LINES: &str = concat!(
    "{\"message\":{\"role\":\"assistant\",\"content\":\"Let me \"},\"done\":false}\n",
    "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"shell\",\"arguments\":{\"command\":\"ls\"}}}]},\"done\":false}\n",
    "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"now\"}}]},\"done\":true}\n",
);

pub(super) const STREAMS: [(Family, Framing, &str); 3] = [
    (Family::Gemini, Framing::Events, EVENTS),
    (Family::Gemini, Framing::Array, ARRAY),
    (Family::Ollama, Framing::Lines, LINES),
];

#[test]
fn documents_with_calls_wait_for_their_decision_wherever_a_stream_is_cut() {
    for (family, framing, stream) in STREAMS {
        let (whole, asked) = run_framed(family, framing, &[stream]).unwrap();
        assert_eq!(asked, ["shell {\"command\":\"ls\"}", "now "], "{family:?}");
        assert!(whole[0].contains("Let me "), "{whole:?}");
        assert!(!whole[0].contains("shell"), "{whole:?}");
        assert!(!whole[1].contains("now"), "{whole:?}");
        assert_eq!(whole.concat(), stream);
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(
                run_framed(family, framing, &[one, other]).unwrap(),
                (whole.clone(), asked.clone()),
                "{family:?} {at}"
            );
            let (mut held, mut out) = (Stream::new(family, framing), BytesMut::new());
            let _ = held.push(one.as_bytes(), &mut out).unwrap();
            let out = String::from_utf8(out.to_vec()).unwrap();
            assert!(!out.contains("shell"), "{family:?} {at}: {out}");
        }
    }
}

#[test]
fn documents_in_one_piece_have_the_same_calls() {
    let body = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"shell","args":{"command":"ls"}}},{"functionCall":{"name":"shell","args":{"command":"ls"}}}]}}]}"#;
    let ollama = r#"{"message":{"tool_calls":[{"function":{"name":"shell","arguments":{"command":"ls"}}}]},"done":true}"#;
    for (family, body) in [
        (Family::Gemini, body),
        (Family::Gemini, &format!("[{body}]")),
        (Family::Ollama, ollama),
    ] {
        let calls = of_body(family, None, body.as_bytes()).unwrap();
        let shell = ToolCall {
            name: "shell".into(),
            arguments: "{\"command\":\"ls\"}".into(),
        };
        // Each is carried out.
        let times = body.matches("shell").count();
        assert_eq!(calls, vec![shell; times]);
    }
}

#[test]
fn what_comes_in_pieces_or_ambiguous_does_not_go_on() {
    for call in [
        r#"{"name":"shell","partialArgs":[{"jsonPath":"$.command","stringValue":"l"}],"willContinue":true}"#,
        r#"{"name":"shell","args":{},"willContinue":true}"#,
        r#"{"name":"shell","args":{"command":"ls"},"args":{"command":"rm"}}"#,
    ] {
        let stream = format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"functionCall\":{call}}}]}}}}]}}\n\n"
        );
        assert!(run(Family::Gemini, &[&stream]).is_err(), "{call}");
    }
    for stream in ["<html>", "\"text\"", "[1]"] {
        assert!(run_framed(Family::Gemini, Framing::Array, &[stream]).is_err());
    }
}

#[test]
fn a_list_of_chat_completions_that_are_kept_has_the_calls_of_each() {
    let kept = r#"{"object":"list","data":[
        {"id":"chatcmpl-1","choices":[{"message":{"tool_calls":[{"function":{"name":"a","arguments":"1"}}]}}]},
        {"id":"chatcmpl-2","choices":[{"message":{"tool_calls":[{"function":{"name":"b","arguments":"2"}}]}}]}]}"#;
    let calls = of_body(Family::OpenAiChat, None, kept.as_bytes()).unwrap();
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}
