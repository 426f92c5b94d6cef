//! Messages of a conversation: two answers at once, each text in pieces and then in full.

use serde_json::json;

use super::*;
use crate::protocol::frames::Framer;
use crate::protocol::websocket;

/// Two answers of which one says a card and the other an address, in turns, and calls with one; then what is heard, and sound.
fn events() -> Vec<Value> {
    let delta = |kind: &str, answer: &str, text: &str| json!({"type": format!("response.{kind}.delta"), "event_id": "e", "response_id": answer, "item_id": format!("item_{answer}"), "output_index": 0, "content_index": 0, "delta": text});
    let done = |kind: &str, answer: &str, field: &str, text: &str| json!({"type": format!("response.{kind}.done"), "response_id": answer, "item_id": format!("item_{answer}"), "output_index": 0, "content_index": 0, field: text});
    let answered = |answer: &str, field: &str, text: &str| json!({"type": "response.done", "response": {"id": answer, "output": [{"id": format!("item_{answer}"), "content": [{field: text}]}]}});
    let heard = |stage: &str, field: &str, text: &str| json!({"type": format!("conversation.item.input_audio_transcription.{stage}"), "item_id": "item_u", "content_index": 0, field: text});
    vec![
        json!({"type": "response.created", "response": {"id": "a", "output": []}}),
        delta("output_audio_transcript", "a", "call 4111 11"),
        json!({"type": "response.output_audio.delta", "response_id": "a", "item_id": "item_a", "delta": SOUND}),
        delta("output_text", "b", "write to ann"),
        delta("output_audio_transcript", "a", "11 1111 1111 now"),
        delta("output_text", "b", "a.lee@example.com"),
        done(
            "output_audio_transcript",
            "a",
            "transcript",
            "call 4111 1111 1111 1111 now",
        ),
        answered("a", "transcript", "call 4111 1111 1111 1111 now"),
        delta("output_text", "b", " or bob@"),
        delta("output_text", "b", "corp.com"),
        done(
            "output_text",
            "b",
            "text",
            "write to anna.lee@example.com or bob@corp.com",
        ),
        answered("b", "text", "write to anna.lee@example.com or bob@corp.com"),
        delta("function_call_arguments", "c", "{\"to\":\"eve@"),
        delta("function_call_arguments", "c", "corp.com\"}"),
        done(
            "function_call_arguments",
            "c",
            "arguments",
            "{\"to\":\"eve@corp.com\"}",
        ),
        heard("delta", "delta", "my card is 4111 1111"),
        heard("delta", "delta", " 1111 1111"),
        heard("completed", "transcript", "my card is 4111 1111 1111 1111"),
        json!({"type": "conversation.item.done", "item": {"id": "item_u", "content": [{"type": "input_audio", "audio": SOUND}, {"type": "input_text", "text": "bob@corp.com"}]}}),
    ]
}

/// Base64 with a card number in it.
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAAQEBAQIDAwMDAwMDA0MTExMTEx/4111111111111111/AAAABBBBCCCC";

fn frames(events: &[Value]) -> Vec<u8> {
    let frames = events
        .iter()
        .map(|event| websocket::text(&event.to_string()));
    frames.collect::<Vec<_>>().concat()
}

fn read(frames: &[u8]) -> Vec<Value> {
    let (mut framer, mut events) = (Framer::new(Framing::Frames, 1 << 20), Vec::new());
    framer.push(frames, &mut events).unwrap();
    let data = events.iter().filter_map(|event| event.data.as_deref());
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn answers_at_once_are_masked_wherever_they_are_cut_and_say_the_same_in_full() {
    let came = frames(&events());
    let whole = masked(Shape::OpenAiRealtime, &Set::all(), [&came[..]]).unwrap();
    let whole = whole.last().unwrap();
    let out = read(whole);
    assert_eq!(out.len(), events().len());
    let said = |kind: &str, answer: &str| -> String {
        let deltas = out
            .iter()
            .filter(|event| event["type"] == kind && event["response_id"] == answer);
        deltas.filter_map(|event| event["delta"].as_str()).collect()
    };
    let (card, mail) = ("[REDACTED:credit-card]", "[REDACTED:email]");
    let spoken = said("response.output_audio_transcript.delta", "a");
    assert_eq!(spoken, format!("call {card} now"));
    assert_eq!(out[6]["transcript"], spoken);
    assert_eq!(
        out[7]["response"]["output"][0]["content"][0]["transcript"],
        spoken
    );
    let written = said("response.output_text.delta", "b");
    assert_eq!(written, format!("write to {mail} or {mail}"));
    assert_eq!(out[10]["text"], written);
    assert_eq!(
        out[11]["response"]["output"][0]["content"][0]["text"],
        written
    );
    let arguments = said("response.function_call_arguments.delta", "c");
    assert_eq!(arguments, format!("{{\"to\":\"{mail}\"}}"));
    assert_eq!(out[14]["arguments"], arguments);
    assert_eq!(out[17]["transcript"], format!("my card is {card}"));
    let content = &out[18]["item"]["content"];
    assert_eq!(
        (&content[0]["audio"], &content[1]["text"]),
        (&json!(SOUND), &json!(mail))
    );
    assert_eq!(out[2]["delta"], SOUND);
    for at in 0..=came.len() {
        let states = masked(
            Shape::OpenAiRealtime,
            &Set::all(),
            [&came[..at], &came[at..]],
        );
        assert_eq!(states.unwrap().last().unwrap(), whole, "{at}");
    }
    // Where nothing is to be masked, every byte is as it came.
    let same = masked(Shape::OpenAiRealtime, &Set::new(["jwt"]), [&came[..]]).unwrap();
    assert_eq!(same.last().unwrap(), &came[..]);
}

#[test]
fn an_answer_that_is_over_does_not_hold_back_the_others() {
    let mut stream = Stream::new(Shape::OpenAiRealtime, Framing::Frames, Set::all());
    let mut out = BytesMut::new();
    let mut push = |event: Value| {
        stream.push(&frames(&[event]), &mut out).unwrap();
        read(&out).len()
    };
    let delta = json!({"type": "response.output_text.delta", "response_id": "a", "item_id": "i", "delta": "write to anna.lee@"});
    assert_eq!(push(delta), 0);
    // An answer of its own is no end of this one.
    assert_eq!(
        push(json!({"type": "response.done", "response": {"id": "b", "output": []}})),
        0
    );
    assert_eq!(
        push(json!({"type": "response.done", "response": {"id": "a", "output": []}})),
        3
    );
}

#[test]
fn what_only_looks_like_sound_is_masked() {
    for body in [
        json!({"type": "input_audio_buffer.append", "audio": "4111111111111111"}),
        json!({"type": "conversation.item.create", "item": {"audio": SOUND.to_owned() + "4111111111111111"}}),
        json!({"type": "input_audio_buffer.append", "audio": format!("{SOUND} 4111 1111 1111 1111")}),
    ] {
        let bytes = bytes::Bytes::from(body.to_string());
        let out = crate::mask::body(&bytes, Shape::OpenAiRealtime, &Set::all()).unwrap();
        assert!(!out.findings.is_empty(), "{body}");
    }
}
