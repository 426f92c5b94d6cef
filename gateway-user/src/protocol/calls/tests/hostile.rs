//! Answers that are written so that what is decided on is not what the agent carries out.

use super::*;
use crate::protocol::json;

/// The calls that are decided on in a stream in which all are permitted, or why nothing goes on.
fn decided(family: Family, events: &[&str]) -> Result<Vec<String>, CallsError> {
    let stream: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    Ok(run(family, &[&stream])?.1)
}

fn chat(calls: &str) -> String {
    format!("{{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{calls}]}}}}]}}")
}

#[test]
fn numbers_are_decided_on_as_they_are_written() {
    let pay =
        |to: &str| format!("{{\"type\":\"tool_use\",\"name\":\"pay\",\"input\":{{\"to\":{to}}}}}");
    let (one, other) = ("100200300400500600700801", "100200300400500600700802");
    let body = format!("{{\"content\":[{},{}]}}", pay(one), pay(other));
    let calls = of_body(Family::AnthropicMessages, None, body.as_bytes()).unwrap();
    let told = calls.iter().map(|call| call.arguments.clone());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [format!("{{\"to\":{one}}}"), format!("{{\"to\":{other}}}")]
    );
    assert_ne!(
        canonical(&calls[0].arguments),
        canonical(&calls[1].arguments)
    );
    assert_eq!(
        canonical("{ \"a\" : 1E2, \"b\": [ 1.10 ] }"),
        "{\"a\":1E2,\"b\":[1.10]}"
    );
    let mut facts = Facts::default();
    super::facts(&calls[0], &mut facts).unwrap();
    assert_eq!(facts.text("arguments"), Some(&*calls[0].arguments));
    let edits = [Edit {
        call: calls[0].clone(),
        arguments: json::merge(&calls[0].arguments, &serde_json::json!({"dry_run": true})).unwrap(),
    }];
    let edited = edited(Family::AnthropicMessages, None, body.as_bytes(), &edits).unwrap();
    let edited = String::from_utf8(edited.to_vec()).unwrap();
    assert!(
        edited.contains(&format!("{{\"to\":{one},\"dry_run\":true}}")),
        "{edited}"
    );
    // A text that looks like such a number to the code that reads it.
    let marked =
        "{\"content\":[{\"type\":\"tool_use\",\"name\":\"pay\",\"input\":{\"to\":\"\u{f8fe}1\"}}]}";
    let read = of_body(Family::AnthropicMessages, None, marked.as_bytes());
    assert!(matches!(read, Err(CallsError::Strange)), "{read:?}");
}

#[test]
fn the_same_call_twice_is_two_calls() {
    let twice = chat(
        "{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"pay\",\"arguments\":\"{}\"}},{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"pay\",\"arguments\":\"{}\"}}",
    );
    let asked = decided(Family::OpenAiChat, &[&twice, "[DONE]"]).unwrap();
    assert_eq!(asked, ["pay {}", "pay {}"]);
    let answer = "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"pay\",\"arguments\":\"{}\"}},{\"function\":{\"name\":\"pay\",\"arguments\":\"{}\"}}]}}]}";
    let calls = of_body(Family::OpenAiChat, None, answer.as_bytes()).unwrap();
    assert_eq!(calls.len(), 2);
    // One that the model wrote as another goes on is decided on by itself.
    let block = |index: u64, key: u64| {
        [
            format!(
                "{{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{{\"type\":\"tool_use\",\"name\":\"pay\",\"input\":{{}}}}}}"
            ),
            format!(
                "{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"partial_json\":\"{{\\\"k\\\":{key}}}\"}}}}"
            ),
            format!("{{\"type\":\"content_block_stop\",\"index\":{index}}}"),
        ]
    };
    let events = [block(0, 1), block(1, 2)].concat();
    let stream: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let (mut held, mut out) = (
        Stream::new(Family::AnthropicMessages, Framing::Events),
        BytesMut::new(),
    );
    let mut step = held.push(stream.as_bytes(), &mut out).unwrap();
    let mut asked = 0;
    while let Step::Decide(calls) = step {
        asked += calls.len();
        let edits: Vec<Edit> = calls
            .into_iter()
            .map(|call| Edit {
                call,
                arguments: "{\"k\":2}".to_owned(),
            })
            .collect();
        step = held.permit(&edits, &mut out).unwrap();
    }
    assert_eq!(asked, 2);
}

#[test]
fn what_says_a_call_again_in_full_is_decided_on_as_it_says_it() {
    let done = |arguments: &str| {
        format!(
            "{{\"type\":\"response.function_call_arguments.done\",\"output_index\":0,\"item_id\":\"i\",\"arguments\":\"{arguments}\"}}"
        )
    };
    let item = |arguments: &str| {
        format!(
            "{{\"id\":\"i\",\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"{arguments}\"}}"
        )
    };
    let (ls, rm) = ("{\\\"c\\\":\\\"ls\\\"}", "{\\\"c\\\":\\\"rm\\\"}");
    let added = format!(
        "{{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{}}}",
        item("")
    );
    let over = format!(
        "{{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{}}}",
        item(ls)
    );
    for family in [Family::OpenAiResponses, Family::OpenAiRealtime] {
        for events in [
            [&added, &done(ls), &over, &done(rm)],
            [&added, &done(rm), &done(ls), &over],
        ] {
            let events = events.map(String::as_str);
            let asked = decided(family, &events).unwrap();
            assert!(
                asked.contains(&"shell {\"c\":\"rm\"}".to_owned()),
                "{family:?} {asked:?}"
            );
            assert!(
                asked.contains(&"shell {\"c\":\"ls\"}".to_owned()),
                "{family:?} {asked:?}"
            );
        }
    }
}

#[test]
fn a_call_that_is_only_begun_is_decided_on_where_it_is_whole() {
    let added = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"local_shell_call","action":{"command":["rm"]}}}"#;
    for end in [
        r#"{"type":"error","message":"x"}"#,
        r#"{"type":"response.incomplete","response":{"output":[]}}"#,
        "[DONE]",
    ] {
        let asked = decided(Family::OpenAiResponses, &[added, end]).unwrap();
        assert_eq!(asked, ["local_shell {\"command\":[\"rm\"]}"], "{end}");
    }
}

#[test]
fn a_tool_has_one_name() {
    let piece = |name: &str| {
        chat(&format!(
            "{{\"index\":0,\"function\":{{\"name\":\"{name}\",\"arguments\":\"\"}}}}"
        ))
    };
    let error = decided(
        Family::OpenAiChat,
        &[&piece("read"), &piece("_and_delete"), "[DONE]"],
    );
    assert!(matches!(error, Err(CallsError::Strange)), "{error:?}");
    let again = decided(
        Family::OpenAiChat,
        &[&piece("read"), &piece("read"), "[DONE]"],
    );
    assert_eq!(again.unwrap(), ["read "]);
}

#[test]
fn a_document_is_read_however_it_begins() {
    let body = "{\"choices\":[{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"shell\",\"arguments\":\"{}\"}}]}}]}";
    let wide: Vec<u8> = body.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for body in [[b"\xef\xbb\xbf", body.as_bytes()].concat(), wide] {
        let read = of_body(Family::OpenAiChat, None, &body);
        assert!(read.is_err(), "{read:?}");
        let mut stream = Stream::new(Family::OpenAiChat, Framing::Events);
        let mut out = BytesMut::new();
        let pushed = stream
            .push(&body, &mut out)
            .and_then(|_| stream.finish(&mut out));
        assert!(pushed.is_err() && out.is_empty(), "{pushed:?}");
    }
}

#[test]
fn more_calls_than_anybody_decides_on_at_once_do_not_go_on() {
    let calls: Vec<String> = (0..200)
        .map(|index| format!("{{\"index\":{index},\"function\":{{\"name\":\"a\",\"arguments\":\"{{\\\"n\\\":{index}}}\"}}}}"))
        .collect();
    let asked = decided(
        Family::OpenAiChat,
        &[&chat(&calls[..100].join(",")), "[DONE]"],
    )
    .unwrap();
    assert_eq!(asked.len(), 100);
    let error = decided(Family::OpenAiChat, &[&chat(&calls.join(",")), "[DONE]"]);
    assert!(matches!(error, Err(CallsError::Many)), "{error:?}");
}

#[test]
fn a_call_is_not_over_with_a_reason_that_says_nothing() {
    for finish in ["null", "\"\"", "\"null\"", "\"Null\""] {
        let piece = |call: &str| {
            format!(
                "{{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{call}]}},\"finish_reason\":{finish}}}]}}"
            )
        };
        let begins = piece(
            "{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"pay\",\"arguments\":\"{\\\"to\\\":\"}}",
        );
        let goes_on = piece("{\"index\":0,\"function\":{\"arguments\":\"\\\"eve\\\"}\"}}");
        let over = "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}";
        let asked = decided(Family::OpenAiChat, &[&begins, &goes_on, over]).unwrap();
        assert_eq!(asked, ["pay {\"to\":\"eve\"}"], "{finish}");
    }
}

#[test]
fn a_message_that_repeats_its_deltas_is_the_same_call() {
    let call = |arguments: &str, index: &str| {
        format!(
            "{{{index}\"id\":\"a\",\"function\":{{\"name\":\"pay\",\"arguments\":\"{arguments}\"}}}}"
        )
    };
    let delta = chat(&call("{\\\"to\\\":1}", "\"index\":0,"));
    let last = |arguments: &str| {
        format!(
            "{{\"choices\":[{{\"index\":0,\"delta\":{{}},\"message\":{{\"tool_calls\":[{}]}},\"finish_reason\":\"tool_calls\"}}]}}",
            call(arguments, "")
        )
    };
    let asked = decided(
        Family::OpenAiChat,
        &[&delta, &last("{\\\"to\\\":1}"), "[DONE]"],
    );
    assert_eq!(asked.unwrap(), ["pay {\"to\":1}"]);
    let asked = decided(
        Family::OpenAiChat,
        &[&delta, &last("{\\\"to\\\":2}"), "[DONE]"],
    );
    assert_eq!(asked.unwrap(), ["pay {\"to\":1}", "pay {\"to\":2}"]);
}

#[test]
fn calls_that_a_server_gives_one_place_are_several_by_their_ids() {
    let call = |id: &str, name: &str, arguments: &str| {
        chat(&format!(
            "{{\"index\":0,\"id\":\"{id}\",\"function\":{{\"name\":\"{name}\",\"arguments\":\"{arguments}\"}}}}"
        ))
    };
    let more = chat("{\"index\":0,\"function\":{\"arguments\":\"{\\\"b\\\":2}\"}}");
    for name in ["pay", "read"] {
        let events = [
            &call("a", "pay", "{\\\"a\\\":1}"),
            &call("b", name, ""),
            &more,
            "[DONE]",
        ];
        let asked = decided(Family::OpenAiChat, &events.map(|event| event as &str));
        assert_eq!(
            asked.unwrap(),
            ["pay {\"a\":1}".to_owned(), format!("{name} {{\"b\":2}}")]
        );
    }
    // What some put together is not cut apart where it is not whole.
    let halves = [
        &call("a", "pay", "{\\\"a\\\":"),
        &call("b", "pay", "1}"),
        "[DONE]",
    ];
    let asked = decided(Family::OpenAiChat, &halves.map(|event| event as &str));
    assert_eq!(asked.unwrap(), ["pay {\"a\":1}"]);
    let far = chat("{\"index\":4294967296,\"function\":{\"name\":\"pay\",\"arguments\":\"{}\"}}");
    let asked = decided(Family::OpenAiChat, &[&far]);
    assert!(matches!(asked, Err(CallsError::Strange)), "{asked:?}");
}
