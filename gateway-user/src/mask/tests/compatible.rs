//! Chat completions as others than OpenAI stream them: content in parts, thoughts in parts of parts, thoughts told twice.

use super::*;

const MISTRAL: &str = concat!(
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"ask bob@\"}]}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"corp.com\"}]}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"write to ann\"}]},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a.lee@example.com\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n",
    "data: [DONE]\n\n",
);

const OPENROUTER: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning\":\"ask bob@\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"ask bob@\",\"index\":0}]}}]}\n\n",
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"reasoning\":\"corp.com\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"corp.com\",\"index\":0}]}}]}\n\n",
    "data: {\"provider\":\"X\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"to anna.lee@example.com\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"cost\":0.00014}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn texts_in_parts_and_thoughts_told_twice_are_masked_wherever_a_stream_is_cut() {
    for (stream, count) in [(MISTRAL, 2), (OPENROUTER, 3)] {
        let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
        assert_eq!(out.matches("[REDACTED:email]").count(), count, "{out}");
        assert!(!out.contains("bob") && !out.contains("corp"), "{out}");
        assert!(!out.contains("ann"), "{out}");
        let comments = stream.matches(": OPENROUTER").count();
        assert_eq!(out.matches(": OPENROUTER").count(), comments);
        for at in 0..=stream.len() {
            let (one, other) = stream.as_bytes().split_at(at);
            let states = masked(Shape::OpenAiChat, &Set::all(), [one, other]).unwrap();
            assert_eq!(states.last().unwrap(), out.as_bytes(), "{at}");
        }
        let same = whole(Shape::OpenAiChat, &Set::new(["jwt"]), stream.as_bytes());
        assert_eq!(same, stream);
    }
}

#[test]
fn a_vector_of_vertex_stays_as_it_is() {
    let body = r#"{"predictions":[{"embeddings":{"values":[0.4111111111111111,4111111111111111],"statistics":{"token_count":3}},"note":"bob@corp.com"}]}"#;
    let bytes = bytes::Bytes::from_static(body.as_bytes());
    let out = crate::mask::body(&bytes, Shape::Vectors, &Set::all()).unwrap();
    let out = String::from_utf8(out.bytes.to_vec()).unwrap();
    assert_eq!(out, body.replace("bob@corp.com", "[REDACTED:email]"));
}
