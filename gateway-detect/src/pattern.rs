//! Patterns of issued keys: what they begin with, and how many characters of which alphabet follow.
//!
//! In: a text such as `ghp_<A36+>`, see [`Pattern::parse`]. Out: for a place, whether it matches there. Each part takes as much as
//! it can and gives nothing back: where a part has no fixed length, the next one begins with a character that it does not have.

use super::Detector;
use super::place::{ALPHANUMERIC, Class, Lines, Place, Tail, Verdict, run};
use super::scanner::HOLD;

/// One form of a key.
#[derive(Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(Vec<u8>),
    /// From so many to so many characters of a class; `usize::MAX` = however many.
    Run(&'static Class, usize, usize),
    /// A number, and so many lines in base 64, at the end.
    Lines,
}

/// What a pattern says of a place.
pub(super) enum Fit {
    No,
    More,
    /// It matches, up to here; the bytes behind its literal beginning start there.
    Match(usize),
    /// It matches, up to the end of the text, and may go on.
    Open(Tail),
}

impl Pattern {
    /// Reads a pattern: literal text with `(a|b)` for alternatives, and runs `<A20>`, `<A20-30>` or `<A20+>` whose letter names an
    /// [alphabet](class). `<uuid>` is one, and `<lines>` is a
    /// number and so many lines in base 64. Alternatives become patterns of their own.
    pub(super) fn parse(text: &str) -> Option<Vec<Self>> {
        if let Some((before, rest)) = text.split_once('(') {
            let (inside, after) = rest.split_once(')')?;
            let all = inside
                .split('|')
                .map(|one| Self::parse(&format!("{before}{one}{after}")));
            return Some(
                all.collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .flatten()
                    .collect(),
            );
        }
        let text = text.replace("<uuid>", "<H8>-<H4>-<H4>-<H4>-<H12>");
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('<').unwrap_or((rest, ""));
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.as_bytes().to_vec()));
            }
            if after.is_empty() {
                break;
            }
            let (inside, behind) = after.split_once('>')?;
            if inside == "lines" {
                parts.push(Part::Lines);
                rest = behind;
                continue;
            }
            let (name, count) = inside.split_at_checked(1)?;
            let (from, to) = match (count.strip_suffix('+'), count.split_once('-')) {
                (Some(least), _) => (least.parse().ok()?, usize::MAX),
                (None, Some((least, most))) => (least.parse().ok()?, most.parse().ok()?),
                (None, None) => (count.parse().ok()?, count.parse().ok()?),
            };
            parts.push(Part::Run(class(name)?, from, to));
            rest = behind;
        }
        let sound = parts.windows(2).all(|pair| match pair {
            [Part::Run(class, from, to), next] if from != to => {
                matches!(next, Part::Literal(text) if !class.has(text[0]))
            }
            _ => true,
        });
        (sound && !parts.is_empty()).then(|| vec![Self { parts }])
    }

    /// Whether a match can begin with this byte.
    pub(super) fn may_begin(&self, byte: u8) -> bool {
        match &self.parts[0] {
            Part::Literal(text) => text[0] == byte,
            Part::Run(class, ..) => class.has(byte),
            Part::Lines => byte.is_ascii_digit(),
        }
    }

    /// What stands so far behind the beginning in every match: the first character and the last one that are no free choice.
    pub(super) fn signs(&self) -> [Option<(usize, u8)>; 2] {
        let mut signs = [None; 2];
        let mut at = 0;
        for part in &self.parts {
            match part {
                Part::Run(_, from, to) if from == to => at += from,
                Part::Literal(text) => {
                    signs[0] = signs[0].or(Some((at, text[0])));
                    at += text.len();
                    signs[1] = Some((at - 1, text[text.len() - 1]));
                }
                Part::Run(..) | Part::Lines => break,
            }
        }
        signs
    }

    /// How many letters and digits every match begins with.
    pub(super) fn least_alphanumeric(&self) -> usize {
        let plain = |class: &Class| (0..128).all(|byte| ALPHANUMERIC.has(byte) || !class.has(byte));
        match self.parts[0] {
            Part::Run(class, from, _) if plain(class) => from,
            _ => 0,
        }
    }

    /// The text that every match begins with.
    pub(super) fn literal(&self) -> &[u8] {
        match &self.parts[0] {
            Part::Literal(text) => text,
            Part::Run(..) | Part::Lines => b"",
        }
    }

    /// The class of the first character, where that is no literal.
    pub(super) fn first(&self) -> Option<&'static Class> {
        match &self.parts[0] {
            Part::Literal(_) | Part::Lines => None,
            Part::Run(class, ..) => Some(class),
        }
    }

    /// Whether it ends as a literal text does.
    #[cfg(test)]
    pub(super) fn ends_in_literal(&self) -> bool {
        matches!(self.parts.last(), Some(Part::Literal(_)))
    }

    /// The length of the shortest match.
    #[cfg(test)]
    pub(super) fn shortest(&self) -> usize {
        let length = |part: &Part| match part {
            Part::Literal(text) => text.len(),
            Part::Run(_, from, _) => *from,
            Part::Lines => SHORTEST_LINES + 2,
        };
        self.parts.iter().map(length).sum()
    }

    /// Whether it matches here.
    pub(super) fn fit(&self, place: Place<'_>) -> Fit {
        let ahead = place.ahead();
        let undecided = if place.whole { Fit::No } else { Fit::More };
        let mut at = 0;
        for part in &self.parts {
            let rest = &ahead[at..];
            match part {
                Part::Literal(text) if rest.starts_with(text) => at += text.len(),
                Part::Literal(text) if text.starts_with(rest) => return undecided,
                Part::Literal(_) => return Fit::No,
                Part::Run(class, from, to) => {
                    let length = run(&rest[..rest.len().min(*to)], class);
                    let over = length < rest.len() || place.whole;
                    if length < *from {
                        return if over { Fit::No } else { undecided };
                    }
                    at += length;
                    // A part without an end that nothing bounds is the last one.
                    if !over && length < *to {
                        return if at >= HOLD {
                            Fit::Open(Tail::Run(class))
                        } else {
                            Fit::More
                        };
                    }
                }
                Part::Lines => {
                    let Some((count, start)) = counted(rest) else {
                        return undecided;
                    };
                    if count == 0 {
                        return Fit::No;
                    }
                    let from = at + start;
                    let (length, ended) = Tail::Lines(Lines(count)).run(&ahead[from..]);
                    let over = ended || place.whole;
                    if length < SHORTEST_LINES {
                        return if over { Fit::No } else { undecided };
                    }
                    at = from + length;
                    if !over && at < HOLD {
                        return Fit::More;
                    }
                    if !over {
                        let mut tail = Tail::Lines(Lines(count));
                        tail.run(&ahead[from..HOLD]);
                        return Fit::Open(tail);
                    }
                }
            }
        }
        match ahead.get(at) {
            None if !place.whole => Fit::More,
            // A match that fills the hold is told before its end is seen.
            Some(next) if at < HOLD && self.goes_on(*next) => Fit::No,
            _ => Fit::Match(at),
        }
    }

    /// Whether `next` behind a match is part of it, so that it is no match.
    fn goes_on(&self, next: u8) -> bool {
        next.is_ascii_alphanumeric()
            || matches!(self.parts.last(), Some(Part::Run(class, ..)) if class.has(next))
    }

    /// Something that matches: what `random` gives chooses the characters.
    #[cfg(test)]
    pub(super) fn sample(&self, mut random: impl FnMut() -> usize) -> String {
        let mut text = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.extend_from_slice(literal),
                Part::Run(class, from, _) => {
                    let all: Vec<u8> = (b'!'..=b'~')
                        .filter(|&byte| class.has(byte) && byte.is_ascii_alphanumeric())
                        .collect();
                    text.extend((0..*from).map(|_| all[random() % all.len()]));
                }
                Part::Lines => {
                    text.extend_from_slice(b"2\n");
                    text.extend((0..80).map(|at| match at {
                        40 => b'\n',
                        _ => b'A' + (random() % 26) as u8,
                    }));
                }
            }
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Fit {
    /// As a verdict for `detector`.
    pub(super) fn verdict(self, detector: Detector) -> Verdict {
        match self {
            Self::No => Verdict::No,
            Self::More => Verdict::More,
            Self::Match(length) => Verdict::Match(detector, length),
            Self::Open(tail) => Verdict::Open(detector, tail),
        }
    }
}

/// The number of lines that stands here, up to the end of its own, and where they begin; 0 where none can, nothing where the text ends.
fn counted(text: &[u8]) -> Option<(u32, usize)> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count = text[..digits.min(4)]
        .iter()
        .fold(0, |count, digit| count * 10 + u32::from(digit - b'0'));
    match text[digits..] {
        _ if digits > 3 => Some((0, 0)),
        [] | [b'\r'] => None,
        [b'\n', ..] => Some((count, digits + 1)),
        [b'\r', b'\n', ..] => Some((count, digits + 2)),
        _ => Some((0, 0)),
    }
}

/// No key has fewer characters in its lines.
const SHORTEST_LINES: usize = 60;

/// The alphabets that keys are written in.
pub(super) fn class(name: &str) -> Option<&'static Class> {
    static DIGIT: Class = Class::from(b"0123456789");
    static HEX: Class = Class::from(b"0123456789abcdef");
    static ANY_HEX: Class = Class::from(b"0123456789abcdefABCDEF");
    static LOWER: Class = Class::from(b"0123456789abcdefghijklmnopqrstuvwxyz");
    static UPPER: Class = Class::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    static ALL: Class = Class::alphanumeric_and(b"");
    static WORD: Class = Class::alphanumeric_and(b"_-");
    static DOTTED: Class = Class::alphanumeric_and(b"_-.");
    static BASE64: Class = Class::alphanumeric_and(b"+/");
    static PADDED: Class = Class::alphanumeric_and(b"+/=");
    static BASE32: Class = Class::from(b"234567ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    static LETTER: Class = Class::from(b"abcdefghijklmnopqrstuvwxyz");
    static SIGNED: Class = Class::alphanumeric_and(b"_-.~");
    static CRYPT: Class = Class::alphanumeric_and(b"./");
    static TOKEN: Class = Class::alphanumeric_and(b"_-.+/=~%");
    Some(match name {
        "d" => &DIGIT,
        "h" => &HEX,
        "H" => &ANY_HEX,
        "a" => &LOWER,
        "u" => &UPPER,
        "A" => &ALL,
        "w" => &WORD,
        "j" => &DOTTED,
        "b" => &BASE64,
        "B" => &PADDED,
        "2" => &BASE32,
        "l" => &LETTER,
        "q" => &SIGNED,
        "c" => &CRYPT,
        "t" => &TOKEN,
        _ => return None,
    })
}
