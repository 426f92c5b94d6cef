//! OpenAI embeddings: three numbers for each text, which are a function of it.

use serde_json::{Value, json};

/// The answer; none if the request is not one.
pub(super) fn whole(body: &Value) -> Option<Value> {
    let texts: Vec<String> = match &body["input"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts
            .iter()
            .map(|text| {
                text.as_str()
                    .map_or_else(|| text.to_string(), str::to_owned)
            })
            .collect(),
        _ => return None,
    };
    let base64 = body["encoding_format"] == "base64";
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text);
            let vector = if base64 {
                json!(encoded(&vector))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": vector})
        })
        .collect();
    let words: usize = texts
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum();
    Some(json!({
        "object": "list", "data": data, "model": body["model"].as_str()?,
        "usage": {"prompt_tokens": words, "total_tokens": words},
    }))
}

fn vector(text: &str) -> [f32; 3] {
    let sum = |from: usize| {
        text.bytes()
            .skip(from)
            .step_by(3)
            .fold(0, |sum, byte| (sum * 31 + u32::from(byte)) % 9973)
    };
    [0, 1, 2].map(|from| sum(from) as f32 / 9973.0)
}

/// Base64 of little-endian numbers; twelve bytes need no padding.
fn encoded(vector: &[f32; 3]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let digits = bytes.chunks(3).flat_map(|three| {
        let bits = three
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| BASE64[bits >> shift & 63])
    });
    digits.map(char::from).collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
