//! The arguments of a tool call: a JSON document that arrives in pieces, cut anywhere.
//!
//! In: the document's text as it comes. Out: what of it stays and what is replaced: findings in its strings, keys and numbers. Invariants: a
//! valid document stays valid; its structure and what it says elsewhere stay as they were written; nothing is scanned across two
//! strings. A model may write what is not JSON: from there on everything is one text.

use super::Set;
use super::above::Above;
use super::document::{LONGEST_KEY, number};
use super::text::{Part, Text, keep};
use crate::detect::Finding;
use crate::protocol::json::{self, Unit};

/// The arguments of one call.
pub(super) struct Arguments {
    at: At,
    above: Above,
    /// What the last string says, as far as it can be a key.
    key: String,
    /// Whether the next string of the object that is open is a value.
    value: bool,
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
        Self {
            at: At::Structure,
            above: Above::default(),
            key: String::new(),
            value: true,
        }
    }

    /// Reads the next piece.
    pub(super) fn push(
        &mut self,
        piece: &str,
        set: &Set,
        found: &mut Vec<Finding>,
        out: &mut Vec<Part>,
    ) {
        let mut rest = piece;
        while let Some(next) = rest.chars().next() {
            match &mut self.at {
                At::Structure if is_structure(next) || is_space(next) => {
                    keep(1, out);
                    rest = &rest[1..];
                    self.structure(next, set, found);
                }
                At::Structure => self.at = At::Bare(String::new()),
                At::String(text, partial) => {
                    let before = partial.len();
                    let inside = std::mem::take(partial) + rest;
                    let string = read(&inside);
                    text.push(&string.says, &inside[..string.end], set, found, out);
                    let room = LONGEST_KEY.saturating_sub(self.key.len());
                    self.key.extend(string.says.chars().take(room));
                    if string.ended {
                        text.finish(set, found, out);
                        keep(1, out);
                        if self.value {
                            self.above.says(|| &self.key);
                        } else {
                            self.above.key(&self.key);
                        }
                        rest = &rest[string.end + 1 - before..];
                        self.at = At::Structure;
                    } else {
                        partial.push_str(&inside[string.end..]);
                        rest = "";
                    }
                }
                At::Bare(word) if is_structure(next) => {
                    let announce = || announced(&self.above, self.value);
                    bare(word, announce, set, found, out);
                    self.above.says(|| "");
                    self.at = At::Structure;
                }
                At::Bare(word) if continues(word, next) => {
                    word.push(next);
                    rest = &rest[next.len_utf8()..];
                }
                At::Bare(word) => {
                    let mut text = Text::plain();
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
    pub(super) fn finish(&mut self, set: &Set, found: &mut Vec<Finding>, out: &mut Vec<Part>) {
        match &mut self.at {
            At::Structure => {}
            At::String(text, partial) => {
                text.finish(set, found, out);
                keep(partial.len(), out);
            }
            At::Bare(word) => {
                let announce = || announced(&self.above, self.value);
                bare(word, announce, set, found, out);
            }
            At::Prose(text) => text.finish(set, found, out),
        }
        *self = Self::new();
    }

    fn structure(&mut self, next: char, set: &Set, found: &mut Vec<Finding>) {
        match next {
            '"' => {
                let key = announced(&self.above, self.value);
                let text = Text::string(&key, set, found);
                self.at = At::String(Box::new(text), String::new());
                self.key.clear();
            }
            '{' | '[' => {
                self.above.open(next == '[');
                self.value = next == '[';
            }
            '}' | ']' => self.above.close(),
            ':' => self.value = true,
            ',' => self.value = self.above.is_list(),
            _ => {}
        }
    }
}

/// What is whole of a string's inside.
struct Inside {
    says: String,
    /// Where that ends.
    end: usize,
    /// Whether the string's quote is there.
    ended: bool,
}

fn read(inside: &str) -> Inside {
    let mut read = Inside {
        says: String::with_capacity(inside.len()),
        end: 0,
        ended: false,
    };
    loop {
        match json::unit(&inside[read.end..]) {
            Some(Unit::Char(character, width)) => {
                read.says.push(character);
                read.end += width;
            }
            other => {
                read.ended = other == Some(Unit::Quote);
                return read;
            }
        }
    }
}

/// What a detector reads before the next string or number, which is a value or a key.
fn announced(above: &Above, value: bool) -> String {
    if value {
        above.announce()
    } else {
        String::new()
    }
}

fn bare(
    word: &str,
    announce: impl FnOnce() -> String,
    set: &Set,
    found: &mut Vec<Finding>,
    out: &mut Vec<Part>,
) {
    let value = word.trim_end_matches(is_space).len();
    match number(&word[..value], announce, set, found) {
        Some(new) => out.push(Part::Replace(value, new)),
        None => keep(value, out),
    }
    keep(word.len() - value, out);
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
