//! Chat completions as others than OpenAI answer them, and vectors of Vertex.

use super::*;

#[test]
fn thoughts_of_mistral_and_counts_of_groq() {
    let content = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Hi"}]);
    let expected = json!({"text": "Hi", "reasoning": "hm", "usage": {"input": 3, "output": 4}});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
    let whole = json!({"choices": [{"index": 0, "message": {"content": content}}], "usage": usage});
    assert_eq!(
        read(Family::OpenAiChat, &whole.to_string()).to_json(),
        expected
    );
    let events = [
        json!({"choices": [{"index": 0, "delta": {"content": content}}], "x_groq": {"id": "r"}}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "x_groq": {"id": "r", "usage": usage}}),
    ];
    assert_eq!(
        read(Family::OpenAiChat, &stream(&events)).to_json(),
        expected
    );
}

#[test]
fn an_error_of_openrouter_inside_a_stream() {
    let event = json!({"id": "x", "error": {"code": "server_error", "message": "gone"}, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]});
    let text = format!(": OPENROUTER PROCESSING\n\n{}", stream(&[event]));
    let summary = read(Family::OpenAiChat, &text);
    assert_eq!(summary.error.as_deref(), Some("gone"));
}

#[test]
fn vectors_of_vertex_are_counted() {
    let prediction = |count: f64| json!({"embeddings": {"values": [0.1], "statistics": {"truncated": false, "token_count": count}}});
    let answer = json!({"predictions": [prediction(3.0), prediction(4.0)]});
    let summary = read(Family::Gemini, &answer.to_string());
    assert_eq!(summary.usage.unwrap().input, Some(7));
}
