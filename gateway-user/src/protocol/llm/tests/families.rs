//! Gemini, Vertex and Ollama.

use super::*;
use crate::protocol::frames::Framing;

#[test]
fn google_says_the_model_and_the_stream_in_the_path() {
    const CONTENTS: &str = r#"{"contents":[{"parts":[{"text":"hi"}]},{}],"generation_config":{"maxOutputTokens":7,"candidate_count":2},"tools":[{"functionDeclarations":[{"name":"f"}]},{"google_search":{}},{"urlContext":{}}]}"#;
    for (path, model, action, stream) in [
        (
            "/v1beta/models/gemini-2.5-Pro:generateContent",
            "gemini-2.5-Pro",
            "llm.generate",
            false,
        ),
        (
            "/v1beta/models/g:streamGenerateContent",
            "g",
            "llm.generate",
            true,
        ),
        (
            "/v1beta/models/g%3AstreamGenerateContent",
            "g",
            "llm.generate",
            true,
        ),
        (
            "/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent",
            "g",
            "llm.generate",
            true,
        ),
        ("/v1beta/models/g:countTokens", "g", "llm.count", false),
    ] {
        let call = call(path, CONTENTS).unwrap();
        assert_eq!(
            (call.family, call.action.name),
            (Family::Gemini, action),
            "{path}"
        );
        assert_eq!(
            (call.model.as_str(), call.stream),
            (model, stream),
            "{path}"
        );
        assert_eq!((call.limit, call.answers), (Some(7), 2));
        assert_eq!(call.action.facts.0["messages"], Fact::Long(2));
        assert_eq!(tools(path, CONTENTS), ["f", "google_search", "url_context"]);
    }
    let embed = call(
        "/v1beta/models/e:batchEmbedContents",
        r#"{"requests":[{},{}]}"#,
    )
    .unwrap();
    assert_eq!(embed.action.name, "llm.embed");
    for body in [
        "{}",
        r#"{"contents":[],"contents":[]}"#,
        r#"{"contents":[],"generationConfig":{},"generation_config":{}}"#,
    ] {
        assert!(
            call("/v1beta/models/g:generateContent", body).is_err(),
            "{body}"
        );
    }
    let inner =
        r#"{"model":"g","project":"p","request":{"contents":[{}],"tools":[{"googleSearch":{}}]}}"#;
    let assistant = call("/v1internal:streamGenerateContent", inner).unwrap();
    assert_eq!((assistant.model.as_str(), assistant.stream), ("g", true));
    assert_eq!(
        tools("/v1internal:generateContent", inner),
        ["google_search"]
    );
    let vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:streamRawPredict";
    let call = call(vertex, r#"{"anthropic_version":"v","messages":[{}]}"#).unwrap();
    assert_eq!(
        (call.family, call.model.as_str(), call.stream),
        (Family::AnthropicMessages, "claude-x", true)
    );
}

#[test]
fn ollama_streams_unless_it_is_told_not_to() {
    let chat = |more: &str| {
        call(
            "/api/chat",
            &format!(r#"{{"model":"m","messages":[{{}}]{more}}}"#),
        )
        .unwrap()
    };
    assert!(chat("").stream);
    assert!(!chat(r#","stream":false"#).stream);
    let limited = chat(
        r#","options":{"num_predict":9},"tools":[{"type":"function","function":{"name":"f"}}]"#,
    );
    assert_eq!(limited.limit, Some(9));
    let generate = call(
        "/api/generate",
        r#"{"model":"m","prompt":"hi","context":[1,2]}"#,
    )
    .unwrap();
    assert!(generate.tokens && generate.stream);
    let embed = call("/api/embed", r#"{"model":"m","input":["a","b"]}"#).unwrap();
    assert_eq!((embed.action.name, embed.stream), ("llm.embed", false));
    assert_eq!(
        found("POST", "/api/show", true),
        Some((Family::Ollama, "llm.read"))
    );
    assert_eq!(found("POST", "/api/show", false), None);
}

#[test]
fn streams_are_framed_as_the_call_says() {
    let framing = |path: &str, body: &str| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let head = Head {
            target: format!("{path}?{query}"),
            ..request(Method::POST, path)
        };
        let endpoint = recognise(&head, &HeaderMap::new(), true).unwrap();
        let call = read(endpoint, &head, body.as_bytes(), Facts::default()).unwrap();
        call.framing(&head)
    };
    let google = "/v1beta/models/g:streamGenerateContent";
    let contents = r#"{"contents":[]}"#;
    assert_eq!(framing(google, contents), Framing::Array);
    for asks in ["alt=sse", "key=k&alt=sse", "%24alt=sse"] {
        assert_eq!(
            framing(&format!("{google}?{asks}"), contents),
            Framing::Events
        );
    }
    assert_eq!(
        framing(&format!("{google}?alt=json"), contents),
        Framing::Array
    );
    let said = r#"{"model":"m","messages":[]}"#;
    assert_eq!(framing("/api/chat", said), Framing::Lines);
    assert_eq!(framing(CHAT, said), Framing::Events);
}

#[test]
fn agents_fallbacks_and_plugins_of_compatible_providers() {
    let agent = r#"{"agent_id":"ag:1","messages":[{}],"prompt_mode":"reasoning","tools":[{"type":"web_search"}]}"#;
    let asked = call("/v1/agents/completions", agent).unwrap();
    assert_eq!(
        (asked.family, asked.model.as_str()),
        (Family::OpenAiChat, "ag:1")
    );
    assert_eq!(tools("/v1/agents/completions", agent), ["web_search"]);
    let both = r#"{"model":"m","agent_id":"ag:1","messages":[]}"#;
    let both = call("/v1/agents/completions", both).unwrap();
    assert_eq!(both.model, "m,ag:1");
    let fim = call(
        "/v1/fim/completions",
        r#"{"model":"codestral-latest","prompt":"def f(","suffix":"x"}"#,
    )
    .unwrap();
    assert_eq!(
        (fim.family, fim.action.facts.0["messages"].clone()),
        (Family::OpenAiCompletions, Fact::Long(1))
    );
    // A policy that permits one of several models permits no call that another may answer.
    let several = call(
        CHAT,
        r#"{"model":"a","models":["a","b","c"],"messages":[]}"#,
    )
    .unwrap();
    assert_eq!(several.model, "a,b,c");
    let one = call(CHAT, r#"{"models":["a"],"messages":[]}"#).unwrap();
    assert_eq!(one.model, "a");
    let plugins = r#"{"model":"a","plugins":[{"id":"web","max_results":3}],"messages":[]}"#;
    assert_eq!(tools(CHAT, plugins), ["web"]);
    for (members, expected) in [
        (r#""model":"a:online""#, &["web"][..]),
        (r#""model":"a","models":["b:free","c:online"]"#, &["web"]),
        (
            r#""model":"a:free","plugins":[{"id":"web","enabled":false},{"id":"file-parser","enabled":true}]"#,
            &["file-parser"],
        ),
    ] {
        let body = format!("{{{members},\"messages\":[]}}");
        assert_eq!(tools(CHAT, &body), expected, "{body}");
    }
    // Its own errors and counts are told apart by its host alone.
    let mut head = request(Method::POST, "/api/v1/chat/completions");
    let family = |head: &Head| recognise(head, &HeaderMap::new(), true).map(|found| found.family);
    assert_eq!(family(&head), Some(Family::OpenAiChat));
    head.host = "openrouter.ai".to_owned();
    assert_eq!(family(&head), Some(Family::OpenRouterChat));
    head.path = "/api/v1/responses".to_owned();
    assert_eq!(family(&head), Some(Family::OpenAiResponses));
}

#[test]
fn vertex_predicts_vectors_and_has_models_of_mistral() {
    let path = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict";
    let body = r#"{"instances":[{"content":"a"},{"content":"b"}],"parameters":{}}"#;
    let vectors = call(path, body).unwrap();
    assert_eq!(
        (vectors.family, vectors.action.name),
        (Family::Gemini, "llm.embed")
    );
    assert_eq!(vectors.model, "text-embedding-005");
    assert_eq!(vectors.action.facts.0["messages"], Fact::Long(2));
    let image = "/v1/projects/p/locations/l/publishers/google/models/imagen-4:predict";
    assert_eq!(found("POST", image, true), None);
    let path =
        "/v1/projects/p/locations/l/publishers/mistralai/models/mistral-large:streamRawPredict";
    let chat = call(path, r#"{"model":"other","messages":[{}]}"#).unwrap();
    assert_eq!((chat.family, chat.stream), (Family::OpenAiChat, true));
    assert_eq!(chat.model, "mistral-large");
}

#[test]
fn google_reads_one_for_a_list_and_numbers_as_texts() {
    let path = "/v1beta/models/g:generateContent";
    let body = r#"{"contents":[],"tools":{"google_search":{},"function_declarations":{"name":"f"}},"generationConfig":{"maxOutputTokens":"10","candidateCount":"2"}}"#;
    let said = call(path, body).unwrap();
    assert_eq!((said.limit, said.answers), (Some(10), 2));
    assert_eq!(tools(path, body), ["f", "google_search"]);
    for config in [
        r#"{"maxOutputTokens":"ten"}"#,
        r#"{"maxOutputTokens":1.5}"#,
        r#"{"candidateCount":"-1"}"#,
        r#"{"candidateCount":[2]}"#,
    ] {
        let body = format!(r#"{{"contents":[],"generationConfig":{config}}}"#);
        assert!(call(path, &body).is_err(), "{body}");
    }
}

#[test]
fn members_of_other_formats_may_be_anything() {
    for members in [
        r#""request":"a""#,
        r#""options":[]"#,
        r#""request":{"model":1},"options":"a""#,
    ] {
        let body = format!(r#"{{"model":"m","messages":[],{members}}}"#);
        call(CHAT, &body).unwrap();
    }
    let body = r#"{"model":"m","messages":[],"plugins":["a"]}"#;
    assert_eq!(tools(CHAT, body), ["a"]);
    // Those of the format itself may not.
    assert!(call("/api/chat", r#"{"model":"m","messages":[],"options":[]}"#).is_err());
    for request in [
        r#""a""#,
        r#"{"contents":[],"contents":[]}"#,
        r#"{"tools":1}"#,
    ] {
        let body = format!(r#"{{"contents":[],"request":{request}}}"#);
        assert!(
            call("/v1beta/models/g:generateContent", &body).is_err(),
            "{body}"
        );
    }
}
