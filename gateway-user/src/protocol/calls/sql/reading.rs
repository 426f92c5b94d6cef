//! How databases read quotes and comments, each in its way.
//!
//! One database mixes what others have one by one (PostgreSQL has escapes in `E''` and `#` as an operator), so each way is a switch of its
//! own, and a text is read with all combinations of those that make a difference to it.

/// How one database reads quotes and comments: a set of [`Switch`]es.
#[derive(Clone, Copy)]
pub(super) struct Reading(u32);

type Switch = u32;

/// A backslash escapes in single quotes.
const ESCAPES: Switch = 1;
/// A backslash escapes in single quotes behind an `E`.
const MARKED: Switch = 1 << 1;
/// A backslash does not escape in single quotes behind an `r`.
const RAW: Switch = 1 << 2;
/// A backslash escapes in double quotes.
const DOUBLE: Switch = 1 << 3;
/// `#` begins a comment.
const HASH: Switch = 1 << 4;
/// `--` begins a comment only before a space.
const SPACED: Switch = 1 << 5;
/// `//` begins a comment.
const SLASHES: Switch = 1 << 6;
/// `$x$` is a quote.
const DOLLARS: Switch = 1 << 7;
/// Comments nest.
const NESTS: Switch = 1 << 8;
/// What stands in `/*!` is run.
const RUN: Switch = 1 << 9;
/// `[` is a quote, in which `]]` is a bracket.
const BRACKETS: Switch = 1 << 10;
/// The first `]` ends it.
const SHORT: Switch = 1 << 11;
/// A backquote is no quote.
const BARE: Switch = 1 << 12;
/// Three quotes are one.
const TRIPLE: Switch = 1 << 13;
/// `q'[` is a quote that ends with `]'`.
const CHOSEN: Switch = 1 << 14;

impl Reading {
    /// Every reading of a text that may differ from the others, and whether these are all.
    pub(super) fn all(text: &str) -> (Vec<Self>, bool) {
        let mask = differing(text);
        if mask.count_ones() > MOST {
            let single = (0..u32::BITS).map(|bit| mask & (1 << bit));
            let some = single.filter(|switch| *switch != 0).chain([0, mask]);
            return (some.map(Self).collect(), false);
        }
        let mut readings = vec![Self(mask)];
        let mut subset = mask;
        while subset != 0 {
            subset = (subset - 1) & mask;
            readings.push(Self(subset));
        }
        // The server's version decides whether it runs what stands in `/*!50000 */`.
        (readings, mask & RUN == 0)
    }

    /// The next token, and what follows it.
    pub(super) fn token(self, text: &str, next: char) -> (&str, &str) {
        let end = match next {
            '\'' | '"' => self.string(text, ""),
            '`' if !self.has(BARE) => quoted(text, 1, "`", false),
            '[' if self.has(BRACKETS) => bracketed(text, self.has(SHORT)),
            '$' if self.has(DOLLARS) => dollars(text),
            _ if self.is_comment(text) => match next {
                '/' if text.starts_with("/*") => comment(text, self.has(NESTS)),
                _ => text.find('\n').unwrap_or(text.len()),
            },
            '/' if text.starts_with("/*") => run_comment(text).unwrap_or(1),
            letter if letter.is_ascii_alphabetic() => {
                let name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let end = text.find(|c| !name(c)).unwrap_or(text.len());
                let (word, after) = text.split_at(end);
                match after.starts_with(['\'', '"']) && is(word, PREFIXES) {
                    true => end + self.string(after, word),
                    false => end,
                }
            }
            other => other.len_utf8(),
        };
        text.split_at(end)
    }

    /// Whether a token, or what a text begins with, is a comment.
    pub(super) fn is_comment(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(b'/') if text.starts_with("/*") => !(self.has(RUN) && run_comment(text).is_some()),
            Some(b'/') => self.has(SLASHES) && text.starts_with("//"),
            Some(b'#') => self.has(HASH),
            Some(b'-') if text.starts_with("--") => {
                !self.has(SPACED) || bytes.get(2).is_none_or(|byte| *byte <= b' ')
            }
            _ => false,
        }
    }

    /// Where a string ends, by the letters before it.
    fn string(self, text: &str, prefix: &str) -> usize {
        let quote = &text[..1];
        if self.has(CHOSEN) && quote == "'" && is(prefix, &["q", "nq"]) {
            return chosen(text);
        }
        let escapes = match quote {
            "'" if is(prefix, &["e"]) => self.has(ESCAPES) || self.has(MARKED),
            _ if is(prefix, &["r", "rb", "br"]) && self.has(RAW) => false,
            "'" => self.has(ESCAPES),
            _ => self.has(DOUBLE),
        };
        let mut triple = ["'''", "\"\"\""].into_iter();
        if self.has(TRIPLE)
            && let Some(triple) = triple.find(|triple| text.starts_with(triple))
        {
            return quoted(text, 3, triple, escapes);
        }
        quoted(text, 1, quote, escapes)
    }

    fn has(self, switch: Switch) -> bool {
        self.0 & switch != 0
    }
}

/// The switches that make a difference to a text.
fn differing(text: &str) -> u32 {
    let has = |sign: &str| text.contains(sign);
    let marked = |letters: [&str; 2]| letters.into_iter().any(has);
    let escaped = has("\\'");
    let backquotes: Vec<&str> = text.split('`').collect();
    let odd_name = |name: &&str| !name.bytes().all(is_in_name);
    let bare =
        backquotes.len().is_multiple_of(2) || backquotes.iter().skip(1).step_by(2).any(odd_name);
    let bracketed = |inside: &str| odd_name(&inside.split(']').next().unwrap_or_default());
    let brackets = has("[") && (has("]]") || text.split('[').skip(1).any(bracketed));
    let mut ends = text.as_bytes().windows(3);
    [
        (ESCAPES, escaped),
        (MARKED, escaped && marked(["e'", "E'"])),
        (RAW, marked(["\\'", "\\\""]) && is_raw(text)),
        (DOUBLE, has("\\\"")),
        (HASH, has("#")),
        (
            SPACED,
            ends.any(|end| end.starts_with(b"--") && end[2] > b' '),
        ),
        (SLASHES, text.starts_with("//") || is_slashed(text)),
        (DOLLARS, is_dollared(text)),
        (NESTS, is_nested(text)),
        (RUN, marked(["/*!", "/*M!"])),
        (BRACKETS, brackets),
        (SHORT, brackets && has("]]")),
        (BARE, bare),
        (TRIPLE, marked(["'''", "\"\"\""])),
        (CHOSEN, marked(["q'", "Q'"])),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .fold(0, |mask, (switch, _)| mask | switch)
}

/// What stands in a quoted name and could do nothing outside of quotes.
fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_ .,:".contains(&byte)
}

/// Whether a string may be a raw one.
fn is_raw(text: &str) -> bool {
    let raw = |c: u8| matches!(c, b'r' | b'R' | b'b' | b'B');
    let mut pairs = text.as_bytes().windows(2);
    pairs.any(|pair| raw(pair[0]) && matches!(pair[1], b'\'' | b'"'))
}

/// Whether slashes stand where they are none of a URL.
fn is_slashed(text: &str) -> bool {
    let mut parts = text.as_bytes().windows(3);
    parts.any(|part| part[0] != b':' && &part[1..] == b"//")
}

/// Whether something stands between two `$` that could be a quote's name.
fn is_dollared(text: &str) -> bool {
    let parts: Vec<&str> = text.split('$').collect();
    let name = |part: &&str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
    parts.len() > 2 && parts[1..parts.len() - 1].iter().any(name)
}

/// Whether a comment may begin in another.
fn is_nested(text: &str) -> bool {
    let mut open = text.contains("/*/");
    for pair in text.as_bytes().windows(2) {
        match pair {
            b"/*" if open => return true,
            b"/*" => open = true,
            b"*/" => open = false,
            _ => {}
        }
    }
    false
}

/// Where a quote ends that begins with so many signs.
fn quoted(text: &str, signs: usize, end: &str, escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = signs;
    while at < bytes.len() {
        if bytes[at..].starts_with(end.as_bytes()) {
            return at + end.len();
        }
        at += 1;
        if escapes && bytes[at - 1] == b'\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    text.len()
}

/// Where a name in brackets ends.
fn bracketed(text: &str, short: bool) -> usize {
    let mut at = 1;
    while let Some(end) = text[at..].find(']') {
        at += end + 1;
        if short || !text[at..].starts_with(']') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Where a string ends whose author chose its quotes.
fn chosen(text: &str) -> usize {
    let Some(open) = text[1..].chars().next() else {
        return text.len();
    };
    let close = match open {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '<' => '>',
        other => other,
    };
    let start = 1 + open.len_utf8();
    let end = format!("{close}'");
    text[start..]
        .find(&end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// Where a quote between `$x$` ends; one character where there is none.
fn dollars(text: &str) -> usize {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let inside = &text[1..];
    let Some(end) = inside
        .find(|c| !name(c))
        .filter(|at| inside[*at..].starts_with('$'))
    else {
        return 1;
    };
    let tag = &text[..end + 2];
    text[tag.len()..]
        .find(tag)
        .map_or(text.len(), |at| at + 2 * tag.len())
}

/// Where a comment ends.
fn comment(text: &str, nests: bool) -> usize {
    let bytes = text.as_bytes();
    let (mut open, mut at) = (1, 2);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"*/" => {
                (open, at) = (open - 1, at + 2);
                if open == 0 {
                    return at;
                }
            }
            b"/*" if nests => (open, at) = (open + 1, at + 2),
            _ => at += 1,
        }
    }
    text.len()
}

/// How long the beginning of a comment is whose inside MySQL (`/*!`) or MariaDB (`/*M!`) runs; `/*+` is a hint.
fn run_comment(text: &str) -> Option<usize> {
    let start = ["/*!", "/*M!"]
        .into_iter()
        .find(|start| text.starts_with(start))?;
    let version = text[start.len()..].bytes().take_while(u8::is_ascii_digit);
    Some(start.len() + version.count())
}

/// Whether it is one of these, in small letters or large ones.
fn is(word: &str, some: &[&str]) -> bool {
    some.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// What stands before a string and is a part of it.
const PREFIXES: &[&str] = &["e", "n", "q", "nq", "r", "b", "rb", "br"];
/// With more switches a text is read with each of them alone: no text that is meant to be read has as many.
const MOST: u32 = 5;
