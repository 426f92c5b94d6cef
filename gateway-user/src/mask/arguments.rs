//! The arguments of a tool call: a JSON document that arrives in pieces, cut anywhere.
//!
//! In: the document's text as it comes. Out: the same text with findings in its strings, keys and numbers replaced. Invariants: a
//! valid document stays valid; its structure and what it says elsewhere stay as they were written; nothing is scanned across two
//! strings. A model may write what is not JSON: from there on everything is one text.

use super::Set;
use super::document::number;
use super::text::{Text, Writing};
use crate::detect::Finding;
use crate::protocol::json::{self, Unit};

/// The arguments of one call.
pub(super) struct Arguments {
    at: At,
}

enum At {
    /// Between values.
    Structure,
    /// Inside a string, with the start of an escape sequence that is not whole yet.
    String(Box<Text>, String),
    /// A number or word, with the white space behind it.
    Bare(String),
    /// Behind the first thing that is not JSON.
    Prose(Box<Text>),
}

impl Arguments {
    pub(super) fn new() -> Self {
        Self { at: At::Structure }
    }

    /// Reads the next piece and appends what is settled to `out`.
    pub(super) fn push(
        &mut self,
        piece: &str,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut String,
    ) {
        let mut rest = piece;
        while let Some(next) = rest.chars().next() {
            match &mut self.at {
                At::Structure => {
                    if !is_structure(next) && !is_space(next) {
                        self.at = At::Bare(String::new());
                        continue;
                    }
                    out.push(next);
                    rest = &rest[next.len_utf8()..];
                    if next == '"' {
                        self.at = At::String(Box::new(Text::new(Writing::Escaped)), String::new());
                    }
                }
                At::String(text, partial) => {
                    partial.push_str(rest);
                    rest = "";
                    let inside = std::mem::take(partial);
                    let ended = string(text, &inside, partial, set, found, out);
                    if let Some(end) = ended {
                        rest = &piece[piece.len() - (inside.len() - end)..];
                        self.at = At::Structure;
                    }
                }
                At::Bare(word) => {
                    if is_structure(next) {
                        bare(word, set, found, out);
                        self.at = At::Structure;
                        continue;
                    }
                    if continues(word, next) {
                        word.push(next);
                        rest = &rest[next.len_utf8()..];
                        continue;
                    }
                    let mut text = Text::new(Writing::Plain);
                    text.push(word, word, set, found, out);
                    self.at = At::Prose(Box::new(text));
                }
                At::Prose(text) => {
                    text.push(rest, rest, set, found, out);
                    rest = "";
                }
            }
        }
    }

    /// The arguments are over, or cut off.
    pub(super) fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
        match &mut self.at {
            At::Structure => {}
            At::String(text, partial) => {
                text.finish(set, found, out);
                out.push_str(partial);
            }
            At::Bare(word) => bare(word, set, found, out),
            At::Prose(text) => text.finish(set, found, out),
        }
        self.at = At::Structure;
    }

    /// Whether anything is held back.
    pub(super) fn holds(&self) -> bool {
        match &self.at {
            At::Structure => false,
            At::String(text, partial) => text.holds() || !partial.is_empty(),
            At::Bare(word) => !word.is_empty(),
            At::Prose(text) => text.holds(),
        }
    }
}

/// Scans what is whole of a string's `inside`. Returns the offset behind the string's end, or leaves in `partial` what is not
/// whole.
fn string(
    text: &mut Text,
    inside: &str,
    partial: &mut String,
    set: &Set,
    found: &mut Vec<Finding>,
    out: &mut String,
) -> Option<usize> {
    let (mut decoded, mut at) = (String::with_capacity(inside.len()), 0);
    loop {
        match json::unit(&inside[at..]) {
            Some(Unit::Char(character, width)) => {
                decoded.push(character);
                at += width;
            }
            Some(Unit::Quote) => {
                text.push(&decoded, &inside[..at], set, found, out);
                text.finish(set, found, out);
                out.push('"');
                return Some(at + 1);
            }
            Some(Unit::Partial) | None => {
                text.push(&decoded, &inside[..at], set, found, out);
                partial.push_str(&inside[at..]);
                return None;
            }
        }
    }
}

fn bare(word: &str, set: &Set, found: &mut Vec<Finding>, out: &mut String) {
    let value = word.trim_end_matches(is_space);
    match number(value, set, found) {
        Some(new) => out.push_str(&new),
        None => out.push_str(value),
    }
    out.push_str(&word[value.len()..]);
}

/// Whether `next` can follow in what is a number or word, or the white space behind it.
fn continues(word: &str, next: char) -> bool {
    let part = next.is_ascii_alphanumeric() || matches!(next, '+' | '-' | '.');
    let ended = word.ends_with(is_space);
    word.len() < LONGEST_BARE && ((part && !ended) || (is_space(next) && !word.is_empty()))
}

fn is_structure(character: char) -> bool {
    matches!(character, '{' | '}' | '[' | ']' | ',' | ':' | '"')
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Longer than any number a parser keeps exactly; what is longer is scanned as it comes.
const LONGEST_BARE: usize = 128;
