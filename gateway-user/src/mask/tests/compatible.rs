//! Chat completions as others than OpenAI stream them: content in parts, thoughts in parts of parts, thoughts told twice.

use super::*;

const MISTRAL: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"ask bob@\"}]}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"corp.com\"}]}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"write to ann\"}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a.lee@example.com\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
    "data: [DONE]\n\n",
);

const OPENROUTER: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning\":\"ask bob@\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"ask bob@\",\"index\":0}]}}]}\n\n",
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning\":\"corp.com\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"corp.com\",\"index\":0}]}}]}\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"to anna.lee@example.com\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"cost\":0.00014}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn texts_in_parts_and_thoughts_told_twice_are_masked_wherever_a_stream_is_cut() {
    for (stream, count) in [(MISTRAL, 2), (OPENROUTER, 3)] {
        let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
        assert_eq!(out.matches("[REDACTED:email]").count(), count, "{out}");
        assert!(!out.contains("bob") && !out.contains("corp"), "{out}");
        assert!(!out.contains("ann"), "{out}");
        let comments = stream.matches(": OPENROUTER").count();
        assert_eq!(out.matches(": OPENROUTER").count(), comments);
        for at in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            let states = masked(Shape::OpenAiChat, &Set::all(), [one, other]).unwrap();
            assert_eq!(states.last().unwrap(), out.as_bytes(), "{at}");
        }
        let same = whole(Shape::OpenAiChat, &Set::new(["jwt"]), stream.as_bytes());
        assert_eq!(same, stream);
    }
}

#[test]
fn a_vector_of_vertex_stays_as_it_is() {
    let body = r#"{"predictions":[{"embeddings":{"values":[0.4111111111111111,4111111111111111],"statistics":{"token_count":3}},"note":"bob@corp.com"}]}"#;
    let bytes = bytes::Bytes::from_static(body.as_bytes());
    let out = crate::mask::body(&bytes, Shape::Vectors, &Set::all()).unwrap();
    let out = String::from_utf8(out.bytes.to_vec()).unwrap();
    assert_eq!(out, body.replace("bob@corp.com", "[REDACTED:email]"));
}

/// Events of one choice, with the deltas in this order.
fn chat(finish: &str, key: &str, deltas: &[String]) -> String {
    let events = deltas.iter().map(|delta| {
        format!("data: {{\"choices\":[{{\"index\":0,\"{key}\":{delta},\"finish_reason\":{finish}}}]}}\n\n")
    });
    events.collect::<String>() + "data: [DONE]\n\n"
}

fn card_in(delta: &str) -> Vec<String> {
    let pieces = ["card 4111 1111", " 1111 1111 ok"];
    pieces.map(|piece| delta.replace("PIECE", piece)).to_vec()
}

#[test]
fn a_reason_that_says_nothing_ends_no_text() {
    for finish in ["null", "\"\"", "\"null\"", "\"NULL\"", "false"] {
        for delta in [
            r#"{"content":"PIECE"}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"PIECE"}}]}"#,
        ] {
            let stream = chat(finish, "delta", &card_in(delta));
            let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
            assert!(out.contains("card [REDACTED:credit-card]"), "{out}");
            assert!(!out.contains("1111"), "{out}");
        }
    }
    let gemini = |finish: &str| {
        let elements = ["card 4111 1111", " 1111 1111 ok"].map(|piece| {
            format!("{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{piece}\"}}]}},\"finishReason\":\"{finish}\"}}]}}")
        });
        format!("[{}]", elements.join(","))
    };
    for finish in ["", "FINISH_REASON_UNSPECIFIED"] {
        let out = whole(Shape::Gemini, &Set::all(), gemini(finish).as_bytes());
        assert!(!out.contains("1111"), "{out}");
    }
    // One that says something does: what is behind it is another text.
    let out = whole(Shape::Gemini, &Set::all(), gemini("STOP").as_bytes());
    assert!(out.contains("1111"), "{out}");
}

#[test]
fn texts_at_places_that_nobody_described_are_put_together_too() {
    for (key, delta) in [
        ("delta", r#"{"audio":{"id":"a","transcript":"PIECE"}}"#),
        ("delta", r#"{"role":"assistant","thinking":"PIECE"}"#),
        ("delta", r#"{"provider":{"of":[{"tomorrow":"PIECE"}]}}"#),
        ("delta", r#""PIECE""#),
        ("message", r#"{"role":"assistant","content":"PIECE"}"#),
        (
            "message",
            r#"{"tool_calls":[{"function":{"name":"pay","arguments":"PIECE"}}]}"#,
        ),
        ("of_tomorrow", r#""PIECE""#),
    ] {
        let stream = chat("null", key, &card_in(delta));
        let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
        assert!(out.contains("card [REDACTED:credit-card]"), "{out}");
        assert!(!out.contains("1111"), "{out}");
        for at in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            let states = masked(Shape::OpenAiChat, &Set::all(), [one, other]).unwrap();
            assert_eq!(states.last().unwrap(), out.as_bytes(), "{at}");
        }
        let same = whole(Shape::OpenAiChat, &Set::new(["jwt"]), stream.as_bytes());
        assert_eq!(same, stream);
    }
    for (shape, event) in [
        (
            Shape::AnthropicMessages,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"of_tomorrow","said":{"text":"PIECE"}}}"#,
        ),
        (
            Shape::AnthropicMessages,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"compaction_delta","content":"PIECE"}}"#,
        ),
        (
            Shape::OpenAiResponses,
            r#"{"type":"response.of_tomorrow.delta","output_index":0,"item_id":"i","delta":{"said":"PIECE"}}"#,
        ),
        (
            Shape::OpenAiResponses,
            r#"{"type":"response.of_tomorrow.delta","output_index":0,"item_id":"i","text":"PIECE"}"#,
        ),
        (
            Shape::Cohere,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"of_tomorrow":"PIECE"}}}}"#,
        ),
        (
            Shape::Mistral,
            r#"{"type":"message.output.delta","id":"i","output_index":0,"content":{"type":"t","of_tomorrow":"PIECE"}}"#,
        ),
    ] {
        let events = card_in(event);
        let events = events.iter().map(|event| format!("data: {event}\n\n"));
        let stream: String = events.collect();
        let out = whole(shape, &Set::all(), stream.as_bytes());
        assert!(out.contains("card [REDACTED:credit-card]"), "{out}");
        assert!(!out.contains("1111"), "{shape:?} {out}");
    }
}

#[test]
fn a_word_that_is_the_same_in_each_event_holds_nothing_back() {
    let deltas = ["Hello", " there", " you", " all"];
    let delta = |say: &&str| format!("{{\"channel\":\"analysis\",\"content\":\"{say}\"}}");
    let stream = chat(
        "null",
        "delta",
        &deltas.iter().map(delta).collect::<Vec<_>>(),
    );
    let upto = stream.find("data: [DONE]").unwrap();
    let states = masked(Shape::OpenAiChat, &Set::all(), [&stream.as_bytes()[..upto]]).unwrap();
    let left = std::str::from_utf8(&states[0]).unwrap();
    assert_eq!(data(left).len(), 3, "{left}");
    let delta = |say: &str| {
        format!(
            "data: {{\"type\":\"response.output_text.delta\",\"lane\":\"a\",\"delta\":\"{say}\"}}\n\n"
        )
    };
    let stream = deltas.map(delta).concat();
    let states = masked(Shape::OpenAiResponses, &Set::all(), [stream.as_bytes()]).unwrap();
    let left = std::str::from_utf8(&states[0]).unwrap();
    assert_eq!(data(left).len(), 3, "{left}");
}

#[test]
fn a_text_that_is_whole_at_such_a_place_is_found_by_itself() {
    let source =
        |mail: &str| format!("{{\"annotations\":[{{\"url_citation\":{{\"title\":\"{mail}\"}}}}]}}");
    let deltas = [source("ask bob@corp.com"), source("Then eve@corp.com")];
    let out = chat("null", "delta", &deltas);
    let out = whole(Shape::OpenAiChat, &Set::all(), out.as_bytes());
    assert_eq!(out.matches("[REDACTED:email]").count(), 2, "{out}");
    assert!(out.contains("\"Then [REDACTED:email]\""), "{out}");
}

#[test]
fn what_is_no_data_of_an_event_is_text_too() {
    let stream = ": ask bob@corp.com\n\nid: eve@corp.com\nevent: 4111 1111 1111 1111\nnote: ann@corp.com\ndata: {\"a\":1}\n\n{\"to\":\"b\\u0040corp.com\"}\n\n";
    let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
    let expected = ": ask [REDACTED:email]\n\nid: [REDACTED:email]\nevent: [REDACTED:credit-card]\nnote: [REDACTED:email]\ndata: {\"a\":1}\n\n{\"to\":\"[REDACTED:email]\"}\n\n";
    assert_eq!(out, expected);
    for at in 0..=stream.len() {
        let (one, other) = stream.as_bytes().split_at(at);
        let states = masked(Shape::OpenAiChat, &Set::all(), [one, other]).unwrap();
        assert_eq!(states.last().unwrap(), expected.as_bytes(), "{at}");
    }
    let same = whole(Shape::OpenAiChat, &Set::new(["jwt"]), stream.as_bytes());
    assert_eq!(same, stream);
}
