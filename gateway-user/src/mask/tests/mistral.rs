//! Streams of Mistral's conversations: texts, thoughts and arguments over several events.

use super::*;

const EVENTS: &str = concat!(
    "event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"conversation_id\":\"conv_1\"}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"content\":{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"I ask bob@\"}]}}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"content\":{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"corp.com\"}]}}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"output_index\":0,\"content_index\":1,\"content\":\"call 4111 11\"}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"output_index\":0,\"content_index\":1,\"content\":{\"type\":\"text\",\"text\":\"11 1111 1111\"}}\n\n",
    "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"output_index\":0,\"content_index\":2,\"content\":{\"type\":\"tool_reference\",\"tool\":\"web_search\",\"title\":\"ann@corp.com\"}}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"id\":\"fc_1\",\"tool_call_id\":\"a\",\"output_index\":1,\"name\":\"mail\",\"arguments\":\"{\\\"to\\\":\\\"eve@\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"id\":\"fc_2\",\"tool_call_id\":\"b\",\"output_index\":1,\"name\":\"mail\",\"arguments\":\"{\\\"to\\\":\\\"mia@\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"id\":\"fc_1\",\"tool_call_id\":\"a\",\"output_index\":1,\"name\":\"mail\",\"arguments\":\"corp.com\\\"}\"}\n\n",
    "event: function.call.delta\ndata: {\"type\":\"function.call.delta\",\"id\":\"fc_2\",\"tool_call_id\":\"b\",\"output_index\":1,\"name\":\"mail\",\"arguments\":\"corp.com\\\"}\"}\n\n",
    "event: conversation.response.done\ndata: {\"type\":\"conversation.response.done\",\"usage\":{\"prompt_tokens\":3}}\n\n",
);

fn run(set: &Set, pieces: &[&[u8]]) -> String {
    let mut stream = Stream::new(Shape::Mistral, Framing::Events, set.clone());
    let mut out = BytesMut::new();
    for piece in pieces {
        stream.push(piece, &mut out).unwrap();
    }
    stream.finish(&mut out).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn findings_across_events_are_masked_wherever_a_stream_is_cut() {
    let out = run(&Set::all(), &[EVENTS.as_bytes()]);
    for secret in ["4111", "1111", "bob", "eve@", "mia@", "ann@"] {
        assert!(!out.contains(secret), "{secret}: {out}");
    }
    for shown in [
        "I ask [REDACTED:email]",
        "call [REDACTED:credit-card]",
        "\\\"to\\\":\\\"[REDACTED:email]",
    ] {
        assert!(out.contains(shown), "{shown}: {out}");
    }
    assert_eq!(out.matches("\n\n").count(), EVENTS.matches("\n\n").count());
    for at in 0..=EVENTS.len() {
        let (one, other) = EVENTS.as_bytes().split_at(at);
        assert_eq!(run(&Set::all(), &[one, other]), out, "{at}");
    }
    assert_eq!(run(&Set::new(["jwt"]), &[EVENTS.as_bytes()]), EVENTS);
}
