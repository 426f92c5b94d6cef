//! A conversation: each answer by itself, their counts together.

use super::*;
use crate::protocol::websocket::text;

#[test]
fn each_answer_of_a_conversation_is_told_apart_and_their_counts_are_added() {
    let begun =
        |id: &str| json!({"type": "response.created", "response": {"id": id, "output": []}});
    let delta = |id: &str, channel: &str, text: &str| json!({"type": format!("response.{channel}.delta"), "response_id": id, "item_id": "i", "output_index": 0, "delta": text});
    let done = |id: &str, input: u64| json!({"type": "response.done", "response": {"id": id, "output": [], "usage": {"input_tokens": input, "output_tokens": 2, "input_token_details": {"cached_tokens": 1}}}});
    let events = [
        json!({"type": "session.created", "session": {"model": "m-1"}}),
        begun("a"),
        delta("a", "output_audio_transcript", "Hel"),
        json!({"type": "response.output_audio.delta", "response_id": "a", "delta": "AAAA"}),
        delta("a", "output_audio_transcript", "lo"),
        done("a", 5),
        begun("b"),
        json!({"type": "response.output_item.added", "response_id": "b", "output_index": 0, "item": {"type": "function_call", "name": "f", "arguments": ""}}),
        delta("b", "function_call_arguments", "{\"x\""),
        delta("b", "function_call_arguments", ":1}"),
        delta("b", "text", "again"),
        done("b", 7),
    ];
    let frames: Vec<u8> = events
        .iter()
        .flat_map(|event| text(&event.to_string()).to_vec())
        .collect();
    for size in [frames.len(), 1, 7] {
        let mut collector = Collector::new(Family::OpenAiRealtime, Some(Framing::Frames));
        for part in frames.chunks(size) {
            collector.push(part);
        }
        let summary = collector.finish();
        assert_eq!(summary.usage.unwrap().cached, 2);
        assert_eq!(
            summary.to_json(),
            json!({
                "text": "[choice 0]\nHello\n\n[choice 1]\nagain",
                "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}],
                "usage": {"input": 12, "output": 4}, "model": "m-1",
            })
        );
    }
}
