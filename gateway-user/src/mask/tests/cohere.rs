//! Streams of Cohere, of both its APIs: texts, plans and arguments over several events.

use super::*;

const EVENTS: &str = concat!(
    "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"i\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[]}}}\n\n",
    "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"I ask bob@\"}}}\n\n",
    "event: tool-plan-delta\ndata: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"corp.com\"}}}\n\n",
    "event: tool-call-start\ndata: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"mail\",\"arguments\":\"\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\\\"to\\\":\\\"eve@\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"corp.com\\\"}\"}}}}}\n\n",
    "event: tool-call-end\ndata: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
    "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"call 4111 11\"}}},\"logprobs\":{\"text\":\"4111\",\"token_ids\":[1]}}\n\n",
    "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"11 1111 1111\"}}}}\n\n",
    "event: citation-start\ndata: {\"type\":\"citation-start\",\"index\":0,\"delta\":{\"message\":{\"citations\":{\"start\":0,\"end\":4,\"text\":\"ann@corp.com\"}}}}\n\n",
    "event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\n",
    "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":3,\"output_tokens\":4}}}}\n\n",
);

const LINES: &str = concat!(
    "{\"event_type\":\"stream-start\",\"is_finished\":false}\n",
    "{\"event_type\":\"text-generation\",\"text\":\"call 4111 11\",\"is_finished\":false}\n",
    "{\"event_type\":\"text-generation\",\"text\":\"11 1111 1111\",\"is_finished\":false}\n",
    "{\"event_type\":\"tool-calls-chunk\",\"tool_call_delta\":{\"name\":\"mail\",\"index\":0}}\n",
    "{\"event_type\":\"tool-calls-chunk\",\"tool_call_delta\":{\"parameters\":\"{\\\"to\\\":\\\"eve@\",\"index\":0}}\n",
    "{\"event_type\":\"tool-calls-chunk\",\"tool_call_delta\":{\"parameters\":\"corp.com\\\"}\",\"index\":0}}\n",
    "{\"event_type\":\"tool-calls-generation\",\"tool_calls\":[{\"name\":\"mail\",\"parameters\":{\"to\":\"eve@corp.com\"}}]}\n",
    "{\"event_type\":\"stream-end\",\"response\":{\"text\":\"call 4111 1111 1111 1111\"},\"is_finished\":true}\n",
);

fn run(framing: Framing, set: &Set, pieces: &[&[u8]]) -> String {
    let (mut stream, mut out) = (
        Stream::new(Shape::Cohere, framing, set.clone()),
        BytesMut::new(),
    );
    for piece in pieces {
        stream.push(piece, &mut out).unwrap();
    }
    stream.finish(&mut out).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn findings_across_events_are_masked_wherever_a_stream_is_cut() {
    for (framing, stream) in [(Framing::Events, EVENTS), (Framing::Lines, LINES)] {
        let out = run(framing, &Set::all(), &[stream.as_bytes()]);
        for secret in ["4111", "1111", "bob", "eve@", "ann@"] {
            assert!(!out.contains(secret), "{secret}: {out}");
        }
        for at in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            assert_eq!(run(framing, &Set::all(), &[one, other]), out, "{at}");
        }
        let same = run(framing, &Set::new(["jwt"]), &[stream.as_bytes()]);
        assert_eq!(same, stream);
    }
    let events = run(Framing::Events, &Set::all(), &[EVENTS.as_bytes()]);
    assert!(
        events.contains("\"tool_plan\":\"I ask [REDACTED:email]\""),
        "{events}"
    );
    assert!(
        events.contains("{\\\"to\\\":\\\"[REDACTED:email]"),
        "{events}"
    );
    assert!(
        events.contains("\"text\":\"call [REDACTED:credit-card]\""),
        "{events}"
    );
    assert!(events.contains("\"logprobs\":null"), "{events}");
    let lines = run(Framing::Lines, &Set::all(), &[LINES.as_bytes()]);
    let full = "\"response\":{\"text\":\"call [REDACTED:credit-card]\"}";
    assert!(lines.contains(full), "{lines}");
}
