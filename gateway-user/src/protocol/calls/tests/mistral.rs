//! Mistral's conversations.

use super::*;
use crate::protocol::frames::Framing;

pub(super) const EVENTS: &str = concat!(
    "event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"conversation_id\":\"conv_1\"}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"output_index\":0,\"content\":\"Let me \"}\n\n",
    "event: tool.execution.started\ndata: {\"type\":\"tool.execution.started\",\"output_index\":1,\"name\":\"web_search\",\"arguments\":\"{}\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"output_index\":2,\"tool_call_id\":\"a\",\"name\":\"shell\",\"arguments\":\"{\\\"command\\\":\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"output_index\":2,\"tool_call_id\":\"a\",\"name\":\"shell\",\"arguments\":\"\\\"ls\\\"}\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"output_index\":3,\"tool_call_id\":\"b\",\"name\":\"now\",\"arguments\":\"\"}\n\n",
    "event: conversation.response.done\ndata: {\"type\":\"conversation.response.done\",\"usage\":{}}\n\n",
);

#[test]
fn calls_wait_wherever_a_stream_is_cut() {
    let run = |pieces: &[&str]| {
        run_framed(Family::MistralConversations, Framing::Events, pieces).unwrap()
    };
    let (whole, asked) = run(&[EVENTS]);
    assert_eq!(asked, ["shell {\"command\":\"ls\"}", "now "]);
    assert!(
        whole[0].contains("Let me ") && !whole[0].contains("shell"),
        "{whole:?}"
    );
    assert_eq!(whole.concat(), EVENTS);
    for at in 0..=EVENTS.len() {
        let (one, other) = EVENTS.split_at(at);
        let cut = run(&[one, other]);
        assert_eq!(cut.1, asked, "{at}");
        assert_eq!(cut.0.concat(), EVENTS, "{at}");
        assert!(!cut.0[0].contains("shell"), "{at}");
    }
}

#[test]
fn calls_of_an_answer_in_one_piece_and_of_what_is_kept() {
    let outputs = r#"[{"type":"message.input","role":"user","content":"x"},{"type":"tool.execution","name":"web_search","arguments":"{}"},{"type":"function.call","name":"shell","arguments":{"a":1}},{"type":"function.call","name":"now","arguments":"{}"}]"#;
    for list in ["outputs", "entries", "messages"] {
        let answer = format!("{{\"conversation_id\":\"conv_1\",\"{list}\":{outputs}}}");
        let calls = of_body(Family::MistralConversations, None, answer.as_bytes()).unwrap();
        let told = calls
            .iter()
            .map(|call| (call.name.as_str(), call.arguments.as_str()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("shell", "{\"a\":1}"), ("now", "{}")],
            "{list}"
        );
    }
}
