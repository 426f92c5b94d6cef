//! Cohere, in both versions of its API.

use super::*;
use crate::protocol::frames::Framing;

pub(super) const EVENTS: &str = concat!(
    "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"Let me \"}}}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"shell\",\"arguments\":\"\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\\\"command\\\":\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"\\\"ls\\\"}\"}}}}}\n\n",
    "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":1,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"u\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}}}}\n\n",
    "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\"}}\n\n",
);

pub(super) const LINES: &str = concat!(
    "{\"event_type\":\"text-generation\",\"text\":\"Let me \"}\n",
    "{\"event_type\":\"tool-calls-chunk\",\"tool_call_delta\":{\"name\":\"shell\",\"index\":0}}\n",
    "{\"event_type\":\"tool-calls-chunk\",\"tool_call_delta\":{\"parameters\":\"{\\\"command\\\":\\\"ls\\\"}\",\"index\":0}}\n",
    "{\"event_type\":\"tool-calls-generation\",\"tool_calls\":[{\"name\":\"shell\",\"parameters\":{\"command\":\"ls\"}},{\"name\":\"now\",\"parameters\":{}}]}\n",
    "{\"event_type\":\"stream-end\",\"response\":{\"text\":\"\",\"tool_calls\":[{\"name\":\"shell\",\"parameters\":{\"command\":\"ls\"}},{\"name\":\"now\",\"parameters\":{}}]}}\n",
);

#[test]
fn calls_wait_wherever_a_stream_is_cut() {
    for (framing, stream, calls) in [
        (
            Framing::Events,
            EVENTS,
            ["shell {\"command\":\"ls\"}", "now "],
        ),
        (
            Framing::Lines,
            LINES,
            ["shell {\"command\":\"ls\"}", "now {}"],
        ),
    ] {
        let (whole, asked) = run_framed(Family::Cohere, framing, &[stream]).unwrap();
        assert_eq!(asked, calls);
        assert!(
            whole[0].contains("Let me ") && !whole[0].contains("shell"),
            "{whole:?}"
        );
        assert_eq!(whole.concat(), stream);
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            let cut = run_framed(Family::Cohere, framing, &[one, other]).unwrap();
            assert_eq!(cut.1, asked, "{at}");
            assert_eq!(cut.0.concat(), stream, "{at}");
            assert!(!cut.0[0].contains("shell"), "{at}");
        }
    }
}

#[test]
fn calls_of_an_answer_in_one_piece() {
    let newer = r#"{"message":{"tool_calls":[{"id":"t","type":"function","function":{"name":"shell","arguments":"{}"}}]}}"#;
    let older = r#"{"text":"","tool_calls":[{"name":"shell","parameters":{}}]}"#;
    for answer in [newer, older] {
        let calls = of_body(Family::Cohere, None, answer.as_bytes()).unwrap();
        assert_eq!(
            (calls[0].name.as_str(), calls[0].arguments.as_str()),
            ("shell", "{}")
        );
    }
}
