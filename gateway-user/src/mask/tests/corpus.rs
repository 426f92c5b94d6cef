//! Streams as providers send them, beside what they have to become.

use super::*;

const STREAMS: [(Shape, &str, &str); 12] = [
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-text.sse"),
        include_str!("../corpus/openai-text.masked.sse"),
    ),
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-two-choices.sse"),
        include_str!("../corpus/openai-two-choices.masked.sse"),
    ),
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-tools.sse"),
        include_str!("../corpus/openai-tools.masked.sse"),
    ),
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-logprobs.sse"),
        include_str!("../corpus/openai-logprobs.masked.sse"),
    ),
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-reasoning.sse"),
        include_str!("../corpus/openai-reasoning.masked.sse"),
    ),
    (
        Shape::AnthropicMessages,
        include_str!("../corpus/anthropic-all.sse"),
        include_str!("../corpus/anthropic-all.masked.sse"),
    ),
    (
        Shape::AnthropicMessages,
        include_str!("../corpus/anthropic-clean.sse"),
        include_str!("../corpus/anthropic-clean.sse"),
    ),
    (
        Shape::OpenAiChat,
        include_str!("../corpus/openai-completions.sse"),
        include_str!("../corpus/openai-completions.masked.sse"),
    ),
    (
        Shape::OpenAiResponses,
        include_str!("../corpus/openai-responses-text.sse"),
        include_str!("../corpus/openai-responses-text.masked.sse"),
    ),
    (
        Shape::OpenAiResponses,
        include_str!("../corpus/openai-responses-clean.sse"),
        include_str!("../corpus/openai-responses-clean.sse"),
    ),
    (
        Shape::OpenAiResponses,
        include_str!("../corpus/openai-responses-logprobs.sse"),
        include_str!("../corpus/openai-responses-logprobs.masked.sse"),
    ),
    (
        Shape::OpenAiResponses,
        include_str!("../corpus/openai-responses-all.sse"),
        include_str!("../corpus/openai-responses-all.masked.sse"),
    ),
];

#[test]
fn streams_become_what_they_have_to() {
    for (shape, stream, expected) in STREAMS {
        assert_eq!(whole(shape, &Set::all(), stream.as_bytes()), expected);
    }
}

#[test]
fn the_output_does_not_depend_on_where_the_stream_is_cut() {
    for (shape, stream, expected) in STREAMS {
        let bytes = stream.as_bytes();
        for size in (1..16).chain([61, 257, 1024]) {
            let states = masked(shape, &Set::all(), bytes.chunks(size)).unwrap();
            assert_eq!(states.last().unwrap(), expected, "in chunks of {size}");
        }
        if bytes.len() > 3000 {
            continue;
        }
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let states = masked(shape, &Set::all(), [head, tail]).unwrap();
            assert_eq!(states[2], expected, "cut at {at}");
            assert!(expected.as_bytes().starts_with(&states[0]), "cut at {at}");
        }
    }
}

#[test]
fn clients_read_placeholders_and_nothing_else_new() {
    let read = |name: usize| {
        let (shape, stream, _) = STREAMS[name];
        texts(&whole(shape, &Set::all(), stream.as_bytes()))
    };
    let text = read(0);
    let expected = "The card on file is [REDACTED:credit-card]. Write to [REDACTED:email] or wait. 😀 ok 12.50 or 4111 eur";
    assert_eq!(text["0 content"], expected);
    let two = read(1);
    assert_eq!(two["0 content"], "one: [REDACTED:credit-card]");
    assert_eq!(two["1 content"], "mail [REDACTED:email] or 4111 1111 none");
    let arguments = r#"{"to":"[REDACTED:email]","cc":["\ud83d\ude00 x","a\"b"],"card":"[REDACTED:credit-card]","n": 12 ,"ok":true}"#;
    let tools = read(2);
    assert_eq!(tools["0 arguments 0"], arguments);
    let second = r#"{"q":"select 1","note":"[REDACTED:credit-card]"}"#;
    assert_eq!(tools["0 arguments 1"], second);
    assert_eq!(
        read(4)["0 reasoning_content"],
        "The user is [REDACTED:email], I answer"
    );
    assert_eq!(read(4)["0 content"], "Dear [REDACTED:email], done");
    let all = read(5);
    assert_eq!(
        all["0 thinking"],
        "The card [REDACTED:credit-card] is known to [REDACTED:email]"
    );
    assert_eq!(
        all["0 signature"],
        "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"
    );
    assert_eq!(all["1 text"], "Hi 😀! Café [REDACTED:email]");
    assert_eq!(all["2 partial_json"], arguments);
    let completion = read(7);
    assert_eq!(completion["0 text"], "The card [REDACTED:credit-card], ok");
    assert_eq!(completion["1 text"], "Write to [REDACTED:email] or 4111");
}

#[test]
fn a_response_says_the_same_in_its_deltas_and_in_full() {
    for (shape, stream, _) in &STREAMS[8..] {
        let out = texts(&whole(*shape, &Set::all(), stream.as_bytes()));
        let full = out.iter().filter(|(name, _)| name.ends_with(" in full"));
        for (name, text) in full {
            assert_eq!(&out[name.trim_end_matches(" in full")], text, "{name}");
        }
    }
    let (shape, stream, _) = STREAMS[11];
    let out = texts(&whole(shape, &Set::all(), stream.as_bytes()));
    let arguments = r#"{"to":"[REDACTED:email]","cc":["\ud83d\ude00 x"],"card":"[REDACTED:credit-card]","n": 12 ,"ok":true}"#;
    for (name, text) in [
        (
            "response.reasoning_summary_text 0",
            "Mail [REDACTED:email] first",
        ),
        ("response.function_call_arguments 1", arguments),
        (
            "response.custom_tool_call_input 2",
            "charge [REDACTED:credit-card] now",
        ),
        (
            "response.code_interpreter_call_code 3",
            "to = '[REDACTED:email]'\npay(to)",
        ),
        ("response.refusal 4", "Not for [REDACTED:credit-card]."),
    ] {
        assert_eq!(out[name], text);
        assert_eq!(out[&format!("{name} in full")], text);
    }
}

#[test]
fn what_a_response_repeats_is_counted_once() {
    let findings = |stream: &str| {
        let mut masked = Stream::new(Shape::OpenAiResponses, Framing::Events, Set::all());
        masked
            .push(stream.as_bytes(), &mut BytesMut::new())
            .unwrap();
        masked.findings().len()
    };
    let (_, stream, _) = STREAMS[11];
    assert_eq!(findings(stream), 6);
    // A stream that is taken up again behind the deltas.
    let rest = stream
        .find("event: response.reasoning_summary_text.done")
        .unwrap();
    assert_eq!(findings(&stream[rest..]), 6);
    let rest = stream.find("event: response.completed").unwrap();
    assert_eq!(findings(&stream[rest..]), 6);
}

#[test]
fn events_stay_as_many_with_the_same_names() {
    for (shape, stream, _) in STREAMS {
        let out = whole(shape, &Set::all(), stream.as_bytes());
        assert_eq!(data(&out).len(), data(stream).len());
        let other = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("data: {"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(other(&out), other(stream));
    }
}

#[test]
fn what_the_set_does_not_name_passes_byte_for_byte() {
    for (shape, stream, _) in STREAMS {
        for set in [Set::new([]), Set::new(["aws-key"])] {
            assert_eq!(whole(shape, &set, stream.as_bytes()), stream);
        }
    }
}

#[test]
fn an_event_leaves_with_the_byte_that_settles_it() {
    let (shape, stream, _) = STREAMS[6];
    let whole_events = |text: &str| {
        stream
            .find(text)
            .map(|at| stream[..at].matches("\n\n").count())
    };
    // "Hello" may become an address until the next delta; the space ahead of "there" tells.
    for (upto, out) in [
        ("ping", 2),
        ("\"Hello\"", 3),
        ("\" there\"", 3),
        ("wait", 4),
    ] {
        let end = whole_events(upto).unwrap();
        let bytes: String = stream.split_inclusive("\n\n").take(end).collect();
        let states = masked(shape, &Set::all(), [bytes.as_bytes()]).unwrap();
        let left = std::str::from_utf8(&states[0]).unwrap();
        assert_eq!(data(left).len(), out, "up to {upto}");
    }
}

#[test]
fn nothing_waits_for_more_than_the_end_of_its_text() {
    for (shape, stream, expected) in STREAMS {
        let last = [
            "data: [DONE]",
            "event: message_delta",
            "event: response.completed",
        ];
        let last = last.iter().find_map(|last| stream.find(last));
        let bytes = &stream.as_bytes()[..last.unwrap()];
        let states = masked(shape, &Set::all(), [bytes]).unwrap();
        assert!(expected.as_bytes().starts_with(&states[0]));
        let left = std::str::from_utf8(&states[0]).unwrap();
        assert_eq!(
            data(left).len(),
            data(std::str::from_utf8(bytes).unwrap()).len()
        );
    }
    for last in ["data: [DONE]\n\n", "data: {\"type\":\"message_stop\"}\n\n"] {
        let shape = match last.contains("DONE") {
            true => Shape::OpenAiChat,
            false => Shape::AnthropicMessages,
        };
        let held = "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"bob\"},\"choices\":[{\"delta\":{\"content\":\"bob\"}}]}\n\n";
        let states = masked(shape, &Set::all(), [held.as_bytes(), last.as_bytes()]).unwrap();
        assert!(states[0].is_empty());
        assert_eq!(states[1], held.to_owned() + last);
    }
}

#[test]
fn one_class_is_masked_without_the_other() {
    let (shape, stream, _) = STREAMS[0];
    let out = whole(shape, &Set::new(["credit-card"]), stream.as_bytes());
    let text = &texts(&out)["0 content"];
    assert!(text.contains("[REDACTED:credit-card]") && text.contains("anna.lee@example.com"));
}

#[test]
fn tokens_are_not_told_where_the_text_is_masked() {
    let (shape, stream, _) = STREAMS[3];
    let out = whole(shape, &Set::all(), stream.as_bytes());
    assert!(
        !out.contains(r#""token":" 4111""#) && !out.contains(r#""token":"1111""#),
        "{out}"
    );
    assert!(out.contains(r#""token":"Call""#));
    assert!(
        !out.contains(r#""token":" go""#),
        "not in later events either"
    );
}
