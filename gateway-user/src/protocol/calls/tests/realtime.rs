//! Calls in a conversation, two answers at once.

use serde_json::json;

use super::*;
use crate::protocol::frames::{Framer, Framing};
use crate::protocol::websocket::text;

fn frames(events: &[Value]) -> Vec<u8> {
    let frames = events.iter().map(|event| text(&event.to_string()));
    frames.collect::<Vec<_>>().concat()
}

fn begun(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function_call", "status": "in_progress", "name": name, "arguments": ""})
}

fn whole(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function_call", "status": "completed", "name": name, "arguments": arguments})
}

/// The events that are out before each decision and in the end, and what was decided on.
fn run(came: &[u8], pieces: &[&[u8]]) -> (Vec<usize>, Vec<String>) {
    let mut stream = Stream::new(Family::OpenAiRealtime, Framing::Frames);
    let (mut out, mut counts, mut asked) = (BytesMut::new(), Vec::new(), Vec::new());
    let count = |out: &[u8]| {
        let mut events = Vec::new();
        let mut framer = Framer::new(Framing::Frames, 1 << 20);
        framer.push(out, &mut events).unwrap();
        events.len()
    };
    for piece in pieces {
        let mut step = stream.push(piece, &mut out).unwrap();
        while let Step::Decide(calls) = step {
            counts.push(count(&out));
            let calls = calls.iter();
            asked.extend(calls.map(|call| format!("{} {}", call.name, call.arguments)));
            step = stream.permit(&[], &mut out).unwrap();
        }
    }
    assert_eq!(&out[..], came);
    counts.push(count(&out));
    (counts, asked)
}

/// Two answers, each with a call.
pub(super) fn conversation() -> Vec<u8> {
    let delta = |id: &str, text: &str| json!({"type": "response.function_call_arguments.delta", "response_id": "r", "item_id": id, "delta": text});
    let ls = "{\"command\":\"ls\"}";
    frames(&[
        json!({"type": "response.created", "response": {"id": "r", "output": []}}),
        json!({"type": "response.output_item.added", "response_id": "r", "item": begun("i1", "shell")}),
        json!({"type": "conversation.item.added", "item": begun("i1", "shell")}),
        delta("i1", "{\"command\""),
        // Another answer has one that is over first.
        json!({"type": "response.output_item.added", "response_id": "s", "item": begun("i2", "now")}),
        delta("i2", "{}"),
        json!({"type": "response.output_item.done", "response_id": "s", "item": whole("i2", "now", "{}")}),
        json!({"type": "response.done", "response": {"id": "s", "output": [whole("i2", "now", "{}")]}}),
        delta("i1", ":\"ls\"}"),
        json!({"type": "response.function_call_arguments.done", "item_id": "i1", "name": "shell", "arguments": ls}),
        json!({"type": "conversation.item.done", "item": whole("i1", "shell", ls)}),
        json!({"type": "response.output_item.done", "response_id": "r", "item": whole("i1", "shell", ls)}),
        json!({"type": "response.done", "response": {"id": "r", "output": [whole("i1", "shell", ls)]}}),
        json!({"type": "response.output_text.delta", "response_id": "t", "item_id": "i3", "delta": "x"}),
    ])
}

#[test]
fn no_part_of_a_call_passes_before_it_is_whole_and_each_is_asked_once() {
    let came = conversation();
    let expected = run(&came, &[&came]);
    assert_eq!(expected.0, [1, 1, 14]);
    assert_eq!(expected.1, ["now {}", "shell {\"command\":\"ls\"}"]);
    for at in 0..=came.len() {
        assert_eq!(run(&came, &[&came[..at], &came[at..]]), expected, "{at}");
    }
}

#[test]
fn a_call_that_is_told_beside_an_answer_is_one_too() {
    let events = [
        json!({"type": "conversation.item.retrieved", "item": whole("i", "shell", "{}")}),
        json!({"type": "conversation.item.done", "item": {"id": "m", "type": "mcp_call", "name": "x", "arguments": "{}"}}),
    ];
    let came = frames(&events);
    let (counts, asked) = run(&came, &[&came]);
    assert_eq!((counts, asked), (vec![0, 2], vec!["shell {}".to_owned()]));
}

#[test]
fn a_call_that_is_made_again_is_asked_again() {
    let done = |id: &str| json!({"type": "response.output_item.done", "response_id": "r", "item": whole(id, "shell", "{}")});
    let over = |items: &[&str]| {
        let items: Vec<Value> = items.iter().map(|id| whole(id, "shell", "{}")).collect();
        json!({"type": "response.done", "response": {"id": "r", "output": items}})
    };
    let events = [
        // Two in one answer are two calls.
        done("i1"),
        done("i2"),
        over(&["i1", "i2"]),
        // Another answer has it again, and again under an id that was used before, and without one.
        json!({"type": "response.output_item.added", "response_id": "r", "item": begun("i3", "shell")}),
        json!({"type": "response.function_call_arguments.delta", "item_id": "i3", "delta": "{}"}),
        done("i3"),
        over(&["i3"]),
        over(&["i1"]),
        over(&[""]),
        over(&[""]),
    ];
    let came = frames(&events);
    let (counts, asked) = run(&came, &[&came]);
    assert_eq!(asked, ["shell {}"; 6]);
    assert_eq!(counts, [0, 1, 3, 7, 8, 9, 10]);
}

#[test]
fn a_long_conversation_is_not_remembered() {
    let mut stream = Stream::new(Family::OpenAiRealtime, Framing::Frames);
    let mut out = BytesMut::new();
    for answer in 0..100 {
        let id = format!("i{answer}");
        let events = [
            json!({"type": "response.output_item.added", "item": begun(&id, "shell")}),
            json!({"type": "response.function_call_arguments.delta", "item_id": id, "delta": "{}"}),
            json!({"type": "response.done", "response": {"output": [whole(&id, "shell", "{}")]}}),
        ];
        let step = stream.push(&frames(&events), &mut out).unwrap();
        assert!(matches!(step, Step::Decide(calls) if calls.len() == 1));
        assert_eq!(stream.permit(&[], &mut out).unwrap(), Step::More);
        assert_eq!(stream.remembers(), 0);
    }
}
