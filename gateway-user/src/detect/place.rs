//! One place in a text, as a detector sees it, and what a detector may answer.

use super::Detector;

/// What a detector says about one place. Only [`Verdict::More`] may change as text arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No match starts here, whatever follows.
    No,
    /// What is here could become a match, or a longer one.
    More,
    /// A match of this many bytes starts here.
    Match(Detector, usize),
    /// A match starts here, it already fills the hold and may go on: as long as key characters follow.
    Open(Detector),
}

impl Verdict {
    /// This verdict and that of another detector on the same place: undecided while one of them is, else the longer match.
    #[inline]
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, verdict) | (verdict, Self::No) => verdict,
            (Self::More, _) | (_, Self::More) => Self::More,
            (Self::Open(detector), _) | (_, Self::Open(detector)) => Self::Open(detector),
            (Self::Match(_, mine), Self::Match(_, length)) if length > mine => other,
            _ => self,
        }
    }
}

/// A place in a text of which the beginning is known and the rest may still be on its way.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    text: &'a [u8],
    at: usize,
    /// Nothing follows the text.
    pub(super) whole: bool,
}

impl<'a> Place<'a> {
    pub(super) fn new(text: &'a [u8], at: usize, whole: bool) -> Self {
        Self { text, at, whole }
    }

    /// The text from here on; not empty.
    pub(super) fn ahead(self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// What stands here, if it is an e-mail address.
    pub(super) fn email(self, word: &mut super::email::Word) -> Verdict {
        super::email::at(self.text, self.at, self.whole, word)
    }

    /// The text up to here, at most [`LOOKBEHIND`] bytes of it.
    pub(super) fn behind(self) -> &'a [u8] {
        &self.text[self.at.saturating_sub(LOOKBEHIND)..self.at]
    }

    /// The byte before this place, if it really stands for itself; after an escape sequence, a space.
    pub(super) fn before(self) -> Option<u8> {
        let byte = *self.text.get(self.at.checked_sub(1)?)?;
        Some(if self.after_escape() { b' ' } else { byte })
    }

    /// Whether the byte before this place is one of `class` and really stands for itself: the `n` of an escaped line feed in
    /// quoted JSON (`\nsk-…`) or the `D` of `%3D` is no part of a word.
    pub(super) fn follows(self, class: impl Fn(u8) -> bool) -> bool {
        self.at > 0 && class(self.text[self.at - 1]) && !self.after_escape()
    }

    fn after_escape(self) -> bool {
        [2, 3, 6].into_iter().any(|length| {
            self.at
                .checked_sub(length)
                .is_some_and(|from| escape(&self.text[from..self.at]) == Some(length))
        })
    }

    /// Whether the byte here belongs to a backslash escape that starts before it.
    pub(super) fn inside_backslash_escape(self) -> bool {
        (1..=5).any(|back| {
            self.at.checked_sub(back).is_some_and(|from| {
                let rest = &self.text[from..];
                rest[0] == b'\\' && escape(rest).is_some_and(|length| length > back)
            })
        })
    }
}

/// The length of the escape sequence `text` starts with.
fn escape(text: &[u8]) -> Option<usize> {
    match text {
        [b'\\', b'n' | b'r' | b't', ..] => Some(2),
        [b'%', a, b, ..] if [a, b].iter().all(|digit| digit.is_ascii_hexdigit()) => Some(3),
        [b'\\', b'u', a, b, c, d, ..]
            if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            Some(6)
        }
        _ => None,
    }
}

/// Membership of every byte in a class, for those that are asked about each byte of a text.
#[derive(Debug)]
pub(super) struct Class([bool; 256]);

impl Default for Class {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Class {
    /// The bytes that `belongs` says yes to.
    pub(super) fn of(belongs: impl Fn(u8) -> bool) -> Self {
        Self(std::array::from_fn(|byte| {
            u8::try_from(byte).is_ok_and(&belongs)
        }))
    }

    /// ASCII letters and digits, and `others`.
    pub(super) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut has = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            has[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            has[others[at] as usize] = true;
            at += 1;
        }
        Self(has)
    }

    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }
}

/// How far back a detector may look: a context word of some 20 bytes and the distance allowed after it.
pub(super) const LOOKBEHIND: usize = 96;
