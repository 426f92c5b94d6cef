//! Cohere's own API, of both versions: chats, vectors, and documents ranked by a query.
//!
//! Source: the API reference of Cohere.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::{Call, LlmError, Said, document};
use super::input::Input;
use super::limit::Limit;
use super::tool::Tool;
use super::{EMBED, Endpoint, Family, GENERATE};
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

/// A call by its path, in lower case and cut into segments. What is ranked is read as what becomes a vector is.
pub(super) fn called(method: &Method, segments: &[&str]) -> Option<Endpoint> {
    let [.., "v1" | "v2", operation] = segments else {
        return None;
    };
    let action = match *operation {
        "chat" => GENERATE,
        "embed" | "rerank" => EMBED,
        _ => return None,
    };
    (*method == Method::POST).then_some(Endpoint {
        family: Family::Cohere,
        action,
        stream: None,
    })
}

/// Whether a path is of the older version, whose streams have lines.
pub(super) fn is_older(path: &str) -> bool {
    path.to_ascii_lowercase().contains("/v1/")
}

/// Whether a body looks like one of these calls.
pub(super) fn looks_the_part(has: impl Fn(&str) -> bool) -> bool {
    ["messages", "message", "texts", "inputs", "images", "query"]
        .into_iter()
        .any(has)
}

/// Reads a call. The older version has a model of its own where none is named.
pub(super) fn read(
    endpoint: Endpoint,
    head: &Head,
    body: &[u8],
    facts: Facts,
) -> Result<Call, LlmError> {
    let family = endpoint.family;
    let raw: Raw = document(family, body)?;
    let missing = |field| LlmError::Missing { family, field };
    let model = raw.model.clone();
    let model = model.or(is_older(&head.path).then(String::new));
    let said = Said {
        model: model.ok_or(missing("model"))?,
        stream: endpoint.action == GENERATE && raw.stream == Some(true),
        texts: Input::texts(raw.texts()),
        limit: raw.max_tokens,
        answers: 1,
        offered: raw.offered(),
    };
    Ok(said.into_call(endpoint, head, facts))
}

/// serde refuses any of these twice.
#[derive(Deserialize)]
struct Raw {
    model: Option<String>,
    stream: Option<bool>,
    max_tokens: Option<Limit>,
    messages: Option<Vec<IgnoredAny>>,
    message: Option<IgnoredAny>,
    chat_history: Option<Vec<IgnoredAny>>,
    texts: Option<Vec<IgnoredAny>>,
    inputs: Option<Vec<IgnoredAny>>,
    images: Option<Vec<IgnoredAny>>,
    query: Option<IgnoredAny>,
    documents: Option<Vec<IgnoredAny>>,
    tools: Option<Vec<Tool>>,
    /// Searches that Cohere runs.
    connectors: Option<Vec<Connector>>,
}

#[derive(Deserialize)]
struct Connector {
    id: String,
}

impl Raw {
    fn texts(&self) -> usize {
        let lists = [
            &self.messages,
            &self.chat_history,
            &self.texts,
            &self.inputs,
            &self.images,
            &self.documents,
        ];
        let listed: usize = lists.into_iter().flatten().map(Vec::len).sum();
        let single = [&self.message, &self.query];
        listed + single.into_iter().flatten().count()
    }

    /// The names of the tools the model may use.
    fn offered(self) -> Fact {
        let mut names = BTreeSet::new();
        for tool in self.tools.into_iter().flatten() {
            tool.add_to(&mut names);
        }
        let connectors = self.connectors.into_iter().flatten();
        names.extend(connectors.map(|connector| connector.id.replace('-', "_")));
        Fact::Set(names)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read_at(path: &str, body: &str) -> Result<Call, LlmError> {
        let head = Head {
            method: Method::POST,
            host: "api.cohere.com".to_owned(),
            path: path.to_owned(),
            target: path.to_owned(),
            authority: "api.cohere.com".to_owned(),
            websocket: false,
        };
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let endpoint = called(&Method::POST, &segments).unwrap();
        read(endpoint, &head, body.as_bytes(), Facts::default())
    }

    #[test]
    fn chats_vectors_and_rankings_are_calls_of_both_versions() {
        let chat = r#"{"model":"command-a-03-2025","stream":true,"max_tokens":7,"messages":[{"role":"user","content":"x"}],"documents":["d",{"data":{"t":"e"}}],"tools":[{"type":"function","function":{"name":"weather"}}]}"#;
        let call = read_at("/v2/chat", chat).unwrap();
        assert_eq!(
            (call.model.as_str(), call.stream, call.limit),
            ("command-a-03-2025", true, Some(7))
        );
        assert_eq!(call.action.name, "llm.generate");
        let facts = &call.action.facts.0;
        assert_eq!(facts["messages"], Fact::Long(3));
        assert_eq!(facts["tools"], Fact::from_iter(["weather".to_owned()]));
        let older = r#"{"message":"x","chat_history":[{"role":"USER","message":"y"}],"connectors":[{"id":"web-search"}]}"#;
        let call = read_at("/v1/chat", older).unwrap();
        assert_eq!((call.model.as_str(), call.stream), ("", false));
        assert_eq!(
            call.action.facts.0["tools"],
            Fact::from_iter(["web_search".to_owned()])
        );
        for (path, body) in [
            (
                "/v2/embed",
                r#"{"model":"embed-v4.0","texts":["a","b"],"stream":true}"#,
            ),
            (
                "/v2/rerank",
                r#"{"model":"rerank-v3.5","query":"q","documents":["a"]}"#,
            ),
        ] {
            let call = read_at(path, body).unwrap();
            assert_eq!((call.action.name, call.stream), ("llm.embed", false));
            assert_eq!(call.action.facts.0["messages"], Fact::Long(2));
        }
        assert!(read_at("/v2/chat", r#"{"messages":[]}"#).is_err());
        assert!(read_at("/v2/chat", r#"{"model":"a","model":"b","messages":[]}"#).is_err());
        assert!(called(&Method::GET, &["v2", "chat"]).is_none());
    }
}
