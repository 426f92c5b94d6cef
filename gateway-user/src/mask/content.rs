//! One text as a model writes it: prose, or the JSON document of a call's arguments.

use super::Set;
use super::arguments::Arguments;
use super::text::{Part, Text};
use crate::detect::Finding;

/// The content of one channel, in pieces.
pub(super) enum Content {
    Text(Text),
    Arguments(Arguments),
}

impl Content {
    pub(super) fn new(json: bool) -> Self {
        if json {
            Self::Arguments(Arguments::new())
        } else {
            Self::Text(Text::plain())
        }
    }

    /// Reads the next piece.
    pub(super) fn push(
        &mut self,
        piece: &str,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut Vec<Part>,
    ) {
        match self {
            Self::Text(text) => text.push(piece, piece, set, found, out),
            Self::Arguments(arguments) => arguments.push(piece, set, found, out),
        }
    }

    /// The content is over.
    pub(super) fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut Vec<Part>) {
        match self {
            Self::Text(text) => text.finish(set, found, out),
            Self::Arguments(arguments) => arguments.finish(set, found, out),
        }
    }
}

/// Masks a content that is there in one piece, exactly as its pieces are where it comes in pieces; `None` where it stays as it is.
pub(super) fn whole(text: &str, json: bool, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    let (mut content, mut parts) = (Content::new(json), Vec::new());
    content.push(text, set, found, &mut parts);
    content.finish(set, found, &mut parts);
    if !parts.iter().any(|part| matches!(part, Part::Replace(..))) {
        return None;
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    for part in parts {
        let (width, new) = match &part {
            Part::Keep(width) => (*width, None),
            Part::Replace(width, new) => (*width, Some(new)),
        };
        let (old, after) = rest.split_at(width);
        out.push_str(new.map_or(old, String::as_str));
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
