//! Streams of documents: elements of an array, lines, events. A finding lies across several of them.

use bytes::BytesMut;

use super::*;

/// An address and a card in pieces, thoughts between, a call, and what must stay.
const GEMINI: &str = concat!(
    "[{\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"write to ann\"}]}},{\"index\":1,\"content\":{\"parts\":[{\"text\":\"call 4111 1111\"}]}}]}\n,\r\n",
    "{\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"text\":\"a.lee@exam\"}]}},{\"index\":1,\"content\":{\"parts\":[{\"text\":\" 1111 1111 now\"}]},\"finishReason\":\"STOP\"}]}\n,\r\n",
    "{\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"text\":\"ple.com or\"},{\"text\":\"bob@corp.com\",\"thought\":true,\"thoughtSignature\":\"YW5uYS5sZWVAZXhhbXBsZS5jb20=\"}]}}]}\n,\r\n",
    "{\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"mail\",\"args\":{\"to\":\"eve@corp.com\"}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3}}\n]",
);

const OLLAMA: &str = concat!(
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"bob@\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"corp.com it is\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"write to anna.le\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"e@example.com\",\"tool_calls\":[{\"function\":{\"name\":\"mail\",\"arguments\":{\"to\":\"eve@corp.com\"}}}]},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"eval_count\":7}\n",
);

#[test]
fn findings_across_documents_are_masked_wherever_a_stream_is_cut() {
    for (shape, stream) in [(Shape::Gemini, GEMINI), (Shape::Ollama, OLLAMA)] {
        let expected = whole(shape, &Set::all(), stream.as_bytes());
        for secret in ["lee@", "1111 1111", "@corp", "ple.com"] {
            assert!(!expected.contains(secret), "{shape:?}: {expected}");
        }
        assert_eq!(
            expected.matches("[REDACTED:email]").count(),
            3,
            "{expected}"
        );
        for at in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            let states = masked(shape, &Set::all(), [one, other]).unwrap();
            assert_eq!(
                states.last().unwrap(),
                expected.as_bytes(),
                "{shape:?} {at}"
            );
        }
        // Where nothing is to be masked, every byte is as it came.
        assert_eq!(whole(shape, &Set::new(["jwt"]), stream.as_bytes()), stream);
    }
    let gemini = whole(Shape::Gemini, &Set::all(), GEMINI.as_bytes());
    let elements: serde_json::Value = serde_json::from_str(&gemini).unwrap();
    assert_eq!(elements.as_array().unwrap().len(), 4);
    let part = &elements[2]["candidates"][0]["content"]["parts"][1];
    assert_eq!(part["thoughtSignature"], "YW5uYS5sZWVAZXhhbXBsZS5jb20=");
    assert_eq!(
        elements[0]["candidates"][1]["content"]["parts"][0]["text"],
        "call [REDACTED:credit-card]"
    );
}

#[test]
fn gemini_as_events_is_masked_as_the_array_is() {
    let elements: Vec<serde_json::Value> = serde_json::from_str(GEMINI).unwrap();
    let events: String = elements
        .iter()
        .map(|element| format!("data: {element}\r\n\r\n"))
        .collect();
    let (mut stream, mut out) = (
        Stream::new(Shape::Gemini, Framing::Events, Set::all()),
        BytesMut::new(),
    );
    stream.push(events.as_bytes(), &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    let out = String::from_utf8(out.to_vec()).unwrap();
    assert_eq!(out.matches("data: ").count(), 4);
    assert_eq!(out.matches("[REDACTED:email]").count(), 3, "{out}");
    assert_eq!(stream.findings().len(), 4);
}

#[test]
fn likelihoods_of_what_is_masked_do_not_spell_it() {
    let gemini = concat!(
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"to ann\"}]},\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"ann\"}]}}]}\n,",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a.lee@example.com\"}]},\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"a.lee\"}]},\"finishReason\":\"STOP\"}]}]",
    );
    let ollama = concat!(
        "{\"message\":{\"content\":\"to ann\"},\"logprobs\":[{\"token\":\"ann\"}],\"done\":false}\n",
        "{\"message\":{\"content\":\"a.lee@example.com\"},\"logprobs\":[{\"token\":\"a.lee\"}],\"done\":true}\n",
    );
    for (shape, stream) in [(Shape::Gemini, gemini), (Shape::Ollama, ollama)] {
        let out = whole(shape, &Set::all(), stream.as_bytes());
        assert!(out.contains("to [REDACTED:email]"), "{out}");
        assert!(!out.contains("ann") && !out.contains("lee"), "{out}");
        assert!(whole(shape, &Set::new(["jwt"]), stream.as_bytes()) == stream);
    }
    let body = bytes::Bytes::from_static(
        br#"{"candidates":[{"content":{"parts":[{"text":"anna.lee@example.com"}]},"logprobsResult":{"chosenCandidates":[{"token":"ann"}]}}]}"#,
    );
    let out = crate::mask::body(&body, Shape::Gemini, &Set::all()).unwrap();
    let out = String::from_utf8(out.bytes.to_vec()).unwrap();
    assert!(out.contains("\"logprobsResult\":null"), "{out}");
}

#[test]
fn pieces_of_any_size_make_the_same_stream() {
    for (shape, stream) in [(Shape::Gemini, GEMINI), (Shape::Ollama, OLLAMA)] {
        let expected = whole(shape, &Set::all(), stream.as_bytes());
        for size in [1, 2, 3, 5, 11] {
            let states = masked(shape, &Set::all(), stream.as_bytes().chunks(size)).unwrap();
            assert_eq!(states.last().unwrap(), expected.as_bytes());
            // What is out at any time is the beginning of what comes out in the end.
            for state in &states {
                assert!(expected.as_bytes().starts_with(state));
            }
        }
    }
}

#[test]
fn arguments_that_come_in_pieces_are_masked_across_them() {
    let piece = |path: &str, text: &str| {
        format!(
            "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"functionCall\":{{\"partialArgs\":[{{\"jsonPath\":\"{path}\",\"stringValue\":\"{text}\"}}],\"willContinue\":true}}}}]}}}}]}}"
        )
    };
    let pieces = [
        piece("$.to", "anna.le"),
        piece("$.to", "e@example.com"),
        piece("$.cc", "bob@"),
        piece("$.cc", "corp.com"),
    ];
    let stream = format!("[{}]", pieces.join(",\n"));
    let out = whole(Shape::Gemini, &Set::all(), stream.as_bytes());
    assert_eq!(out.matches("[REDACTED:email]").count(), 2, "{out}");
    assert!(!out.contains("anna") && !out.contains("bob"), "{out}");
}

#[test]
fn what_is_only_called_a_signature_is_masked() {
    let stream = "[{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"mail\",\"args\":{\"thoughtSignature\":\"eve@corp.com\"}}}]}}]}]";
    let out = whole(Shape::Gemini, &Set::all(), stream.as_bytes());
    assert!(
        out.contains("[REDACTED:email]") && !out.contains("eve"),
        "{out}"
    );
}
