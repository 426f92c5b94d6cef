//! One place in a folded text, as a detector sees it, and what a detector may answer.

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
    /// A match starts here, it already fills the hold and may go on: as far as this tail goes.
    Open(Detector, Tail),
}

impl Verdict {
    /// This verdict and that of another detector on the same place: undecided while one of them is, else the longer match.
    #[inline]
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, verdict) | (verdict, Self::No) => verdict,
            (Self::More, _) | (_, Self::More) => Self::More,
            (Self::Open(..), _) => self,
            (_, Self::Open(..)) => other,
            (Self::Match(_, mine), Self::Match(_, length)) if length > mine => other,
            _ => self,
        }
    }

    /// Adds the verdict of another detector on the same place, which is asked only where its answer counts: while one cannot tell, the
    /// others need not. Most say no, and then nothing is moved.
    #[inline(always)]
    pub(super) fn add(&mut self, other: impl FnOnce() -> Self) {
        if matches!(self, Self::More) {
            return;
        }
        let other = other();
        if !matches!(other, Self::No) {
            *self = self.or(other);
        }
    }
}

/// What still belongs to a match that has no end so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// A run of these bytes.
    Run(&'static Class),
    /// The rest of a PEM block: its body, then so many hyphens in a row, then, behind five, the end line.
    Pem(Pem),
    /// The rest of so many lines.
    Lines(Lines),
}

/// How many lines in base 64 are left, with the one that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines(pub(super) u32);

/// How far a PEM block is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pem {
    Body,
    /// So many hyphens in a row.
    Hyphens(u8),
    EndLine,
    EndHyphens(u8),
}

impl Tail {
    /// How many of the bytes `text` starts with belong to the match, and whether it ends there whatever follows.
    pub(super) fn run(&mut self, text: &[u8]) -> (usize, bool) {
        match self {
            Self::Run(class) => {
                let length = run(text, class);
                (length, length < text.len())
            }
            Self::Pem(state) => {
                for (at, &byte) in text.iter().enumerate() {
                    match state.step(byte) {
                        Some(next) => *state = next,
                        // The closing hyphens are five.
                        None => return (at, true),
                    }
                    if *state == Pem::EndHyphens(5) {
                        return (at + 1, true);
                    }
                }
                (text.len(), false)
            }
            Self::Lines(lines) => match text.iter().position(|byte| !lines.has(*byte)) {
                Some(at) => (at, true),
                None => (text.len(), false),
            },
        }
    }
}

impl Lines {
    /// Whether the next byte belongs to them: the break behind the last one does not.
    pub(super) fn has(&mut self, byte: u8) -> bool {
        match byte {
            b'\r' | b'\n' if self.0 <= 1 => return false,
            b'\n' => self.0 -= 1,
            _ => {}
        }
        byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte)
    }
}

impl Pem {
    /// The state behind `byte`, which belongs to the block.
    pub(super) fn after(self, byte: u8) -> Self {
        self.step(byte).unwrap_or(self)
    }

    fn step(self, byte: u8) -> Option<Self> {
        // Headers say who wrote it, and comments and quotes have signs before each line.
        let body = byte.is_ascii_alphanumeric() || b"+/=:,\n\r\t '\"\\.()*#<>|@".contains(&byte);
        match (self, byte) {
            (Self::Body, b'-') => Some(Self::Hyphens(1)),
            (Self::Hyphens(4), b'-') => Some(Self::EndLine),
            (Self::Hyphens(count), b'-') => Some(Self::Hyphens(count + 1)),
            (Self::Body | Self::Hyphens(_), _) if body => Some(Self::Body),
            (Self::EndLine, b'-') => Some(Self::EndHyphens(1)),
            (Self::EndLine, _) if byte.is_ascii_uppercase() || byte == b' ' => Some(Self::EndLine),
            (Self::EndHyphens(count @ 0..5), b'-') => Some(Self::EndHyphens(count + 1)),
            _ => None,
        }
    }
}

/// A place in a text of which the beginning is known and the rest may still be on its way.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
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

    /// The text up to here, at most [`LOOKBEHIND`] bytes of it.
    pub(super) fn behind(self) -> &'a [u8] {
        &self.text[self.at.saturating_sub(LOOKBEHIND)..self.at]
    }

    /// The byte before this place.
    pub(super) fn before(self) -> Option<u8> {
        self.text.get(self.at.checked_sub(1)?).copied()
    }

    /// Whether the byte before this place is one of `class`.
    pub(super) fn follows(self, class: impl Fn(u8) -> bool) -> bool {
        self.before().is_some_and(class)
    }

    /// Whether a word may start here: no letter or digit stands before.
    pub(super) fn starts_word(self) -> bool {
        !self.follows(|byte| ALPHANUMERIC.has(byte))
    }
}

/// How many of the bytes `text` starts with are in `class`.
pub(super) fn run(text: &[u8], class: &Class) -> usize {
    text.iter()
        .position(|&byte| !class.has(byte))
        .unwrap_or(text.len())
}

/// The last `count` bytes of a text, or all.
pub(super) fn last(text: &[u8], count: usize) -> &[u8] {
    &text[text.len().saturating_sub(count)..]
}

/// The last bytes of a text, without the rest of a word that begins before them.
pub(super) fn last_words(text: &[u8], count: usize) -> &[u8] {
    let end = last(text, count);
    let cut = end.len() < text.len() && text[text.len() - end.len() - 1].is_ascii_alphanumeric();
    let word = end.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    &end[if cut { word.count() } else { 0 }..]
}

/// What a text still says of what follows it: without the names that have another value, one without digits, which has ended. Of
/// `tax_id: null, order_id: ` that is `order_id: `.
pub(super) fn unanswered<'a>(text: &[u8], room: &'a mut [u8; LOOKBEHIND]) -> &'a [u8] {
    let text = last(text, LOOKBEHIND);
    let rest = &mut room[..text.len()];
    rest.copy_from_slice(text);
    let mut from = 0;
    for (at, &byte) in text.iter().enumerate() {
        let begins = matches!(byte, b'{' | b'[' | b'(');
        let ends = matches!(byte, b',' | b';' | b'}' | b'\n')
            || matches!(text[at..], [b'.', b' ', b'A'..=b'Z', ..]);
        if !begins && !ends {
            continue;
        }
        let part = &text[from..at];
        let name = part.iter().position(|byte| matches!(byte, b':' | b'='));
        if let Some(name) = name.filter(|_| ends) {
            let value = part[name + 1..].trim_ascii();
            if !value.is_empty() && !value.iter().any(u8::is_ascii_digit) {
                rest[from..=from + name].fill(b',');
            }
        }
        from = at + 1;
    }
    rest
}

/// Membership of every byte in a class.
#[derive(Debug)]
pub(super) struct Class([bool; 256]);

impl Default for Class {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Class {}

impl Class {
    /// The bytes that `belongs` says yes to.
    pub(super) fn of(belongs: impl Fn(u8) -> bool) -> Self {
        Self(std::array::from_fn(|byte| {
            u8::try_from(byte).is_ok_and(&belongs)
        }))
    }

    /// Adds a byte.
    pub(super) fn add(&mut self, byte: u8) {
        self.0[usize::from(byte)] = true;
    }

    /// ASCII letters and digits, and `others`.
    pub(super) const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut has = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            has[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        Self(has).and(others)
    }

    /// These bytes.
    pub(super) const fn from(bytes: &[u8]) -> Self {
        Self([false; 256]).and(bytes)
    }

    /// These and `others`.
    pub(super) const fn and(mut self, others: &[u8]) -> Self {
        let mut at = 0;
        while at < others.len() {
            self.0[others[at] as usize] = true;
            at += 1;
        }
        self
    }

    #[inline]
    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }
}

pub(super) static ALPHANUMERIC: Class = Class::alphanumeric_and(b"");

/// How far back a detector may look: a context word of some 20 bytes and the distance allowed after it.
pub(super) const LOOKBEHIND: usize = 96;
