//! Cohere, in both versions of its API.

use super::*;

#[test]
fn a_chat_in_one_piece_and_in_events() {
    let usage = json!({"billed_units": {"input_tokens": 5.0, "output_tokens": 7.0}, "tokens": {"input_tokens": 71, "output_tokens": 9}, "cached_tokens": 2});
    let call =
        json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    let whole = json!({"id": "i", "message": {"role": "assistant", "tool_plan": "hm", "content": [{"type": "text", "text": "Hi é"}], "tool_calls": [call]}, "usage": usage});
    let expected = json!({
        "text": "Hi é", "reasoning": "hm", "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}], "usage": {"input": 5, "output": 7},
    });
    let summary = read(Family::Cohere, &whole.to_string());
    assert_eq!(summary.to_json(), expected);
    assert_eq!(summary.usage.unwrap().cached, 2);
    let said = |message: Value| json!({"type": "x", "index": 0, "delta": {"message": message}});
    let events = [
        json!({"type": "message-start", "delta": {"message": {"content": [], "tool_calls": []}}}),
        said(json!({"tool_plan": "hm"})),
        said(json!({"tool_calls": {"function": {"name": "f", "arguments": ""}}})),
        said(json!({"tool_calls": {"function": {"arguments": "{\"x\":1}"}}})),
        said(json!({"content": {"text": "Hi "}})),
        said(json!({"content": {"text": "é"}})),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}),
    ];
    assert_eq!(read(Family::Cohere, &stream(&events)).to_json(), expected);
    let failed =
        json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "broke"}});
    let summary = read(Family::Cohere, &stream(&[failed]));
    assert_eq!(summary.error.as_deref(), Some("broke"));
    let summary = read(Family::Cohere, r#"{"message":"no such model"}"#);
    assert_eq!(summary.error.as_deref(), Some("no such model"));
}

#[test]
fn the_older_version_and_vectors() {
    let meta = json!({"billed_units": {"input_tokens": 5, "output_tokens": 7}});
    let whole =
        json!({"text": "Hi", "tool_calls": [{"name": "f", "parameters": {"x": 1}}], "meta": meta});
    let expected = json!({"text": "Hi", "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}], "usage": {"input": 5, "output": 7}});
    assert_eq!(read(Family::Cohere, &whole.to_string()).to_json(), expected);
    let lines = [
        json!({"event_type": "text-generation", "text": "H"}),
        json!({"event_type": "text-generation", "text": "i"}),
        json!({"event_type": "tool-calls-generation", "tool_calls": whole["tool_calls"]}),
        json!({"event_type": "stream-end", "response": whole}),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let summary = read_framed(Family::Cohere, Some(Framing::Lines), &lines);
    assert_eq!(summary.to_json(), expected);
    let vectors =
        json!({"embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 3}}});
    let summary = read(Family::Cohere, &vectors.to_string());
    assert_eq!(summary.usage.unwrap().input, Some(3));
}
