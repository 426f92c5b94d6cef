//! Texts in base 64 or hexadecimal digits: what they say is scanned, too.
//!
//! In: a place at the start of such a run, or in the middle of a long one. Out: what is found in it; then all that is left of the run is the
//! match, for an encoded text with a hole in it is none. A run is read in windows of [`WINDOW`] characters that overlap by half, so that
//! what is held has a bound, and only while it reads as text: images and hashes are left after their first bytes.

use super::place::{Class, Place, Tail, Verdict, run};
use super::{Detector, proof};

/// What a window says.
pub(super) enum Window {
    No,
    More,
    /// What is found, with the length of what is left of the run as far as it is here, and whether it goes on.
    Found(Verdict),
    /// Nothing; but the run is text and goes on: the next window starts so far on.
    Next(usize),
}

/// Reads the window that starts here; `find` tells the first finding in a decoded text that does not end later than given.
pub(super) fn at(
    place: Place<'_>,
    first: bool,
    find: impl FnOnce(&str, usize) -> Option<Detector>,
) -> Window {
    let ahead = place.ahead();
    if first
        && ahead
            .first_chunk()
            .is_some_and(|head| !begins_as_text(head))
    {
        return Window::No;
    }
    let length = run(&ahead[..ahead.len().min(WINDOW)], &RUN);
    let over = length < ahead.len() || place.whole;
    if length < SHORTEST && over {
        return Window::No;
    }
    let encoded = &ahead[..length];
    let start = &encoded[..length.min(SHORTEST)];
    let hex = start.iter().all(u8::is_ascii_hexdigit);
    if !(looks_like_text(&sixty_four(start), first)
        || hex && looks_like_text(&sixteen(start), first))
    {
        return Window::No;
    }
    if !over && length < WINDOW {
        return Window::More;
    }
    let bytes = if hex {
        sixteen(encoded)
    } else {
        sixty_four(encoded)
    };
    let text = String::from_utf8_lossy(&bytes);
    let ended = length < WINDOW;
    let most = if ended {
        text.len()
    } else {
        text.len().saturating_sub(MARGIN)
    };
    match find(&text, most) {
        Some(detector) => {
            let all = length + run(&ahead[length..], &TAIL);
            Window::Found(if all < ahead.len() || place.whole {
                Verdict::Match(detector, all)
            } else if all >= WINDOW {
                Verdict::Open(detector, Tail::Run(&TAIL))
            } else {
                Verdict::More
            })
        }
        None if ended => Window::No,
        None => Window::Next(WINDOW / 2),
    }
}

/// Whether a run may start here.
#[inline]
pub(super) fn may_start(place: Place<'_>) -> bool {
    !place.follows(|byte| RUN.has(byte))
}

/// Whether this may begin as [what looks like text](looks_like_text) does: most of what is not encoded is left here.
fn begins_as_text(head: &[u8; 12]) -> bool {
    let bytes = |all: &[u8], bits: u32, digit: fn(u8) -> Option<u32>| {
        let number = all.iter().try_fold(0_u64, |number, &byte| {
            Some(number << bits | u64::from(digit(byte)?))
        });
        number.is_some_and(|number| number.to_be_bytes()[2..].iter().all(|byte| is_text(*byte)))
    };
    bytes(&head[..8], 6, proof::sextet) || bytes(head, 4, |byte| char::from(byte).to_digit(16))
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')
}

/// Of the first bytes none, of some more few are no characters of text.
fn looks_like_text(bytes: &[u8], first: bool) -> bool {
    let bad = |bytes: &[u8]| bytes.iter().filter(|byte| !is_text(**byte)).count();
    (!first || bad(&bytes[..bytes.len().min(6)]) == 0) && bad(bytes) <= 4
}

fn sixty_four(text: &[u8]) -> Vec<u8> {
    proof::decoded(text).unwrap_or_default()
}

fn sixteen(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let pairs = text
        .chunks_exact(2)
        .take_while(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

static RUN: Class = Class::alphanumeric_and(b"+/_-");
static TAIL: Class = Class::alphanumeric_and(b"+/_-=");
/// No shorter run says anything.
const SHORTEST: usize = 24;
/// What is read at once: what a scanner holds at most.
const WINDOW: usize = super::scanner::HOLD;
/// So near to a window's end, more text may make another finding.
const MARGIN: usize = 8;
