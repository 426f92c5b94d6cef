//! Streams cut anywhere, and texts of every kind there and back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;

use super::{VALUES, masked, restored, set, surrogates};
use crate::mask::surrogate::{Surrogates, Written};
use crate::mask::{Shape, Stream};
use crate::policy::Style;
use crate::protocol::frames::Framing;

#[test]
fn streams_have_the_same_surrogates_wherever_they_are_cut() {
    let delta = |text: &str| {
        let event = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]});
        format!("data: {event}\n\n")
    };
    let arguments = |text: &str| {
        let call = serde_json::json!({"index": 0, "function": {"arguments": text}});
        let event = serde_json::json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]});
        format!("data: {event}\n\n")
    };
    let stream = [
        delta("write to anna.sm"),
        delta("ith@corp.com now"),
        arguments(r#"{"card": 41111111"#),
        arguments(r#"11111111, "to": "anna.smith@co"#),
        arguments(r#"rp.com"}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    let surrogates = surrogates();
    let mail = masked(
        "anna.smith@corp.com",
        Shape::Text,
        &set(Style::Surrogate, &surrogates),
    );
    let mut outs = BTreeSet::new();
    for cut in 0..stream.len() {
        let fresh = Arc::new(Surrogates::new(b"a key"));
        let mut masking = Stream::new(
            Shape::OpenAiChat,
            Framing::Events,
            set(Style::Surrogate, &fresh),
        );
        let mut out = BytesMut::new();
        masking.push(&stream.as_bytes()[..cut], &mut out).unwrap();
        masking.push(&stream.as_bytes()[cut..], &mut out).unwrap();
        masking.finish(&mut out).unwrap();
        outs.insert(String::from_utf8(out.to_vec()).unwrap());
    }
    assert_eq!(outs.len(), 1);
    let out = outs.pop_first().unwrap();
    assert_eq!(out.matches(&mail).count(), 2, "{out}");
    assert!(!out.contains("corp.com") && !out.contains("4111"), "{out}");
}

proptest! {
    #[test]
    fn what_is_masked_comes_back(
        words in prop::collection::vec(
            prop_oneof![
                prop::sample::select(VALUES).prop_map(|(_, value)| value.to_owned()),
                "[a-z]{1,8}",
                "[\"\\\\&=%/+ é]{1,4}",
                "[a-z]{3,8}@[a-z]{3,8}\\.(com|org|de)",
            ],
            0..12,
        ),
        separator in prop::sample::select(vec![" ", ", ", "\n", "\" "]),
    ) {
        let surrogates = surrogates();
        let set = set(Style::Surrogate, &surrogates);
        let text = words.join(separator);
        let out = masked(&text, Shape::Text, &set);
        prop_assert_eq!(restored(&surrogates, &out, Written::Text).unwrap(), text.clone());
        prop_assert_eq!(masked(&out, Shape::Text, &set), out);
        let json = serde_json::json!({"text": text, "nested": serde_json::json!([text]).to_string()}).to_string();
        let out = masked(&json, Shape::Json, &set);
        prop_assert_eq!(restored(&surrogates, &out, Written::Json).unwrap(), json);
    }
}
