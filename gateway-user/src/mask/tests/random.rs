//! Random answers with findings in them, in random deltas, in random network chunks.

use super::super::above::Above;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use serde_json::json;

use super::*;
use crate::detect;
use crate::mask::{Order, body};

mod bedrock;
mod documents;
mod expected;
mod responses;

use expected::expected_value;

/// What texts are made of: findings, what looks like their beginning, and what makes cutting hard.
const PARTS: [&str; 32] = [
    "EMP-",
    "EMP-123456",
    "emp-4711-d",
    "Überflug",
    "Project Fal",
    "con",
    "4111 1111 1111 1111",
    "5555555555554444",
    "3782 822463 10005",
    "4111 1111 ",
    "1111",
    "anna.lee@example.com",
    "anna@",
    "@example.org",
    ".com",
    "bob",
    "sk-ant-api03-",
    "ghp_",
    "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",
    "AKIAIOSFODNN7EXAMPLE",
    "AKIA",
    "aws_secret",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "😀",
    "é\u{2011}",
    " ",
    "\n",
    "\"",
    "\\",
    "\\u00",
    "{\"",
    "the answer is ",
];

/// One text of an answer, and where it is cut into deltas.
#[derive(Clone, Debug)]
struct Spoken {
    text: String,
    cuts: Vec<Index>,
    style: Style,
}

/// How the JSON around a delta is written.
#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Ascii,
    Escaped,
}

fn text() -> impl Strategy<Value = String> {
    let noise = string_regex("[a-z0-9@. -]{0,6}").unwrap();
    let part = prop_oneof![select(&PARTS[..]).prop_map(str::to_owned), noise];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn style() -> impl Strategy<Value = Style> {
    select(vec![Style::Plain, Style::Ascii, Style::Escaped])
}

fn spoken(text: impl Strategy<Value = String>) -> impl Strategy<Value = Spoken> {
    (text, vec(any::<Index>(), 0..20), style()).prop_map(|(text, cuts, style)| Spoken {
        text,
        cuts,
        style,
    })
}

/// A JSON object with such texts in its strings and keys, written in one of the styles.
fn arguments() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(4_111_111_111_111_111_u64)),
        Just(json!(-1.5e30)),
        text().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    });
    let members = vec((text(), value), 0..4).prop_map(|members| members.into_iter().collect());
    (members, style(), any::<bool>()).prop_map(|(value, style, pretty): (Value, _, _)| {
        let written = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        styled(&written.unwrap(), style)
    })
}

/// The same JSON with other escape sequences. The replaced characters occur in strings only.
fn styled(json: &str, style: Style) -> String {
    let mut out = String::new();
    for character in json.chars() {
        let escaped = match style {
            Style::Plain => false,
            Style::Ascii => !character.is_ascii(),
            Style::Escaped => !character.is_ascii() || "@k_".contains(character),
        };
        if !escaped {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Cuts a text at the characters next to the given places.
fn cut<'a>(text: &'a str, cuts: &[Index]) -> Vec<&'a str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.retain(|place| text.is_char_boundary(*place));
    places.extend([0, text.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &text[pair[0]..pair[1]])
        .collect()
}

fn split<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// What a text has to become.
fn expected(text: &str, set: &Set) -> String {
    let mut out = text.to_owned();
    for finding in detect::scan(text, set.detectors())
        .iter()
        .rev()
        .filter(|finding| set.takes(finding, String::new))
    {
        out.replace_range(
            finding.range.clone(),
            &format!("[REDACTED:{}]", finding.detector),
        );
    }
    out
}

/// Writes events of several texts, which take turns as `turns` says; the events of one text keep their order.
fn interleave(mut texts: Vec<Vec<String>>, turns: &[Index]) -> Vec<String> {
    texts.iter_mut().for_each(|events| events.reverse());
    let mut stream = Vec::new();
    let mut turns = turns.iter().cycle();
    loop {
        let left: Vec<usize> = (0..texts.len())
            .filter(|&text| !texts[text].is_empty())
            .collect();
        if left.is_empty() {
            return stream;
        }
        let text = left[turns.next().map_or(0, |turn| turn.index(left.len()))];
        stream.extend(texts[text].pop());
    }
}

fn event(data: &Value, style: Style) -> String {
    format!("data: {}\n\n", styled(&data.to_string(), style))
}

fn chat(index: usize, delta: &Value, finish: &Value) -> Value {
    let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
    json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "choices": [choice]})
}

/// The events of one choice: content, then the arguments of calls that take turns.
fn choice(index: usize, content: &Spoken, calls: &[Spoken], turns: &[Index]) -> Vec<String> {
    let mut events = vec![event(
        &chat(index, &json!({"role": "assistant"}), &Value::Null),
        Style::Plain,
    )];
    for piece in cut(&content.text, &content.cuts) {
        events.push(event(
            &chat(index, &json!({"content": piece}), &Value::Null),
            content.style,
        ));
    }
    let calls = calls.iter().enumerate().map(|(call, spoken)| {
        let pieces = cut(&spoken.text, &spoken.cuts).into_iter();
        let events = pieces.map(|piece| {
            let call = json!({"index": call, "function": {"arguments": piece}});
            let delta = json!({"tool_calls": [call]});
            event(&chat(index, &delta, &Value::Null), spoken.style)
        });
        events.collect()
    });
    events.extend(interleave(calls.collect(), turns));
    events.push(event(
        &chat(index, &json!({}), &json!("stop")),
        Style::Plain,
    ));
    events
}

/// The events of one block.
fn block(index: usize, kind: &str, field: &str, spoken: &Spoken) -> Vec<String> {
    let named = |name: &str, data: Value| format!("event: {name}\n{}", event(&data, spoken.style));
    let mut events = Vec::new();
    for piece in cut(&spoken.text, &spoken.cuts) {
        let delta = json!({"type": kind, field: piece});
        let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.push(named("content_block_delta", data));
    }
    let data = json!({"type": "content_block_stop", "index": index});
    events.push(named("content_block_stop", data));
    events
}

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![
        Just(Set::all()),
        Just(Set::new(["pii"])),
        Just(Set::new(["credit-card", "github-token"])),
        Just(Set::new([])),
        Just(Set::all().with(&detectors())),
        Just(Set::new(["internal"]).with(&detectors())),
    ]
}

/// Everything that has to hold of a stream whose texts are known.
fn check(shape: Shape, set: &Set, stream: &str, cuts: &[Index]) -> Result<(), TestCaseError> {
    let states = masked(shape, set, split(stream.as_bytes(), cuts)).unwrap();
    let out = String::from_utf8(states.last().unwrap().to_vec()).unwrap();
    prop_assert_eq!(&out, &whole(shape, set, stream.as_bytes()));
    prop_assert_eq!(data(&out).len(), data(stream).len());
    let (before, after) = (texts(stream), texts(&out));
    for (name, text) in &before {
        if name.contains("arguments") || name.contains("partial_json") {
            let document: Value = serde_json::from_str(text).unwrap();
            let read: Value = serde_json::from_str(&after[name]).unwrap();
            let wanted = expected_value(&document, set, &mut |_, key| key);
            prop_assert_eq!(&read, &wanted, "{}", text);
            if wanted == document {
                prop_assert_eq!(&after[name], text);
            }
        } else {
            prop_assert_eq!(&after[name], &expected(text, set));
        }
    }
    if before == after {
        prop_assert_eq!(&out, stream);
    }
    for (name, text) in &after {
        if let Some(full) = after.get(&format!("{name} in full")) {
            prop_assert_eq!(full, text);
        }
    }
    // Whatever left early is the beginning of what has to leave.
    for state in &states {
        for (name, text) in texts(std::str::from_utf8(state).unwrap()) {
            prop_assert!(after[&name].starts_with(&text), "{}: {:?}", name, text);
        }
    }
    Ok(())
}

proptest! {
    /// The search of its bytes as another text adds nothing.
    #[test]
    fn texts_in_utf_16(text in text(), order in select(&[Order::Little, Order::Big][..]), set in set()) {
        // No document by itself.
        let text = format!("of {text}");
        let coded = |text: &str| -> Vec<u8> {
            let units = text.encode_utf16().flat_map(|unit| match order {
                Order::Little => unit.to_le_bytes(),
                Order::Big => unit.to_be_bytes(),
            });
            units.collect()
        };
        let out = body(&coded(&text).into(), Shape::Wide(order), &set).unwrap();
        prop_assert_eq!(out.bytes, coded(&expected(&text, &set)));
    }

    #[test]
    fn chat_streams(
        choices in vec((spoken(text()), vec(spoken(arguments()), 0..3)), 1..3),
        turns in vec(any::<Index>(), 1..20),
        cuts in vec(any::<Index>(), 0..12),
        set in set(),
    ) {
        let events = choices.iter().enumerate().map(|(index, (content, calls))| choice(index, content, calls, &turns));
        let stream = interleave(events.collect(), &turns).concat() + "data: [DONE]\n\n";
        check(Shape::OpenAiChat, &set, &stream, &cuts)?;
    }

    #[test]
    fn message_streams(
        said in spoken(text()),
        thought in spoken(text()),
        call in spoken(arguments()),
        turns in vec(any::<Index>(), 1..20),
        cuts in vec(any::<Index>(), 0..12),
        set in set(),
    ) {
        let blocks = vec![
            block(0, "thinking_delta", "thinking", &thought),
            block(1, "text_delta", "text", &said),
            block(2, "input_json_delta", "partial_json", &call),
        ];
        let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let stream = interleave(blocks, &turns).concat() + stop;
        check(Shape::AnthropicMessages, &set, &stream, &cuts)?;
    }

    /// What stops in the middle of a finding while another field goes on is masked as if it had not.
    #[test]
    fn fields_that_take_turns_never_show_a_finding(
        card in select(&["4111 1111 1111 1111", "anna.lee@example.com", "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"][..]),
        cuts in vec(any::<Index>(), 0..6),
        fields in vec(select(&["content", "reasoning_content"][..]), 1..8),
    ) {
        let mut fields = fields.iter().cycle();
        let mut stream = String::new();
        for piece in cut(&format!("it is {card}, no? "), &cuts) {
            let field = *fields.next().unwrap();
            stream.push_str(&event(&chat(0, &json!({"content": piece}), &Value::Null), Style::Plain));
            if field != "content" {
                stream.push_str(&event(&chat(0, &json!({field: " and so "}), &Value::Null), Style::Plain));
            }
        }
        let out = whole(Shape::OpenAiChat, &Set::all(), stream.as_bytes());
        let whole = expected(&format!("it is {card}, no? "), &Set::all());
        prop_assert_eq!(&texts(&out)["0 content"], &whole);
    }
}
