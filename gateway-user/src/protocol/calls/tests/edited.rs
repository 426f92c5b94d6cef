//! Calls that go on with other arguments: the same events, in every framing, wherever a stream is cut, and nothing where it cannot be done.

use super::*;
use crate::protocol::frames::Framer;
use crate::protocol::sse::Event;

const NEW: &str = "{\"command\":\"ls \\\"a\\\"\",\"dry_run\":true}";

fn edit(name: &str, old: &str, new: &str) -> Edit {
    Edit {
        call: ToolCall {
            name: name.to_owned(),
            arguments: old.to_owned(),
        },
        arguments: new.to_owned(),
    }
}

/// What goes on of a stream that comes in two parts.
fn run(
    family: Family,
    framing: Framing,
    parts: [&[u8]; 2],
    edits: &[Edit],
) -> Result<Vec<u8>, CallsError> {
    Ok(asked(family, framing, parts, edits)?.0)
}

/// And how many calls were decided on.
fn asked(
    family: Family,
    framing: Framing,
    parts: [&[u8]; 2],
    edits: &[Edit],
) -> Result<(Vec<u8>, usize), CallsError> {
    let (mut stream, mut out) = (Stream::new(family, framing), BytesMut::new());
    let mut asked = 0;
    for part in parts.iter().map(Some).chain([None]) {
        let mut step = match part {
            Some(part) => stream.push(part, &mut out)?,
            None => stream.finish(&mut out)?,
        };
        while let Step::Decide(calls) = step {
            asked += calls.len();
            step = stream.permit(edits, &mut out)?;
        }
    }
    Ok((out.to_vec(), asked))
}

fn events(framing: Framing, stream: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut framer = Framer::new(framing, 1 << 20);
    framer.push(stream, &mut events).unwrap();
    framer.finish(&mut events).unwrap();
    events
}

fn told(family: Family, framing: Framing, stream: &[u8]) -> Vec<(String, String)> {
    let calls = of_body(family, Some(framing), stream).unwrap();
    let calls = calls.iter();
    calls
        .map(|call| (call.name.clone(), call.arguments.clone()))
        .collect()
}

/// A stream of each family that has a call of `shell`, whose arguments are to list a folder.
fn streams() -> Vec<(Family, Framing, Vec<u8>)> {
    let texts = STREAMS
        .iter()
        .map(|(family, stream, _)| (*family, Framing::Events, *stream))
        .chain(documents::STREAMS)
        .chain([
            (Family::Cohere, Framing::Events, cohere::EVENTS),
            (Family::Cohere, Framing::Lines, cohere::LINES),
            (
                Family::MistralConversations,
                Framing::Events,
                mistral::EVENTS,
            ),
        ])
        .map(|(family, framing, stream)| (family, framing, stream.as_bytes().to_vec()));
    let messages = [
        (Family::BedrockConverse, bedrock::converse()),
        (Family::BedrockInvoke, bedrock::chunks(MESSAGES)),
        (Family::BedrockInvoke, bedrock::chunks(CHAT)),
    ];
    let messages =
        messages.map(|(family, stream)| (family, Framing::Messages, stream.concat().to_vec()));
    let talk = (
        Family::OpenAiRealtime,
        Framing::Frames,
        realtime::conversation(),
    );
    texts.chain(messages).chain([talk]).collect()
}

#[test]
fn a_call_goes_on_with_its_new_arguments_wherever_a_stream_is_cut() {
    let edits = [edit("shell", "{\"command\":\"ls\"}", NEW)];
    for (family, framing, stream) in streams() {
        let (before, once) = asked(family, framing, [&stream, b""], &[]).unwrap();
        let after = asked(family, framing, [&stream, b""], &edits);
        let (after, as_often) =
            after.unwrap_or_else(|error| panic!("{family:?} {framing:?}: {error}"));
        assert_eq!(as_often, once, "{family:?} {framing:?}");
        let mut expected = told(family, framing, &before);
        let mut changed = 0;
        for (name, arguments) in &mut expected {
            if name == "shell" {
                NEW.clone_into(arguments);
                changed += 1;
            }
        }
        assert!(changed > 0, "{family:?} {framing:?}");
        assert_eq!(told(family, framing, &after), expected, "{family:?}");
        let (old, new) = (events(framing, &before), events(framing, &after));
        assert_eq!(old.len(), new.len(), "{family:?} {framing:?}");
        for (old, new) in old.iter().zip(&new) {
            let data = old.data.as_deref().unwrap_or_default();
            let of_a_call = ["command", "ls\\\"", "\"ls\""];
            if !of_a_call.iter().any(|part| data.contains(part)) {
                assert_eq!(old.raw, new.raw, "{family:?} {data}");
            }
            assert_eq!(old.name, new.name);
        }
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            let cut = run(family, framing, [one, other], &edits).unwrap();
            assert!(cut == after, "{family:?} {framing:?} {at}");
        }
    }
}

#[test]
fn an_answer_in_one_piece_has_its_new_arguments_and_keeps_the_rest() {
    let old = "{\"command\":\"ls\"}";
    for (family, body, new) in [
        (
            Family::OpenAiChat,
            r#"{"id":1.50,"choices":[{"message":{"tool_calls":[{"function":{"name":"shell","arguments":"{\"command\": \"ls\"}"}},{"function":{"name":"other","arguments":"{\"command\":\"ls\"}"}}]}}]}"#,
            r#"{"id":1.50,"choices":[{"message":{"tool_calls":[{"function":{"name":"shell","arguments":"{\"dry\":1}"}},{"function":{"name":"other","arguments":"{\"command\":\"ls\"}"}}]}}]}"#,
        ),
        (
            Family::AnthropicMessages,
            r#"{"content":[{"type":"text","text":"{\"command\":\"ls\"}"},{"type":"tool_use","name":"shell","input":{"command":"ls"}}]}"#,
            r#"{"content":[{"type":"text","text":"{\"command\":\"ls\"}"},{"type":"tool_use","name":"shell","input":{"dry":1}}]}"#,
        ),
        (
            Family::Gemini,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"shell","args":{"command":"ls"}},"thoughtSignature":"x"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"shell","args":{"dry":1}},"thoughtSignature":"x"}]}}]}"#,
        ),
    ] {
        let calls = of_body(family, None, body.as_bytes()).unwrap();
        let edits = [edit("shell", &calls[0].arguments, "{\"dry\":1}")];
        assert_eq!(canonical(&calls[0].arguments), old);
        let edited = edited(family, None, body.as_bytes(), &edits).unwrap();
        assert_eq!(edited, new);
    }
}

#[test]
fn arguments_that_are_an_empty_text_take_new_ones() {
    let body =
        r#"{"choices":[{"message":{"tool_calls":[{"function":{"name":"now","arguments":""}}]}}]}"#;
    let edits = [edit("now", "", "{}")];
    let new = edited(Family::OpenAiChat, None, body.as_bytes(), &edits).unwrap();
    assert_eq!(
        new,
        body.replace("\"arguments\":\"\"", "\"arguments\":\"{}\"")
    );
}

#[test]
fn what_has_no_place_for_new_arguments_does_not_go_on() {
    let edits = [edit("now", "", "{\"zone\":\"UTC\"}")];
    // No event has an argument of this call, not even an empty one.
    for (family, framing, stream) in [
        (
            Family::AnthropicMessages,
            Framing::Events,
            MESSAGES.as_bytes(),
        ),
        (
            Family::Gemini,
            Framing::Array,
            documents::STREAMS[1].2.as_bytes(),
        ),
    ] {
        let (mut held, mut out) = (Stream::new(family, framing), BytesMut::new());
        let mut step = held.push(stream, &mut out).unwrap();
        let error = loop {
            match step {
                Step::More => step = held.finish(&mut out).unwrap(),
                Step::Decide(_) => match held.permit(&edits, &mut out) {
                    Ok(next) => step = next,
                    Err(error) => break error,
                },
            }
        };
        assert!(matches!(error, CallsError::Fixed), "{error}");
        let out = String::from_utf8(out.to_vec()).unwrap();
        assert!(out.contains("shell") && !out.contains("now"), "{out}");
    }
    // One that has an empty one takes them there.
    let piece = "\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"now\",\"input\":{}}}\n\n";
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":3,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n";
    let stream = MESSAGES.replace(piece, &format!("{piece}{delta}"));
    let out = run(
        Family::AnthropicMessages,
        Framing::Events,
        [stream.as_bytes(), b""],
        &edits,
    )
    .unwrap();
    let calls = told(Family::AnthropicMessages, Framing::Events, &out);
    assert_eq!(calls[1], ("now".into(), "{\"zone\":\"UTC\"}".into()));
}

#[test]
fn arguments_within_the_arguments_of_another_call_stay() {
    let inner = "{\"command\":\"ls\"}";
    let outer = format!("{{\"input\":{inner}}}");
    let body = format!(
        r#"{{"content":[{{"type":"tool_use","name":"shell","input":{inner}}},{{"type":"tool_use","name":"plan","input":{outer}}}]}}"#
    );
    let edits = [edit("shell", inner, "{}")];
    let edited = edited(Family::AnthropicMessages, None, body.as_bytes(), &edits).unwrap();
    let expected = body.replacen(&format!("\"input\":{inner}"), "\"input\":{}", 1);
    assert_eq!(edited, expected);
}

#[test]
fn another_tool_that_is_called_with_the_same_arguments_keeps_them() {
    let old = "{\"command\":\"ls\"}";
    let edits = [edit("shell", old, NEW)];
    for (family, framing, stream) in streams() {
        // The second call of each stream that has one is of another tool.
        let calls = told(family, framing, &stream);
        let text = String::from_utf8_lossy(&stream);
        let Some(at) = text
            .find("\"now\"")
            .filter(|_| framing != Framing::Messages)
        else {
            continue;
        };
        let (head, tail) = text.split_at(at);
        let tail = match family {
            Family::OpenAiChat => tail.replacen(
                "\"arguments\":\"{}\"",
                "\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"",
                1,
            ),
            Family::Gemini => tail.replacen("\"now\"", "\"now\",\"args\":{\"command\":\"ls\"}", 1),
            Family::Ollama => {
                tail.replacen("\"now\"", "\"now\",\"arguments\":{\"command\":\"ls\"}", 1)
            }
            _ => continue,
        };
        let stream = format!("{head}{tail}");
        let after = run(family, framing, [stream.as_bytes(), b""], &edits).unwrap();
        let now = told(family, framing, &after);
        assert_eq!(now.len(), calls.len());
        for (name, arguments) in now {
            assert_eq!(
                arguments,
                if name == "shell" { NEW } else { old },
                "{family:?}"
            );
        }
    }
    // Of responses, what repeats the arguments of an item does not name its tool.
    let item = RESPONSES
        .split("\n\n")
        .filter(|event| event.contains("\"output_index\":1,"));
    let other = item.map(|event| {
        let event = event.replace("\"output_index\":1,", "\"output_index\":7,");
        event.replace("\"name\":\"shell\"", "\"name\":\"other\"") + "\n\n"
    });
    let stream = other.collect::<String>() + RESPONSES;
    let after = run(
        Family::OpenAiResponses,
        Framing::Events,
        [stream.as_bytes(), b""],
        &edits,
    );
    let after = String::from_utf8(after.unwrap()).unwrap();
    let (mut old_told, mut new_told) = (0, 0);
    for event in after
        .split("\n\n")
        .filter(|event| event.contains("arguments\":\"{"))
    {
        match event.contains("dry_run") {
            true => new_told += 1,
            false => old_told += 1,
        }
        assert_eq!(
            event.contains("dry_run"),
            !event.contains("\"output_index\":7,"),
            "{event}"
        );
    }
    assert_eq!((old_told, new_told), (2, 3));
}
