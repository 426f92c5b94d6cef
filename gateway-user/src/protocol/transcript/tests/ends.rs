//! By what a stream tells that it is over.

use super::*;

/// Streams whose last event is the end.
fn streams() -> Vec<(Family, Vec<Value>)> {
    let usage = json!({"input_tokens": 5, "output_tokens": 7});
    let gemini = |text: &str, reason: Value| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}], "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}});
    vec![
        (
            Family::AnthropicMessages,
            vec![
                json!({"type": "message_start", "message": {"usage": usage}}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
                json!({"type": "message_stop"}),
            ],
        ),
        (
            Family::OpenAiResponses,
            vec![
                json!({"type": "response.created", "response": {"usage": null}}),
                json!({"type": "response.output_text.done", "text": "hi"}),
                json!({"type": "response.completed", "response": {"usage": usage}}),
            ],
        ),
        (
            Family::Gemini,
            vec![gemini("h", Value::Null), gemini("i", json!("STOP"))],
        ),
        (
            Family::Cohere,
            vec![
                json!({"type": "content-end", "index": 0}),
                json!({"type": "message-end", "delta": {"usage": {"tokens": usage}}}),
            ],
        ),
        (
            Family::Cohere,
            vec![
                json!({"event_type": "text-generation", "text": "hi"}),
                json!({"event_type": "stream-end", "response": {"meta": {"tokens": usage}}}),
            ],
        ),
        (
            Family::MistralConversations,
            vec![
                json!({"type": "message.output.delta", "content": "hi"}),
                json!({"type": "conversation.response.done", "usage": {"prompt_tokens": 5, "completion_tokens": 7}}),
            ],
        ),
        (
            Family::BedrockConverse,
            vec![
                json!({"messageStop": {"stopReason": "end_turn"}}),
                json!({"metadata": {"usage": {"inputTokens": 5, "outputTokens": 7}}}),
            ],
        ),
        (
            Family::BedrockInvoke,
            vec![
                json!({"generation": "hi"}),
                json!({"generation": "", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}}),
            ],
        ),
    ]
}

#[test]
fn a_stream_is_over_with_its_last_event_and_not_before() {
    for (family, events) in streams() {
        let mut collector = Collector::new(family, Some(Framing::Events));
        for event in &events {
            assert!(!collector.is_ended(), "{family:?} before {event}");
            collector.push(stream(std::slice::from_ref(event)).as_bytes());
        }
        assert!(collector.is_ended(), "{family:?}");
        let usage = collector.finish().usage.unwrap();
        assert_eq!(
            (usage.input, usage.output),
            (Some(5), Some(7)),
            "{family:?}"
        );
    }
    let mut collector = Collector::new(Family::OpenAiChat, Some(Framing::Events));
    collector.push(b"data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n");
    assert!(!collector.is_ended());
    collector.push(b"\n");
    assert!(collector.is_ended());
    let mut collector = Collector::new(Family::Ollama, Some(Framing::Lines));
    collector.push(b"{\"response\":\"hi\",\"done\":false}\n");
    assert!(!collector.is_ended());
    collector.push(b"{\"done\":true,\"prompt_eval_count\":5,\"eval_count\":7}\n");
    assert!(collector.is_ended());
}

#[test]
fn gemini_is_over_when_no_candidate_is_open() {
    let mut collector = Collector::new(Family::Gemini, Some(Framing::Events));
    let candidates = |reasons: [Value; 2]| {
        let [one, other] = reasons;
        json!({"candidates": [{"index": 0, "finishReason": one}, {"index": 1, "finishReason": other}], "usageMetadata": {"promptTokenCount": 5}})
    };
    collector.push(stream(&[candidates([json!("STOP"), Value::Null])]).as_bytes());
    assert!(!collector.is_ended());
    collector.push(stream(&[candidates([json!("STOP"), json!("STOP")])]).as_bytes());
    assert!(collector.is_ended());
}
