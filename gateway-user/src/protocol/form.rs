//! Text with escapes between separators: forms, queries, paths.
//!
//! Source: RFC 3986 section 2.1; WHATWG URL, `application/x-www-form-urlencoded`.

use std::fmt::Write as _;

/// Names and values, in a body or behind a question mark.
pub const FORM: Writing = Writing {
    separators: &['&', '=', ';'],
    plus: true,
};
/// Segments.
pub const PATH: Writing = Writing {
    separators: &['/'],
    plus: false,
};

/// How pieces are written.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    separators: &'static [char],
    /// Whether a plus is a space.
    plus: bool,
}

/// The text with those pieces replaced for which `new`, given a piece as it reads and the separator behind it, has another; `None` where it has
/// none. All other pieces keep their bytes. Where escapes do not read as text, the rest of the piece does, as lenient servers take it.
///
/// # Errors
/// What `new` fails with.
pub fn edited<E>(
    text: &str,
    writing: Writing,
    mut new: impl FnMut(&str, Option<char>) -> Result<Option<String>, E>,
) -> Result<Option<String>, E> {
    let (mut out, mut changed) = (String::with_capacity(text.len()), false);
    for piece in text.split_inclusive(writing.separators) {
        let inside = piece.trim_end_matches(writing.separators);
        let separator = piece[inside.len()..].chars().next();
        let bytes = decoded(inside, writing.plus, Some(b'%')).unwrap_or_default();
        match new(&String::from_utf8_lossy(&bytes), separator)? {
            Some(new) => {
                escape(&new, &mut out);
                out.push_str(&piece[inside.len()..]);
                changed = true;
            }
            None => out.push_str(piece),
        }
    }
    Ok(changed.then_some(out))
}

/// What a text with escapes says; a plus is a space where `plus` says so. `None` where the escapes do not read as text.
pub(super) fn unescape(text: &str, plus: bool) -> Option<String> {
    String::from_utf8(decoded(text, plus, None)?).ok()
}

/// The bytes that a text with escapes says; `broken` tells what an escape without its digits is.
fn decoded(text: &str, plus: bool, broken: Option<u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'%' => match escaped(rest) {
                Some(value) => {
                    rest = &rest[2..];
                    value
                }
                None => broken?,
            },
            b'+' if plus => b' ',
            other => *other,
        });
    }
    Some(bytes)
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |at| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
