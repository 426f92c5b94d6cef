//! What stands where a secret would, and is none: placeholders, regular expressions, and where a secret is kept.

use super::names::PLACEHOLDERS;
use super::value::is_drawn;
use crate::proof::is_filler;

/// What stands where a secret would: in manuals, templates and code.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &&[u8]| lower.windows(word.len()).any(|part| part == *word);
    matches!(value, [b'{' | b'<' | b'[', ..])
        || matches!(value, [b'%', .., b'%'])
        || matches!(value, [b'$' | b'%' | b'@' | b'&', ..]) && !is_drawn(value)
        || is_filler(value)
        || is_expression(value)
        || is_reference(&lower)
        || PLACEHOLDERS.iter().any(|word| has(&word.as_bytes()))
        || matches!(value, [.., b'%', b's' | b'd' | b'r'])
        || value
            .windows(if value.len() < 24 { 4 } else { 6 })
            .any(|part| {
                part.iter()
                    .all(|&byte| byte == part[0] && !byte.is_ascii_digit())
            })
        || b"0123456789012345678901234567890"
            .windows(value.len().min(31))
            .any(|part| part == value && value.len() > 8)
}

/// Whether it says where a secret is kept: the address of a store of secrets, a variable, a file.
fn is_reference(lower: &[u8]) -> bool {
    STORES.iter().any(|store| {
        let place = lower.strip_prefix(store.as_bytes());
        place.is_some_and(|place| place.len() > 1)
    })
}

/// Whether it is a regular expression: it has a range of characters, a class of them, or a count.
fn is_expression(value: &[u8]) -> bool {
    let ranges = value
        .windows(4)
        .any(|part| matches!(part, b"[a-z" | b"[A-Z" | b"[0-9" | b"[^\\s"));
    let classes = || {
        value.windows(2).enumerate().any(|(at, part)| {
            matches!(part, b"\\d" | b"\\w" | b"\\S")
                && !value.get(at + 2).is_some_and(u8::is_ascii_alphanumeric)
        })
    };
    let counts = || {
        value.split(|byte| *byte == b'{').skip(1).any(|rest| {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && matches!(rest.get(digits), Some(b',' | b'}'))
        })
    };
    ranges || classes() || counts()
}

/// What begins the address of a secret.
const STORES: [&str; 15] = [
    "op://",
    "vault:",
    "ref+",
    "arn:aws",
    "env:",
    "env://",
    "ssm:",
    "file:/",
    "keyring:",
    "keychain:",
    "secretsmanager:",
    "gcp-sm:",
    "sm://",
    "awssm:",
    "akv:",
];
