//! Has an OpenAI stream end with its token counts, which it does only where a call asks for them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Options {
    stream_options: Option<Value>,
}

/// The body with the counts asked for; `None` where it asks already, or cannot be read.
#[must_use]
pub fn asking_for_counts(body: &[u8]) -> Option<Bytes> {
    let options = serde_json::from_slice::<Options>(body).ok()?.stream_options;
    let asked = options.as_ref().map(|options| &options["include_usage"]);
    if asked == Some(&Value::Bool(true)) {
        return None;
    }
    let whole: Option<serde_json::Map<String, Value>> = match options {
        // All else stays byte for byte.
        None if !body.windows(KEY.len()).any(|window| window == KEY) => None,
        _ => Some(serde_json::from_slice(body).ok()?),
    };
    let Some(mut whole) = whole else {
        let start = body.iter().position(|byte| *byte == b'{')? + 1;
        let empty = body[start..].trim_ascii_start().first() == Some(&b'}');
        let end = if empty { b"".as_slice() } else { b"," };
        return Some(
            [&body[..start], ASKING, end, &body[start..]]
                .concat()
                .into(),
        );
    };
    let options = whole.entry("stream_options").or_insert(Value::Null);
    match options {
        Value::Object(options) => {
            options.insert("include_usage".to_owned(), Value::Bool(true));
        }
        _ => *options = json!({ "include_usage": true }),
    }
    serde_json::to_vec(&whole).ok().map(Bytes::from)
}

const KEY: &[u8] = b"stream_options";
const ASKING: &[u8] = br#""stream_options":{"include_usage":true}"#;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn asks_once_and_leaves_the_rest_as_it_is() {
        let asked = |body: &str| {
            asking_for_counts(body.as_bytes()).map(|body| String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(
            asked(r#" { "n":1.50, "stream":true}"#).unwrap(),
            r#" {"stream_options":{"include_usage":true}, "n":1.50, "stream":true}"#
        );
        assert_eq!(
            asked("{}").unwrap(),
            r#"{"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(asked(r#"{"stream_options":{"include_usage":true}}"#), None);
        for refused in [
            "{\"include_usage\":false}",
            "null",
            "{\"include_obfuscation\":false}",
        ] {
            let body = asked(&format!("{{\"a\":1,\"stream_options\":{refused}}}")).unwrap();
            let value: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["stream_options"]["include_usage"], true, "{body}");
            assert_eq!(value["a"], 1);
        }
        assert_eq!(asked(r#"{"stream_options":{},"stream_options":{}}"#), None);
        assert_eq!(asked("[]"), None);
    }
}
