//! What masking makes of a value, read off the detectors alone.

use super::*;

type Members = serde_json::Map<String, Value>;

/// What a document has to become. `rename` is told each key that is masked, in the order of the document.
pub(super) fn expected_value(
    value: &Value,
    set: &Set,
    rename: &mut impl FnMut(*const Members, String) -> String,
) -> Value {
    expected_below(value, &mut Above::default(), set, rename)
}

fn expected_below(
    value: &Value,
    above: &mut Above,
    set: &Set,
    rename: &mut impl FnMut(*const Members, String) -> String,
) -> Value {
    match value {
        Value::String(text) => {
            // A value is read behind what tells what it is.
            let announced = above.announce();
            let masked = expected(&(announced.clone() + text), set);
            above.says(|| text);
            Value::from(&masked[expected(&announced, set).len()..])
        }
        Value::Number(number) => {
            let announced = above.announce();
            above.says(|| "");
            let written = number.to_string();
            let first = |before: &str| {
                let mut found = detect::scan(&format!("{before}{written}"), set.detectors());
                found.retain(|finding| finding.range.start >= before.len());
                found
                    .into_iter()
                    .find(|finding| set.takes(finding, String::new))
            };
            // A shorter one is a count, whatever it is called.
            let counts = written.len() < 6 || !written.bytes().all(|byte| byte.is_ascii_digit());
            let masked = first("").or_else(|| first(&announced).filter(|_| !counts));
            masked.map_or_else(
                || value.clone(),
                |finding| Value::from(crate::mask::placeholder(&finding)),
            )
        }
        Value::Array(values) => {
            above.open(true);
            let values = values
                .iter()
                .map(|value| expected_below(value, above, set, rename))
                .collect();
            above.close();
            values
        }
        Value::Object(members) => {
            above.open(false);
            let member = |(key, value): (&String, &Value)| {
                let mut new = expected(key, set);
                if new != *key {
                    new = rename(members, new);
                }
                above.key(key);
                (new, expected_below(value, above, set, rename))
            };
            let members = members.iter().map(member).collect();
            above.close();
            members
        }
        other => {
            above.says(|| "");
            other.clone()
        }
    }
}
