//! Counts that stand elsewhere than where one looks first.

use super::*;
use crate::protocol::Tier;

fn usage(family: Family, answer: &Value) -> Usage {
    let summary = read(family, &answer.to_string());
    summary.usage.unwrap()
}

#[test]
fn what_was_thought_is_written_where_only_the_total_has_it() {
    let told = |usage: Value| json!({"choices": [], "usage": usage});
    for (counts, output) in [
        (
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100}}),
            105,
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": 105, "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100}}),
            105,
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}),
            5,
        ),
        (json!({"prompt_tokens": 10, "completion_tokens": 5}), 5),
    ] {
        let answer = told(counts);
        let streamed = read(Family::OpenAiChat, &stream(std::slice::from_ref(&answer)));
        assert_eq!(streamed.usage.unwrap().output, Some(output), "{answer}");
        assert_eq!(usage(Family::OpenAiChat, &answer).output, Some(output));
    }
    let counts = json!({"input_tokens": 10, "output_tokens": 5, "total_tokens": 115});
    let responses = usage(Family::OpenAiResponses, &json!({"usage": counts}));
    assert_eq!(responses.output, Some(105));
    let vectors = json!({"usage": {"prompt_tokens": 3, "total_tokens": 9}});
    assert_eq!(usage(Family::OpenAiEmbeddings, &vectors).output, None);
}

#[test]
fn anthropic_tells_what_stays_for_an_hour_and_what_a_compaction_took() {
    let counts = json!({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "speed": "fast"});
    let told = usage(
        Family::AnthropicMessages,
        &json!({"type": "message", "usage": counts}),
    );
    let expected = Usage {
        input: Some(40),
        output: Some(5),
        cached: 0,
        stored: 30,
        hour: 20,
        tier: Some(Tier::Fast),
    };
    assert_eq!(told, expected);
    let compacted = json!({"input_tokens": 10, "output_tokens": 5, "iterations": [
        {"type": "compaction", "input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 50},
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
    ]});
    let whole = usage(
        Family::AnthropicMessages,
        &json!({"type": "message", "usage": compacted}),
    );
    let streamed = read(
        Family::AnthropicMessages,
        &stream(&[
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
            json!({"type": "message_delta", "usage": compacted}),
            json!({"type": "message_stop"}),
        ]),
    );
    let expected = Usage {
        input: Some(1060),
        output: Some(105),
        cached: 50,
        ..Usage::default()
    };
    assert_eq!((whole, streamed.usage), (expected, Some(expected)));
    let single = json!({"input_tokens": 10, "output_tokens": 5, "iterations": [{"type": "message", "input_tokens": 1, "output_tokens": 1}]});
    let told = usage(
        Family::AnthropicMessages,
        &json!({"type": "message", "usage": single}),
    );
    assert_eq!((told.input, told.output), (Some(10), Some(5)));
}

#[test]
fn bedrock_tells_what_stays_for_an_hour() {
    let counts = json!({"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 9,
        "cacheDetails": [{"inputTokens": 4, "ttl": "5m"}, {"inputTokens": 5, "ttl": "1h"}]});
    let answer = json!({"output": {"message": {"content": []}}, "usage": counts, "serviceTier": {"type": "priority"}});
    let told = usage(Family::BedrockConverse, &answer);
    assert_eq!((told.stored, told.hour), (9, 5));
    assert_eq!(told.tier, Some(Tier::Priority));
}

#[test]
fn an_answer_tells_the_tier_with_its_counts() {
    let counts = json!({"prompt_tokens": 1, "completion_tokens": 1});
    let chat = |tier: &str| {
        let chunks = [
            json!({"choices": [], "service_tier": "priority"}),
            json!({"choices": [], "service_tier": tier, "usage": counts}),
        ];
        read(Family::OpenAiChat, &stream(&chunks))
            .usage
            .unwrap()
            .tier
    };
    assert_eq!(chat("priority"), Some(Tier::Priority));
    assert_eq!(chat("default"), Some(Tier::Usual));
    assert_eq!(chat("auto"), None);
    let counts = json!({"input_tokens": 1, "output_tokens": 1});
    let responses = [
        json!({"type": "response.created", "response": {"service_tier": "auto"}}),
        json!({"type": "response.completed", "response": {"service_tier": "priority", "usage": counts}}),
    ];
    let told = read(Family::OpenAiResponses, &stream(&responses));
    assert_eq!(told.usage.unwrap().tier, Some(Tier::Priority));
}
