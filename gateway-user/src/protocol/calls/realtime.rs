//! OpenAI's realtime API: items of a conversation are calls as those of a response are. Several answers can be under way at once, so a piece
//! belongs to the item that it names. An item that is told whole beside an answer is a call as well.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::responses::{is_call, of};
use super::{Ends, Piece, Reading, elements, text, written};

pub(super) fn event(event: &Value) -> Reading {
    let mut reading = Reading::default();
    let item = &event["item"];
    let named = event["item_id"].as_str().or(item["id"].as_str());
    let part = place(named.unwrap_or_default());
    let piece = |place, name, arguments| Piece {
        key: (part, place),
        name,
        arguments,
        given: false,
    };
    match event["type"].as_str().unwrap_or_default() {
        "response.output_item.added" if is_call(item) => {
            let call = of(item);
            let given = item["arguments"]
                .as_str()
                .is_none_or(|given| !given.is_empty());
            reading.pieces.push(Piece {
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
            reading.pieces.push(piece(REPEATED, name, full));
        }
        "response.output_item.done" => {
            if is_call(item) {
                reading.whole.push(of(item));
            }
            reading.ends = Ends::Parts(vec![part]);
        }
        "response.done" => {
            let items = elements(&event["response"]["output"]);
            let calls = items.iter().filter(|item| is_call(item));
            reading.whole.extend(calls.map(of));
            let ids = items.iter().filter_map(|item| item["id"].as_str());
            reading.ends = Ends::Parts(ids.map(place).collect());
        }
        _ => {
            // Not as it begins, without arguments.
            let call = Some(of(item)).filter(|_| is_call(item));
            reading
                .whole
                .extend(call.filter(|call| !call.arguments.is_empty()));
        }
    }
    reading
}

fn place(id: &str) -> u64 {
    let mut place = DefaultHasher::new();
    id.hash(&mut place);
    place.finish()
}

const DELTAS: u64 = 0;
const REPEATED: u64 = 1;
