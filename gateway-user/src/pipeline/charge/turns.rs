//! Answers of a conversation that are asked for in no exchange of their own.

use crate::spend::{Hold, Price};

/// The answers of a conversation, each reserved for by itself.
#[derive(Default)]
pub(super) struct Turns {
    /// What one can cost that nobody has asked for: with the model of the opening, or of the last that was asked for.
    pub(super) each: Option<Quote>,
    pub(super) open: Vec<Turn>,
    /// What those cost that are over.
    pub(super) spent: u64,
    /// No price is known of one of them.
    pub(super) unpriced: bool,
}

/// An answer of a conversation that is not over.
pub(super) struct Turn {
    pub(super) lane: String,
    pub(super) quote: Option<Quote>,
    pub(super) hold: Hold,
}

/// What an answer of a conversation costs.
#[derive(Clone, Copy)]
pub(super) struct Quote {
    pub(super) price: Price,
    /// The most that it can be.
    pub(super) amount: u64,
}

impl Turns {
    /// What they cost, with all that was reserved for those that are not over.
    pub(super) fn total(&self) -> u64 {
        let open = self.open.iter().filter_map(|turn| turn.quote);
        open.fold(self.spent, |sum, quote| sum.saturating_add(quote.amount))
    }

    /// Whether a price is known of each.
    pub(super) fn is_priced(&self) -> bool {
        !self.unpriced && self.open.iter().all(|turn| turn.quote.is_some())
    }
}
