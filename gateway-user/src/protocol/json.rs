//! JSON by byte offsets: where each literal of a text is, what it says, and how to write it again.
//!
//! In: a JSON text, or the inside of a string that is still arriving. Out: literals with their path and range, so that a change
//! leaves every other byte as it was. Invariants: only valid JSON is walked, nested at most as deep as serde_json reads it.
//! Fails on anything else, and where asked on an object that has one key twice, which two parsers read differently.
//! Sources: RFC 8259.

mod edit;

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde::de::IgnoredAny;

pub use edit::{Edit, is_exact, merge, splice};

/// One step from a document's root to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into the member of an object, by its decoded key.
    Key(Cow<'a, str>),
    /// Into an element of an array.
    Index(usize),
}

/// What a visited range of the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key with its quotes; the path is that of its object.
    Key,
    /// A string with its quotes.
    String,
    /// A number.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// A whole object or array, visited after everything in it.
    Container,
}

/// What to make of an object that has the same key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It is an error.
    Unique,
    /// It is walked like any other.
    Any,
}

/// The next character of a string's inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A character, and how many bytes write it.
    Char(char, usize),
    /// The quote that ends the string.
    Quote,
    /// The start of an escape sequence; what comes next decides.
    Partial,
}

/// Texts that are not walked.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    Invalid(#[from] serde_json::Error),
    /// Nested deeper than parsers agree to read.
    #[error("JSON nested deeper than {MAX_DEPTH} levels")]
    Deep,
    /// One object has a key twice.
    #[error("an object has the key {0:?} twice")]
    Duplicate(String),
}

/// Visits every literal and container of a text in the order in which they end.
///
/// # Errors
/// [`JsonError`] when the text is not valid JSON, too deep, or has a key twice where `keys` forbids it. Some of it may have been
/// visited by then.
pub fn walk<'a>(
    text: &'a str,
    keys: Keys,
    mut visit: impl FnMut(&[Step<'a>], Kind, Range<usize>),
) -> Result<(), JsonError> {
    // serde_json skips a value it ignores without recursion, so the depth is counted here.
    serde_json::from_str::<IgnoredAny>(text)?;
    let bytes = text.as_bytes();
    let mut path = Vec::new();
    let mut open: Vec<Open<'a>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
            b'{' | b'[' => {
                if open.len() == MAX_DEPTH {
                    return Err(JsonError::Deep);
                }
                let object = byte == b'{';
                if !object {
                    path.push(Step::Index(0));
                }
                open.push(Open {
                    start,
                    object,
                    key_next: object,
                    seen: HashSet::new(),
                });
            }
            b',' => match (open.last_mut(), path.last_mut()) {
                (Some(Open { object: false, .. }), Some(Step::Index(index))) => *index += 1,
                (Some(object), _) => {
                    path.pop();
                    object.key_next = true;
                }
                _ => {}
            },
            b'}' | b']' => {
                if let Some(closed) = open.pop() {
                    // An object that still waits for a key is an empty one.
                    if !closed.key_next {
                        path.pop();
                    }
                    visit(&path, Kind::Container, closed.start..at);
                }
            }
            b'"' => {
                at = string_end(bytes, at);
                let range = start..at;
                match open.last_mut() {
                    Some(object) if object.key_next => {
                        visit(&path, Kind::Key, range.clone());
                        let key = decode(&text[range]);
                        if keys == Keys::Unique && !object.seen.insert(key.clone()) {
                            return Err(JsonError::Duplicate(key.into_owned()));
                        }
                        object.key_next = false;
                        path.push(Step::Key(key));
                    }
                    _ => visit(&path, Kind::String, range),
                }
            }
            _ => {
                let rest = bytes[at..].iter();
                at += rest
                    .take_while(|byte| !b" \t\r\n,]}".contains(byte))
                    .count();
                let number = byte == b'-' || byte.is_ascii_digit();
                visit(
                    &path,
                    if number { Kind::Number } else { Kind::Word },
                    start..at,
                );
            }
        }
    }
    Ok(())
}

/// What a string literal, with its quotes, says. A lone surrogate reads as U+FFFD.
#[must_use]
pub fn decode(literal: &str) -> Cow<'_, str> {
    let inside = literal.get(1..literal.len() - 1).unwrap_or_default();
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut decoded = String::with_capacity(inside.len());
    let mut rest = inside;
    while !rest.is_empty() {
        let (plain, escaped) = rest.split_at(rest.find('\\').unwrap_or(rest.len()));
        decoded.push_str(plain);
        rest = escaped;
        if let Some((character, width)) = complete(rest) {
            decoded.push(character);
            rest = &rest[width..];
        }
    }
    Cow::Owned(decoded)
}

/// Writes `text` as the inside of a string literal.
pub fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => out.push(plain),
        }
    }
}

/// `text` as a string literal with its quotes.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    escape(text, &mut out);
    out.push('"');
    out
}

/// How many bytes at the start of a string's inside write its first `decoded` bytes.
#[must_use]
pub fn written(inside: &str, decoded: usize) -> usize {
    let (mut at, mut covered) = (0, 0);
    while covered < decoded
        && let Some((character, width)) = complete(&inside[at..])
    {
        covered += character.len_utf8();
        at += width;
    }
    at
}

/// Reads one character of a string's inside; `None` where nothing is left. What JSON forbids, as a model may write it, reads as
/// the character after the backslash.
#[must_use]
pub fn unit(inside: &str) -> Option<Unit> {
    let first = inside.chars().next()?;
    Some(match first {
        '"' => Unit::Quote,
        '\\' => escaped(&inside[1..]),
        plain => Unit::Char(plain, plain.len_utf8()),
    })
}

/// [`unit`] where nothing follows: a high surrogate at the end stands alone.
fn complete(inside: &str) -> Option<(char, usize)> {
    Some(match unit(inside)? {
        Unit::Char(character, width) => (character, width),
        Unit::Quote => ('"', 1),
        Unit::Partial => (char::REPLACEMENT_CHARACTER, inside.len()),
    })
}

fn escaped(after: &str) -> Unit {
    let Some(kind) = after.chars().next() else {
        return Unit::Partial;
    };
    let plain = match kind {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(after),
        other => other,
    };
    Unit::Char(plain, 1 + kind.len_utf8())
}

/// `after` starts with the `u` of an escape sequence.
fn unicode(after: &str) -> Unit {
    let code = match hex(&after.as_bytes()[1..]) {
        Hex::Code(code) => code,
        Hex::Partial => return Unit::Partial,
        Hex::None => return Unit::Char('u', 2),
    };
    if let Some(character) = char::from_u32(code) {
        return Unit::Char(character, 6);
    }
    let lone = Unit::Char(char::REPLACEMENT_CHARACTER, 6);
    if code >= 0xDC00 {
        return lone;
    }
    let low = match &after.as_bytes()[5..] {
        [] | [b'\\'] => Hex::Partial,
        [b'\\', b'u', digits @ ..] => hex(digits),
        _ => Hex::None,
    };
    match low {
        Hex::Partial => Unit::Partial,
        Hex::Code(low @ 0xDC00..=0xDFFF) => {
            let pair = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            char::from_u32(pair).map_or(lone, |character| Unit::Char(character, 12))
        }
        _ => lone,
    }
}

enum Hex {
    Code(u32),
    Partial,
    None,
}

fn hex(digits: &[u8]) -> Hex {
    let mut code = 0;
    for position in 0..4 {
        let Some(&digit) = digits.get(position) else {
            return Hex::Partial;
        };
        let Some(value) = char::from(digit).to_digit(16) else {
            return Hex::None;
        };
        code = code << 4 | value;
    }
    Hex::Code(code)
}

/// The offset behind the quote that ends the string whose inside starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    loop {
        // Without an exit, the compiler makes it wide.
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>)
            && !block.iter().fold(false, |any, byte| any | ends(byte))
        {
            at += block.len();
        }
        let Some(rest) = bytes.get(at..) else {
            return bytes.len();
        };
        match rest.iter().position(ends) {
            Some(end) if rest[end] == b'"' => return at + end + 1,
            Some(escape) => at += escape + 2,
            None => return bytes.len(),
        }
    }
}

/// An object or array whose end has not been reached.
struct Open<'a> {
    start: usize,
    object: bool,
    key_next: bool,
    seen: HashSet<Cow<'a, str>>,
}

/// serde_json's own limit.
const MAX_DEPTH: usize = 128;

#[cfg(test)]
mod tests;
