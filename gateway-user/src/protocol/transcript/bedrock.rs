//! Amazon Bedrock: Converse's messages and events, and models' own formats: those of Anthropic and of OpenAI, Converse's once more
//! (Amazon Nova), and what others call their text.

use http::HeaderMap;
use serde_json::Value;

use super::answer::apart;
use super::{Answer, Usage, anthropic, openai};
use crate::protocol::Tier;
use crate::protocol::llm::bedrock::Format;

/// A whole answer.
pub(super) fn document(value: &Value, answer: &mut Answer) {
    answer.fail(&value["message"]);
    usage(&value["usage"], &value["serviceTier"], answer);
    match Format::of_document(value) {
        Format::Converse => {
            let blocks = value["output"]["message"]["content"].as_array();
            for (place, block) in (0..).zip(blocks.into_iter().flatten()) {
                self::block(place, block, answer);
            }
        }
        Format::Anthropic => anthropic::document(value, answer),
        Format::OpenAi => openai::read(value, answer),
        Format::Other => other(value, answer),
    }
}

/// An event: a message's payload under its type, or a document of the model's.
pub(super) fn event(value: &Value, answer: &mut Answer) {
    metrics(&value["amazon-bedrock-invocationMetrics"], answer);
    match Format::of_event(value["type"].as_str(), |name| value.get(name).is_some()) {
        Format::Converse => value
            .as_object()
            .into_iter()
            .flatten()
            .for_each(|(kind, payload)| converse(kind, payload, answer)),
        Format::Anthropic => anthropic::event(value, answer),
        Format::OpenAi => openai::read(value, answer),
        Format::Other => {
            for (kind, payload) in value.as_object().into_iter().flatten() {
                if kind.ends_with("Exception") {
                    answer.fail(&payload["message"]);
                }
            }
            other(value, answer);
        }
    }
}

fn converse(kind: &str, payload: &Value, answer: &mut Answer) {
    let place = payload["contentBlockIndex"].as_u64().unwrap_or(0);
    match kind {
        "contentBlockStart" => block(place, &payload["start"], answer),
        "contentBlockDelta" => block(place, &payload["delta"], answer),
        // It comes last, behind `messageStop`.
        "metadata" => {
            usage(&payload["usage"], &payload["serviceTier"], answer);
            answer.ended = true;
        }
        _ => {}
    }
}

/// The counts in the head of an answer in a model's own format.
pub(super) fn counted(headers: &HeaderMap) -> Option<Usage> {
    let count = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let usage = Usage {
        input: count("x-amzn-bedrock-input-token-count"),
        output: count("x-amzn-bedrock-output-token-count"),
        ..Usage::default()
    };
    (usage.input.is_some() || usage.output.is_some()).then_some(usage)
}

/// A whole block, or the next piece of one.
fn block(place: u64, block: &Value, answer: &mut Answer) {
    answer.say(0, &block["text"]);
    let reasoning = &block["reasoningContent"];
    answer.think(0, &reasoning["text"]);
    answer.think(0, &reasoning["reasoningText"]["text"]);
    let cited = block["citationsContent"]["content"].as_array();
    for part in cited.into_iter().flatten() {
        answer.say(0, &part["text"]);
    }
    let call = &block["toolUse"];
    if call.is_object() {
        let input = match &call["input"] {
            Value::String(piece) => piece.clone(),
            Value::Null => String::new(),
            whole => whole.to_string(),
        };
        answer.call(0, place, &call["name"], &Value::String(input));
    }
}

fn usage(usage: &Value, tier: &Value, answer: &mut Answer) {
    let tier = Tier::told(tier);
    let names = [
        "inputTokens",
        "outputTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
    ];
    let details = usage["cacheDetails"].as_array().into_iter().flatten();
    let hour = details.filter(|detail| detail["ttl"] == "1h");
    let hour = hour.filter_map(|detail| detail["inputTokens"].as_u64());
    answer.count(Usage {
        hour: hour.fold(0, u64::saturating_add),
        tier,
        ..apart(usage, names)
    });
}

/// What Amazon counted of a stream in a model's own format.
fn metrics(metrics: &Value, answer: &mut Answer) {
    // They stand in the last event.
    answer.ended |= metrics.is_object();
    let names = [
        "inputTokenCount",
        "outputTokenCount",
        "cacheReadInputTokenCount",
        "cacheWriteInputTokenCount",
    ];
    answer.count(apart(metrics, names));
}

/// A document, or a piece of one, in a format of another maker.
fn other(value: &Value, answer: &mut Answer) {
    for name in TEXTS {
        answer.say(0, &value[*name]);
    }
    for list in ["results", "outputs", "generations"] {
        let parts = value[list].as_array();
        for (choice, part) in (0..).zip(parts.into_iter().flatten()) {
            for name in TEXTS {
                answer.say(choice, &part[*name]);
            }
        }
    }
}

/// What makers call their text: Amazon Titan, Meta, Mistral and Cohere.
const TEXTS: &[&str] = &["outputText", "generation", "text"];
