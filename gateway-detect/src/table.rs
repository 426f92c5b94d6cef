//! Which column of a table a place is in, and what that is called: CSV, lines with tabs or semicolons, Markdown, what databases print.
//!
//! In: the text up to a place. Out: the name above the cell that begins there. A table is a line of names and the lines below it that have
//! as many of its sign, of which only those up to the place are known: what follows changes nothing, and neither does how the text was
//! cut. Nothing is read before a cell without a word for its number asks; no byte is read twice, and of longer lines nothing is kept.

use super::place::{Class, Place, last};
use super::words::{Said, Words};

/// What is known of the lines before a place.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// How much of the text is read.
    done: usize,
    /// The line that is not over, as far as it is read.
    line: Vec<u8>,
    /// It is longer than what is kept.
    long: bool,
    /// The first line of the table, and what separates its cells how often; no sign: there is none.
    names: Vec<u8>,
    sign: u8,
    count: usize,
}

impl Table {
    /// What the name of the column says whose cell is the number of `length` bytes that stands here.
    pub(super) fn said(&mut self, place: Place<'_>, length: usize, words: &Words) -> Said {
        let name = self.name(place, place.ahead().get(length).copied());
        name.map_or_else(Said::default, |name| words.said(name))
    }

    /// The name of the column whose cell begins here, with a value before `next`.
    pub(super) fn name(&mut self, place: Place<'_>, next: Option<u8>) -> Option<&[u8]> {
        let before = last(place.behind(), PADDING);
        let begins = before.iter().rposition(|byte| !b" \"'`".contains(byte));
        let apart = begins.is_some_and(|at| BEFORE.has(before[at]))
            || begins.is_none() && before.len() < PADDING;
        if !apart || next.is_some_and(|byte| !END.has(byte)) {
            return None;
        }
        self.read(place.text, place.at);
        // A space may have a word behind it, save before a line.
        if self.sign == 0 || self.long || next == Some(b' ') && self.sign != b'|' {
            return None;
        }
        let begins = self.line.iter().rposition(|byte| !b" \"'`".contains(byte));
        if begins.is_some_and(|at| self.line[at] != self.sign) {
            return None;
        }
        cells(&self.names, self.sign).nth(cells(&self.line, self.sign).count() - 1)
    }

    /// Reads the text up to here; `text` begins where it did before, or so much later as was [forgotten](Self::forget).
    pub(super) fn read(&mut self, text: &[u8], to: usize) {
        while self.done < to {
            let rest = &text[self.done..to];
            let end = line_end(rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            self.long |= self.line.len() + part.len() > LONGEST;
            if !self.long {
                self.line.extend_from_slice(part);
            }
            self.done += part.len();
            if end.is_some() {
                self.done += 1;
                self.end_line();
            }
        }
    }

    /// The text now begins so much later; that much is read.
    pub(super) fn forget(&mut self, gone: usize) {
        self.done -= gone;
    }

    fn end_line(&mut self) {
        let line = self.line.trim_ascii_end();
        let rule = line.contains(&b'-') && line.iter().all(|byte| b"-+|=: \t".contains(byte));
        let row = self.sign != 0
            && !self.long
            && cells(line, self.sign).count() == self.count
            && !line.is_empty();
        if !rule && !row {
            self.begin();
        }
        self.line.clear();
        self.long = false;
    }

    /// The line may begin a table.
    fn begin(&mut self) {
        self.sign = 0;
        // Without an exit, the compiler makes it wide.
        let signs = self.line.iter().fold(false, |any, byte| {
            any | (*byte == b',') | (*byte == b';') | (*byte == b'\t') | (*byte == b'|')
        });
        if self.long || !signs {
            return;
        }
        // A text in a JSON document begins behind its name.
        let line = self.line.trim_ascii_end();
        let behind = line.windows(2).rposition(|pair| pair == b":\"");
        let line = &line[behind.map_or(0, |at| at + 2)..];
        let count = |sign: u8| line.iter().filter(|byte| **byte == sign).count();
        let Some(sign) = SIGNS.into_iter().max_by_key(|sign| count(*sign)) else {
            return;
        };
        if count(sign) > 0 && cells(line, sign).all(is_name) {
            self.sign = sign;
            self.count = cells(line, sign).count();
            self.names.clear();
            self.names.extend_from_slice(line);
        }
    }
}

/// The cells of a line; the sign separates none within double quotes.
fn cells(line: &[u8], sign: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == sign && !quoted
    })
}

/// Whether a cell is a name: short, and nothing that ends a sentence.
fn is_name(cell: &[u8]) -> bool {
    static NAME: Class = Class::alphanumeric_and(b" _-./#()'\"");
    let cell = cell.trim_ascii();
    cell.len() <= LONGEST_NAME
        && cell.iter().all(|byte| NAME.has(*byte) || !byte.is_ascii())
        && cell.iter().filter(|byte| **byte == b' ').count() <= 4
        && !cell.ends_with(b".")
        && !cell
            .iter()
            .all(|byte| byte.is_ascii_digit() && !cell.is_empty())
        || cell.is_empty()
}

/// Where the first line ends.
fn line_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for block in text.chunks(64) {
        // Without an exit, the compiler makes it wide.
        if block
            .iter()
            .fold(false, |found, byte| found | (*byte == b'\n'))
        {
            return block
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|end| at + end);
        }
        at += block.len();
    }
    None
}

/// What cells are separated by; of two that are as frequent, the later.
const SIGNS: [u8; 4] = *b",;\t|";
/// What may stand right before a cell's value, and behind it.
static BEFORE: Class = Class::from(b",;\t|\n");
static END: Class = Class::from(b",;\t| \"'`\n\r");
/// No line of a table is longer.
const LONGEST: usize = 2048;
const LONGEST_NAME: usize = 40;
/// No cell has more spaces before its value.
const PADDING: usize = 24;

#[cfg(test)]
mod tests;
