//! Text to findings: secrets and personal data. Pure.
//!
//! In: a text, whole ([`scan`]) or in pieces ([`Scanner`]). Out: [`Finding`]s, leftmost first, the longest at each place, never
//! overlapping. A finding carries a masked sample, never the value.
//!
//! A text is read as its reader takes it: folded ([`fold`]), and through base 64 and hexadecimal digits ([`layer`]). Each detector is a
//! function of one [`Place`](place::Place) in the folded text: given what stands there and before it, it answers "no",
//! "a match of this length", or, as long as the answer could still change, "more text, please". An answer other than the last is
//! final whatever follows, so the findings cannot depend on how a text was cut into pieces.
//!
//! Most places are asked about by nobody: the [`sieve`] tells sixty-four at a time which detectors could find something where.
//!
//! What a detector accepts it also validates (checksums, issuer ranges, randomness, words before it): masking a commit hash or an order
//! number breaks the agent's work as surely as a leak breaks its owner's trust. All built-in detectors: [`built_in`].

mod assign;
mod aws;
mod card;
mod catalogue;
mod checks;
mod coin;
mod custom;
mod decide;
mod email;
mod fold;
mod iban;
mod label;
mod layer;
mod network;
mod pattern;
mod pem;
mod people;
mod phone;
mod place;
mod proof;
#[cfg(test)]
mod samples;
mod scanner;
mod secret;
mod set;
mod sieve;
mod table;
#[cfg(test)]
mod tests;
mod validate;
mod words;

use std::ops::Range;

pub use catalogue::{Known, built_in};
pub use checks::{luhn, mod97};
pub use custom::{Rule, Spec, SpecError};
pub use scanner::{HOLD, Piece, Scanner, scan};
pub use set::{Detectors, Name};

use catalogue::CATALOGUE;

/// What to read before a string that is called by `name`: its value begins behind it and ends with the text, whatever signs are in it.
#[must_use]
pub fn string_named(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 3);
    text.push(char::from(assign::STRING));
    text.push_str(name);
    text.push_str(": ");
    text
}

/// A stretch of text that a detector recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Detector id, for example `credit-card`.
    pub detector: Name,
    /// The class it belongs to: `pii`, `secrets`, or one of the operator's.
    pub class: Name,
    /// Where, in bytes of the scanned text.
    pub range: Range<usize>,
    /// Enough to recognise the value by for its owner, for example `sk-…3f9a`; never the value.
    pub sample: String,
}

/// Whether `name` is a built-in detector or class.
fn is_built_in(name: &str) -> bool {
    is_built_in_detector(name) || CATALOGUE.all.iter().any(|known| name == known.class)
}

fn is_built_in_detector(name: &str) -> bool {
    CATALOGUE.all.iter().any(|known| name == known.id)
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detector {
    /// By its place in the catalogue.
    BuiltIn(u16),
    /// One of the operator's, by its place in [`Detectors`], which has its names.
    Custom(u16),
}

/// The masked sample of a match of a built-in detector, from its first bytes and its last. What shows is the public prefix of a key
/// and at most four characters of the value.
fn sample(detector: Detector, head: &str, tail: &str) -> String {
    let shown = if tail.len() < 12 { tail.len() / 4 } else { 4 };
    let last = &tail[tail.ceil_char_boundary(tail.len() - shown)..];
    let ids = &CATALOGUE.ids;
    if detector == ids.email {
        let domain = tail.rsplit_once('.').map_or("", |(_, top)| top);
        return format!("{}…@….{domain}", &head[..1]);
    }
    if detector == ids.aws && aws::is_key_id(head.as_bytes()) {
        return format!("{}…{last}", &head[..4]);
    }
    format!("{}…{last}", CATALOGUE.secrets.prefix(detector, head))
}
