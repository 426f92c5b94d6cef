//! Values that are told by what follows them, and places of values that are planned before.
//!
//! In: a place. Out: what stands there, once so much of the text behind the value is known as that depends on.

use super::names::names;
use super::said::{said, word};
use super::sentence::{self, AS, IS_OR_AS};
use super::value::{is_flag, is_token};
use super::{Kinds, Said, columns, markup, password, program, told};
use crate::place::{Class, Place, Verdict, run};

/// Where in the text behind a place a value stands that what is before the place leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    No,
    /// That depends on what comes.
    More,
    /// So many bytes on.
    At(usize),
}

/// The value that is planned here: an argument of a program, or the text of a section of characters.
#[inline]
pub(crate) fn later(place: Place<'_>) -> Later {
    if place.follows(|byte| b"(\"'".contains(&byte))
        && let Some(later) = columns::plan(place)
    {
        return later;
    }
    match place.ahead()[0] {
        b'<' | b'-' | b'+' => in_markup(place),
        b't' | b'f' | b'o' | b'i' if sentence::changes(place.behind()) => set_to(place),
        _ if place.follows(|byte| byte == b' ') && program::leads(place.behind()) => {
            program::plan(place)
        }
        _ => Later::No,
    }
}

/// The value that a sentence sets a password to: `set the password to …`, `change the password for ada from … to …`.
fn set_to(place: Place<'_>) -> Later {
    let ahead = place.ahead();
    let ends = |byte: &u8| b"\n.,;:!?\"()<>{}=".contains(byte);
    let reach = &ahead[..ahead.len().min(LONGEST_CLAUSE)];
    let clause = &reach[..reach.iter().position(ends).unwrap_or(reach.len())];
    let to = match clause.starts_with(b"to ") {
        true => Some(0),
        false => clause
            .windows(4)
            .position(|part| part == b" to ")
            .map(|at| at + 1),
    };
    match to.map(|to| to + 3) {
        Some(on) => match ahead.get(on) {
            Some(b'"' | b'\'' | b'`') if ahead.len() > on + 1 => Later::At(on + 1),
            Some(b'"' | b'\'' | b'`') | None if !place.whole => Later::More,
            _ => Later::At(on),
        },
        None if clause.len() == ahead.len() && !place.whole => Later::More,
        None => Later::No,
    }
}

/// A value behind the signs that begin a text in XML or YAML.
fn in_markup(place: Place<'_>) -> Later {
    if is_section(place) {
        return match place.ahead().get(SECTION.len()) {
            Some(_) => Later::At(SECTION.len()),
            None if place.whole => Later::No,
            None => Later::More,
        };
    }
    if is_chomped(place) {
        let ahead = place.ahead();
        let quiet = ahead[1..]
            .iter()
            .position(|byte| !byte.is_ascii_whitespace());
        return match quiet {
            Some(on) => Later::At(1 + on),
            None if place.whole || ahead.len() > LONGEST => Later::No,
            None => Later::More,
        };
    }
    Later::No
}

/// What stands where a value is planned.
pub(crate) fn argument(place: Place<'_>, kinds: Kinds) -> Verdict {
    let behind = place.behind();
    if let Some(element) = behind.strip_suffix(SECTION) {
        let (said, _) = said(element);
        return super::behind(place, said, Some(b']'), kinds);
    }
    if sentence::is_set(behind) {
        let quote = behind.last().filter(|byte| b"\"'`".contains(byte));
        return told(place, quote.copied(), kinds.password);
    }
    if let Some((said, quote)) = columns::at(behind) {
        return super::behind(place, said, quote, kinds);
    }
    if !program::argument(behind) {
        return super::at(place, kinds);
    }
    let quote = match behind {
        [.., b' ', quote @ (b'"' | b'\'')] => Some(*quote),
        _ => None,
    };
    let verdict = password(place, quote, kinds.password, 4, is_flag);
    // `net user` begins sentences, too.
    match verdict {
        Verdict::Match(_, length) if program::is_net(behind) => match &place.ahead()[length..] {
            [] | [b' '] if !place.whole => Verdict::More,
            [b' ', next, ..] if *next != b'/' => Verdict::No,
            _ => verdict,
        },
        verdict => verdict,
    }
}

/// Whether this is the sign behind that of a text on lines of its own, in YAML: `password: |-`.
pub(super) fn is_chomped(place: Place<'_>) -> bool {
    let behind = place.behind();
    matches!(place.ahead(), [b'-' | b'+'] | [b'-' | b'+', b'\n', ..])
        && (behind.ends_with(b": |") || behind.ends_with(b": >"))
}

/// Whether a section of characters may begin here, as all of an element that has a secret.
pub(super) fn is_section(place: Place<'_>) -> bool {
    let ahead = place.ahead();
    let begin = &ahead[..ahead.len().min(SECTION.len())];
    ahead[0] == b'<'
        && SECTION.starts_with(begin)
        && place.follows(|byte| byte == b'>')
        && markup::tag(place.behind()) != Said::Nothing
}

/// A word or a string that a command writes, and that the next one takes as a password.
pub(super) fn piped(place: Place<'_>, quote: Option<u8>, kinds: Kinds) -> Verdict {
    let verdict = password(place, quote, kinds.password, 4, is_flag);
    let Verdict::Match(_, length) = verdict else {
        return verdict;
    };
    match program::is_taken(&place.ahead()[length..], place.whole) {
        Some(true) => verdict,
        Some(false) => Verdict::No,
        None => Verdict::More,
    }
}

/// A value whose name stands behind it: `"value": "…", "name": "DB_PASSWORD"`.
pub(super) fn beside(place: Place<'_>, quote: Option<u8>, kinds: Kinds) -> Verdict {
    let Some(quote) = quote else {
        return Verdict::No;
    };
    let reach = &place.ahead()[..place.ahead().len().min(LONGEST)];
    let end = reach
        .iter()
        .position(|byte| *byte == quote || *byte == b'\n');
    let name = end.map(|end| markup::name_behind(&reach[end..]));
    match name {
        Some(Some(name)) => match names(word(name)) {
            Said::Nothing => Verdict::No,
            said => super::behind(place, said, Some(quote), kinds),
        },
        Some(None) | None if reach.len() < LONGEST && !place.whole => Verdict::More,
        _ => Verdict::No,
    }
}

/// What is used as a password or a token.
pub(super) fn used(place: Place<'_>, quote: Option<u8>, kinds: Kinds) -> Verdict {
    let token = named_behind(place, &AS, kinds);
    if token != Verdict::No {
        return token;
    }
    let verdict = told(place, quote, kinds.password);
    let Verdict::Match(_, length) = verdict else {
        return verdict;
    };
    match sentence::behind(&place.ahead()[length..], place.whole, &AS) {
        Some(Said::Told) => verdict,
        Some(_) => Verdict::No,
        None => Verdict::More,
    }
}

/// A token whose name stands behind it: `… is my api key`.
pub(crate) fn named(place: Place<'_>, kinds: Kinds) -> Verdict {
    // It begins a sentence: of the many words that look drawn, few need be read on behind.
    let front = match &place.text[..place.at] {
        [front @ .., b'"' | b'\'' | b'`'] => front,
        front => front,
    };
    match front {
        [] | [.., b'\n'] | [.., b'.' | b'!' | b'?', b' '] => named_behind(place, &IS_OR_AS, kinds),
        _ => Verdict::No,
    }
}

fn named_behind(place: Place<'_>, joints: &[&[u8]], kinds: Kinds) -> Verdict {
    static TOKEN: Class = Class::alphanumeric_and(b"_-.+/=~");
    let ahead = place.ahead();
    let reach = &ahead[..ahead.len().min(LONGEST)];
    let length = run(reach, &TOKEN);
    if length == LONGEST {
        return Verdict::No;
    }
    if length == ahead.len() {
        return if place.whole {
            Verdict::No
        } else {
            Verdict::More
        };
    }
    // What ends most words is none of a sentence.
    if !b" \"'`".contains(&ahead[length]) || length < SHORTEST {
        return Verdict::No;
    }
    let verdict = match sentence::behind(&ahead[length..], place.whole, joints) {
        Some(Said::DrawnToken) => Verdict::Match(kinds.secret, length),
        Some(Said::Told) => Verdict::Match(kinds.password, length),
        Some(_) => return Verdict::No,
        None => Verdict::More,
    };
    match is_token(&ahead[..length], true) {
        true => verdict,
        false => Verdict::No,
    }
}

/// A clause is looked through no farther for what a password is set to.
const LONGEST_CLAUSE: usize = 64;
const SECTION: &[u8] = b"<![CDATA[";
/// Nothing shorter is told by a name behind it, and nothing longer looked at.
const SHORTEST: usize = 16;
const LONGEST: usize = 200;
