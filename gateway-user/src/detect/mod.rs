//! Text to findings: secrets and personal data. Pure.
//!
//! In: a text, whole ([`scan`]) or in pieces ([`Scanner`]). Out: [`Finding`]s, leftmost first, the longest at each place, never
//! overlapping. A finding carries a masked sample, never the value.
//!
//! Each detector is a function of one [`Place`](place::Place) in the text: given what stands there and before it, it answers "no",
//! "a match of this length", or, as long as the answer could still change, "more text, please". An answer other than the last is
//! final whatever follows, so the findings cannot depend on how a text was cut into pieces.
//!
//! All patterns are ASCII, so a range never splits a character. What a detector accepts it also validates (checksums, issuer
//! ranges, shape): masking a commit hash or an order number breaks the agent's work as surely as a leak breaks its owner's trust.

mod aws;
mod card;
mod custom;
mod email;
mod key;
mod place;
#[cfg(test)]
pub(crate) mod samples;
mod scanner;
mod set;
mod validate;

use std::ops::Range;

pub use custom::{Rule, Spec, SpecError};
pub use scanner::{HOLD, Piece, Scanner, scan};
pub use set::{Detectors, Name};

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
    is_built_in_detector(name)
        || Detector::ALL
            .iter()
            .any(|detector| name == detector.class())
}

fn is_built_in_detector(name: &str) -> bool {
    Detector::ALL.iter().any(|detector| name == detector.id())
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detector {
    CreditCard,
    Email,
    OpenAiKey,
    AnthropicKey,
    AwsKey,
    GithubToken,
    /// Reported as [`Detector::GithubToken`]; its alphabet is another.
    GithubAppToken,
    /// One of the operator's, by its place in [`Detectors`], which has its names.
    Custom(usize),
}

impl Detector {
    const ALL: [Self; 7] = [
        Self::CreditCard,
        Self::Email,
        Self::OpenAiKey,
        Self::AnthropicKey,
        Self::AwsKey,
        Self::GithubToken,
        Self::GithubAppToken,
    ];

    fn id(self) -> &'static str {
        match self {
            Self::CreditCard => "credit-card",
            Self::Email => "email",
            Self::OpenAiKey => "openai-key",
            Self::AnthropicKey => "anthropic-key",
            Self::AwsKey => "aws-key",
            Self::GithubToken | Self::GithubAppToken => "github-token",
            Self::Custom(_) => "custom",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::CreditCard | Self::Email => "pii",
            Self::OpenAiKey
            | Self::AnthropicKey
            | Self::AwsKey
            | Self::GithubToken
            | Self::GithubAppToken => "secrets",
            Self::Custom(_) => "custom",
        }
    }

    /// The masked sample of a match, from its first bytes and its last. What shows is the public prefix of a key and at most
    /// four characters of the value.
    fn sample(self, head: &str, tail: &str) -> String {
        let last = &tail[tail.len().saturating_sub(4)..];
        match self {
            Self::CreditCard => format!("…{last}"),
            Self::Email => {
                let domain = tail.rsplit_once('.').map_or("", |(_, top)| top);
                format!("{}…@….{domain}", &head[..1])
            }
            Self::AwsKey if aws::is_key_id(head.as_bytes()) => format!("{}…{last}", &head[..4]),
            Self::AwsKey => format!("…{last}"),
            Self::OpenAiKey | Self::AnthropicKey | Self::GithubToken | Self::GithubAppToken => {
                format!("{}…{last}", key::prefix(head))
            }
            Self::Custom(_) => "…".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_classes_are_the_only_names() {
        for name in [
            "pii",
            "secrets",
            "credit-card",
            "email",
            "openai-key",
            "anthropic-key",
            "aws-key",
            "github-token",
        ] {
            assert!(Detectors::default().known(name), "{name}");
        }
        for name in ["", "PII", "card", "openai", "secret", "CreditCard"] {
            assert!(!Detectors::default().known(name), "{name}");
        }
    }
}
