//! OpenAI's realtime API: items of a conversation are calls as those of a response are. Several answers can be under way at once, so a piece
//! belongs to the item that it names. Items are over with their answer: a later one with the same arguments is another call. An item that is
//! told whole beside an answer is a call as well.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::responses::{is_call, of};
use super::{Ends, Piece, Reading, elements, text, written};

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let item = &event["item"];
    let part = match event["item_id"].as_str() {
        Some(named) => place(named),
        None => place_of(item),
    };
    let piece = |place, name, arguments| Piece {
        id: None,
        key: (part, place),
        name,
        arguments,
        given: false,
        full: false,
    };
    match event["type"].as_str().unwrap_or_default() {
        "response.output_item.added" if is_call(item) => {
            let call = of(item);
            let given = item["arguments"]
                .as_str()
                .is_none_or(|given| !given.is_empty());
            reading.pieces.push(Piece {
                id: None,
                given,
                ..piece(DELTAS, Some(call.name), call.arguments)
            });
        }
        "response.function_call_arguments.delta" => {
            reading
                .pieces
                .push(piece(DELTAS, None, text(&event["delta"])));
        }
        "response.function_call_arguments.done" => {
            let name = event["name"].as_str().map(str::to_owned);
            let full = written(&event["arguments"]);
            reading.pieces.push(Piece {
                id: None,
                full: true,
                ..piece(REPEATED, name, full)
            });
        }
        "response.output_item.done" => {
            if is_call(item) {
                reading.items.push((part, of(item)));
            }
            reading.ends = Ends::Parts(vec![part]);
        }
        "response.done" => {
            let items = elements(&event["response"]["output"]);
            let calls = items.iter().filter(|item| is_call(item));
            let calls = calls.map(|item| (place_of(item), of(item)));
            reading.items.extend(calls);
            let parts: Vec<u64> = items.iter().map(place_of).collect();
            reading.past = parts.clone();
            reading.ends = Ends::Parts(parts);
        }
        _ => {
            // Not as it begins, without arguments.
            let call = Some(of(item)).filter(|_| is_call(item));
            let call = call.filter(|call| !call.arguments.is_empty());
            reading.items.extend(call.map(|call| (part, call)));
        }
    }
    reading
}

fn place_of(item: &Value) -> u64 {
    place(item["id"].as_str().unwrap_or_default())
}

fn place(id: &str) -> u64 {
    let mut place = DefaultHasher::new();
    id.hash(&mut place);
    place.finish()
}

const DELTAS: u64 = 0;
const REPEATED: u64 = 1;
