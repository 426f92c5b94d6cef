//! Random answers of Converse, and of models that speak Anthropic's format, in messages.

use super::super::bedrock::{chunk, documents, event};
use super::*;

/// The messages of one block of Converse, or of Anthropic in chunks.
fn block(index: usize, path: &[&str], spoken: &Spoken, own: bool) -> Vec<bytes::Bytes> {
    let mut messages = Vec::new();
    for piece in cut(&spoken.text, &spoken.cuts) {
        messages.push(if own {
            let delta = json!({"type": "delta", path[0]: piece});
            let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
            chunk(&styled(&data.to_string(), spoken.style))
        } else {
            let delta = path
                .iter()
                .rev()
                .fold(json!(piece), |inner, key| json!({ *key: inner }));
            let data = json!({"contentBlockIndex": index, "delta": delta, "p": "abcdef"});
            crate::protocol::eventstream::event(
                "contentBlockDelta",
                &styled(&data.to_string(), spoken.style),
            )
        });
    }
    messages.push(match own {
        true => chunk(&json!({"type": "content_block_stop", "index": index}).to_string()),
        false => event("contentBlockStop", &json!({"contentBlockIndex": index})),
    });
    messages
}

/// Messages of several blocks that take turns.
fn turns_of(mut blocks: Vec<Vec<bytes::Bytes>>, turns: &[Index]) -> Vec<u8> {
    blocks.iter_mut().for_each(|messages| messages.reverse());
    let (mut stream, mut turns) = (Vec::new(), turns.iter().cycle());
    loop {
        let left: Vec<usize> = (0..blocks.len())
            .filter(|&block| !blocks[block].is_empty())
            .collect();
        if left.is_empty() {
            return stream;
        }
        let block = left[turns.next().map_or(0, |turn| turn.index(left.len()))];
        stream.extend(blocks[block].pop().unwrap_or_default());
    }
}

/// What a client puts together, by block.
fn said(stream: &[u8]) -> BTreeMap<u64, String> {
    let mut texts: BTreeMap<u64, String> = BTreeMap::new();
    for document in documents(stream) {
        let converse = &document["contentBlockDelta"];
        let (payload, index) = match converse.is_object() {
            true => (converse, &converse["contentBlockIndex"]),
            false => (&document, &document["index"]),
        };
        let delta = &payload["delta"];
        let pieces = [
            "/text",
            "/thinking",
            "/partial_json",
            "/toolUse/input",
            "/reasoningContent/text",
        ];
        for piece in pieces.iter().filter_map(|at| delta.pointer(at)?.as_str()) {
            texts
                .entry(index.as_u64().unwrap_or(9))
                .or_default()
                .push_str(piece);
        }
    }
    texts
}

proptest! {
    #[test]
    fn message_streams_of_amazon(
        said_text in spoken(text()),
        thought in spoken(text()),
        call in spoken(arguments()),
        turns in vec(any::<Index>(), 1..20),
        cuts in vec(any::<Index>(), 0..12),
        set in set(),
        own in any::<bool>(),
    ) {
        let paths: [&[&str]; 3] = match own {
            true => [&["thinking"], &["text"], &["partial_json"]],
            false => [&["reasoningContent", "text"], &["text"], &["toolUse", "input"]],
        };
        let blocks = vec![
            block(0, paths[0], &thought, own),
            block(1, paths[1], &said_text, own),
            block(2, paths[2], &call, own),
        ];
        let stream = turns_of(blocks, &turns);
        let states = masked(Shape::Bedrock, &set, split(&stream, &cuts)).unwrap();
        let out = states.last().unwrap();
        let whole = masked(Shape::Bedrock, &set, [stream.as_slice()]).unwrap();
        prop_assert_eq!(out, whole.last().unwrap());
        prop_assert_eq!(documents(out).len(), documents(&stream).len());
        let (before, after) = (said(&stream), said(out));
        for (block, text) in &before {
            if *block < 2 {
                prop_assert_eq!(&after[block], &expected(text, &set));
                continue;
            }
            let document: Value = serde_json::from_str(text).unwrap();
            let read: Value = serde_json::from_str(&after[block]).unwrap();
            prop_assert_eq!(read, expected_value(&document, &set, &mut |_, key| key));
        }
        if before == after {
            prop_assert_eq!(&out[..], &stream[..]);
        }
    }
}
