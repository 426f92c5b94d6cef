//! Random documents that are there as a whole.

use std::collections::HashMap;

use super::*;

/// What masking makes of a document that is there as a whole: keys that become the same in one object are numbered.
fn expected_document(document: &Value, set: &Set) -> Value {
    let mut renamed = HashMap::new();
    expected_value(document, set, &mut |object, key| {
        let count = renamed.entry((object, key.clone())).or_insert(0);
        *count += 1;
        if *count == 1 {
            key
        } else {
            format!("{key} ({count})")
        }
    })
}

proptest! {
    #[test]
    fn whole_documents(document in arguments(), set in set()) {
        let body = bytes::Bytes::from(document.clone());
        let masked = super::super::super::body(&body, Shape::Json, &set).unwrap();
        let read: Value = serde_json::from_slice(&masked.bytes).unwrap();
        let before: Value = serde_json::from_str(&document).unwrap();
        prop_assert_eq!(&read, &expected_document(&before, &set));
        if masked.findings.is_empty() {
            prop_assert_eq!(&masked.bytes, &body);
        }
    }
}

#[test]
fn keys_that_become_the_same_are_numbered_in_their_own_object() {
    let card = "4111 1111 1111 1111";
    let other = "4242 4242 4242 4242";
    let document = json!({card: {card: null, other: 1}}).to_string();
    let body = bytes::Bytes::from(document.clone());
    let masked = super::super::super::body(&body, Shape::Json, &Set::all()).unwrap();
    let before: Value = serde_json::from_str(&document).unwrap();
    let read: Value = serde_json::from_slice(&masked.bytes).unwrap();
    assert_eq!(read, expected_document(&before, &Set::all()));
    let new = "[REDACTED:credit-card]";
    assert_eq!(read, json!({new: {new: null, format!("{new} (2)"): 1}}));
}
