//! Envelopes, and the events from which libraries raise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn refusal() -> Refusal {
    Refusal {
        why: Why::Policy,
        message: "no. Id 01ABCDEF".into(),
        id: "01ABCDEF".into(),
    }
}

const FAMILIES: [Family; 15] = [
    Family::OpenAiChat,
    Family::OpenRouterChat,
    Family::OpenAiResponses,
    Family::OpenAiCompletions,
    Family::OpenAiEmbeddings,
    Family::OpenAiModels,
    Family::OpenAiRealtime,
    Family::AnthropicMessages,
    Family::AnthropicModels,
    Family::Gemini,
    Family::Ollama,
    Family::Cohere,
    Family::MistralConversations,
    Family::BedrockConverse,
    Family::BedrockInvoke,
];

#[test]
fn each_family_gets_its_own_envelope_and_no_retry() {
    for family in FAMILIES.map(Some).into_iter().chain([None]) {
        let response = refusal().response(family);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["x-should-retry"], "false");
        for id in ["request-id", "x-request-id", "x-tollgate-id"] {
            assert_eq!(response.headers()[id], "01ABCDEF");
        }
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        if family == Some(Family::Ollama) {
            assert_eq!(body["error"], "no. Id 01ABCDEF");
            continue;
        }
        if family == Some(Family::Cohere) {
            assert_eq!(body["message"], "no. Id 01ABCDEF");
            continue;
        }
        let exception = response.headers().get("x-amzn-errortype");
        assert_eq!(exception.is_some(), family.is_some_and(is_amazons));
        if let Some(exception) = exception {
            assert_eq!(exception, "AccessDeniedException");
            assert_eq!(body, json!({"message": "no. Id 01ABCDEF"}));
            continue;
        }
        assert_eq!(body["error"]["message"], "no. Id 01ABCDEF");
        let anthropic = family.is_some_and(|family| family.name().starts_with("anthropic"));
        assert_eq!(body["type"] == "error", anthropic, "{body}");
        assert_eq!(body["request_id"] == "01ABCDEF", anthropic, "{body}");
    }
}

#[test]
fn what_is_withheld_from_libraries_that_heed_no_header_is_final_by_its_status() {
    let withheld = Refusal {
        why: Why::Withheld,
        ..refusal()
    };
    let response = withheld.response(Some(Family::Gemini));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        (response.status(), &body["error"]["code"]),
        (StatusCode::FORBIDDEN, &json!(403))
    );
    let numbered = withheld.response(Some(Family::OpenRouterChat));
    let body: Value = serde_json::from_slice(numbered.body()).unwrap();
    let expected = json!({"code": 403, "message": "no. Id 01ABCDEF", "metadata": {"reason": "answer_withheld", "id": "01ABCDEF"}});
    assert_eq!(
        (numbered.status(), &body["error"]),
        (StatusCode::FORBIDDEN, &expected)
    );
    let amazons = withheld.response(Some(Family::BedrockConverse));
    assert_eq!(amazons.status(), 403);
    assert_eq!(withheld.response(Some(Family::OpenAiChat)).status(), 502);
}

#[test]
fn a_refusal_in_a_stream_is_the_event_that_raises_the_librarys_error() {
    let error = r#""error":{"message":"no. Id 01ABCDEF","type":"permission_error","param":null,"code":"policy_denied","id":"01ABCDEF"}"#;
    let chat = format!("data: {{{error}}}\n\n");
    assert_eq!(refusal().event(Family::OpenAiChat), chat);
    assert_eq!(refusal().event(Family::OpenAiCompletions), chat);
    let top = r#""type":"error","code":"policy_denied","message":"no. Id 01ABCDEF","param":null"#;
    let responses = format!("event: error\ndata: {{{top},{error}}}\n\n");
    assert_eq!(refusal().event(Family::OpenAiResponses), responses);
    let anthropic = r#"{"type":"error","error":{"type":"permission_error","message":"no. Id 01ABCDEF"},"request_id":"01ABCDEF"}"#;
    let anthropic = format!("event: error\ndata: {anthropic}\n\n");
    assert_eq!(refusal().event(Family::AnthropicMessages), anthropic);
    let realtime = refusal().event(Family::OpenAiRealtime);
    let says: Value = serde_json::from_slice(&realtime[4..]).unwrap();
    assert_eq!(says["type"], "error");
    assert_eq!(says["error"]["message"], "no. Id 01ABCDEF");
    let responses = refusal().last(Family::OpenAiResponses, Framing::Frames, true);
    let says: Value = serde_json::from_slice(&responses[4..]).unwrap();
    assert_eq!(
        (&says["type"], &says["status"]),
        (&json!("error"), &json!(403))
    );
    assert_eq!(says["error"]["message"], "no. Id 01ABCDEF");
    // Its library looks for the beginning, and for the code.
    let gemini = String::from_utf8(refusal().event(Family::Gemini).to_vec()).unwrap();
    assert!(gemini.starts_with(
        r#"data: {"error":{"code":403,"message":"no. Id 01ABCDEF","status":"PERMISSION_DENIED""#
    ));
    let last = |begun| refusal().last(Family::Gemini, Framing::Array, begun);
    let element = last(false);
    assert!(serde_json::from_slice::<Value>(&element).unwrap()[0]["error"]["code"] == 403);
    assert!(last(true).starts_with(b","));
    let cohere = String::from_utf8(refusal().event(Family::Cohere).to_vec()).unwrap();
    assert!(
        cohere.starts_with("event: message-end\ndata: {"),
        "{cohere}"
    );
    let older = refusal().last(Family::Cohere, Framing::Lines, true);
    let older: Value = serde_json::from_slice(&older).unwrap();
    assert_eq!(older["error"], "no. Id 01ABCDEF");
    assert_eq!(
        refusal().event(Family::Ollama),
        "{\"error\":\"no. Id 01ABCDEF\"}\n"
    );
}
