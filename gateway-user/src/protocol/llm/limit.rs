//! How long an answer may be, as a body says it.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Number, Value};

/// How long an answer may be. Of several the greatest is the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// So many tokens, one at least.
    Tokens(i64),
    /// As long as the model likes.
    None,
}

impl Limit {
    /// What is no number, such as `"inf"`, sets no limit.
    pub(super) fn of(value: &Value) -> Self {
        value.as_number().and_then(whole).unwrap_or(Self::None)
    }

    /// Its tokens.
    pub(super) fn tokens(self) -> Option<i64> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::None => None,
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        whole(&number).ok_or_else(|| D::Error::custom("a limit on an answer is a whole number"))
    }
}

/// Servers read `100.0` as 100, and what is less than one as no limit, or refuse it.
fn whole(number: &Number) -> Option<Limit> {
    let tokens = match (number.as_i64(), number.as_f64()) {
        (Some(tokens), _) => tokens,
        (None, Some(tokens)) if tokens.fract() == 0.0 || tokens < 1.0 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "what is too large comes to the nearest that is not"
            )]
            let tokens = tokens as i64;
            tokens
        }
        _ => return None,
    };
    Some(if tokens < 1 {
        Limit::None
    } else {
        Limit::Tokens(tokens)
    })
}
