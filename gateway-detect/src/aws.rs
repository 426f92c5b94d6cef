//! AWS access keys: the id (`AKIA…`, `ASIA…`, and those of bearer tokens and contexts), and the 40-character secret, which has no mark of its own and counts only shortly
//! behind a word that announces it or behind an id.
//!
//! Formats: AWS IAM User Guide, "IAM identifiers", unique identifiers.

use super::Detector;
use super::place::{Class, Place, Verdict};
use super::proof::entropy;

/// The key id that stands here; the place has an `A`.
pub(super) fn id(place: Place, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    if !may_become_id(ahead) || place.follows(is_id) {
        Verdict::No
    } else if ahead.len() <= ID && !place.whole {
        Verdict::More
    } else if is_key_id(ahead) && (is_old(ahead) || entropy(&ahead[4..ID]) >= 3.0) {
        Verdict::Match(detector, ID)
    } else {
        Verdict::No
    }
}

/// Whether `text` starts with an access key id.
pub(super) fn is_key_id(text: &[u8]) -> bool {
    text.len() >= ID && may_become_id(text) && !text.get(ID).is_some_and(|&byte| is_id(byte))
}

/// Whether it has one of the beginnings that nothing else has.
fn is_old(text: &[u8]) -> bool {
    text.starts_with(PREFIXES[0]) || text.starts_with(PREFIXES[1])
}

fn may_become_id(text: &[u8]) -> bool {
    let here = &text[..text.len().min(ID)];
    let prefix = here.len().min(4);
    PREFIXES.iter().any(|all| here[..prefix] == all[..prefix])
        && here.iter().all(|&byte| is_id(byte))
}

/// The secret that stands here.
pub(super) fn secret(place: Place, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    let here = &ahead[..ahead.len().min(SECRET)];
    // From its end: in prose the first few steps find that the run is shorter.
    if place.follows(is_secret) || !here.iter().rev().all(|&byte| is_secret(byte)) {
        return Verdict::No;
    }
    if ahead.len() <= SECRET && !place.whole {
        return if is_announced(place.behind()) {
            Verdict::More
        } else {
            Verdict::No
        };
    }
    let ends = !ahead.get(SECRET).is_some_and(|&byte| is_secret(byte));
    if here.len() == SECRET && ends && is_random(here) && is_announced(place.behind()) {
        Verdict::Match(detector, SECRET)
    } else {
        Verdict::No
    }
}

/// Not a path, not a word, not a hash: 40 random characters of this alphabet have all three kinds.
fn is_random(text: &[u8]) -> bool {
    [
        u8::is_ascii_digit,
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
    ]
    .iter()
    .all(|kind| text.iter().any(kind))
}

/// Whether the text before a secret announces one.
fn is_announced(behind: &[u8]) -> bool {
    let said = |word: &[u8]| {
        behind
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    // All of them have this word in them, and most texts do not.
    let named = said_secret(behind) && ANNOUNCEMENTS.iter().any(|word| said(word.as_bytes()));
    named
        || behind
            .iter()
            .enumerate()
            .any(|(from, byte)| *byte == b'A' && is_key_id(&behind[from..]))
}

fn said_secret(text: &[u8]) -> bool {
    let word = b"secret";
    text.windows(word.len())
        .any(|window| window[0] | 0x20 == word[0] && window.eq_ignore_ascii_case(word))
}

fn is_id(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_secret(byte: u8) -> bool {
    static SECRETS: Class = Class::alphanumeric_and(b"/+");
    SECRETS.has(byte)
}

const PREFIXES: [&[u8; 4]; 4] = [b"AKIA", b"ASIA", b"ABIA", b"ACCA"];
const ID: usize = 20;
const SECRET: usize = 40;

/// As configuration files, API answers, the console's CSV files and people write it.
const ANNOUNCEMENTS: [&str; 6] = [
    "secret_access_key",
    "secretaccesskey",
    "secret access key",
    "secret-access-key",
    "aws_secret",
    "aws secret",
];

#[cfg(test)]
mod tests {
    use crate::{Detectors, scan};

    const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn keys(text: &str) -> Vec<&str> {
        scan(text, &Detectors::default())
            .into_iter()
            .filter(|finding| finding.detector == "aws-key")
            .map(|finding| &text[finding.range])
            .collect()
    }

    #[test]
    fn ids_are_found_by_themselves() {
        for text in [
            KEY_ID.to_owned(),
            format!("id={KEY_ID};"),
            format!("key{KEY_ID}is"),
            format!("\\n{KEY_ID}\\n"),
            format!("é{KEY_ID}é"),
        ] {
            assert_eq!(keys(&text), [KEY_ID], "{text}");
        }
        assert_eq!(keys("ASIAIOSFODNN7EXAMPLE"), ["ASIAIOSFODNN7EXAMPLE"]);
        for text in [
            "AKIAIOSFODNN7EXAMPL",
            "AKIAIOSFODNN7EXAMPLE0",
            "XAKIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7EXAMPLe",
            "AKIA IOSFODNN7EXAMPLE",
        ] {
            assert_eq!(keys(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_where_it_is_announced() {
        for text in [
            format!("aws_secret_access_key = {SECRET}"),
            format!("AWS_SECRET_ACCESS_KEY={SECRET}\n"),
            format!("\"SecretAccessKey\": \"{SECRET}\","),
            format!("\\\"secretAccessKey\\\":\\\"{SECRET}\\\""),
            format!("My AWS secret access key is {SECRET}."),
            format!("AWS secret:\\n{SECRET}"),
        ] {
            assert_eq!(keys(&text), [SECRET], "{text}");
        }
        assert_eq!(keys(&format!("{KEY_ID},{SECRET}")), [KEY_ID, SECRET]);
    }

    #[test]
    fn forty_characters_alone_are_no_secret() {
        let far = ".".repeat(100);
        for text in [
            SECRET.to_owned(),
            format!("commit {SECRET}"),
            format!("aws_secret_access_key {far} {SECRET}"),
            format!("aws_secret_access_key={SECRET}x"),
            format!("aws_secret_access_key=x{SECRET}"),
            format!("{SECRET} aws_secret_access_key"),
            "aws_secret_access_key=da39a3ee5e6b4b0d3255bfef95601890afd80709".to_owned(),
            "aws_secret_access_key=/usr/share/doc/packages/one/two/three/fou".to_owned(),
        ] {
            assert_eq!(keys(&text), [] as [&str; 0], "{text}");
        }
    }
}
