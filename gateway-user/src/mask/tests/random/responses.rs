//! Random responses: each text in deltas, then in full, then once more with the whole response.

use super::*;

proptest! {
    #[test]
    fn response_streams(
        said in spoken(text()),
        thought in spoken(text()),
        call in spoken(arguments()),
        turns in vec(any::<Index>(), 1..20),
        cuts in vec(any::<Index>(), 0..12),
        set in set(),
    ) {
        let items = vec![
            item(0, "reasoning_summary_text", "text", &thought),
            item(1, "output_text", "text", &said),
            item(2, "function_call_arguments", "arguments", &call),
        ];
        let output = json!([
            {"type": "reasoning", "summary": [{"text": thought.text}]},
            {"type": "message", "content": [{"text": said.text}]},
            {"type": "function_call", "arguments": call.text},
        ]);
        let completed = json!({"type": "response.completed", "response": {"output": output}});
        let stream = interleave(items, &turns).concat() + &event(&completed, said.style);
        check(Shape::OpenAiResponses, &set, &stream, &cuts)?;
        let out = whole(Shape::OpenAiResponses, &set, stream.as_bytes());
        let last: Value = serde_json::from_str(data(&out).last().unwrap()).unwrap();
        let output = &last["response"]["output"];
        let after = texts(&out);
        let full = |name: &str| Value::from(after[&format!("response.{name} in full")].as_str());
        prop_assert_eq!(&output[0]["summary"][0]["text"], &full("reasoning_summary_text 0"));
        prop_assert_eq!(&output[1]["content"][0]["text"], &full("output_text 1"));
        prop_assert_eq!(&output[2]["arguments"], &full("function_call_arguments 2"));
    }
}

/// The events of one item of a response: the deltas of its text, then the text in full.
fn item(index: usize, channel: &str, field: &str, spoken: &Spoken) -> Vec<String> {
    let named = |stage: &str, field: &str, text: &str| {
        let kind = format!("response.{channel}.{stage}");
        let data = json!({"type": kind, "sequence_number": 7, "output_index": index, "content_index": 0, field: text});
        format!("event: {kind}\n{}", event(&data, spoken.style))
    };
    let mut events: Vec<String> = cut(&spoken.text, &spoken.cuts)
        .into_iter()
        .map(|piece| named("delta", "delta", piece))
        .collect();
    events.push(named("done", field, &spoken.text));
    events
}
