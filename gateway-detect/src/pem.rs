//! Private keys in PEM (RFC 7468, OpenSSH, PuTTY's and PGP's likes): from `-----BEGIN … PRIVATE KEY-----` to the end line.
//!
//! The line breaks of the text may be escaped, as in a JSON string or an environment variable; folding has undone that.

use super::Detector;
use super::place::{Class, Pem, Place, Tail, Verdict, run};
use super::scanner::HOLD;

/// The private key that begins here.
pub(super) fn at(place: Place<'_>, detector: Detector) -> Verdict {
    static LABEL: Class = Class::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ");
    static BODY: Class = Class::alphanumeric_and(b"+/=:,-. \n\r\t\"'\\()*#<>|@");
    static RUN: Class = Class::alphanumeric_and(b"+/=");
    let ahead = place.ahead();
    let undecided = if place.whole {
        Verdict::No
    } else {
        Verdict::More
    };
    let begin = &BEGIN[..BEGIN.len().min(ahead.len())];
    if !ahead.starts_with(begin) {
        return Verdict::No;
    }
    let rest = &ahead[begin.len()..];
    let label = run(&rest[..rest.len().min(LONGEST_LABEL)], &LABEL);
    let header = begin.len() + label + CLOSE.len();
    if ahead.len() < header {
        return undecided;
    }
    let secret =
        rest[..label].ends_with(b"PRIVATE KEY") || rest[..label].ends_with(b"PRIVATE KEY BLOCK");
    if !secret || !ahead[..header].ends_with(CLOSE) {
        return Verdict::No;
    }
    // Prose about such a key stops here.
    let body = &ahead[header..];
    let start = &body[..body.len().min(PROOF)];
    let length = run(start, &BODY);
    let letters = start[..length]
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .count();
    if length == body.len() && length < PROOF && !place.whole {
        return Verdict::More;
    }
    // Prose has words; a body has a long run, or a header before it.
    let long = start[..length]
        .split(|byte| !RUN.has(*byte))
        .any(|run| run.len() >= LONG);
    if letters < 24 || !long && !start[..length].contains(&b':') {
        return Verdict::No;
    }
    let mut state = Pem::Body;
    let (end, over) = Tail::Pem(state).run(body);
    if over || place.whole {
        return Verdict::Match(detector, header + end);
    }
    if ahead.len() < HOLD {
        return Verdict::More;
    }
    for &byte in &body[..HOLD - header] {
        state = state.after(byte);
    }
    Verdict::Open(detector, Tail::Pem(state))
}

const BEGIN: &[u8] = b"-----BEGIN ";
const CLOSE: &[u8] = b"-----";
const LONGEST_LABEL: usize = 40;
const PROOF: usize = 64;
/// No word is so long.
const LONG: usize = 20;
