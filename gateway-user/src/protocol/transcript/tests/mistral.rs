//! Mistral's conversations.

use super::*;

#[test]
fn an_answer_in_one_piece_and_in_events() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 32, "connector_tokens": 20});
    let thought = json!([{"type": "text", "text": "hm"}]);
    let content = json!([{"type": "thinking", "thinking": thought}, {"type": "text", "text": "Hi"}, {"type": "tool_reference", "title": "t"}]);
    let outputs = json!([
        {"type": "tool.execution", "name": "web_search", "arguments": "{\"q\":1}"},
        {"type": "message.output", "model": "m", "content": content},
        {"type": "function.call", "name": "f", "arguments": {"x": 1}},
    ]);
    let whole = json!({"conversation_id": "conv_1", "outputs": outputs, "usage": usage});
    let calls = json!([{"name": "web_search", "arguments": "{\"q\":1}"}, {"name": "f", "arguments": "{\"x\":1}"}]);
    let expected = json!({"text": "Hi", "reasoning": "hm", "tool_calls": calls, "usage": {"input": 25, "output": 7}, "model": "m"});
    let family = Family::MistralConversations;
    assert_eq!(read(family, &whole.to_string()).to_json(), expected);
    let said = |content: Value| json!({"type": "message.output.delta", "output_index": 1, "model": "m", "content": content});
    let called = |arguments: &str| json!({"type": "function.call.delta", "output_index": 2, "name": "f", "arguments": arguments});
    let events = [
        json!({"type": "conversation.response.started", "conversation_id": "conv_1"}),
        json!({"type": "tool.execution.started", "output_index": 0, "name": "web_search", "arguments": "{\"q\""}),
        json!({"type": "tool.execution.delta", "output_index": 0, "name": "web_search", "arguments": ":1}"}),
        json!({"type": "tool.execution.done", "output_index": 0, "name": "web_search", "info": {}}),
        said(json!({"type": "thinking", "thinking": thought})),
        said(json!("H")),
        said(json!({"type": "text", "text": "i"})),
        called("{\"x\""),
        called(":1}"),
        json!({"type": "conversation.response.done", "usage": usage}),
    ];
    assert_eq!(read(family, &stream(&events)).to_json(), expected);
}

#[test]
fn calls_of_one_output_are_told_apart_by_their_ids() {
    let called = |id: &str, arguments: &str| json!({"type": "function.call.delta", "output_index": 0, "tool_call_id": id, "name": id, "arguments": arguments});
    let events = [
        called("a", "{\"x\""),
        called("b", "{\"y\""),
        called("a", ":1}"),
        called("b", ":2}"),
    ];
    let mut calls = read(Family::MistralConversations, &stream(&events)).tool_calls;
    calls.sort_by(|one, other| one.name.cmp(&other.name));
    let told = calls
        .iter()
        .map(|call| (call.name.as_str(), call.arguments.as_str()));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [("a", "{\"x\":1}"), ("b", "{\"y\":2}")]
    );
}

#[test]
fn what_fails_says_why() {
    let family = Family::MistralConversations;
    let event = json!({"type": "conversation.response.error", "message": "broke", "code": 1});
    let refused = json!({"message": "no", "code": 403, "error": {"message": "no"}});
    for (answer, said) in [
        (stream(&[event]), "broke"),
        (stream(std::slice::from_ref(&refused)), "no"),
        (
            r#"{"object":"error","message":"no agent"}"#.to_owned(),
            "no agent",
        ),
        (
            r#"{"error":{"message":"not yours"}}"#.to_owned(),
            "not yours",
        ),
    ] {
        assert_eq!(read(family, &answer).error.as_deref(), Some(said));
    }
}
