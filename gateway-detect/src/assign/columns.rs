//! Values that are told by their number in a list: rows behind the columns of a statement
//! (`INSERT INTO users (name, password) VALUES ('ada', '…')`), and calls whose third argument is a password
//! (`mysqli_connect("db", "ada", "…")`).
//!
//! In: a place at the beginning of such a list, or the text up to one of its values. Out: where in the list the secret stands, and
//! whether a value is that one.

use super::names::names;
use super::said::single;
use super::{Later, Said};
use crate::place::Place;

/// Whether a list begins here that has a secret.
pub(super) fn opens(behind: &[u8]) -> bool {
    begin(behind).is_some_and(|(front, _)| wanted(front).is_some())
}

/// Where the secret stands of the list that begins here; nothing where none does that has one.
pub(super) fn plan(place: Place<'_>) -> Option<Later> {
    let (front, quote) = begin(place.behind())?;
    let (index, _) = wanted(front)?;
    Some(stands(place, index, quote))
}

/// Where the value of that number stands.
fn stands(place: Place<'_>, index: usize, quote: Option<u8>) -> Later {
    let ahead = place.ahead();
    let mut walk = Walk { quote, count: 0 };
    for (at, &byte) in ahead.iter().take(FARTHEST).enumerate() {
        if walk.is_over(byte) {
            return Later::No;
        }
        if walk.count == index && byte != b',' && byte != b' ' {
            return Later::At(at + usize::from(walk.quote.is_some()));
        }
    }
    match ahead.len() < FARTHEST && !place.whole {
        true => Later::More,
        false => Later::No,
    }
}

/// What is said of a value of such a list, and the quote that opens it.
pub(super) fn at(behind: &[u8]) -> Option<(Said, Option<u8>)> {
    let opens = |at: &usize| behind[*at] == b'(';
    (0..behind.len()).rev().filter(opens).find_map(|at| {
        let (index, said) = wanted(&behind[..at])?;
        let mut walk = Walk {
            quote: None,
            count: 0,
        };
        let rest = &behind[at + 1..];
        let over = rest.iter().any(|byte| walk.is_over(*byte));
        let begins = match (walk.quote, rest) {
            (Some(quote), [.., last]) => *last == quote,
            (_, [.., last]) => b", ".contains(last),
            _ => false,
        };
        (!over && begins && walk.count == index).then_some((said, walk.quote))
    })
}

/// The text before a bracket that opens a list, and the quote of the first value.
fn begin(behind: &[u8]) -> Option<(&[u8], Option<u8>)> {
    match behind {
        [front @ .., b'(', quote @ (b'"' | b'\'')] => Some((front, Some(*quote))),
        [front @ .., b'('] => Some((front, None)),
        _ => None,
    }
}

/// Which value of the list is a secret that opens behind this text, and what is said of it.
fn wanted(front: &[u8]) -> Option<(usize, Said)> {
    let front = front.trim_ascii_end();
    let function = single(front);
    let is = |name: &[u8]| function.eq_ignore_ascii_case(name);
    if THIRD.iter().any(|name| is(name)) {
        return Some((2, Said::Known));
    }
    let columns = match front {
        _ if is(b"values") => &front[..front.len() - function.len()],
        // Another row.
        [.., b')', b','] => {
            let values = front
                .windows(VALUES.len())
                .rposition(|part| part.eq_ignore_ascii_case(VALUES));
            &front[..values?]
        }
        _ => return None,
    };
    let columns = columns.trim_ascii_end().strip_suffix(b")")?;
    let open = columns.iter().rposition(|byte| *byte == b'(')?;
    let quiet = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`[]".contains(byte);
    let mut all = columns[open + 1..].split(|byte| *byte == b',').enumerate();
    let (index, said) = all.find_map(|(index, name)| {
        let end = name.iter().rposition(|byte| !quiet(byte))?;
        let name = single(&name[..=end]);
        let said = names(name);
        matches!(said, Said::Password | Said::Secret).then_some((index, said))
    })?;
    (index > 0).then_some((index, said))
}

/// How far a list is read.
struct Walk {
    /// The quote that is open.
    quote: Option<u8>,
    /// How many commas were outside of quotes.
    count: usize,
}

impl Walk {
    /// Reads one more byte; whether the list is over.
    fn is_over(&mut self, byte: u8) -> bool {
        match (self.quote, byte) {
            (Some(quote), _) if byte == quote => self.quote = None,
            (None, b'"' | b'\'') => self.quote = Some(byte),
            (None, b',') => self.count += 1,
            (None, b')' | b';' | b'\n') => return true,
            _ => {}
        }
        false
    }
}

const VALUES: &[u8] = b"values";
/// No value stands farther behind the bracket.
const FARTHEST: usize = 80;
/// The functions whose third argument is a password.
const THIRD: [&[u8]; 5] = [
    b"mysqli_connect",
    b"mysql_connect",
    b"mysqli",
    b"pdo",
    b"DriverManager.getConnection",
];
