//! What is said of a number behind it: `… is my tax number`, `… as his passport number`, `… (SSN)`.
//!
//! In: the text behind a number. Out: the words there, as far as the clause is about the number.

use super::{Said, Words};

/// What the clause behind a number says of it, once it has come.
pub(crate) fn said(rest: &[u8], whole: bool, words: &Words) -> Option<Said> {
    let rest = match rest {
        [b'"' | b'\'' | b'`', rest @ ..] => rest,
        rest => rest,
    };
    let mut open = false;
    for joint in JOINTS {
        if let Some(rest) = rest.strip_prefix(joint) {
            return clause(rest, whole, joint == BRACKET).map(|clause| words.said(clause));
        }
        open |= joint.starts_with(rest);
    }
    (whole || !open).then(Said::default)
}

/// The words up to what ends the clause; all of a bracket, which holds nothing but a name.
fn clause(rest: &[u8], whole: bool, bracket: bool) -> Option<&[u8]> {
    let reach = &rest[..rest.len().min(FARTHEST)];
    let ends = |byte: &u8| b".,;:!?\n\"()<>{}[]|0123456789".contains(byte);
    let end = reach.iter().position(ends);
    if end.is_none() && rest.len() < FARTHEST && !whole {
        return None;
    }
    let clause = &reach[..end.unwrap_or(reach.len())];
    let mut parts = clause.split(|byte| *byte == b' ');
    let about = match bracket {
        true => end.is_some_and(|end| reach[end] == b')') && parts.clone().count() <= MOST_WORDS,
        false => parts.next().is_some_and(|first| OWNERS.contains(&first)),
    };
    Some(if about { clause } else { b"" })
}

const BRACKET: &[u8] = b" (";
const JOINTS: [&[u8]; 3] = [b" is ", b" as ", BRACKET];
/// What the clause begins with.
const OWNERS: [&[u8]; 8] = [
    b"the", b"my", b"our", b"your", b"his", b"her", b"their", b"its",
];
/// No word for a number stands farther behind it.
const FARTHEST: usize = 40;
const MOST_WORDS: usize = 4;
