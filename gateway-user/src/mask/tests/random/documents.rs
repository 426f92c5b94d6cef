//! Random documents that are there as a whole.

use std::collections::HashMap;

use super::*;

/// What masking makes of a document that is there as a whole: keys of it that become the same are numbered.
fn expected_document(document: &Value, set: &Set) -> Value {
    let mut renamed = HashMap::new();
    expected_value(document, set, &mut |key| {
        let count = renamed.entry(key.clone()).or_insert(0);
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
