//! A corpus of streams cut at every byte, random streams cut at random, and whole documents.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bedrock;
mod cohere;
mod compatible;
mod corpus;
mod documents;
mod exports;
mod families;
mod mistral;
mod numbers;
mod random;
mod realtime;
mod turns;
mod undescribed;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use serde_json::Value;

use super::{MaskError, Set, Shape, Stream};
use crate::detect::{Detectors, Rule, Spec};
use crate::protocol::frames::Framing;

/// Masks a stream that arrives in these chunks; the bytes that were out after each of them.
fn masked<'a>(
    shape: Shape,
    set: &Set,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<BytesMut>, MaskError> {
    let mut stream = Stream::new(shape, framing(shape), set.clone());
    let mut out = BytesMut::new();
    let mut states = Vec::new();
    for chunk in chunks {
        stream.push(chunk, &mut out)?;
        states.push(out.clone());
    }
    stream.finish(&mut out)?;
    states.push(out);
    Ok(states)
}

fn framing(shape: Shape) -> Framing {
    match shape {
        Shape::Gemini => Framing::Array,
        Shape::Ollama => Framing::Lines,
        Shape::Bedrock => Framing::Messages,
        Shape::OpenAiRealtime => Framing::Frames,
        _ => Framing::Events,
    }
}

fn whole(shape: Shape, set: &Set, bytes: &[u8]) -> String {
    let states = masked(shape, set, [bytes]).unwrap();
    String::from_utf8(states.last().unwrap().to_vec()).unwrap()
}

/// The data of each whole event, read without the code under test.
fn data(stream: &str) -> Vec<String> {
    let text = stream.replace("\r\n", "\n");
    let events = text
        .split_inclusive("\n\n")
        .filter(|event| event.ends_with("\n\n"));
    let data = events.filter_map(|event| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data: "));
        lines
            .map(str::to_owned)
            .reduce(|all, line| all + "\n" + &line)
    });
    data.collect()
}

/// What a client puts together from the deltas: the text of each field of each choice or content block.
fn texts(stream: &str) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |name: String, piece: &Value| {
        if let Some(piece) = piece.as_str() {
            texts.entry(name).or_default().push_str(piece);
        }
    };
    for data in data(stream) {
        let Ok(event) = serde_json::from_str::<Value>(&data) else {
            assert_eq!(data, "[DONE]");
            continue;
        };
        for choice in event["choices"].as_array().into_iter().flatten() {
            let (index, delta) = (&choice["index"], &choice["delta"]);
            for field in ["content", "refusal", "reasoning", "reasoning_content"] {
                add(format!("{index} {field}"), &delta[field]);
            }
            add(format!("{index} text"), &choice["text"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                let name = format!("{index} arguments {}", call["index"]);
                add(name, &call["function"]["arguments"]);
            }
        }
        if let Some((channel, stage)) = event["type"]
            .as_str()
            .and_then(|kind| kind.rsplit_once('.'))
        {
            let name = format!("{channel} {}", event["output_index"]);
            match stage {
                "delta" => add(name, &event["delta"]),
                "done" => {
                    for field in SPOKEN {
                        add(format!("{name} in full"), &event[field]);
                    }
                }
                _ => {}
            }
            continue;
        }
        for field in ["text", "thinking", "partial_json", "signature"] {
            add(
                format!("{} {field}", event["index"]),
                &event["delta"][field],
            );
        }
    }
    texts
}

/// The fields in which a response says a text in full.
const SPOKEN: [&str; 5] = ["text", "refusal", "arguments", "input", "code"];

/// Detectors of an operator that find some of what random streams are made of.
fn detectors() -> Arc<Detectors> {
    static DETECTORS: LazyLock<Arc<Detectors>> = LazyLock::new(|| {
        let spec = |id: &str, regex: Option<&str>, words: &[&str]| Spec {
            id: id.to_owned(),
            class: "internal".to_owned(),
            regex: regex.map(str::to_owned),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ignore_case: true,
            ..Spec::default()
        };
        let specs = [
            spec("employee", Some(r"\bEMP-[0-9]{4,6}(?:-[A-Z]{2})?\b"), &[]),
            spec("code-name", None, &["Project Falcon", "Überflug"]),
        ];
        let rules = specs.iter().map(|spec| Rule::new(spec).unwrap());
        Arc::new(Detectors::new(rules.collect()))
    });
    Arc::clone(&DETECTORS)
}
