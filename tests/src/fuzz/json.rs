//! The JSON walker against serde_json: it walks what that reads, visits every value once, and decodes strings to the same text.

use gateway_user::protocol::json::{JsonError, Keys, Kind, decode, encode, walk};
use serde_json::Value;

pub(super) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut visited = Vec::new();
    let walked = walk(text, Keys::Any, |_, kind, range| {
        visited.push((kind, range))
    });
    match (serde_json::from_str::<Value>(text), walked) {
        (Ok(value), Ok(())) => {
            // An object that has a key twice has fewer values for serde_json.
            if walk(text, Keys::Unique, |_, _, _| {}).is_ok() {
                assert_eq!(visited.len(), values(&value), "{text:?}");
            }
        }
        // serde_json reads an unpaired surrogate as an error where it keeps the text, not where it skips it.
        (Err(_), _) => return,
        (Ok(_), Err(JsonError::Deep)) => return,
        (Ok(_), Err(error)) => panic!("{error} in {text:?}"),
    }
    for (kind, range) in visited {
        let literal = &text[range];
        let Ok(value) = serde_json::from_str::<Value>(literal) else {
            panic!("{kind:?} is no JSON text: {literal:?}");
        };
        let expected = match kind {
            Kind::Key | Kind::String => value.is_string(),
            Kind::Number => value.is_number(),
            Kind::Word => value.is_boolean() || value.is_null(),
            Kind::Container => value.is_array() || value.is_object(),
        };
        assert!(expected, "{kind:?}: {literal:?}");
        if let Value::String(decoded) = value {
            assert_eq!(decode(literal), decoded);
            assert_eq!(decode(&encode(&decoded)), decoded);
        }
    }
}

/// Values and keys of a document.
fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(|member| 1 + values(member)).sum(),
        _ => 0,
    }
}
