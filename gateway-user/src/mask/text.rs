//! One text that arrives in pieces, with what a set names replaced by placeholders.
//!
//! In: text as it comes, or the inside of a JSON string as it is written. Out: the same bytes, except for what was found.
//! Invariants: the output does not depend on how the text was cut; what may still become a finding is held back.

use super::{Set, placeholder};
use crate::detect::{Finding, Piece, Scanner};
use crate::protocol::json;

/// The text of one channel.
pub(super) struct Text {
    scanner: Scanner,
    /// What was pushed and is not yet out, as it was written.
    original: String,
    writing: Writing,
    /// How many bytes at the start of `original` have left early.
    released: usize,
}

/// How the text that is scanned was written.
#[derive(Clone, Copy)]
pub(super) enum Writing {
    Plain,
    /// With the escape sequences of a JSON string.
    Escaped,
}

impl Text {
    pub(super) fn new(writing: Writing) -> Self {
        Self {
            scanner: Scanner::new(),
            original: String::new(),
            writing,
            released: 0,
        }
    }

    /// Scans `text`, which was `written` like that, and appends what is settled to `out`.
    pub(super) fn push(
        &mut self,
        text: &str,
        written: &str,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut String,
    ) {
        self.original.push_str(written);
        let mut pieces = Vec::new();
        self.scanner.push(text, &mut pieces);
        self.settle(pieces, set, found, out);
    }

    /// The text is over.
    pub(super) fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
        let mut pieces = Vec::new();
        self.scanner.finish(&mut pieces);
        self.settle(pieces, set, found, out);
    }

    /// Lets go of what is held back, as if the text were over; `Writing::Plain` only. Should it go on, what left is scanned again
    /// together with what comes, and only the rest of a finding is replaced.
    pub(super) fn cut(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
        let mut pieces = Vec::new();
        self.scanner.finish(&mut pieces);
        let tail = match pieces.last() {
            Some(Piece::Text(tail)) => tail.clone(),
            _ => String::new(),
        };
        self.settle(pieces, set, found, out);
        self.scanner = Scanner::new();
        self.released = tail.len();
        self.push(&tail, &tail, set, found, out);
    }

    /// Whether anything is held back.
    pub(super) fn holds(&self) -> bool {
        self.original.len() > self.released
    }

    fn settle(
        &mut self,
        pieces: Vec<Piece>,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut String,
    ) {
        for piece in pieces {
            let (length, masked) = match piece {
                Piece::Text(text) => (text.len(), None),
                Piece::Found(finding, length) => (length, Some(finding)),
            };
            let width = match self.writing {
                Writing::Plain => length,
                Writing::Escaped => json::written(&self.original, length),
            };
            let early = self.released.min(width);
            self.released -= early;
            match masked.filter(|finding| set.contains(finding)) {
                Some(finding) => {
                    out.push_str(&placeholder(&finding));
                    found.push(finding);
                }
                None => out.push_str(&self.original[early..width]),
            }
            self.original.drain(..width);
        }
    }
}
