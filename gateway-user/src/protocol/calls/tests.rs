//! Calls are held until they are permitted, wherever a stream is cut, and their facts say what they would do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bedrock;
mod cohere;
mod disguised;
mod documents;
mod edited;
mod facts;
mod hostile;
mod mistral;
mod ordinary;
mod realtime;

use bytes::BytesMut;

use super::*;
use crate::protocol::{Fact, Facts};

const CHAT: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Let me \"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"shell\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"else\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"command\\\":\"}}]},\"finish_reason\":null}]}\n\n",
    ": comment\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"now\",\"arguments\":\"{}\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"ls\\\"}\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Let me \"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s1\",\"name\":\"web_search\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"shell\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"command\\\":\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\\\"ls\\\"}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"now\",\"input\":{}}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"output\":[]}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"output_index\":0,\"delta\":\"Let me \"}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":1,\"item\":{\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"\"}}\n\n",
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":3,\"output_index\":1,\"delta\":\"{\\\"command\\\":\"}\n\n",
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":4,\"output_index\":1,\"delta\":\"\\\"ls\\\"}\"}\n\n",
    "event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\",\"sequence_number\":5,\"output_index\":1,\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":6,\"output_index\":1,\"item\":{\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":7,\"output_index\":2,\"item\":{\"type\":\"web_search_call\"}}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":8,\"output_index\":2,\"item\":{\"type\":\"web_search_call\",\"action\":{\"query\":\"x\"}}}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":9,\"output_index\":3,\"item\":{\"type\":\"local_shell_call\",\"action\":{\"command\":[\"ls\"]}}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":10,\"response\":{\"output\":[{\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"},{\"type\":\"local_shell_call\",\"action\":{\"command\":[\"ls\"]}}]}}\n\n",
);

const STREAMS: [(Family, &str, &[&str]); 3] = [
    (
        Family::OpenAiChat,
        CHAT,
        &["shell {\"command\":\"ls\"}", "now {}"],
    ),
    (
        Family::AnthropicMessages,
        MESSAGES,
        &["shell {\"command\":\"ls\"}", "now "],
    ),
    (
        Family::OpenAiResponses,
        RESPONSES,
        &[
            "shell {\"command\":\"ls\"}",
            "local_shell {\"command\":[\"ls\"]}",
        ],
    ),
];

/// What goes on up to each decision and behind the last, and what was decided on.
fn run(family: Family, pieces: &[&str]) -> Result<(Vec<String>, Vec<String>), CallsError> {
    run_framed(family, Framing::Events, pieces)
}

fn run_framed(
    family: Family,
    framing: Framing,
    pieces: &[&str],
) -> Result<(Vec<String>, Vec<String>), CallsError> {
    let (mut stream, mut out) = (Stream::new(family, framing), BytesMut::new());
    let (mut outs, mut asked) = (Vec::new(), Vec::new());
    let mut pieces = pieces.iter();
    let mut over = false;
    loop {
        let mut step = match pieces.next() {
            Some(piece) => stream.push(piece.as_bytes(), &mut out)?,
            None if over => break,
            None => {
                over = true;
                stream.finish(&mut out)?
            }
        };
        while let Step::Decide(calls) = step {
            outs.push(String::from_utf8(out.split().to_vec()).unwrap());
            asked.extend(
                calls
                    .into_iter()
                    .map(|call| format!("{} {}", call.name, call.arguments)),
            );
            step = stream.permit(&[], &mut out)?;
        }
    }
    outs.push(String::from_utf8(out.to_vec()).unwrap());
    Ok((outs, asked))
}

#[test]
fn calls_wait_for_their_decision_and_all_passes_in_the_end_wherever_a_stream_is_cut() {
    for (family, stream, calls) in STREAMS {
        let (whole, asked) = run(family, &[stream]).unwrap();
        assert_eq!(asked, calls, "{family:?}");
        // Text goes on before, nothing of a call does.
        assert!(whole[0].contains("Let me "), "{whole:?}");
        assert!(!whole[0].contains("shell"), "{whole:?}");
        let mut events: Vec<&str> = stream.split_inclusive("\n\n").collect();
        if family == Family::OpenAiChat {
            assert!(
                whole[0].contains("else"),
                "text of another choice waits: {whole:?}"
            );
            let other = events.remove(2);
            events.insert(1, other);
        }
        assert_eq!(whole.concat(), events.concat(), "{family:?}");
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(
                run(family, &[one, other]).unwrap(),
                (whole.clone(), asked.clone()),
                "{family:?} {at}"
            );
        }
        let single: Vec<&str> = stream.split_inclusive(|_| true).collect();
        assert_eq!(run(family, &single).unwrap(), (whole, asked));
    }
}

#[test]
fn a_stream_that_breaks_off_has_given_no_part_of_a_call() {
    for (family, stream, _) in STREAMS {
        for at in 0..=stream.len() {
            let (mut held, mut out) = (Stream::new(family, Framing::Events), BytesMut::new());
            let _ = held.push(&stream.as_bytes()[..at], &mut out).unwrap();
            let out = String::from_utf8(out.to_vec()).unwrap();
            assert!(
                !out.contains("shell") && !out.contains("command"),
                "{family:?} {at}: {out}"
            );
        }
    }
}

#[test]
fn what_repeats_a_call_in_other_words_is_another_call() {
    let other = RESPONSES.replace("\"item\":{\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"}", "\"item\":{\"type\":\"function_call\",\"name\":\"shell\",\"arguments\":\"{\\\"command\\\":\\\"rm\\\"}\"}");
    let (outs, asked) = run(Family::OpenAiResponses, &[&other]).unwrap();
    assert!(
        asked.contains(&"shell {\"command\":\"rm\"}".to_owned()),
        "{asked:?}"
    );
    assert!(!outs[0].contains("rm"));
    let last = RESPONSES.replace(
        "\"response\":{\"output\":[{\"type\":\"function_call\",\"name\":\"shell\"",
        "\"response\":{\"output\":[{\"type\":\"function_call\",\"name\":\"other\"",
    );
    let (_, asked) = run(Family::OpenAiResponses, &[&last]).unwrap();
    assert!(
        asked.contains(&"other {\"command\":\"ls\"}".to_owned()),
        "{asked:?}"
    );
    // A block that begins with its input, which fragments then replace.
    let both = MESSAGES.replace(
        "\"name\":\"shell\",\"input\":{}",
        "\"name\":\"shell\",\"input\":{\"command\":\"rm\"}",
    );
    let (_, asked) = run(Family::AnthropicMessages, &[&both]).unwrap();
    assert_eq!(
        asked,
        [
            "shell {\"command\":\"rm\"}",
            "shell {\"command\":\"ls\"}",
            "now "
        ]
    );
}

#[test]
fn a_fragment_behind_the_end_of_its_call_is_decided_on_with_it() {
    let more = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"more\"}}]}}]}\n\n";
    let stream = CHAT.replace(
        "data: {\"choices\":[],",
        &format!("{more}data: {{\"choices\":[],"),
    );
    let (outs, asked) = run(Family::OpenAiChat, &[&stream]).unwrap();
    assert_eq!(asked.last().unwrap(), "now {}more");
    assert!(!outs[..2].concat().contains("more"));
}

#[test]
fn documents_have_their_calls_once() {
    let cases = [
        (
            Family::OpenAiChat,
            r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"1","function":{"name":"shell","arguments":"{\"command\":\"ls\"}"}},{"custom":{"name":"patch","input":"x y"}}],"function_call":{"name":"old","arguments":"{}"}}}]}"#,
            "shell {\"command\":\"ls\"}, patch x y, old {}",
        ),
        (
            Family::AnthropicMessages,
            r#"{"content":[{"type":"text","text":"a"},{"type":"tool_use","name":"shell","input":{"command":"ls"}},{"type":"server_tool_use","name":"web_search","input":{}}]}"#,
            "shell {\"command\":\"ls\"}",
        ),
        (
            Family::OpenAiResponses,
            r#"{"output":[{"type":"message"},{"type":"function_call","name":"shell","arguments":"{\"command\":\"ls\"}"},{"type":"mcp_call","name":"x","arguments":"{}"},{"type":"apply_patch_call","operation":{"path":"a"}}]}"#,
            "shell {\"command\":\"ls\"}, apply_patch {\"path\":\"a\"}",
        ),
    ];
    for (family, body, expected) in cases {
        let calls = of_body(family, None, body.as_bytes()).unwrap();
        let calls: Vec<String> = calls
            .iter()
            .map(|call| format!("{} {}", call.name, call.arguments))
            .collect();
        assert_eq!(calls.join(", "), expected);
    }
    // A stream under another content type.
    for (family, stream, calls) in STREAMS {
        assert_eq!(
            of_body(family, None, stream.as_bytes()).unwrap().len(),
            calls.len()
        );
    }
}

#[test]
fn what_readers_could_understand_differently_does_not_go_on() {
    let twice = "data: {\"choices\":[],\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"shell\"}}]}}]}\n\n";
    for (stream, error) in [
        (twice, "twice"),
        ("data: {\"choices\":\n\n", "not valid JSON"),
        ("{\"choices\":[]}\n\n", "begins as a document"),
    ] {
        let got = run(Family::OpenAiChat, &[stream]).unwrap_err().to_string();
        assert!(got.contains(error), "{got}");
    }
    let body = r#"{"content":[],"content":[{"type":"tool_use","name":"shell","input":{}}]}"#;
    assert!(of_body(Family::AnthropicMessages, None, body.as_bytes()).is_err());
    // Arguments that one parser reads as `ls` and another as `rm`.
    let call = ToolCall {
        name: "shell".into(),
        arguments: r#"{"command":"ls","command":"rm"}"#.into(),
    };
    assert!(facts(&call, &mut Facts::default()).is_err());
}

/// A set of the facts of arguments.
fn found(arguments: &str, fact: &str) -> String {
    let mut facts_of = Facts::default();
    let call = ToolCall {
        name: "tool".into(),
        arguments: arguments.into(),
    };
    facts(&call, &mut facts_of).unwrap();
    match &facts_of.0[fact] {
        Fact::Set(names) => names.iter().cloned().collect::<Vec<_>>().join(" "),
        Fact::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn commanded(command: &str) -> String {
    found(&serde_json::json!({ "c": command }).to_string(), "programs")
}

#[test]
fn programs_are_those_a_shell_would_start() {
    for (command, programs) in [
        ("ls -l /tmp", "ls"),
        (
            "cd a && /usr/bin/make -j2 | tee log; echo done",
            "cd echo make tee",
        ),
        ("A=1 B='x' run 2>&1 >out <in", "run"),
        ("r\\m -rf / ; 'r'm x; \"rm\" y", "rm"),
        ("echo $(rm -rf /) `halt`", "echo halt rm"),
        ("echo \"a $(rm b) c\"", "echo rm"),
        ("bash -c 'rm -rf / && halt'", "bash halt rm"),
        ("sh -c \"sh -c 'rm x'\"", "rm sh"),
        ("sudo -u root rm x", "rm root sudo x"),
        ("find . -name x -exec rm {} +", "find rm"),
        ("if true; then rm a; else ls; fi", "ls rm true"),
        ("for f in a b; do rm $f; done", "rm"),
        ("# rm all\nls", "ls"),
        ("x=rm; $x -rf /", "$x"),
        ("grep 'rm -rf' notes", "grep"),
        ("echo 'rm -rf /' | sh", "echo rm sh"),
        ("xargs rm < list", "rm xargs"),
        ("(rm a)", "rm"),
        ("cat <<EOF | bash\nrm -rf /\nEOF", "$ EOF bash cat rm"),
        ("timeout 5 rm x", "5 rm timeout x"),
        (
            "python -c \"import os; os.system('rm -rf /')\"",
            "import os.system python rm",
        ),
    ] {
        assert_eq!(commanded(command), programs, "{command}");
    }
    assert_eq!(
        found(r#"{"command":["bash","-lc","rm x"]}"#, "programs"),
        "bash rm"
    );
    assert_eq!(
        found(
            r#"{"command":["ls","src"],"argv":["/bin/rm","a"]}"#,
            "programs"
        ),
        "ls rm"
    );
    // Any other list may be one of commands.
    assert_eq!(
        found(r#"{"commands":["ls","halt"]}"#, "programs"),
        "halt ls"
    );
    assert_eq!(found("no json; rm x", "programs"), "no rm");
}

#[test]
fn texts_are_decoded_and_arguments_have_one_form() {
    let arguments = "{ \"a\" : \"r\\u006d\", \"b\": [1, \"x\"] }";
    assert_eq!(found(arguments, "arguments"), r#"{"a":"rm","b":[1,"x"]}"#);
    assert_eq!(found(arguments, "text"), "rm\nx");
}
