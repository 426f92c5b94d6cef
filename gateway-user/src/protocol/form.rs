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
/// none. All other pieces keep their bytes, and so do those whose escapes do not read as text.
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
        let decoded = unescape(inside, writing.plus);
        match decoded.map_or(Ok(None), |decoded| new(&decoded, separator))? {
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
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
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
