//! LLM APIs: which requests are model calls, the facts policies decide on, and each provider's own refusal.
//!
//! In: a request head and its whole body. Out: an [`Action`] named `llm.generate`, or a [`LlmError`] for a body that two parsers
//! could read differently. First cut: OpenAI chat completions and Anthropic messages, on any host, by path and shape.

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::http::{Head, with_request};
use super::{Action, Fact, Facts};

/// The wire format of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `POST …/chat/completions`.
    OpenAiChat,
    /// `POST …/messages`.
    AnthropicMessages,
}

impl Family {
    /// The name a ledger entry gives the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::AnthropicMessages => "anthropic-messages",
        }
    }
}

/// A model call, as far as policy and record need it.
#[derive(Debug)]
pub struct Call {
    /// Its format.
    pub family: Family,
    /// The model that is asked.
    pub model: String,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// The action with its facts.
    pub action: Action,
}

/// Bodies that are refused because they cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the body is not a {} request: {source}", family.name())]
pub struct LlmError {
    family: Family,
    source: serde_json::Error,
}

/// Which format a request has by its method and path; its body then has to agree. What some server reads as the path of a model call is
/// one: in another case, with doubled slashes, with parameters of a segment.
#[must_use]
pub fn recognise(head: &Head) -> Option<Family> {
    if head.method != Method::POST {
        return None;
    }
    let path = head.path.to_ascii_lowercase().replace("%3b", ";");
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .filter(|segment| !segment.is_empty())
        .collect();
    match segments.as_slice() {
        [.., "chat", "completions"] => Some(Family::OpenAiChat),
        [before @ .., "messages"] if !before.contains(&"threads") => {
            Some(Family::AnthropicMessages)
        }
        _ => None,
    }
}

/// Reads a model call. serde refuses a second `model`, `messages`, `stream` or `tools`, so policy and provider see the same one.
///
/// # Errors
/// [`LlmError`] when the body is not an object of that format.
pub fn read(family: Family, head: &Head, body: &[u8], facts: Facts) -> Result<Call, LlmError> {
    let raw: RawCall =
        serde_json::from_slice(body).map_err(|source| LlmError { family, source })?;
    let mut facts = with_request(head, facts);
    facts.set("model", raw.model.as_str());
    facts.set("stream", raw.stream.unwrap_or(false));
    facts.set(
        "messages",
        i64::try_from(raw.messages.len()).unwrap_or(i64::MAX),
    );
    facts.set(
        "tools",
        raw.tools
            .unwrap_or_default()
            .into_iter()
            .filter_map(RawTool::name)
            .collect::<Fact>(),
    );
    if let Some(limit) = raw.max_completion_tokens.or(raw.max_tokens) {
        facts.set("max_tokens", limit);
    }
    let stream = raw.stream.unwrap_or(false);
    Ok(Call {
        family,
        model: raw.model,
        stream,
        action: Action {
            name: "llm.generate",
            facts,
        },
    })
}

#[derive(Deserialize)]
struct RawCall {
    model: String,
    messages: Vec<IgnoredAny>,
    stream: Option<bool>,
    tools: Option<Vec<RawTool>>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
}

/// OpenAI nests the name under `function` or `custom`; Anthropic has it at the top; hosted tools have only a type.
#[derive(Deserialize)]
struct RawTool {
    name: Option<String>,
    function: Option<RawName>,
    custom: Option<RawName>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct RawName {
    name: String,
}

impl RawTool {
    fn name(self) -> Option<String> {
        self.name
            .or(self.function.or(self.custom).map(|inner| inner.name))
            .or(self.kind)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn head(path: &str) -> Head {
        Head {
            method: Method::POST,
            host: "h".into(),
            path: path.into(),
            target: path.into(),
            authority: "h".into(),
        }
    }

    #[test]
    fn model_calls_are_known_by_path_on_any_host() {
        assert_eq!(
            recognise(&head("/v1/chat/completions")),
            Some(Family::OpenAiChat)
        );
        assert_eq!(
            recognise(&head("/api/v1/chat/completions/")),
            Some(Family::OpenAiChat)
        );
        assert_eq!(
            recognise(&head("/v1/messages")),
            Some(Family::AnthropicMessages)
        );
        for path in [
            "//v1//chat//completions//",
            "/v1/Chat/COMPLETIONS",
            "/v1/chat;a=b/completions;c",
            "/v1/chat/completions%3Bc",
        ] {
            assert_eq!(recognise(&head(path)), Some(Family::OpenAiChat), "{path}");
        }
        assert_eq!(recognise(&head("/v1/threads/t/messages")), None);
        assert_eq!(recognise(&head("/v1/messages/count_tokens")), None);
        assert_eq!(
            recognise(&Head {
                method: Method::GET,
                ..head("/v1/messages")
            }),
            None
        );
    }

    #[test]
    fn facts_are_what_policies_decide_on() {
        let body = br#"{"model":"m","messages":[{},{}],"stream":true,"max_tokens":5,
            "tools":[{"type":"function","function":{"name":"f"}},{"name":"g"},{"type":"web_search"}]}"#;
        let call = read(
            Family::OpenAiChat,
            &head("/v1/chat/completions"),
            body,
            Facts::default(),
        )
        .unwrap();
        let facts = &call.action.facts.0;
        assert_eq!(facts["model"], Fact::from("m"));
        assert_eq!(facts["messages"], Fact::from(2));
        assert_eq!(facts["max_tokens"], Fact::from(5));
        assert_eq!(
            facts["tools"],
            ["f", "g", "web_search"]
                .map(str::to_owned)
                .into_iter()
                .collect::<Fact>()
        );
        assert!(call.stream);
    }

    #[test]
    fn a_body_two_parsers_could_read_differently_is_refused() {
        for body in [
            r#"{"model":"a","model":"b","messages":[]}"#,
            r#"{"model":"a","messages":[],"messages":[]}"#,
            r#"{"messages":[]}"#,
            r#"{"model":1,"messages":[]}"#,
            r#"[]"#,
            "",
            r#"{"model":"a","messages":[]} x"#,
        ] {
            assert!(
                read(
                    Family::OpenAiChat,
                    &head("/x"),
                    body.as_bytes(),
                    Facts::default()
                )
                .is_err(),
                "{body}"
            );
        }
    }
}
