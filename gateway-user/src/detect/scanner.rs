//! One text that arrives in pieces: decides place after place, holds back only what is undecided.
//!
//! Invariants: the pieces put together, with the originals of the findings, are the text; how the text is cut changes nothing but
//! where [`Piece::Text`] is cut; at most [`HOLD`] bytes are held. A key that fills the hold is confirmed by then: its rest is
//! counted, not kept, and becomes part of the same finding.

use super::place::{Class, LOOKBEHIND, Place, Verdict};
use super::{Detector, Detectors, Finding, aws, card, email, key};

/// The most bytes a [`Scanner`] holds back: an e-mail address has up to 319, an issued key fewer.
pub const HOLD: usize = 512;

/// A part of the scanned text, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text in which nothing is found.
    Text(String),
    /// A finding, in place of its text; its range counts from the beginning of the whole text, the number is its length.
    Found(Finding, usize),
}

/// All findings in `text`: leftmost, then longest, not overlapping, in order.
#[must_use]
pub fn scan(text: &str, detectors: &Detectors) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut at = 0;
    let mut word = email::Word::default();
    while at < text.len() {
        match decide(Place::new(text.as_bytes(), at, true), detectors, &mut word) {
            Verdict::Match(detector, length) => {
                let end = at + length;
                let value = &text[at..end];
                findings.push(detectors.finding(detector, at, length, (value, value)));
                at = end;
            }
            _ => at = next(text.as_bytes(), at, detectors, &word),
        }
    }
    findings
}

/// Scans one text that arrives in pieces, for example one channel of a stream.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The end of what is given out, for detectors to look back at, and what is held.
    text: String,
    /// Everything in `text` before it is decided.
    at: usize,
    /// Offset of `text` in the whole text.
    base: usize,
    /// The finding that `at` is still inside of.
    open: Option<Open>,
}

/// A confirmed match without an end so far.
#[derive(Debug)]
struct Open {
    detector: Detector,
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
        self.text.push_str(text);
        self.advance(false, detectors, out);
    }

    /// Ends the text: appends what was held to `out`. The scanner is then at the beginning of a new text.
    pub fn finish(&mut self, detectors: &Detectors, out: &mut Vec<Piece>) {
        self.advance(true, detectors, out);
        *self = Self::default();
    }

    /// How many bytes are held back, at most [`HOLD`]; 0 when everything taken has been given out.
    #[must_use]
    pub fn held(&self) -> usize {
        self.open
            .as_ref()
            .map_or(self.text.len() - self.at, |_| HOLD)
    }

    fn advance(&mut self, whole: bool, detectors: &Detectors, out: &mut Vec<Piece>) {
        let mut word = email::Word::default();
        let mut given = self.at;
        loop {
            if let Some(open) = self.open.take() {
                self.at += key::run(open.detector, &self.text.as_bytes()[self.at..]);
                if self.at == self.text.len() && !whole {
                    self.open = Some(open);
                    break;
                }
                let length = self.base + self.at - open.start;
                let tail = &self.text[self.at - TAIL..self.at];
                let ends = (open.head.as_str(), tail);
                let finding = detectors.finding(open.detector, open.start, length, ends);
                out.push(Piece::Found(finding, length));
                given = self.at;
            }
            if self.at == self.text.len() {
                break;
            }
            let place = Place::new(self.text.as_bytes(), self.at, whole);
            match decide(place, detectors, &mut word) {
                Verdict::No => {
                    self.at = next(self.text.as_bytes(), self.at, detectors, &word);
                }
                Verdict::More => break,
                Verdict::Match(detector, length) => {
                    self.give(given, out);
                    let value = &self.text[self.at..self.at + length];
                    let start = self.base + self.at;
                    let finding = detectors.finding(detector, start, length, (value, value));
                    out.push(Piece::Found(finding, length));
                    self.at += length;
                    given = self.at;
                }
                Verdict::Open(detector) => {
                    self.give(given, out);
                    self.open = Some(Open {
                        detector,
                        start: self.base + self.at,
                        head: self.text[self.at..self.at + HOLD].to_owned(),
                    });
                    self.at += HOLD;
                    given = self.at;
                }
            }
        }
        if self.open.is_none() {
            self.give(given, out);
        }
        let gone = self
            .text
            .floor_char_boundary(self.at.saturating_sub(LOOKBEHIND));
        self.text.drain(..gone);
        self.base += gone;
        self.at -= gone;
    }

    fn give(&self, from: usize, out: &mut Vec<Piece>) {
        if from < self.at {
            out.push(Piece::Text(self.text[from..self.at].to_owned()));
        }
    }
}

/// What stands at a place: the longest match of any detector, as soon as none of them can still change its answer.
fn decide(place: Place<'_>, detectors: &Detectors, word: &mut email::Word) -> Verdict {
    let first = place.ahead()[0];
    let custom = if detectors.begins(first) {
        detectors.at(place)
    } else {
        Verdict::No
    };
    if custom == Verdict::More || !BEGINS.has(first) {
        return custom;
    }
    let address = place.email(word);
    if address == Verdict::More {
        return address;
    }
    let verdict = address.or(aws::at(place));
    let verdict = match first {
        b'0'..=b'9' => verdict.or(card::at(place)),
        b's' | b'g' => verdict.or(key::at(place)),
        _ => verdict,
    };
    verdict.or(custom)
}

/// The place to look at after `at`, where nothing stands. Most places are in the middle of a word that is no address: there
/// [`decide`] can only find what starts glued to it, a prefixed key, an AWS key id, or what the operator looks for.
fn next(text: &[u8], at: usize, detectors: &Detectors, word: &email::Word) -> usize {
    let mut next = at + 1;
    let end = word.without_address();
    while next < end
        && GLUES.has(text[next - 1])
        && !matches!(text[next], b's' | b'g' | b'A')
        && !detectors.begins(text[next])
    {
        next += 1;
    }
    while next < text.len() && !BEGINS.has(text[next]) && !detectors.begins(text[next]) {
        next += 1;
    }
    next
}

/// What a finding can begin with.
static BEGINS: Class = Class::alphanumeric_and(b"_/+");
/// What keeps a card number or a secret behind it from being one.
static GLUES: Class = Class::alphanumeric_and(b"");
/// How much of a value's end a sample needs.
const TAIL: usize = 4;

#[cfg(test)]
mod tests;
