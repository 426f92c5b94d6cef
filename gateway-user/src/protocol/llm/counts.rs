//! Has an OpenAI stream end with its token counts, which it does only where a call asks for them.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Family, mistral};
use crate::protocol::http::Head;

#[derive(Deserialize)]
struct Options {
    stream_options: Option<Value>,
}

/// Whether the streams of this format tell their counts only if asked to. Mistral's models tell them unasked, and refuse to be asked.
#[must_use]
pub fn wants_asking(family: Family, head: &Head) -> bool {
    let format = matches!(
        family,
        Family::OpenAiChat | Family::OpenRouterChat | Family::OpenAiCompletions
    );
    let mistral = head.host == mistral::HOST || head.path.contains(MISTRAL_AT_GOOGLE);
    format && !mistral
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

/// In the paths of its models at Vertex.
const MISTRAL_AT_GOOGLE: &str = "/publishers/mistralai/";
const KEY: &[u8] = b"stream_options";
const ASKING: &[u8] = br#""stream_options":{"include_usage":true}"#;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn mistral_is_not_asked() {
        let head = |host: &str, path: &str| Head {
            method: http::Method::POST,
            host: host.to_owned(),
            path: path.to_owned(),
            target: path.to_owned(),
            authority: host.to_owned(),
            websocket: false,
        };
        let chat = "/v1/chat/completions";
        let vertex = "/v1/projects/p/locations/l/publishers/mistralai/models/m:streamRawPredict";
        for (family, host, path, wants) in [
            (Family::OpenAiChat, "api.openai.com", chat, true),
            (Family::OpenAiCompletions, "h", "/v1/completions", true),
            (Family::OpenRouterChat, "openrouter.ai", chat, true),
            (Family::OpenAiChat, "api.mistral.ai", chat, false),
            (
                Family::OpenAiCompletions,
                "api.mistral.ai",
                "/v1/fim/completions",
                false,
            ),
            (Family::OpenAiChat, "h", vertex, false),
            (
                Family::OpenAiResponses,
                "api.openai.com",
                "/v1/responses",
                false,
            ),
        ] {
            let head = head(host, path);
            assert_eq!(wants_asking(family, &head), wants, "{host}{path}");
        }
    }

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
