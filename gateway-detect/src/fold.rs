//! A text as its reader takes it: the ways to write an ASCII character otherwise are undone, and offsets lead back.
//!
//! In: text as it comes. Out: the same text with full-width, mathematical and other compatible forms of letters, digits and signs
//! as ASCII, the kinds of spaces and dashes as one, invisible characters left out, and escape sequences (`\n`, `\"`, `\u0041`, `\x41`,
//! `%41`) as what they stand for. Each step looks at one character or one sequence, so how the text is cut changes nothing.
//! Sources: Unicode 16 compatibility decompositions, general categories Zs, Pd and Cf; RFC 8259 section 7; RFC 3986 section 2.1.

/// A text, folded as far as it has come, and where its bytes came from.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The folded text, from `base` on.
    pub(super) text: String,
    /// What was pushed, from `raw_base` on.
    raw: String,
    /// Offset of `text` in the whole folded text.
    pub(super) base: usize,
    /// Offset of `raw` in the whole text.
    raw_base: usize,
    /// Where folded offsets and those of the text stop running alike.
    marks: Vec<Mark>,
    /// How much of `raw` is folded.
    done: usize,
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
    // Without an exit, the compiler makes it wide.
    text.bytes().fold(true, |plain, byte| {
        plain & byte.is_ascii() & (byte != b'%') & (byte != b'\\')
    })
}

impl Fold {
    /// The whole of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut fold = Self::default();
        fold.push(text);
        fold.finish();
        fold
    }

    /// Takes the next part.
    pub(super) fn push(&mut self, part: &str) {
        self.raw.push_str(part);
        if self.done + part.len() == self.raw.len() && is_plain(part) {
            self.text.push_str(part);
            self.done = self.raw.len();
            self.hidden = 0;
        } else {
            self.fold(false);
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) {
        self.fold(true);
    }

    /// How much is not folded, because what follows tells what it is.
    pub(super) fn pending(&self) -> usize {
        self.raw.len() - self.done
    }

    fn fold(&mut self, whole: bool) {
        while self.done < self.raw.len() {
            let rest = &self.raw[self.done..];
            let here = self.base + self.text.len();
            let from = self.raw_base + self.done;
            match step(rest, whole) {
                Step::More => return,
                Step::Keep(length) => {
                    self.text.push_str(&rest[..length]);
                    self.done += length;
                    self.hidden = 0;
                }
                Step::Put(length, byte) => {
                    self.text.push(char::from(byte));
                    self.mark(here, from, from);
                    self.mark(here + 1, from + length, from + length);
                    self.done += length;
                    self.hidden = 0;
                }
                // Enough of them in a row are text of their own, or nothing would bound what they hide.
                Step::Drop(length) if self.hidden == MOST_HIDDEN => {
                    self.text.push_str(&rest[..length]);
                    self.done += length;
                }
                Step::Drop(length) => {
                    self.mark(here, from, from + length);
                    self.done += length;
                    self.hidden += 1;
                }
            }
        }
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
        match self.last(at) {
            Some(mark) => mark.after + (at - mark.at),
            None => self.raw_base_of(at),
        }
    }

    /// Where in the whole text the folded byte before `at` ends.
    pub(super) fn end(&self, at: usize) -> usize {
        let at = self.base + at;
        match self.last(at) {
            Some(mark) if mark.at == at => mark.before,
            Some(mark) => mark.after + (at - mark.at),
            None => self.raw_base_of(at),
        }
    }

    /// Where all that is folded ends in the whole text.
    pub(super) fn done(&self) -> usize {
        self.raw_base + self.done
    }

    /// Without a mark before it, a text is as it came.
    fn raw_base_of(&self, at: usize) -> usize {
        at
    }

    fn last(&self, at: usize) -> Option<Mark> {
        let after = self.marks.partition_point(|mark| mark.at <= at);
        self.marks.get(after.checked_sub(1)?).copied()
    }

    /// The text between two offsets of the whole text that have not been given up.
    pub(super) fn raw(&self, from: usize, to: usize) -> &str {
        &self.raw[from - self.raw_base..to - self.raw_base]
    }

    /// Gives up the text before `raw`, and the folded text before the offset `at` of it.
    pub(super) fn drain(&mut self, at: usize, raw: usize) {
        self.text.drain(..at);
        self.base += at;
        let gone = raw - self.raw_base;
        self.raw.drain(..gone);
        self.raw_base = raw;
        self.done -= gone;
        let after = self.marks.partition_point(|mark| mark.at <= self.base);
        self.marks.drain(..after.saturating_sub(1));
    }
}

/// What becomes of the beginning of `rest`, which is not empty.
fn step(rest: &str, whole: bool) -> Step {
    let bytes = rest.as_bytes();
    if bytes[0].is_ascii() {
        return match bytes[0] {
            b'%' | b'\\' => sequence(bytes, whole),
            _ => {
                let end = bytes
                    .iter()
                    .position(|byte| !byte.is_ascii() || matches!(byte, b'%' | b'\\'));
                Step::Keep(end.unwrap_or(bytes.len()))
            }
        };
    }
    let Some(first) = rest.chars().next() else {
        return Step::Keep(rest.len());
    };
    let width = first.len_utf8();
    match folded(u32::from(first)) {
        Folded::Same => Step::Keep(width),
        Folded::Hidden => Step::Drop(width),
        Folded::To(byte) => Step::Put(width, byte),
    }
}

/// An escape sequence, or only its first character.
fn sequence(bytes: &[u8], whole: bool) -> Step {
    let keep = |needed: usize| match () {
        () if bytes.len() < needed && !whole => Step::More,
        () => Step::Keep(1),
    };
    if bytes[0] == b'%' {
        let digits = bytes[1..]
            .iter()
            .take(2)
            .take_while(|byte| byte.is_ascii_hexdigit());
        return match (digits.count(), bytes.len()) {
            (2, _) => put(3, hex(&bytes[1..3])),
            (all, length) if all + 1 == length => keep(3),
            _ => Step::Keep(1),
        };
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

/// So many bytes that stand for the character `code`.
fn put(length: usize, code: u32) -> Step {
    match (u8::try_from(code), folded(code)) {
        (Ok(byte @ (b'\t' | b'\n' | b'\r' | b' '..=b'~')), _) | (_, Folded::To(byte)) => {
            Step::Put(length, byte)
        }
        (_, Folded::Hidden) => Step::Drop(length),
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

enum Folded {
    Same,
    Hidden,
    To(u8),
}

fn folded(code: u32) -> Folded {
    let digit = |zero: u32| {
        u8::try_from(code - zero).map_or(Folded::Same, |value| Folded::To(b'0' + value % 10))
    };
    let letter = |first: u32| {
        let place = u8::try_from((code - first) % 52).unwrap_or_default();
        Folded::To(if place < 26 {
            b'A' + place
        } else {
            b'a' + place - 26
        })
    };
    let ascii = |first: u32, to: u8| {
        u8::try_from(code - first).map_or(Folded::Same, |place| Folded::To(to + place))
    };
    match code {
        0xA0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Folded::To(b' '),
        0x2028 | 0x2029 | 0x85 => Folded::To(b'\n'),
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xFE58 | 0xFE63 => Folded::To(b'-'),
        0xAD
        | 0x34F
        | 0x61C
        | 0x115F
        | 0x1160
        | 0x17B4
        | 0x17B5
        | 0x180B..=0x180E
        | 0x200B..=0x200F => Folded::Hidden,
        0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 => {
            Folded::Hidden
        }
        0xE0001 | 0xE007F | 0xE0100..=0xE01EF => Folded::Hidden,
        0xE0020..=0xE007E => ascii(0xE0020, b' '),
        0xFF01..=0xFF5E => ascii(0xFF01, b'!'),
        0x2024 | 0xFE52 | 0x3002 | 0xFF61 => Folded::To(b'.'),
        0xFE6B => Folded::To(b'@'),
        0xFE50 | 0x201A => Folded::To(b','),
        0xFE55 | 0xA789 | 0x2236 => Folded::To(b':'),
        0x2044 | 0x2215 => Folded::To(b'/'),
        0x2018 | 0x2019 | 0x201B => Folded::To(b'\''),
        0x201C..=0x201F => Folded::To(b'"'),
        0x1D400..=0x1D6A3 => letter(0x1D400),
        0x1D7CE..=0x1D7FF => digit(0x1D7CE),
        0x660..=0x669 => digit(0x660),
        0x6F0..=0x6F9 => digit(0x6F0),
        0x966..=0x96F => digit(0x966),
        0x9E6..=0x9EF => digit(0x9E6),
        0x2080..=0x2089 => digit(0x2080),
        0x2074..=0x2079 => digit(0x2070),
        0x2070 => Folded::To(b'0'),
        0xB9 => Folded::To(b'1'),
        0xB2 => Folded::To(b'2'),
        0xB3 => Folded::To(b'3'),
        0x2460..=0x2468 => ascii(0x2460, b'1'),
        0x24EA => Folded::To(b'0'),
        0x24B6..=0x24CF => ascii(0x24B6, b'A'),
        0x24D0..=0x24E9 => ascii(0x24D0, b'a'),
        _ => Folded::Same,
    }
}

/// More invisible characters in a row are not left out.
const MOST_HIDDEN: usize = 16;
/// Four levels of quoting; a longer run is a text of its own.
const MOST_SLASHES: usize = 16;

#[cfg(test)]
mod tests;
