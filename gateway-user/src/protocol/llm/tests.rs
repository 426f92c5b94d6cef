//! Requests as SDKs send them, and as somebody would who wants policy and provider to read different things.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bedrock;
mod families;
mod limits;
mod offered;

use ::http::HeaderValue;

use super::*;
use crate::protocol::Fact;

fn request(method: Method, path: &str) -> Head {
    Head {
        method,
        host: "h".into(),
        path: path.into(),
        target: path.into(),
        websocket: false,
        authority: "h".into(),
    }
}

fn found(method: &str, path: &str, listed: bool) -> Option<(Family, &'static str)> {
    let head = request(method.parse().unwrap(), path);
    let found = recognise(&head, &HeaderMap::new(), listed)?;
    Some((found.family, found.action))
}

fn call(path: &str, body: &str) -> Result<Call, LlmError> {
    let head = request(Method::POST, path);
    let endpoint = recognise(&head, &HeaderMap::new(), true).unwrap();
    assert!(endpoint.is_call());
    read(endpoint, &head, body.as_bytes(), Facts::default())
}

fn tools(path: &str, body: &str) -> Vec<String> {
    match &call(path, body).unwrap().action.facts.0["tools"] {
        Fact::Set(names) => names.iter().cloned().collect(),
        other => panic!("{other:?}"),
    }
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

#[test]
fn calls_are_known_by_path_on_any_host() {
    for (path, family, action) in [
        (CHAT, Family::OpenAiChat, "llm.generate"),
        (
            "/api/v1/chat/completions/",
            Family::OpenAiChat,
            "llm.generate",
        ),
        (
            "//v1//chat//completions//",
            Family::OpenAiChat,
            "llm.generate",
        ),
        ("/v1/Chat/COMPLETIONS", Family::OpenAiChat, "llm.generate"),
        (
            "/v1/chat;a=b/completions;c",
            Family::OpenAiChat,
            "llm.generate",
        ),
        (
            "/v1/chat/completions%3Bc",
            Family::OpenAiChat,
            "llm.generate",
        ),
        (
            "/openai/deployments/d/chat/completions",
            Family::OpenAiChat,
            "llm.generate",
        ),
        ("/v1/completions", Family::OpenAiCompletions, "llm.generate"),
        (RESPONSES, Family::OpenAiResponses, "llm.generate"),
        (
            "/openai/v1/responses",
            Family::OpenAiResponses,
            "llm.generate",
        ),
        (
            "/v1/responses/compact",
            Family::OpenAiResponses,
            "llm.generate",
        ),
        (
            "/v1/responses/input_tokens",
            Family::OpenAiResponses,
            "llm.count",
        ),
        ("/v1/embeddings", Family::OpenAiEmbeddings, "llm.embed"),
        ("/v1/messages", Family::AnthropicMessages, "llm.generate"),
        (
            "/v1/messages/count_tokens",
            Family::AnthropicMessages,
            "llm.count",
        ),
    ] {
        for listed in [true, false] {
            assert_eq!(
                found("POST", path, listed),
                Some((family, action)),
                "{path}"
            );
        }
        assert_eq!(found("PUT", path, true), None, "{path}");
    }
    assert_eq!(found("POST", "/v1/threads/t/messages", true), None);
    assert_eq!(found("GET", "/v1/messages", true), None);
}

#[test]
fn what_a_provider_keeps_is_read_and_written() {
    let stored = |action| Some((Family::OpenAiResponses, action));
    for listed in [true, false] {
        assert_eq!(
            found("GET", "/v1/responses/resp_1", listed),
            stored("llm.read")
        );
        assert_eq!(
            found("GET", "/v1/responses/resp_1/input_items", listed),
            stored("llm.read")
        );
        assert_eq!(
            found("DELETE", "/v1/responses/resp_1", listed),
            stored("llm.write")
        );
        assert_eq!(
            found("POST", "/v1/responses/resp_1/cancel", listed),
            stored("llm.write")
        );
        assert_eq!(found("POST", "/v1/responses/resp_1", listed), None);
        assert_eq!(found("GET", "/v1/responses/resp_1/other", listed), None);
    }
    assert_eq!(found("GET", "/v1/responses/0f3a", true), stored("llm.read"));
    let chat = |action| Some((Family::OpenAiChat, action));
    for listed in [true, false] {
        let one = "/v1/chat/completions/chatcmpl-1";
        assert_eq!(found("GET", one, listed), chat("llm.read"));
        assert_eq!(
            found("GET", &format!("{one}/messages"), listed),
            chat("llm.read")
        );
        assert_eq!(found("POST", one, listed), chat("llm.write"));
        assert_eq!(found("DELETE", one, listed), chat("llm.write"));
    }
    assert_eq!(found("GET", CHAT, true), chat("llm.read"));
    assert_eq!(found("GET", CHAT, false), None);
    // A survey's, say.
    assert_eq!(found("GET", "/surveys/5/responses/17", false), None);
}

#[test]
fn a_path_alone_is_a_list_of_models_at_a_listed_provider_only() {
    let openai = Some((Family::OpenAiModels, "llm.read"));
    assert_eq!(found("GET", "/v1/models", true), openai);
    assert_eq!(found("GET", "/v1/models/gpt-5-mini", true), openai);
    assert_eq!(found("DELETE", "/v1/models/ft", true), None);
    assert_eq!(found("GET", "/v1/models", false), None);
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let found = recognise(&request(Method::GET, "/v1/models"), &headers, true).unwrap();
    assert_eq!(found.family, Family::AnthropicModels);
    let mut headers = HeaderMap::new();
    headers.insert("x-goog-api-key", HeaderValue::from_static("key"));
    let found = recognise(&request(Method::GET, "/v1/models"), &headers, true).unwrap();
    assert_eq!(found.family, Family::Gemini);
}

#[test]
fn facts_are_what_policies_decide_on() {
    let tools = r#""tools":[{"type":"function","function":{"name":"f"}},{"name":"g"},{"type":"web_search"}]"#;
    let said =
        format!(r#"{{"model":"m","messages":[{{}},{{}}],"stream":true,"max_tokens":5,{tools}}}"#);
    let call = call(CHAT, &said).unwrap();
    let facts = &call.action.facts;
    assert_eq!(call.action.name, "llm.generate");
    assert_eq!(facts.text("model"), Some("m"));
    assert_eq!(facts.0["messages"], Fact::from(2));
    assert_eq!(facts.0["max_tokens"], Fact::from(5));
    let names = ["f", "g", "web_search"].map(str::to_owned);
    assert_eq!(facts.0["tools"], names.into_iter().collect::<Fact>());
    assert!(call.stream);
}

#[test]
fn each_format_has_its_texts_and_its_limit() {
    for (path, body, messages, limit) in [
        (
            RESPONSES,
            r#"{"model":"m","input":"hi","max_output_tokens":7,"max_tokens":1}"#,
            1,
            Some(7),
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":[{"role":"user"},{"type":"reasoning"}]}"#,
            2,
            None,
        ),
        (
            RESPONSES,
            r#"{"model":"m","prompt":{"id":"p"},"previous_response_id":"resp_1"}"#,
            0,
            None,
        ),
        (
            "/v1/completions",
            r#"{"model":"m","prompt":["a","b"],"max_tokens":3}"#,
            2,
            Some(3),
        ),
        ("/v1/completions", r#"{"model":"m","prompt":null}"#, 0, None),
        (
            "/v1/embeddings",
            r#"{"model":"m","input":["a","b","c"]}"#,
            3,
            None,
        ),
        (
            "/v1/messages/count_tokens",
            r#"{"model":"m","messages":[{}]}"#,
            1,
            None,
        ),
    ] {
        let facts = call(path, body).unwrap().action.facts;
        assert_eq!(facts.0["messages"], Fact::from(messages), "{body}");
        assert_eq!(
            facts.0.get("max_tokens"),
            limit.map(Fact::from).as_ref(),
            "{body}"
        );
    }
}

#[test]
fn hosted_tools_go_by_their_type_whatever_else_they_are_called() {
    let body = r#"{"model":"m","tools":[{"type":"function","name":"f"},{"type":"web_search"},
        {"type":"mcp","name":"harmless","server_label":"x","server_url":"https://x.example"},
        {"type":"namespace","name":"n","tools":[{"type":"function","name":"inner"}]}]}"#;
    let expected = [
        "f",
        "harmless",
        "inner",
        "mcp",
        "n",
        "namespace",
        "web_search",
    ];
    assert_eq!(tools(RESPONSES, body), expected);
    let body = r#"{"model":"m","messages":[],"tools":[{"type":"function","name":"shown","function":{"name":"real"}}],
        "functions":[{"name":"old"}],"web_search_options":{}}"#;
    assert_eq!(tools(CHAT, body), ["old", "real", "shown", "web_search"]);
    let body = r#"{"model":"m","messages":[],"mcp_servers":[{"type":"url","url":"https://x.example"}],
        "tools":[{"type":"web_search_20250305","name":"web_search"}]}"#;
    let expected = ["mcp", "web_search", "web_search_20250305"];
    assert_eq!(tools("/v1/messages", body), expected);
}

#[test]
fn texts_that_are_sent_as_tokens_are_noticed() {
    for (input, tokens, count) in [
        ("\"text\"", false, 1),
        ("[\"a\",\"b\"]", false, 2),
        ("[1,2,3]", true, 1),
        ("[[1,2],[3]]", true, 2),
        ("[\"a\",[3]]", true, 2),
        ("[]", false, 0),
    ] {
        for (path, field) in [("/v1/embeddings", "input"), ("/v1/completions", "prompt")] {
            let call = call(path, &format!("{{\"model\":\"m\",\"{field}\":{input}}}")).unwrap();
            assert_eq!(call.tokens, tokens, "{input}");
            assert_eq!(
                call.action.facts.0["messages"],
                Fact::from(count),
                "{input}"
            );
        }
    }
}

#[test]
fn azure_takes_the_model_from_the_path() {
    let asked = |path: &str, body: &str| call(path, body).map(|call| call.model);
    let path = "/openai/deployments/GPT-5-mini/chat/completions";
    assert_eq!(asked(path, r#"{"messages":[]}"#).unwrap(), "GPT-5-mini");
    assert_eq!(
        asked(path, r#"{"model":"other","messages":[]}"#).unwrap(),
        "GPT-5-mini"
    );
    assert!(asked("/deployments/d/chat/completions", r#"{"messages":[]}"#).is_err());
}

#[test]
fn elsewhere_the_body_has_to_look_the_part() {
    let agrees = |path: &str, body: &str| {
        let head = request(Method::POST, path);
        let endpoint = recognise(&head, &HeaderMap::new(), false).unwrap();
        agrees(endpoint, &head, body.as_bytes())
    };
    assert!(agrees(
        "/v1beta/models/m:generateContent",
        r#"{"contents":[]}"#
    ));
    assert!(!agrees("/v1/notes/m:generateContent", r#"{"title":"x"}"#));
    assert!(agrees("/api/chat", r#"{"model":"m","messages":[]}"#));
    assert!(!agrees("/api/chat", r#"{"room":"m","messages":[]}"#));
    assert!(agrees("/v1/responses", r#"{"model":"m","input":"hi"}"#));
    assert!(agrees(
        "/v1/messages",
        r#"{"model":"m","model":"n","messages":[]}"#
    ));
    assert!(agrees(
        "/openai/deployments/d/embeddings",
        r#"{"input":"hi"}"#
    ));
    for other in [
        r#"{"content":"hi"}"#,
        r#"{"model":"T","year":1908}"#,
        "[]",
        "a=b",
        "",
    ] {
        assert!(!agrees("/channels/7/messages", other), "{other}");
    }
}

#[test]
fn a_body_two_parsers_could_read_differently_is_refused() {
    for body in [
        r#"{"model":"a","model":"b","messages":[]}"#,
        r#"{"model":"a","messages":[],"messages":[]}"#,
        r#"{"model":"a","messages":[],"tools":[],"tools":[]}"#,
        r#"{"messages":[]}"#,
        r#"{"model":1,"messages":[]}"#,
        r#"{"model":"a","input":"hi"}"#,
        r#"[]"#,
        "",
        r#"{"model":"a","messages":[]} x"#,
    ] {
        assert!(call(CHAT, body).is_err(), "{body}");
    }
    for (path, body) in [
        (RESPONSES, r#"{"input":"hi"}"#),
        (RESPONSES, r#"{"model":"a","input":"hi","input":"ho"}"#),
        (RESPONSES, r#"{"model":"a","input":true}"#),
        ("/v1/embeddings", r#"{"model":"a"}"#),
        ("/v1/messages/count_tokens", r#"{"model":"a"}"#),
    ] {
        assert!(call(path, body).is_err(), "{body}");
    }
}
