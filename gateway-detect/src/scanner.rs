//! One text that arrives in pieces: decides place after place, holds back only what is undecided.
//!
//! Invariants: the pieces, one behind the other, cover the text; how the text is cut changes nothing but
//! where [`Piece::Text`] is cut; at most [`HOLD`] bytes of the folded text are held. A match that fills the hold is confirmed by then: its
//! rest is counted, not kept, and becomes part of the same finding.

use super::decide::Cursor;
use super::email;
use super::fold::{self, Fold, Folded};
use super::place::{LOOKBEHIND, Place, Tail, Verdict};
use super::sieve;
use super::table::Table;
use super::{Detector, Detectors, Finding, assign};

/// The most bytes of the folded text that a [`Scanner`] holds back: an e-mail address has up to 319, an issued key fewer.
pub const HOLD: usize = 512;

/// A part of the scanned text, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes in which nothing is found.
    Text(usize),
    /// A finding, in place of so many bytes; its range counts from the beginning of the whole text.
    Found(Finding, usize),
}

/// All findings in `text`: leftmost, then longest, not overlapping, in order.
#[must_use]
pub fn scan(text: &str, detectors: &Detectors) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_word(text) && !detectors.has_custom() {
        return findings;
    }
    if fold::is_plain(text) {
        each(text, detectors, 0, |detector, start, length| {
            let value = &text[start..start + length];
            findings.push(detectors.finding(detector, start..start + length, (value, value)));
            true
        });
        return findings;
    }
    let fold = Folded::of(text);
    each(&fold.text, detectors, 0, |detector, start, length| {
        let value = &fold.text[start..start + length];
        let range = fold.start(start)..fold.end(start + length);
        findings.push(detectors.finding(detector, range, (value, value)));
        true
    });
    findings
}

/// Whether this is a word in small letters, shorter than every key, as most names and many values in documents are: nothing that is built in
/// is only that, but a password behind its name.
fn is_word(text: &str) -> bool {
    let word = |text: &str| {
        text.len() < sieve::SHORTEST as usize
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named = text.strip_prefix(char::from(assign::STRING));
    match named.and_then(|named| named.split_once(": ")) {
        Some((name, value)) if word(name) && word(value) => {
            let at = text.len() - value.len();
            value.is_empty() || !assign::is_announced(Place::new(text.as_bytes(), at, true))
        }
        _ => word(text),
    }
}

/// The detector of the first finding in an encoded text that does not end behind `most`, or that is longer than half of the text: what goes
/// on behind it makes no other of that.
pub(super) fn first(text: &str, most: usize, detectors: &Detectors, depth: u8) -> Option<Detector> {
    let mut found = None;
    let fold = Folded::of(text);
    each(&fold.text, detectors, depth, |detector, start, length| {
        if fold.end(start + length) <= most || length * 2 >= fold.text.len() {
            found = Some(detector);
        }
        found.is_none()
    });
    found
}

/// Tells every match in a folded text until `tell` says no.
fn each(
    text: &str,
    detectors: &Detectors,
    depth: u8,
    mut tell: impl FnMut(Detector, usize, usize) -> bool,
) {
    let mut cursor = Cursor::new(detectors, depth);
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some((at, why)) = cursor.next(bytes, from, true) {
        from = at + 1;
        if let Verdict::Match(detector, length) = cursor.decide(Place::new(bytes, at, true), why) {
            if !tell(detector, at, length) {
                return;
            }
            from = at + length;
        }
    }
}

/// Scans one text that arrives in pieces, for example one channel of a stream.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The end of what is given out, for detectors to look back at, and what is held.
    fold: Fold,
    /// Everything in the folded text before it is decided.
    at: usize,
    /// Everything in the whole text before it is given out.
    given: usize,
    /// Where the next window of an encoded text starts in the whole folded text.
    window: Option<usize>,
    /// And where a value is planned.
    planned: Option<usize>,
    /// The table that `at` may be in.
    table: Option<Box<Table>>,
    /// The finding that `at` is still inside of.
    open: Option<Open>,
    /// Nothing is decided before the word that `at` is in ends, or is too long for an address.
    in_word: bool,
}

/// A confirmed match without an end so far.
#[derive(Debug)]
struct Open {
    detector: Detector,
    tail: Tail,
    start: usize,
    /// Its first bytes.
    head: String,
}

impl Scanner {
    /// A scanner at the beginning of a text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next part of the text and appends what is decided now to `out`.
    pub fn push(&mut self, text: &str, detectors: &Detectors, out: &mut Vec<Piece>) {
        let known = self.fold.folded.text.len() - self.at;
        self.fold.push(text);
        let word = &self.fold.folded.text.as_bytes()[self.at..];
        if !self.in_word || !email::stays_open(word, known) {
            self.advance(false, detectors, out);
        }
    }

    /// Ends the text: appends what was held to `out`. The scanner is then at the beginning of a new text.
    pub fn finish(&mut self, detectors: &Detectors, out: &mut Vec<Piece>) {
        self.fold.finish();
        self.advance(true, detectors, out);
        *self = Self::default();
    }

    /// How many bytes of the folded text are held back, at most [`HOLD`] and what its end may still become; 0 when everything taken has
    /// been given out.
    #[must_use]
    pub fn held(&self) -> usize {
        let held = || self.fold.folded.text.len() - self.at + self.fold.pending();
        self.open.as_ref().map_or_else(held, |_| HOLD)
    }

    fn advance(&mut self, whole: bool, detectors: &Detectors, out: &mut Vec<Piece>) {
        let mut cursor = Cursor::new(detectors, 0);
        let base = self.fold.folded.base;
        let here = |place: Option<usize>| place.and_then(|place| place.checked_sub(base));
        (cursor.window, cursor.planned) = (here(self.window), here(self.planned));
        cursor.table = self.table.take();
        self.in_word = false;
        loop {
            if let Some(mut open) = self.open.take() {
                let (length, over) = open.tail.run(&self.fold.folded.text.as_bytes()[self.at..]);
                self.at += length;
                if !over && !whole {
                    self.open = Some(open);
                    break;
                }
                let range = open.start..self.fold.folded.end(self.at);
                let tail = &self.fold.folded.text[self
                    .fold
                    .folded
                    .text
                    .floor_char_boundary(self.at.saturating_sub(TAIL))
                    ..self.at];
                self.found(
                    detectors.finding(open.detector, range, (&open.head, tail)),
                    out,
                );
            }
            let bytes = self.fold.folded.text.as_bytes();
            let Some((at, why)) = cursor.next(bytes, self.at, whole) else {
                self.at = bytes.len();
                break;
            };
            self.at = at;
            match cursor.decide(Place::new(bytes, at, whole), why) {
                Verdict::No => self.at = at + 1,
                Verdict::More => {
                    self.in_word = cursor.waits_for_word(Place::new(bytes, at, whole));
                    break;
                }
                Verdict::Match(detector, length) => {
                    let (start, end) = (self.at, self.at + length);
                    let range = self.fold.folded.start(start)..self.fold.folded.end(end);
                    self.give(range.start, out);
                    let value = &self.fold.folded.text[start..end];
                    self.found(detectors.finding(detector, range, (value, value)), out);
                    self.at = end;
                }
                Verdict::Open(detector, tail) => {
                    let start = self.fold.folded.start(self.at);
                    self.give(start, out);
                    let head = self.fold.folded.text[self.at..self.at + HOLD].to_owned();
                    self.open = Some(Open {
                        detector,
                        tail,
                        start,
                        head,
                    });
                    self.at += HOLD;
                }
            }
        }
        if self.open.is_none() {
            let all = self.at == self.fold.folded.text.len();
            self.give(
                if all {
                    self.fold.done()
                } else {
                    self.fold.folded.end(self.at)
                },
                out,
            );
        } else {
            // What is swallowed is not kept; its length is known by its end.
            self.given = self.fold.folded.end(self.at);
        }
        let left = |place: Option<usize>| {
            let place = place.filter(|place| *place >= self.at);
            place.map(|place| self.fold.folded.base + place)
        };
        (self.window, self.planned) = (left(cursor.window), left(cursor.planned));
        let gone = self
            .fold
            .folded
            .text
            .floor_char_boundary(self.at.saturating_sub(LOOKBEHIND));
        self.table = cursor.table;
        if gone >= SPENT {
            let table = self.table.get_or_insert_default();
            table.read(self.fold.folded.text.as_bytes(), gone);
            table.forget(gone);
            self.fold.folded.drain(gone);
            self.at -= gone;
        }
    }

    /// Gives out the text up to an offset of the whole.
    fn give(&mut self, to: usize, out: &mut Vec<Piece>) {
        if self.given < to {
            out.push(Piece::Text(to - self.given));
            self.given = to;
        }
    }

    fn found(&mut self, finding: Finding, out: &mut Vec<Piece>) {
        self.given = finding.range.end;
        let length = finding.range.len();
        out.push(Piece::Found(finding, length));
    }
}

/// So much of what nobody looks back at any more is worth moving the rest.
const SPENT: usize = 512;
/// How much of a value's end a sample needs.
const TAIL: usize = 16;

#[cfg(test)]
pub(crate) mod tests;
