//! Values below the name of their column: `| Ada | … |` below `| User | Password |`, rows of CSV.
//!
//! In: a place where a cell may begin. Out: whether its column is called by the name of a secret, and the value one.

use super::names::names;
use super::said::word;
use super::value::is_password;
use super::{Kinds, SHORTEST_TOKEN, Said, password, token};
use crate::place::{Class, Place, Verdict, run};
use crate::table::Table;

/// Whether a value begins here that is all of a cell: one word with a digit or a sign.
#[inline]
pub(crate) fn is_cell(place: Place<'_>) -> bool {
    // Most words stand behind one space.
    let may_be = match place.behind() {
        [.., before, b' '] => matches!(before, b'|' | b' '),
        [.., b'`' | b',' | b';'] => true,
        _ => false,
    };
    may_be && begins(place)
}

#[inline(never)]
fn begins(place: Place<'_>) -> bool {
    let front = match place.behind() {
        [front @ .., b'`'] => front,
        front => front,
    };
    let spaced = front.trim_ascii_end();
    let piped = front.len() > spaced.len() && spaced.ends_with(b"|");
    let tight = matches!(spaced, [.., b',' | b';']) && front.len() == spaced.len();
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST)], &VALUE);
    let letter = |byte: &u8| byte.is_ascii_alphabetic() || b"-.".contains(byte);
    // Of a word that is not over the rest may have them.
    let one = || length >= SHORTEST && !ahead[..length].iter().all(letter);
    (piped || tight) && (length == ahead.len() || one())
}

/// The secret of a cell.
#[inline(never)]
pub(crate) fn in_column(place: Place<'_>, table: &mut Table, kinds: Kinds) -> Verdict {
    let Some(value) = value(place) else {
        return match place.whole {
            true => Verdict::No,
            false => Verdict::More,
        };
    };
    let quote = place.follows(|byte| byte == b'`').then_some(b'`');
    let rest = &place.ahead()[value.len()..];
    let next = match quote {
        Some(_) => rest.get(1),
        None => rest.first(),
    };
    let Some(name) = table.name(place, next.copied()) else {
        return Verdict::No;
    };
    let name = name.trim_ascii();
    let name = match name {
        [b'"' | b'*' | b'`', name @ .., b'"' | b'*' | b'`'] => name,
        name => name,
    };
    let verdict = match names(word(name)) {
        Said::Password => password(place, quote, kinds.password, SHORTEST, is_password),
        Said::Secret => token(place, quote, SHORTEST_TOKEN, kinds.secret),
        _ => Verdict::No,
    };
    match verdict {
        Verdict::Match(_, length) if length != value.len() => Verdict::No,
        verdict => verdict,
    }
}

/// The word that stands here, once it is over.
fn value(place: Place<'_>) -> Option<&[u8]> {
    let ahead = place.ahead();
    let reach = &ahead[..ahead.len().min(LONGEST)];
    let length = run(reach, &VALUE);
    (length < reach.len() || reach.len() == LONGEST || place.whole).then_some(&reach[..length])
}

static VALUE: Class = Class::alphanumeric_and(b"!#%&*+-./:=?@^_~$()");
/// No password of a table is shorter, and no secret longer.
const SHORTEST: usize = 6;
const LONGEST: usize = 130;
