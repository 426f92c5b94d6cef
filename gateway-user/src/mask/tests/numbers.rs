//! Numbers of JSON: told by their keys as strings are, in documents and in arguments that come in pieces.

use super::super::body;
use super::*;

fn body_of(text: &str) -> String {
    let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
    let masked = body(&bytes, Shape::Json, &Set::all()).unwrap();
    String::from_utf8(masked.bytes.to_vec()).unwrap()
}

/// What the arguments of a call become that come in pieces of this size.
fn arguments(text: &str, size: usize) -> String {
    let pieces = text.as_bytes().chunks(size).map(|piece| {
        let piece = String::from_utf8(piece.to_vec()).unwrap();
        let call = serde_json::json!({"index": 0, "function": {"arguments": piece}});
        let choice = serde_json::json!({"index": 0, "delta": {"tool_calls": [call]}});
        format!("data: {}\n\n", serde_json::json!({"choices": [choice]}))
    });
    let stream: String = pieces.collect();
    let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
    texts(&out)["0 arguments 0"].clone()
}

#[test]
fn a_number_is_known_by_its_key() {
    for (text, expected) in [
        (
            r#"{"ssn":536221234,"phone": 4158675309 ,"n":[{"phone":4158675309}]}"#,
            r#"{"ssn":"[REDACTED:us-ssn]","phone": "[REDACTED:phone-number]" ,"n":[{"phone":"[REDACTED:phone-number]"}]}"#,
        ),
        (
            r#"{"phones":[4158675309,4158675310]}"#,
            r#"{"phones":["[REDACTED:phone-number]","[REDACTED:phone-number]"]}"#,
        ),
        (
            r#"{"name":"ssn","value":536221234}"#,
            r#"{"name":"ssn","value":"[REDACTED:us-ssn]"}"#,
        ),
        (
            r#"{"a":4111111111111111.0,"b":[4.111111111111111E15,4111111111111111.00]}"#,
            r#"{"a":"[REDACTED:credit-card]","b":["[REDACTED:credit-card]","[REDACTED:credit-card]"]}"#,
        ),
    ] {
        assert_eq!(body_of(text), expected);
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(arguments(text, size), expected, "{size}");
        }
    }
}

#[test]
fn numbers_that_no_key_announces_stay() {
    for text in [
        r#"{"max_tokens":1000000000,"max_completion_tokens":1234567890,"budget_tokens":123456789,"total_tokens":987654321,"seed":1234567890}"#,
        r#"{"created":1732665600,"created_at":1732665600.123456,"expires_at":1732665600000,"id":536221234,"size":4158675309,"offset":[536221234]}"#,
        r#"{"prompt_tokens":536221234,"token_count":123456789,"logprob":-0.000123456789,"total_duration":4158675309,"temperature":0.123456789}"#,
        r#"{"a":4111111111111111.5,"b":4.111111111111111e-15,"c":1e300,"d":41111111111111.11}"#,
        r#"{"passwords_changed":1732665600,"password_changed_at":1732665600,"secret_version":123456789,"token_expires_in":123456789}"#,
    ] {
        assert_eq!(body_of(text), text);
        assert_eq!(arguments(text, 5), text);
    }
}
