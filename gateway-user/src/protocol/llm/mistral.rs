//! Mistral's conversations: one is started with a model or an agent, gone on with by its id alone, and kept at the provider.
//!
//! OpenAI's conversations have the same paths and are another thing, so only Mistral's host has these.
//! Source: the API reference of Mistral, conversations of its agents API.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;

use super::call::{Call, LlmError, Said, document};
use super::input::Input;
use super::limit::Limit;
use super::tool::Tool;
use super::{Endpoint, Family, GENERATE, READ, WRITE};
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

/// What is asked of a conversation, by its path in lower case and cut into segments.
pub(super) fn called(head: &Head, segments: &[&str]) -> Option<Endpoint> {
    let rest = match segments {
        ["v1", "conversations", rest @ ..] if head.host == HOST => rest,
        _ => return None,
    };
    let reads = [Method::GET, Method::HEAD].contains(&head.method);
    let action = match rest {
        // Of what may be posted besides, nobody here knows that it is free.
        _ if head.method == Method::POST => GENERATE,
        [] | [_] | [_, "history" | "messages"] if reads => READ,
        _ if reads => return None,
        _ => WRITE,
    };
    Some(Endpoint {
        family: Family::MistralConversations,
        action,
        stream: None,
    })
}

/// Reads a call. What goes on names no model: there the conversation stands for it, whatever the body says.
pub(super) fn read(
    endpoint: Endpoint,
    head: &Head,
    body: &[u8],
    facts: Facts,
) -> Result<Call, LlmError> {
    let family = endpoint.family;
    let mut raw: Raw = document(family, body)?;
    let missing = |field| LlmError::Missing { family, field };
    let model = conversation(&head.path).or_else(|| raw.named());
    let said = Said {
        model: model.ok_or(missing("model"))?,
        stream: raw.stream == Some(true),
        texts: raw.inputs.take().unwrap_or_default(),
        limit: raw
            .completion_args
            .as_ref()
            .and_then(|args| args.max_tokens),
        answers: 1,
        offered: raw.offered(),
    };
    Ok(said.into_call(endpoint, head, facts))
}

/// The conversation that a path names, cut into segments as where it is recognised.
fn conversation(path: &str) -> Option<String> {
    let path = path.replace("%3b", ";").replace("%3B", ";");
    let segments = path.split('/').filter_map(|part| part.split(';').next());
    let mut segments = segments.filter(|segment| !segment.is_empty());
    segments.nth(2).map(str::to_owned)
}

/// serde refuses any of these twice.
#[derive(Deserialize)]
struct Raw {
    model: Option<String>,
    agent_id: Option<String>,
    inputs: Option<Input>,
    stream: Option<bool>,
    tools: Option<Vec<Tool>>,
    completion_args: Option<Args>,
}

#[derive(Deserialize)]
struct Args {
    max_tokens: Option<Limit>,
}

impl Raw {
    /// Both a model and an agent: a policy that permits one of them permits no such call.
    fn named(&self) -> Option<String> {
        let named = self.model.iter().chain(&self.agent_id);
        let named: Vec<&str> = named.map(String::as_str).collect();
        (!named.is_empty()).then(|| named.join(","))
    }

    /// The names of the tools the model may use, beside those that an agent or a conversation has already.
    fn offered(self) -> Fact {
        let mut names = BTreeSet::new();
        for tool in self.tools.into_iter().flatten() {
            tool.add_to(&mut names);
        }
        Fact::Set(names)
    }
}

pub(super) const HOST: &str = "api.mistral.ai";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderMap;

    use super::super::recognise;
    use super::*;

    fn asked(method: Method, host: &str, path: &str) -> (Head, Option<Endpoint>) {
        let head = Head {
            method,
            host: host.to_owned(),
            path: path.to_owned(),
            target: path.to_owned(),
            authority: host.to_owned(),
            websocket: false,
        };
        let endpoint = recognise(&head, &HeaderMap::new(), true);
        (head, endpoint)
    }

    fn call(path: &str, body: &str) -> Result<Call, LlmError> {
        let (head, endpoint) = asked(Method::POST, HOST, path);
        read(endpoint.unwrap(), &head, body.as_bytes(), Facts::default())
    }

    #[test]
    fn a_conversation_is_started_gone_on_with_and_restarted() {
        let start = r#"{"model":"mistral-medium-latest","inputs":[{"role":"user","content":"x"},{"type":"function.result","tool_call_id":"a","result":"y"}],"stream":true,"completion_args":{"max_tokens":9},"tools":[{"type":"web_search"},{"type":"function","function":{"name":"weather"}}]}"#;
        let call_of = |path, body| call(path, body).unwrap();
        let started = call_of("/v1/conversations", start);
        let (model, limit) = (started.model.as_str(), started.limit);
        assert_eq!(
            (model, limit, started.stream),
            ("mistral-medium-latest", Some(9), true)
        );
        let facts = &started.action.facts.0;
        assert_eq!(facts["messages"], Fact::Long(2));
        let tools = ["weather".to_owned(), "web_search".to_owned()];
        assert_eq!(facts["tools"], Fact::from_iter(tools));
        let agents = call_of("/v1/conversations", r#"{"agent_id":"ag_1","inputs":"x"}"#);
        assert_eq!((agents.model.as_str(), agents.stream), ("ag_1", false));
        for path in [
            "/v1/conversations/conv_Ab",
            "/v1/conversations/conv_Ab/restart",
        ] {
            for body in [
                r#"{"inputs":"x","from_entry_id":"e","stream":false}"#,
                r#"{"model":"permitted","inputs":"x"}"#,
                r#"{"agent_id":"permitted","inputs":"x"}"#,
            ] {
                assert_eq!(call_of(path, body).model, "conv_Ab", "{body}");
            }
        }
        let both = r#"{"model":"m","agent_id":"ag_1","inputs":"x"}"#;
        for path in [
            "/v1/conversations",
            "//v1//conversations//",
            "/v1/conversations/;conv_a",
            "/;a/v1/conversations/%3Bconv_a",
        ] {
            assert_eq!(call_of(path, both).model, "m,ag_1", "{path}");
        }
        for body in [
            r#"{"inputs":"x"}"#,
            r#"{"model":"a","model":"b","inputs":""}"#,
            "[]",
        ] {
            assert!(call("/v1/conversations", body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_kept_is_read_and_deleted_and_others_have_such_paths() {
        let action = |method, host, path| asked(method, host, path).1.map(|found| found.action);
        for (path, found) in [
            ("/v1/conversations", Some("llm.read")),
            ("/v1/conversations/conv_1", Some("llm.read")),
            ("/v1/conversations/conv_1/history", Some("llm.read")),
            ("/v1/conversations/conv_1/messages", Some("llm.read")),
            ("/v1/conversations/conv_1/other", None),
        ] {
            assert_eq!(action(Method::GET, HOST, path), found, "{path}");
        }
        let one = "/v1/conversations/conv_1";
        assert_eq!(action(Method::DELETE, HOST, one), Some("llm.write"));
        let messages = "/v1/conversations/conv_1/messages";
        assert_eq!(action(Method::POST, HOST, messages), Some("llm.generate"));
        for path in ["/v1/conversations", one, messages] {
            let found = action(Method::PATCH, HOST, path);
            assert_eq!(found, Some("llm.write"), "{path}");
        }
        assert_eq!(
            action(Method::POST, "api.openai.com", "/v1/conversations"),
            None
        );
    }
}
