//! A text as its reader takes it: the ways to write an ASCII character otherwise are undone, and offsets lead back.
//!
//! In: text as it comes. Out: the same text with full-width, mathematical and other compatible forms of letters, digits and signs
//! as ASCII, the kinds of spaces and dashes as one, invisible characters left out, and escape sequences (`\n`, `\"`, `\u0041`, `\x41`,
//! `%41`, `%2541`) as what they stand for. Each step looks at one character or one sequence, so how the text is cut changes nothing.
//! Sources: Unicode 16 compatibility decompositions, general categories Zs, Pd and Cf; RFC 8259 section 7; RFC 3986 section 2.1.

mod table;

use table::{Reading, reading};

/// A text that comes in parts, folded as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) folded: Folded,
    /// How much of the whole text is folded.
    done: usize,
    /// What follows that: what it is depends on what comes.
    pending: String,
}

/// A folded text, and where its bytes came from.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// The folded text, from `base` on.
    pub(super) text: String,
    /// Offset of `text` in the whole folded text.
    pub(super) base: usize,
    /// Where folded offsets and those of the text stop running alike.
    marks: Vec<Mark>,
    /// How many characters in a row were left out last.
    hidden: usize,
}

/// From the folded offset `at` on, offsets lead to `after` on; what stands before it ends at `before`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: usize,
    before: usize,
    after: usize,
}

/// What becomes of the beginning of a text.
enum Step {
    /// So many bytes stay.
    Keep(usize),
    /// So many become this character.
    Put(usize, u8),
    /// So many are left out.
    Drop(usize),
    /// That depends on what follows.
    More,
}

/// Whether folding changes nothing of `text`.
pub(super) fn is_plain(text: &str) -> bool {
    text.as_bytes().chunks(PLAIN_AT_ONCE).all(is_plain_part)
}

/// The same, of a part that is short.
#[inline]
fn is_plain_part(part: &[u8]) -> bool {
    // Without an exit, the compiler makes it wide.
    part.iter().fold(true, |plain, byte| {
        plain & byte.is_ascii() & (*byte != b'%') & (*byte != b'\\')
    })
}

impl Fold {
    /// Takes the next part.
    pub(super) fn push(&mut self, part: &str) {
        if self.pending.is_empty() && is_plain_part(part.as_bytes()) {
            self.folded.text.push_str(part);
            self.folded.hidden = 0;
            self.done += part.len();
        } else {
            self.pending.push_str(part);
            self.fold(false);
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        self.fold(true);
    }

    /// How much is not folded, because what follows tells what it is.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn fold(&mut self, whole: bool) {
        let taken = self.folded.take(&self.pending, self.done, whole);
        self.pending.drain(..taken);
        self.done += taken;
    }

    /// Where all that is folded ends in the whole text.
    pub(super) fn done(&self) -> usize {
        self.done
    }
}

impl Folded {
    /// The whole of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            ..Self::default()
        };
        folded.take(text, 0, true);
        folded
    }

    /// Appends `rest`, which stands at `from` in the whole text; how much of it.
    fn take(&mut self, rest: &str, from: usize, whole: bool) -> usize {
        let mut done = 0;
        while done < rest.len() {
            let rest = &rest[done..];
            let here = self.base + self.text.len();
            let from = from + done;
            match step(rest, whole) {
                Step::More => break,
                Step::Keep(length) => {
                    self.text.push_str(&rest[..length]);
                    done += length;
                    self.hidden = 0;
                }
                Step::Put(length, byte) => {
                    self.text.push(char::from(byte));
                    self.mark(here + 1, from + length, from + length);
                    done += length;
                    self.hidden = 0;
                }
                // Enough of them in a row are text of their own, or nothing would bound what they hide.
                Step::Drop(length) if self.hidden == MOST_HIDDEN => {
                    self.text.push_str(&rest[..length]);
                    done += length;
                }
                Step::Drop(length) => {
                    self.mark(here, from, from + length);
                    done += length;
                    self.hidden += 1;
                }
            }
        }
        done
    }

    fn mark(&mut self, at: usize, before: usize, after: usize) {
        match self.marks.last_mut() {
            Some(last) if last.at == at => last.after = after,
            _ => self.marks.push(Mark { at, before, after }),
        }
    }

    /// Where in the whole text the folded byte at `at`, an offset of `text`, comes from.
    pub(super) fn start(&self, at: usize) -> usize {
        let at = self.base + at;
        // Without a mark before it, a text is as it came.
        self.last(at).map_or(at, |mark| mark.after + (at - mark.at))
    }

    /// Where in the whole text the folded byte before `at` ends.
    pub(super) fn end(&self, at: usize) -> usize {
        let at = self.base + at;
        match self.last(at) {
            Some(mark) if mark.at == at => mark.before,
            Some(mark) => mark.after + (at - mark.at),
            None => at,
        }
    }

    fn last(&self, at: usize) -> Option<Mark> {
        let after = self.marks.partition_point(|mark| mark.at <= at);
        self.marks.get(after.checked_sub(1)?).copied()
    }

    /// Gives up what is before the offset `at` of `text`.
    pub(super) fn drain(&mut self, at: usize) {
        self.text.drain(..at);
        self.base += at;
        let after = self.marks.partition_point(|mark| mark.at <= self.base);
        self.marks.drain(..after.saturating_sub(1));
    }
}

/// How much of a text is as it is for sure: ASCII without escape sequences.
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let (words, rest) = text.as_chunks::<8>();
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & ONES << 7;
    let special = |word: u64| {
        word & ONES << 7
            | zero(word ^ (ONES * u64::from(b'%')))
            | zero(word ^ (ONES * u64::from(b'\\')))
    };
    let plain = words
        .as_chunks::<PLAIN_WORDS>()
        .0
        .iter()
        .take_while(|block| is_plain_part(block.as_flattened()));
    let plain = PLAIN_WORDS * plain.count();
    for (at, word) in words.iter().enumerate().skip(plain) {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return 8 * at + found.trailing_zeros() as usize / 8;
        }
    }
    let rest = rest
        .iter()
        .take_while(|byte| byte.is_ascii() && !matches!(byte, b'%' | b'\\'));
    8 * words.len() + rest.count()
}

/// The length of the characters that nobody takes for ASCII and that show: Latin, Greek, Cyrillic, Hebrew and so on, Chinese, Korean.
fn other_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(lead) = text.get(at) {
        at += match lead {
            0xC3..=0xCC | 0xCE..=0xD7 => 2,
            0xE4..=0xED if *lead != 0xEA => 3,
            _ => break,
        };
    }
    at
}

/// What becomes of the beginning of `rest`, which is not empty.
fn step(rest: &str, whole: bool) -> Step {
    let bytes = rest.as_bytes();
    if bytes[0].is_ascii() {
        return match bytes {
            [b'\\', b'n' | b'r' | b't', ..] => Step::Put(2, b'\n'),
            [b'\\', quote @ (b'"' | b'\'' | b'/'), ..] => Step::Put(2, *quote),
            [b'%' | b'\\', ..] => sequence(bytes, whole),
            _ => Step::Keep(plain_length(bytes)),
        };
    }
    let other = other_length(bytes);
    if other > 0 {
        return Step::Keep(other);
    }
    let Some(first) = rest.chars().next() else {
        return Step::Keep(rest.len());
    };
    let width = first.len_utf8();
    match reading(u32::from(first)) {
        Reading::Same => Step::Keep(width),
        Reading::Hidden => Step::Drop(width),
        Reading::To(byte) => Step::Put(width, byte),
    }
}

/// An escape sequence, or only its first character.
fn sequence(bytes: &[u8], whole: bool) -> Step {
    let keep = |needed: usize| match () {
        () if bytes.len() < needed && !whole => Step::More,
        () => Step::Keep(1),
    };
    if bytes[0] == b'%' {
        return percent(bytes, whole);
    }
    // Quoted once more, a backslash is two.
    let slashes = bytes
        .iter()
        .take(MOST_SLASHES)
        .take_while(|&&byte| byte == b'\\')
        .count();
    let Some(&kind) = bytes.get(slashes) else {
        return keep(slashes + 1);
    };
    let digits = match kind {
        b'n' | b'r' | b't' => return Step::Put(slashes + 1, b'\n'),
        b'"' | b'\'' | b'/' => return Step::Put(slashes + 1, kind),
        b'u' => 4,
        b'x' => 2,
        _ => return Step::Keep(slashes),
    };
    let from = slashes + 1;
    let here = bytes[from..]
        .iter()
        .take(digits)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if here == digits {
        return put(from + digits, hex(&bytes[from..from + digits]));
    }
    if from + here == bytes.len() && !whole {
        Step::More
    } else {
        Step::Keep(slashes)
    }
}

/// A percent sign with two digits, which may stand for one whose digits follow: `%2540`.
fn percent(bytes: &[u8], whole: bool) -> Step {
    let mut length = 1;
    for _ in 0..MOST_PERCENTS {
        let rest = &bytes[length..];
        let digits = rest
            .iter()
            .take(2)
            .take_while(|byte| byte.is_ascii_hexdigit());
        match digits.count() {
            2 if rest[..2] != *b"25" => return put(length + 2, hex(&rest[..2])),
            2 => length += 2,
            all if all == rest.len() && !whole => return Step::More,
            _ => break,
        }
    }
    // What follows are no digits: the last one stands for itself.
    match length {
        1 => Step::Keep(1),
        _ => Step::Put(length, b'%'),
    }
}

/// So many bytes that stand for the character `code`.
fn put(length: usize, code: u32) -> Step {
    match (u8::try_from(code), reading(code)) {
        (Ok(byte @ (b'\t' | b'\n' | b'\r' | b' '..=b'~')), _) | (_, Reading::To(byte)) => {
            Step::Put(length, byte)
        }
        (_, Reading::Hidden) => Step::Drop(length),
        _ => Step::Keep(1),
    }
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | 0x20) - b'a' + 10,
        };
        number * 16 + u32::from(value)
    })
}

/// So much of a text is looked at before it is given up as plain.
const PLAIN_AT_ONCE: usize = 512;
/// So many words of eight bytes are looked at together.
const PLAIN_WORDS: usize = 4;
/// More invisible characters in a row are not left out.
const MOST_HIDDEN: usize = 16;
/// Four levels of quoting; a longer run is a text of its own.
const MOST_SLASHES: usize = 16;
/// And four of percent signs.
const MOST_PERCENTS: usize = 4;

#[cfg(test)]
mod tests;
