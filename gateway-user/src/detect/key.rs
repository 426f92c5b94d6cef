//! Keys with a prefix of their own: OpenAI, Anthropic, GitHub.
//!
//! A match is the prefix and the whole run of key characters behind it, however long, so that a key never shows its tail. The
//! proof that it is a key is taken from the first [`PROOF`] bytes of that run: a longer run is decided before it ends.
//! Formats: OpenAI `sk-`, `sk-proj-`, `sk-svcacct-`, `sk-admin-`; Anthropic `sk-ant-`; GitHub
//! <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
//! and, for app installations, <https://github.blog/changelog/2026-04-24-notice-about-upcoming-new-format-for-github-app-installation-tokens/>.

use super::Detector;
use super::place::{Place, Verdict};
use super::scanner::HOLD;

/// What stands here, if it is a key. The place has an `s` or a `g`.
pub(super) fn at(place: Place) -> Verdict {
    if !matches!(
        place.ahead(),
        [_] | [b's', b'k', ..] | [b'g', b'h' | b'i', ..]
    ) {
        return Verdict::No;
    }
    FORMS
        .iter()
        .map(|form| form.at(place))
        .find(|verdict| *verdict != Verdict::No)
        .unwrap_or(Verdict::No)
}

/// How many of the bytes `text` starts with belong to a key of this kind.
pub(super) fn run(detector: Detector, text: &[u8]) -> usize {
    text.iter()
        .position(|&byte| !belongs(detector, byte))
        .unwrap_or(text.len())
}

fn belongs(detector: Detector, byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || match detector {
            Detector::GithubAppToken => matches!(byte, b'_' | b'-' | b'.'),
            Detector::GithubToken => byte == b'_',
            _ => matches!(byte, b'_' | b'-'),
        }
}

/// The public prefix of a key.
pub(super) fn prefix(key: &str) -> &str {
    FORMS
        .iter()
        .find(|form| key.as_bytes().starts_with(form.prefix))
        .map_or("", |form| &key[..form.prefix.len()])
}

/// A prefix and what has to follow it.
struct Form {
    prefix: &'static [u8],
    detector: Detector,
    accepts: fn(&[u8]) -> bool,
    /// What has to follow when the prefix is glued to a word; `None` = then it is part of that word (`task-…`).
    glued: Option<fn(&[u8]) -> bool>,
}

const fn form(
    prefix: &'static str,
    detector: Detector,
    accepts: fn(&[u8]) -> bool,
    glued: Option<fn(&[u8]) -> bool>,
) -> Form {
    Form {
        prefix: prefix.as_bytes(),
        detector,
        accepts,
        glued,
    }
}

impl Form {
    fn at(&self, place: Place) -> Verdict {
        let ahead = place.ahead();
        // A hyphen before plain `sk-` is a slug or a base 64 text, not a boundary.
        let plain = self.glued.is_none();
        let glued = place
            .follows(|byte| byte.is_ascii_alphanumeric() || plain && matches!(byte, b'-' | b'_'));
        let Some(accepts) = (if glued {
            self.glued
        } else {
            Some(self.accepts)
        }) else {
            return Verdict::No;
        };
        let Some(body) = ahead.strip_prefix(self.prefix) else {
            return if !place.whole && self.prefix.starts_with(ahead) {
                Verdict::More
            } else {
                Verdict::No
            };
        };
        let proof = run(self.detector, &body[..body.len().min(PROOF)]);
        if proof == body.len() && proof < PROOF && !place.whole {
            return Verdict::More;
        }
        if !accepts(&body[..proof]) || is_filler(&body[..proof]) {
            return Verdict::No;
        }
        let length = self.prefix.len() + proof + run(self.detector, &body[proof..]);
        if length < ahead.len() || place.whole {
            Verdict::Match(self.detector, length)
        } else if length < HOLD {
            Verdict::More
        } else {
            Verdict::Open(self.detector)
        }
    }
}

/// The first form that accepts names the key, so a form stands before those it is a special case of.
const FORMS: [Form; 12] = [
    form(
        "sk-ant-",
        Detector::AnthropicKey,
        is_long,
        Some(is_random_for_sure),
    ),
    form(
        "sk-proj-",
        Detector::OpenAiKey,
        is_long,
        Some(is_random_for_sure),
    ),
    form(
        "sk-svcacct-",
        Detector::OpenAiKey,
        is_long,
        Some(is_random_for_sure),
    ),
    form(
        "sk-admin-",
        Detector::OpenAiKey,
        is_long,
        Some(is_random_for_sure),
    ),
    form("sk-", Detector::OpenAiKey, looks_random, None),
    form(
        "ghp_",
        Detector::GithubToken,
        is_github,
        Some(has_github_checksum),
    ),
    form(
        "gho_",
        Detector::GithubToken,
        is_github,
        Some(has_github_checksum),
    ),
    form(
        "ghu_",
        Detector::GithubToken,
        is_github,
        Some(has_github_checksum),
    ),
    form(
        "ghs_",
        Detector::GithubAppToken,
        is_github_app,
        Some(is_github_app),
    ),
    form(
        "ghs_",
        Detector::GithubToken,
        is_github,
        Some(has_github_checksum),
    ),
    form(
        "ghr_",
        Detector::GithubToken,
        is_github,
        Some(has_github_checksum),
    ),
    form(
        "github_pat_",
        Detector::GithubToken,
        is_fine_grained,
        Some(is_fine_grained),
    ),
];

fn is_long(body: &[u8]) -> bool {
    body.len() >= 20
}

/// Slugs start with `sk-` too (`sk-folding-cube-container`): a key has a long stretch without a hyphen, or all kinds of characters.
fn looks_random(body: &[u8]) -> bool {
    is_long(body) && !body.starts_with(b"ant-") && (has_stretch(body) || has_all_kinds(body))
}

fn is_random_for_sure(body: &[u8]) -> bool {
    is_long(body) && has_stretch(body) && has_all_kinds(body)
}

fn has_stretch(body: &[u8]) -> bool {
    body.split(|byte| matches!(byte, b'-' | b'_'))
        .any(|part| part.len() >= 16)
}

fn has_all_kinds(body: &[u8]) -> bool {
    [
        u8::is_ascii_digit,
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
    ]
    .iter()
    .all(|kind| body.iter().any(kind))
}

/// `sk-xxxxxxxx…` in a manual is no key.
fn is_filler(body: &[u8]) -> bool {
    body.iter()
        .filter(|byte| matches!(byte, b'x' | b'X'))
        .count()
        * 2
        > body.len()
}

/// 36 characters today; GitHub reserves the right to longer ones.
fn is_github(body: &[u8]) -> bool {
    body.len() >= 36 && body[..36].iter().all(u8::is_ascii_alphanumeric)
}

fn is_fine_grained(body: &[u8]) -> bool {
    let part = |part: &[u8]| part.iter().all(u8::is_ascii_alphanumeric);
    body.len() >= 82 && part(&body[..22]) && body[22] == b'_' && part(&body[23..82])
}

/// `ghs_` and the number of the app, then a JSON web token: its header is a JSON object in base 64.
fn is_github_app(body: &[u8]) -> bool {
    let mut parts = body.splitn(2, |&byte| byte == b'_');
    let app = parts.next().unwrap_or_default();
    let token = parts.next().unwrap_or_default();
    !app.is_empty()
        && app.iter().all(u8::is_ascii_digit)
        && token.starts_with(b"eyJ")
        && is_long(token)
}

/// The last 6 of the 36 characters are the CRC-32 of the first 30, in base 62.
fn has_github_checksum(body: &[u8]) -> bool {
    if !is_github(body) {
        return false;
    }
    let mut crc = body[..30].iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    }) ^ u32::MAX;
    body[30..36].iter().rev().all(|&byte| {
        let digit = BASE62[crc as usize % 62];
        crc /= 62;
        digit == byte
    })
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How much of a run decides whether it is a key: all of a fine-grained GitHub token.
const PROOF: usize = 96;

#[cfg(test)]
mod tests;
