//! Whole bodies, and streams that are not a model's.

use bytes::Bytes;

use super::super::{body, findings};
use super::*;

fn body_of(text: &str, shape: Shape) -> String {
    let masked = body(&Bytes::copy_from_slice(text.as_bytes()), shape, &Set::all()).unwrap();
    String::from_utf8(masked.bytes.to_vec()).unwrap()
}

fn found(text: &str, shape: Shape) -> Vec<String> {
    let found = findings(text.as_bytes(), shape, &Set::all()).unwrap();
    found
        .iter()
        .map(|finding| finding.detector.to_string())
        .collect()
}

/// What the pieces of a call's arguments are put together to.
fn arguments(pieces: &[&str]) -> String {
    let events = pieces.iter().map(|piece| {
        let call = serde_json::json!({"index": 0, "function": {"arguments": piece}});
        let choice = serde_json::json!({"index": 0, "delta": {"tool_calls": [call]}});
        format!("data: {}\n\n", serde_json::json!({"choices": [choice]}))
    });
    let stream: String = events.collect();
    let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
    texts(&out)["0 arguments 0"].clone()
}

#[test]
fn only_what_is_found_changes() {
    let text = r#" {"a" : "caf\u00e9 a\u0040b.example\n\"x\"", "a@b.example":[1, 4111111111111111 ,{"k":null}] }"#;
    let expected = r#" {"a" : "caf\u00e9 [REDACTED:email]\n\"x\"", "[REDACTED:email]":[1, "[REDACTED:credit-card]" ,{"k":null}] }"#;
    assert_eq!(body_of(text, Shape::Json), expected);
    assert_eq!(found(text, Shape::Json), ["email", "email", "credit-card"]);
}

#[test]
fn keys_that_become_the_same_stay_apart() {
    let text = r#"{"a@b.example":1,"c@d.example":2,"e":{"f@g.example":3}}"#;
    let expected = r#"{"[REDACTED:email]":1,"[REDACTED:email] (2)":2,"e":{"[REDACTED:email]":3}}"#;
    for shape in [Shape::Json, Shape::OpenAiChat] {
        assert_eq!(body_of(text, shape), expected);
    }
}

#[test]
fn documents_in_strings_are_read_too() {
    let inner = r#"{"to":"\u0061nna@example.com","n":"{\"card\":4111111111111111}"}"#;
    let call = |arguments: &str| {
        let function = serde_json::json!({"name": "send", "arguments": arguments});
        serde_json::json!({"messages": [{"tool_calls": [{"function": function}]}]}).to_string()
    };
    let expected = r#"{"to":"[REDACTED:email]","n":"{\"card\":\"[REDACTED:credit-card]\"}"}"#;
    assert_eq!(body_of(&call(inner), Shape::OpenAiChat), call(expected));
    assert_eq!(
        found(&call(inner), Shape::OpenAiChat),
        ["email", "credit-card"]
    );
    // What only starts like one is text.
    assert_eq!(found(r#"["{ anna@example.com"]"#, Shape::Json), ["email"]);
}

#[test]
fn a_clean_body_is_the_very_same_bytes() {
    let text = Bytes::from_static(br#"{"messages":[{"content":"version 1.2, 4111"}]}"#);
    for shape in [
        Shape::OpenAiChat,
        Shape::AnthropicMessages,
        Shape::Json,
        Shape::Text,
    ] {
        let masked = body(&text, shape, &Set::all()).unwrap();
        assert!(masked.findings.is_empty());
        assert_eq!(masked.bytes.as_ptr(), text.as_ptr());
    }
}

#[test]
fn the_set_decides_what_is_masked_and_everything_is_found() {
    let text = Bytes::from_static(b"[\"anna@example.com 4111111111111111\"]");
    let masked = body(&text, Shape::Json, &Set::new(["credit-card"])).unwrap();
    assert_eq!(
        masked.bytes,
        "[\"anna@example.com [REDACTED:credit-card]\"]"
    );
    assert_eq!(masked.findings.len(), 1);
    assert_eq!(findings(&text, Shape::Json, &Set::all()).unwrap().len(), 2);
    let class = body(&text, Shape::Json, &Set::new(["pii"])).unwrap();
    assert_eq!(class.findings.len(), 2);
    let other = body(&text, Shape::Json, &Set::new(["secrets"])).unwrap();
    assert_eq!(other.bytes, text);
    assert!(!Set::all().is_empty() && Set::new([]).is_empty());
}

#[test]
fn bytes_between_texts_survive() {
    let text = Bytes::from_static(b"\xff\xfe anna@example.com \xc3(");
    let masked = body(&text, Shape::Text, &Set::all()).unwrap();
    assert_eq!(&masked.bytes[..], b"\xff\xfe [REDACTED:email] \xc3(");
}

#[test]
fn bodies_that_cannot_be_read_are_errors() {
    let twice = br#"{"model":"a","mod\u0065l":"b"}"#;
    let error = findings(twice, Shape::OpenAiChat, &Set::all()).unwrap_err();
    assert_eq!(error.to_string(), "an object has the key \"model\" twice");
    assert!(findings(twice, Shape::Json, &Set::all()).is_ok());
    for text in [&b"{"[..], b"{} {}", b"\"\xff\"", b"a"] {
        assert!(
            findings(text, Shape::Json, &Set::all()).is_err(),
            "{text:?}"
        );
        assert!(findings(text, Shape::Text, &Set::all()).is_ok(), "{text:?}");
    }
}

#[test]
fn a_masked_answer_tells_no_tokens() {
    let text = r#"{"choices":[{"message":{"content":"4111111111111111"},"logprobs":{"content":[{"token":"41111111"}]}}]}"#;
    let expected =
        r#"{"choices":[{"message":{"content":"[REDACTED:credit-card]"},"logprobs":null}]}"#;
    assert_eq!(body_of(text, Shape::OpenAiChat), expected);
}

#[test]
fn a_masked_response_tells_no_tokens_either() {
    let text = r#"{"output":[{"content":[{"text":"4111111111111111","logprobs":[{"token":"41111111"}]}]}]}"#;
    let expected = r#"{"output":[{"content":[{"text":"[REDACTED:credit-card]","logprobs":[]}]}]}"#;
    assert_eq!(body_of(text, Shape::OpenAiResponses), expected);
    let clean = text.replace("4111111111111111", "no");
    assert_eq!(body_of(&clean, Shape::OpenAiResponses), clean);
    // A tool may have an argument of that name.
    let tool =
        r#"{"input":"4111111111111111","tools":[{"parameters":{"properties":{"logprobs":{}}}}]}"#;
    let expected = tool.replace("4111111111111111", "[REDACTED:credit-card]");
    assert_eq!(body_of(tool, Shape::OpenAiResponses), expected);
}

#[test]
fn vectors_are_nobodys_data() {
    let text = r#"{"data":[{"embedding":[4111111111111111,0.5]},{"embedding":"4111111111111111"}],"model":"a@b.example"}"#;
    let expected = text.replace("a@b.example", "[REDACTED:email]");
    assert_eq!(body_of(text, Shape::Vectors), expected);
    assert_eq!(found(text, Shape::OpenAiChat).len(), 3);
}

#[test]
fn other_streams_are_masked_event_by_event() {
    let stream = "id: 7\ndata: {\"a\":\"b\\u0040c.example\"}\n\ndata: to b@c.example\n\n: b\n\ndata: {no\n\n";
    let expected = "id: 7\ndata: {\"a\":\"[REDACTED:email]\"}\n\ndata: to [REDACTED:email]\n\n: b\n\ndata: {no\n\n";
    assert_eq!(whole(Shape::Text, &Set::all(), stream.as_bytes()), expected);
    assert_eq!(whole(Shape::Json, &Set::all(), stream.as_bytes()), expected);
}

#[test]
fn unknown_events_of_a_model_are_masked_too() {
    let stream = "data: {\"type\":\"response.output_text.done\",\"text\":\"b@c.example\",\"sequence_number\":4}\n\n";
    let expected = stream.replace("b@c.example", "[REDACTED:email]");
    assert_eq!(
        whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes()),
        expected
    );
    assert_eq!(
        whole(Shape::AnthropicMessages, &Set::all(), stream.as_bytes()),
        expected
    );
    assert_eq!(
        whole(Shape::OpenAiChat, &Set::all(), b"data: b@c.example\n\n"),
        "data: [REDACTED:email]\n\n"
    );
}

#[test]
fn deltas_of_any_kind_are_pieces_of_a_text() {
    for delta in [r#""PIECE""#, r#"{"text":"PIECE"}"#] {
        for kind in [
            "output_text",
            "reasoning",
            "audio.transcript",
            "kind_of_tomorrow",
        ] {
            let events = ["4111 1111", " 1111 1111"].map(|piece| {
                let delta = delta.replace("PIECE", piece);
                format!("data: {{\"type\":\"response.{kind}.delta\",\"output_index\":0,\"delta\":{delta}}}\n\n")
            });
            let out = whole(
                Shape::OpenAiResponses,
                &Set::all(),
                events.concat().as_bytes(),
            );
            assert!(
                out.contains("[REDACTED:credit-card]") && !out.contains("1111"),
                "{out}"
            );
        }
    }
    let sound = "data: {\"type\":\"response.audio.delta\",\"delta\":\"4111111111111111\"}\n\n";
    assert_eq!(
        whole(Shape::OpenAiResponses, &Set::all(), sound.as_bytes()),
        sound
    );
}

#[test]
fn events_that_cannot_be_read_end_the_stream() {
    for event in [
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"\n\n",
        "data: {\"choices\":[],\"choices\":[]}\n\n",
        "data: {\"choices\":[{\"index\":0.5,\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":\"0\",\"delta\":{\"content\":\"a\"}}]}\n\n",
    ] {
        assert!(
            masked(Shape::OpenAiChat, &Set::all(), [event.as_bytes()]).is_err(),
            "{event}"
        );
    }
    for event in [
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":\"0\",\"delta\":\"a\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"output_index\":1,\"delta\":\"a\"}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\n\n",
    ] {
        let masked = masked(Shape::OpenAiResponses, &Set::all(), [event.as_bytes()]);
        assert!(masked.is_err(), "{event}");
    }
}

#[test]
fn arguments_that_are_not_json_are_text() {
    assert_eq!(
        arguments(&["card 4111 11", "11 1111 1111"]),
        "card [REDACTED:credit-card]"
    );
    assert_eq!(
        arguments(&["see <b", "@c.example>, ok"]),
        "see <[REDACTED:email]>, ok"
    );
    // Cut off by the model's token limit.
    assert_eq!(
        arguments(&["{\"a\":\"x b@c", ".example"]),
        "{\"a\":\"x [REDACTED:email]"
    );
    assert_eq!(arguments(&["{\"a\":\"x\\u00"]), "{\"a\":\"x\\u00");
    assert_eq!(
        arguments(&["{\"a\":41111111", "11111111"]),
        "{\"a\":\"[REDACTED:credit-card]\""
    );
}

#[test]
fn a_value_is_known_by_its_key() {
    let text = r#"{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "other": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}"#;
    let expected = r#"{"SecretAccessKey": "[REDACTED:aws-key]", "other": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}"#;
    assert_eq!(body_of(text, Shape::Json), expected);
    for size in 1..20 {
        let starts = (0..text.len()).step_by(size);
        let pieces = starts.map(|at| &text[at..text.len().min(at + size)]);
        assert_eq!(arguments(&pieces.collect::<Vec<_>>()), expected);
    }
}

#[test]
fn other_fields_of_a_choice_are_texts_too() {
    for delta in [
        r#"{"refusal":"PIECE"}"#,
        r#"{"reasoning":"PIECE"}"#,
        r#"{"function_call":{"arguments":"PIECE"}}"#,
        r#"{"tool_calls":[{"custom":{"input":"PIECE"}}]}"#,
    ] {
        let events = [r#"\"4111 1111"#, r#" 1111 1111\""#].map(|piece| {
            let delta = delta.replace("PIECE", piece);
            format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n")
        });
        let out = whole(Shape::OpenAiChat, &Set::all(), events.concat().as_bytes());
        assert!(
            out.contains("[REDACTED:credit-card]") && !out.contains("1111"),
            "{out}"
        );
    }
}

#[test]
fn what_waits_for_a_part_that_does_not_go_on_is_limited() {
    let mut stream = Stream::new(Shape::OpenAiChat, Framing::Events, Set::all());
    let mut out = BytesMut::new();
    let held = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"4111\"}}]}\n\n";
    stream.push(held, &mut out).unwrap();
    let text = ". ".repeat(1 << 20);
    let choice = format!("{{\"index\":1,\"delta\":{{\"content\":\"{text}\"}}}}");
    let other = format!("data: {{\"choices\":[{choice}]}}\n\n");
    let pushed = [(); 4].map(|()| stream.push(other.as_bytes(), &mut out).is_ok());
    assert_eq!(pushed, [true, true, true, false]);
    assert!(out.is_empty());
}

#[test]
fn a_value_is_told_by_what_stands_above_it_and_beside_it() {
    let drawn = concat!("q7Zk2mWv9Rt4", "Lx8Bn3Hc");
    for (text, values) in [
        (r#"{"password":"my.Secret9"}"#, &["my.Secret9"][..]),
        (r#"{"password":"Xk9<m\"Q2>vL7"}"#, &[r#"Xk9<m\"Q2>vL7"#]),
        (r#"{"password":"Tr0ub4dor&3 x"}"#, &["Tr0ub4dor&3 x"]),
        (
            r#"{"env":[{"name":"A","value":"b"},{"name":"DB_PASSWORD","value":"my.Secret9"}]}"#,
            &["my.Secret9"],
        ),
        (
            r#"[{"key":"password","value":"Winter,77"}]"#,
            &["Winter,77"],
        ),
        (
            r#"{"ParameterKey":"DbPassword","ParameterValue":"Winter,77"}"#,
            &["Winter,77"],
        ),
        (r#"{"headers":[{"name":"X-Api-Key","value":"@"}]}"#, &["@"]),
        (
            r#"{"password":["Winter,77",{"a":1},"Winter;78"]}"#,
            &["Winter,77", "Winter;78"],
        ),
        (r#"{"api_keys":["@"]}"#, &["@"]),
        (r#"{"password":{"value":"Winter,77"}}"#, &["Winter,77"]),
        (r#"{"ssn":["536221847"]}"#, &["536221847"]),
        (
            r#"{"a":null,"password":["Winter,77"],"b":["Winter,77 is long"]}"#,
            &["Winter,77\"]"],
        ),
        (r#"{"a":["--password"],"b":["536221847"]}"#, &[]),
        (r#"{"phone":{"number":"4155552671"}}"#, &["4155552671"]),
        (
            r#"{"cmd":["mysql","--password","Tr0ub4dor3"]}"#,
            &["Tr0ub4dor3"],
        ),
    ] {
        let text = text.replace('@', drawn);
        let masked = body_of(&text, Shape::Json);
        for value in values {
            let value = value.replace('@', drawn);
            assert!(
                text.contains(&value) && !masked.contains(&value),
                "{masked}"
            );
        }
        assert_eq!(
            masked.matches("[REDACTED:").count(),
            values.len(),
            "{masked}"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&masked).is_ok());
        // In the arguments of a call as well, however they are cut.
        let pieces: Vec<String> = text.chars().map(String::from).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        for pieces in [&pieces[..], &[text.as_str()]] {
            assert_eq!(arguments(pieces), masked, "{text}");
        }
    }
    for text in [
        r#"{"name":"DB_PASSWORD","kind":"my.Secret9"}"#,
        r#"[{"name":"password"},{"value":"Winter,77"}]"#,
        r#"{"cmd":["--password",7,"Tr0ub4dor3"]}"#,
        r#"{"cmd":["--password",{},"Tr0ub4dor3"]}"#,
        r#"{"password":{"rule":"Winter,77"}}"#,
        r#"{"login":{"password":"Hasło","hint":"Forgot?"}}"#,
    ] {
        assert_eq!(body_of(text, Shape::Json), text);
        assert_eq!(arguments(&[text]), text);
    }
}
