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
fn openrouter_says_what_it_charged() {
    let told = |usage: Value| {
        let chunk = json!({"choices": [], "usage": usage});
        let text = format!(
            ": OPENROUTER PROCESSING\n\n{}",
            stream(std::slice::from_ref(&chunk))
        );
        let streamed = read(Family::OpenRouterChat, &text);
        assert_eq!(streamed, read(Family::OpenRouterChat, &chunk.to_string()));
        streamed.charged
    };
    assert_eq!(told(json!({"cost": 0.00014})), Some(140_000));
    assert_eq!(told(json!({"cost": 0})), Some(0));
    let own_key =
        |details: Value| told(json!({"cost": 0.001, "is_byok": true, "cost_details": details}));
    assert_eq!(
        own_key(json!({"upstream_inference_cost": 0.02})),
        Some(21_000_000)
    );
    assert_eq!(own_key(json!({"upstream_inference_cost": null})), None);
    for nothing in [
        json!({}),
        json!({"cost": null}),
        json!({"cost": -1}),
        json!({"cost": 1e300}),
        json!({"cost": "1"}),
    ] {
        assert_eq!(told(nothing), None);
    }
    // Elsewhere it is nobody's word.
    let chunk = json!({"choices": [], "usage": {"cost": 0.00014}}).to_string();
    assert_eq!(read(Family::OpenAiChat, &chunk).charged, None);
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
