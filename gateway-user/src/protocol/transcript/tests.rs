//! Answers as the providers send them, cut anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bedrock;
mod cohere;
mod compatible;
mod counted;
mod ends;
mod mistral;
mod realtime;

use serde_json::json;

use super::answer::{ENTRY, MAX_KEPT};
use super::*;

fn read(family: Family, text: &str) -> Summary {
    read_framed(family, None, text)
}

fn read_framed(family: Family, framing: Option<Framing>, text: &str) -> Summary {
    let mut collector = Collector::new(family, framing);
    collector.push(text.as_bytes());
    let whole = collector.finish();
    for size in [1, 2, 3, 7, 64] {
        let mut collector = Collector::new(family, framing);
        for part in text.as_bytes().chunks(size) {
            collector.push(part);
        }
        assert_eq!(collector.finish(), whole, "in parts of {size}");
    }
    whole
}

fn stream(events: &[Value]) -> String {
    let lines = events.iter().map(|event| {
        let kind = event["type"].as_str();
        let name = kind.map_or_else(String::new, |kind| format!("event: {kind}\n"));
        format!("{name}data: {event}\n\n")
    });
    lines.collect()
}

#[test]
fn openai_document() {
    let text = json!({
        "model": "m-1", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi é", "reasoning_content": "hm",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "raw"}},
            ]}, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    });
    let summary = read(Family::OpenAiChat, &format!("\n  {text}\n"));
    assert_eq!(
        summary.to_json(),
        json!({
            "text": "Hi é", "reasoning": "hm",
            "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}, {"name": "g", "arguments": "raw"}],
            "usage": {"input": 5, "output": 7}, "model": "m-1",
        })
    );
}

#[test]
fn openai_stream() {
    let delta = |delta: Value| json!({"model": "m-1", "choices": [{"index": 0, "delta": delta, "finish_reason": null}], "usage": null});
    let text = stream(&[
        json!({"choices": [], "prompt_filter_results": []}),
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "Hel"})),
        delta(json!({"content": "lo"})),
        delta(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        ),
        delta(
            json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]}),
        ),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]})),
        delta(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}, {"index": 1, "function": {"arguments": "}"}}]}),
        ),
        json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
    ]);
    let summary = read(
        Family::OpenAiChat,
        &format!("{text}: bye\n\ndata: [DONE]\n\n"),
    );
    assert_eq!(
        summary.to_json(),
        json!({
            "text": "Hello",
            "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}, {"name": "g", "arguments": "{}"}],
            "usage": {"input": 3, "output": 4}, "model": "m-1",
        })
    );
}

#[test]
fn a_response_in_one_piece_and_in_events() {
    let item = |kind: &str, fields: Value| {
        let mut item = json!({"type": kind, "id": "i"});
        item.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        item
    };
    let output = json!([
        item(
            "reasoning",
            json!({"summary": [{"type": "summary_text", "text": "hm"}]})
        ),
        item(
            "web_search_call",
            json!({"action": {"type": "search", "query": "q"}})
        ),
        item(
            "function_call",
            json!({"name": "f", "arguments": "{\"x\":1}"})
        ),
        item("custom_tool_call", json!({"name": "g", "input": "raw"})),
        item(
            "message",
            json!({"content": [{"type": "output_text", "text": "Hi é"}, {"type": "refusal", "refusal": " no"}]})
        ),
    ]);
    let response = json!({
        "object": "response", "model": "m-1", "error": null, "output": output,
        "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 7},
    });
    let expected = json!({
        "text": "Hi é no", "reasoning": "hm",
        "tool_calls": [
            {"name": "web_search_call", "arguments": "{\"type\":\"search\",\"query\":\"q\"}"},
            {"name": "f", "arguments": "{\"x\":1}"}, {"name": "g", "arguments": "raw"},
        ],
        "usage": {"input": 5, "output": 7}, "model": "m-1",
    });
    let whole = read(Family::OpenAiResponses, &response.to_string());
    assert_eq!(whole.to_json(), expected);

    let mut events = vec![
        json!({"type": "response.created", "response": {"model": "m-1", "output": [], "usage": null, "error": null}}),
    ];
    let delta = |channel: &str, index: usize, delta: &str| json!({"type": format!("response.{channel}.delta"), "output_index": index, "delta": delta});
    let deltas = [
        vec![
            delta("reasoning_summary_text", 0, "h"),
            delta("reasoning_summary_text", 0, "m"),
        ],
        vec![],
        vec![
            delta("function_call_arguments", 2, "{\"x\""),
            delta("function_call_arguments", 2, ":1}"),
            json!({"type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"x\":1}"}),
        ],
        vec![delta("custom_tool_call_input", 3, "raw")],
        vec![
            delta("output_text", 4, "Hi"),
            delta("output_text", 4, " é"),
            json!({"type": "response.output_text.done", "output_index": 4, "text": "Hi é"}),
            delta("refusal", 4, " no"),
        ],
    ];
    for (index, deltas) in deltas.into_iter().enumerate() {
        let (mut begun, done) = (output[index].clone(), &output[index]);
        begun.as_object_mut().unwrap().remove("action");
        events.push(
            json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
        );
        events.extend(deltas);
        events.push(
            json!({"type": "response.output_item.done", "output_index": index, "item": done}),
        );
    }
    events.push(json!({"type": "response.completed", "response": response}));
    assert_eq!(
        read(Family::OpenAiResponses, &stream(&events)).to_json(),
        expected
    );
}

#[test]
fn a_response_that_fails_says_why() {
    let failed = json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "broke"}}});
    let error = json!({"type": "error", "code": "x", "message": "broke", "param": null});
    for event in [failed, error] {
        let summary = read(Family::OpenAiResponses, &stream(&[event]));
        assert_eq!(summary.error.as_deref(), Some("broke"));
    }
}

#[test]
fn completions_and_embeddings() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
    let chunk = |text: &str| json!({"model": "m-1", "choices": [{"index": 0, "text": text, "finish_reason": null}]});
    let expected = json!({"text": "Hello", "usage": {"input": 3, "output": 4}, "model": "m-1"});
    let text = stream(&[
        chunk("Hel"),
        chunk("lo"),
        json!({"choices": [], "usage": usage}),
    ]);
    let streamed = read(Family::OpenAiCompletions, &(text + "data: [DONE]\n\n"));
    assert_eq!(streamed.to_json(), expected);
    let mut whole = chunk("Hello");
    whole["usage"] = usage;
    assert_eq!(
        read(Family::OpenAiCompletions, &whole.to_string()).to_json(),
        expected
    );
    let vectors = json!({
        "object": "list", "model": "m-1", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    });
    let summary = read(Family::OpenAiEmbeddings, &vectors.to_string());
    assert_eq!(
        summary.usage,
        Some(Usage {
            input: Some(3),
            ..Usage::default()
        })
    );
}

#[test]
fn choices_are_told_apart() {
    let delta = |index, text| json!({"choices": [{"index": index, "delta": {"content": text}}]});
    let text = stream(&[delta(1, "b"), delta(0, "a"), delta(1, "B"), delta(0, "A")]);
    let summary = read(Family::OpenAiChat, &text);
    assert_eq!(summary.text, "[choice 0]\naA\n\n[choice 1]\nbB");
}

#[test]
fn anthropic_document() {
    let text = json!({
        "type": "message", "model": "c-1",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "One "},
            {"type": "text", "text": "two"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "t", "name": "g", "input": {}},
        ],
        "usage": {"input_tokens": 2, "cache_read_input_tokens": 40, "cache_creation_input_tokens": null, "output_tokens": 9},
    });
    assert_eq!(
        read(Family::AnthropicMessages, &text.to_string()).to_json(),
        json!({
            "text": "One two", "reasoning": "hm",
            "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}, {"name": "g", "arguments": ""}],
            "usage": {"input": 42, "output": 9}, "model": "c-1",
        })
    );
}

#[test]
fn anthropic_stream() {
    let text = stream(&[
        json!({"type": "message_start", "message": {"model": "c-1", "content": [], "usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"x\":"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(
        read(Family::AnthropicMessages, &text).to_json(),
        json!({
            "text": "Hello", "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}],
            "usage": {"input": 10, "output": 20}, "model": "c-1",
        })
    );
}

#[test]
fn errors_of_the_provider_are_kept() {
    let error =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    for family in [Family::OpenAiChat, Family::AnthropicMessages] {
        for text in [error.to_string(), stream(std::slice::from_ref(&error))] {
            assert_eq!(
                read(family, &text).to_json(),
                json!({"text": "", "error": "Overloaded"}),
                "{text}"
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_kept() {
    let good = json!({"choices": [{"index": 0, "delta": {"content": "x"}}]});
    for (text, said, unreadable) in [
        (
            format!("data: {good}\n\ndata: {{broken\n\ndata: {good}\n\n"),
            "xx",
            1,
        ),
        (
            format!("data: {good}\n\ndata: {{\"choices\":7}}\n\ndata: {good}"),
            "xx",
            0,
        ),
        ("{\"choices\": [".to_owned(), "", 1),
        ("<html>502</html>".to_owned(), "", 0),
        ("   ".to_owned(), "", 0),
        (String::new(), "", 0),
    ] {
        let summary = read(Family::OpenAiChat, &text);
        assert_eq!(
            (summary.text.as_str(), summary.unreadable),
            (said, unreadable),
            "{text}"
        );
    }
    let mut collector = Collector::new(Family::OpenAiChat, None);
    collector.push(b"data: \xff\n\n");
    collector.push(b"data: {}\n\n");
    assert_eq!(collector.finish().unreadable, 1);
}

#[test]
fn a_long_answer_is_cut_at_a_word_and_marked() {
    let mut collector = Collector::new(Family::OpenAiChat, None);
    let word = "é words sk-proj-A1b2C3d4E5f6G7h8I9j0 ";
    let event = json!({"choices": [{"index": 0, "delta": {"content": word.repeat(1000)}}]});
    for _ in 0..100 {
        collector.push(format!("data: {event}\n\n").as_bytes());
    }
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
    collector.push(format!("data: {usage}\n\n").as_bytes());
    let summary = collector.finish();
    assert!(summary.truncated);
    assert!(summary.text.len() <= MAX_KEPT && summary.text.len() > MAX_KEPT - 200);
    assert!(summary.text.ends_with(' '));
    assert_eq!(summary.usage.and_then(|usage| usage.output), Some(4));
    assert_eq!(summary.to_json()["truncated"], true);

    let mut collector = Collector::new(Family::OpenAiChat, None);
    collector.push(b"{\"model\":\"");
    for _ in 0..9 {
        collector.push(&vec![b'x'; 1 << 20]);
    }
    let summary = collector.finish();
    assert!(summary.truncated);
    assert_eq!(summary.unreadable, 1);
}

#[test]
fn many_small_entries_are_bounded_too() {
    let mut collector = Collector::new(Family::OpenAiChat, None);
    for index in 0..100_000 {
        let event =
            json!({"choices": [{"index": index, "delta": {"tool_calls": [{"index": index}]}}]});
        collector.push(format!("data: {event}\n\n").as_bytes());
    }
    let summary = collector.finish();
    assert!(summary.truncated);
    assert!(summary.tool_calls.len() <= MAX_KEPT / ENTRY);
}

#[test]
fn gemini_and_ollama() {
    let element = |text: &str, more: &str| {
        format!(
            "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}{more}]}}}}],\"usageMetadata\":{{\"promptTokenCount\":5,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":3,\"cachedContentTokenCount\":1}},\"modelVersion\":\"g\"}}"
        )
    };
    let call = ",{\"functionCall\":{\"name\":\"f\",\"args\":{\"x\":1}}},{\"text\":\"hm\",\"thought\":true}";
    let array = format!("[{}\n,{}\n]", element("a", ""), element("b", call));
    let expected = json!({
        "text": "ab", "reasoning": "hm", "tool_calls": [{"name": "f", "arguments": "{\"x\":1}"}],
        "usage": {"input": 5, "output": 5}, "model": "g",
    });
    let summary = read_framed(Family::Gemini, Some(Framing::Array), &array);
    assert_eq!(summary.to_json(), expected);
    assert_eq!(summary.usage.unwrap().cached, 1);
    let events = format!(
        "data: {}\r\n\r\ndata: {}\r\n\r\n",
        element("a", ""),
        element("b", call)
    );
    let summary = read_framed(Family::Gemini, Some(Framing::Events), &events);
    assert_eq!(summary.to_json(), expected);
    assert_eq!(read(Family::Gemini, &element("a", "")).text, "a");

    let lines = "{\"model\":\"o\",\"message\":{\"content\":\"a\",\"thinking\":\"hm\"},\"done\":false}\n{\"model\":\"o\",\"message\":{\"content\":\"b\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]},\"done\":true,\"prompt_eval_count\":5,\"eval_count\":5}\n";
    let mut ollama = expected;
    ollama["model"] = json!("o");
    let summary = read_framed(Family::Ollama, Some(Framing::Lines), lines);
    assert_eq!(summary.to_json(), ollama);
    let summary = read(Family::Ollama, "{\"error\":\"no such model\"}");
    assert_eq!(summary.error.as_deref(), Some("no such model"));
}
