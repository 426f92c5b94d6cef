//! One text that arrives in pieces: what of it stays, and what is replaced by a placeholder.
//!
//! In: text as it comes, or the inside of a JSON string as it is written. Out: [`Part`]s, in order, that cover what came in.
//! Invariants: the parts do not depend on how the text was cut; what may still become a finding is in none of them.

use super::{Set, placeholder};
use crate::detect::{Finding, Piece, Scanner};
use crate::protocol::json;

/// What becomes of the next bytes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many stay.
    Keep(usize),
    /// So many, at least one, give way to a placeholder.
    Replace(usize, String),
}

/// The text of one channel.
pub(super) struct Text {
    scanner: Scanner,
    /// What was pushed and the scanner has not given out, as it is written.
    held: String,
    /// Whether it is written as the inside of a JSON string.
    escaped: bool,
    /// How many bytes at the start of what the scanner holds are in parts already.
    ahead: usize,
}

impl Text {
    /// A text that is written as it reads.
    pub(super) fn plain() -> Self {
        Self {
            scanner: Scanner::new(),
            held: String::new(),
            escaped: false,
            ahead: 0,
        }
    }

    /// The inside of a JSON string behind `key`, which tells what the string is.
    pub(super) fn string(key: &str, set: &Set, found: &mut Vec<Finding>) -> Self {
        let mut text = Self::plain();
        let mut written = String::new();
        json::escape(key, &mut written);
        text.ahead = written.len();
        text.escaped = true;
        text.push(key, &written, set, found, &mut Vec::new());
        text
    }

    /// Scans `text`, which is `written` like that.
    pub(super) fn push(
        &mut self,
        text: &str,
        written: &str,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut Vec<Part>,
    ) {
        self.held.push_str(written);
        let mut pieces = Vec::new();
        self.scanner.push(text, set.detectors(), &mut pieces);
        self.settle(pieces, set, found, out);
    }

    /// What may still become a finding.
    pub(super) fn held(&self) -> &str {
        &self.held
    }

    /// The text is over.
    pub(super) fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut Vec<Part>) {
        let mut pieces = Vec::new();
        self.scanner.finish(set.detectors(), &mut pieces);
        self.settle(pieces, set, found, out);
    }

    /// Lets go of what is held back, as if the plain text were over. Should it go on, that is scanned again together with what
    /// comes, and the rest of a finding is replaced.
    pub(super) fn cut(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut Vec<Part>) {
        let mut pieces = Vec::new();
        self.scanner.finish(set.detectors(), &mut pieces);
        // Also the last finding: a longer key is another one.
        let tail = match pieces.last() {
            Some(Piece::Text(length) | Piece::Found(_, length)) => *length,
            None => 0,
        };
        let tail = self.held.split_at(self.held.len() - tail).1.to_owned();
        self.settle(pieces, set, found, out);
        self.ahead = tail.len();
        self.push(&tail, &tail, set, found, out);
    }

    fn settle(
        &mut self,
        pieces: Vec<Piece>,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut Vec<Part>,
    ) {
        for piece in pieces {
            let (length, finding) = match piece {
                Piece::Text(length) => (length, None),
                Piece::Found(finding, length) => (length, Some(finding)),
            };
            let width = if self.escaped {
                json::written(&self.held, length)
            } else {
                length
            };
            let early = self.ahead.min(width);
            self.ahead -= early;
            let left = width - early;
            let value = || self.value(width);
            match finding.filter(|finding| left > 0 && set.takes(finding, value)) {
                Some(finding) => {
                    let new = match early {
                        0 => set.replacement(&finding, &value()),
                        // Of a value whose start has left already, nothing is told.
                        _ => placeholder(&finding),
                    };
                    out.push(Part::Replace(left, new));
                    found.push(finding);
                }
                None => keep(left, out),
            }
            self.held.drain(..width);
        }
    }

    /// What the first `width` bytes that are held say.
    fn value(&self, width: usize) -> String {
        let written = &self.held[..width];
        if self.escaped {
            json::decode(&format!("\"{written}\"")).into_owned()
        } else {
            written.to_owned()
        }
    }
}

/// Adds bytes that stay.
pub(super) fn keep(width: usize, out: &mut Vec<Part>) {
    match out.last_mut() {
        Some(Part::Keep(before)) => *before += width,
        _ if width > 0 => out.push(Part::Keep(width)),
        _ => {}
    }
}
