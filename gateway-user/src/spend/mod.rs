//! What calls of models cost, and limits on it that hold: reserve the most a call can cost, send, settle for what it did cost.
//!
//! In: who calls, which model, and how much could be read and written ([`Bound`]). Out: a [`Hold`], or why the call does not fit.
//! Invariants: what is reserved and what is spent together never pass a budget; a reservation ends once, and one that nobody
//! settles counts as spent whole. Amounts are nanodollars; days and months are those of UTC.

mod book;
mod bound;
mod price;
mod rate;
mod usd;

use std::path::Path;
use std::sync::Arc;

pub use book::{Account, Book, Hold, Overspent};
pub use bound::{Bound, Outside};
pub use price::{Price, PriceError, Prices, Tokens};
pub use rate::{Rates, TooOften};

use crate::config::{Budget, Identity, RateLimit};

/// Prices, budgets and rates of one daemon.
#[derive(Debug)]
pub struct Spend {
    /// What models cost.
    pub prices: Prices,
    /// What is spent and reserved.
    pub book: Arc<Book>,
    /// How often services may be asked.
    pub rates: Rates,
}

impl Spend {
    /// What the configuration says; `prices` is a file whose entries come before the built-in ones.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(
        prices: Option<&Path>,
        budgets: &[Budget],
        rates: &[RateLimit],
        identities: &[Arc<Identity>],
    ) -> Result<Self, PriceError> {
        Ok(Self {
            prices: Prices::load(prices)?,
            book: Arc::new(Book::new(budgets, identities)),
            rates: Rates::new(rates),
        })
    }
}

/// An amount as people read it: cents at least, more digits where there are any.
#[must_use]
pub fn dollars(nanodollars: u64) -> String {
    let (whole, rest) = (nanodollars / NANO, nanodollars % NANO);
    let digits = format!("{rest:09}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("${whole}.{}", &digits[..kept])
}

/// Nanodollars in a dollar.
pub const NANO: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn amounts_have_cents_and_what_is_below_them() {
        for (amount, text) in [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (1_500_000_000, "$1.50"),
            (12_340_000, "$0.01234"),
            (1_000_000_000_000, "$1000.00"),
        ] {
            assert_eq!(dollars(amount), text);
        }
    }
}
