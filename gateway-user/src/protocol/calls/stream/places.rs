//! Which call a piece of a stream belongs to.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Item, Stream};
use crate::protocol::calls::{Key, Piece, parse};
use crate::protocol::llm::Family;

impl Stream {
    /// Where a piece belongs. Some servers give every call the same place: one with a name and an id of its own, behind a call that is whole,
    /// begins another.
    pub(super) fn place(&self, piece: &Piece) -> Key {
        let (part, mut place) = piece.key;
        let Some(id) = &piece.id else {
            return piece.key;
        };
        while self.calls.contains_key(&(part, place + NEXT)) {
            place += NEXT;
        }
        if let Some(open) = self.calls.get(&(part, place)) {
            let ids = [open.id.as_deref().unwrap_or_default(), id];
            let other = ids[0] != ids[1] && !ids.contains(&"") && piece.name.is_some();
            if other && parse(&open.call.arguments).is_ok() {
                place += NEXT;
            }
        }
        (part, place)
    }

    /// Which call pieces belong to. Some formats tell one in pieces and again in full.
    pub(super) fn item(&self, key: Key) -> Item {
        Item::Of(match self.family {
            Family::OpenAiRealtime | Family::OpenAiResponses | Family::Cohere => key.0,
            _ => {
                let mut place = DefaultHasher::new();
                // What repeats a call is the same act.
                let chat = matches!(self.family, Family::OpenAiChat | Family::OpenRouterChat);
                let again = if chat { AGAIN } else { 0 };
                (key.0, key.1 & !again).hash(&mut place);
                place.finish()
            }
        })
    }

    /// The tool of a call that comes in pieces. What says them in full need not repeat its name.
    pub(super) fn name(&self, (part, place): Key) -> &str {
        let again = matches!(
            self.family,
            Family::OpenAiResponses | Family::OpenAiRealtime
        );
        let mut told = [place, if again { 0 } else { place }].into_iter();
        let named = told.find_map(|place| {
            let name = &self.calls.get(&(part, place))?.call.name;
            (!name.is_empty()).then_some(&**name)
        });
        named.unwrap_or_default()
    }
}

/// Where what repeats a call in full has its place, beside the place of its pieces.
pub(in crate::protocol::calls) const AGAIN: u64 = 1 << 63;
/// Where calls have their places that follow others in theirs. No answer has so many calls.
pub(in crate::protocol::calls) const NEXT: u64 = 1 << 32;
