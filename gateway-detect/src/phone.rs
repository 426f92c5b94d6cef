//! Telephone numbers: international ones behind `+`, and national ones that are written as such or have a word for them, before or behind
//! them (`… office`); with their extension.
//!
//! Left alone: times in seconds, serial numbers and other runs of digits without separators; what stands in a longer number.
//! Sources: ITU-T E.164 and its list of country codes; the North American numbering plan.

mod words;

pub(super) use words::Announcing;

use super::Detector;
use super::place::{ALPHANUMERIC, Class, Place, Verdict, run};
use super::table::Table;
use super::words::{Words, after};

/// The telephone number that stands here: at `+`, `(` or the first digit.
pub(super) fn at(
    place: Place<'_>,
    detector: Detector,
    (words, table): (&Words, &mut Table),
    said: &Announcing,
) -> Verdict {
    let ahead = place.ahead();
    if place.follows(|byte| byte.is_ascii_alphanumeric() || b"-.+/_#$&".contains(&byte)) {
        return Verdict::No;
    }
    if is_short(ahead) {
        return Verdict::No;
    }
    let mut near = None;
    let mut announced = |length: usize, digits: bool| {
        let (written, plain) = *near.get_or_insert_with(|| said.announce(place, words));
        let told = if digits { plain } else { written };
        told || table.said(place, length, words).any(&said.names)
    };
    let mut number = Number::default();
    let mut found = Verdict::No;
    for at in 0..=LONGEST.min(ahead.len()) {
        let Some(&byte) = ahead.get(at) else {
            return if place.whole { found } else { Verdict::More };
        };
        if at == LONGEST || !number.push(byte, ahead.get(at + 1).copied()) {
            break;
        }
        let rest = &ahead[at + 1..];
        if !byte.is_ascii_digit() || rest.first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        let standing = number.standing();
        if standing == Standing::None {
            continue;
        }
        let Some(extension) = extension(rest, place.whole) else {
            return Verdict::More;
        };
        let length = at + 1 + extension;
        let rest = &ahead[length..];
        match ends(rest) {
            None if !place.whole => return Verdict::More,
            Some(false) => continue,
            _ => {}
        }
        let apart = || {
            !matches!(place.behind(), [.., b'0'..=b'9' | b'A'..=b'Z', b' '])
                && !matches!(rest, [b' ', b'0'..=b'9', ..])
        };
        let counts = match standing {
            Standing::Alone => Some(true),
            Standing::Apart if apart() => Some(true),
            _ if announced(length, number.is_plain()) => {
                is_measured(rest, place.whole).map(|measured| !measured)
            }
            _ => match is_named(rest, place.whole) {
                Some(false) => {
                    after::said(rest, place.whole, words).map(|after| after.any(&said.names))
                }
                named => named,
            },
        };
        match counts {
            None => return Verdict::More,
            Some(true) => found = Verdict::Match(detector, length),
            Some(false) => {}
        }
    }
    found
}

/// Whether some digits stand here that are over and too few: no other group follows. Most numbers are left by this.
fn is_short(ahead: &[u8]) -> bool {
    let digits = ahead.iter().take(SHORTEST);
    let length = digits.take_while(|byte| byte.is_ascii_digit()).count();
    (1..SHORTEST).contains(&length)
        && match ahead[length..] {
            [] | [b'(', ..] => false,
            [b' ' | b'-' | b'.' | b'/', ref next @ ..] => !next
                .first()
                .is_none_or(|next| next.is_ascii_digit() || *next == b'('),
            _ => true,
        }
}

/// The length of the extension that `rest` begins with: `x123`, ` ext. 123`; `None` while that is open.
fn extension(rest: &[u8], whole: bool) -> Option<usize> {
    for mark in [&b"x"[..], b" x", b" ext ", b" ext. "] {
        let here = &rest[..rest.len().min(mark.len())];
        if !here.eq_ignore_ascii_case(&mark[..here.len()]) {
            continue;
        }
        let digits = &rest[here.len()..rest.len().min(here.len() + LONGEST_EXTENSION + 1)];
        let digits = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let length = here.len() + digits;
        if length == rest.len() && digits <= LONGEST_EXTENSION && !whole {
            return None;
        }
        if (2..=LONGEST_EXTENSION).contains(&digits) {
            return Some(length);
        }
    }
    Some(0)
}

/// Whether `rest` says that what stands before it is a number, as in `… office` at the end of a line; `None` while that is open.
fn is_named(rest: &[u8], whole: bool) -> Option<bool> {
    let gap = run(&rest[..rest.len().min(3)], &GAP);
    if gap == 3 || gap == 0 && !rest.is_empty() {
        return Some(false);
    }
    let (name, after) = rest[gap..].split_at(run(
        &rest[gap..rest.len().min(gap + LONGEST_NAME)],
        &ALPHANUMERIC,
    ));
    let open = after.is_empty() && !whole;
    let fits = |all: &&&[u8]| {
        all.len() >= name.len()
            && all[..name.len()].eq_ignore_ascii_case(name)
            && (open || all.len() == name.len())
    };
    match (NAMES.iter().find(fits), after) {
        (None, _) => Some(false),
        (Some(_), [] | [b' ']) if !whole => None,
        // A sentence goes on: it counts such things.
        (Some(_), [b' ', next, ..]) => Some(!next.is_ascii_alphanumeric()),
        (Some(_), [next, ..]) => Some(!next.is_ascii_alphanumeric()),
        (Some(_), []) => Some(true),
    }
}

/// Whether `rest` begins with a unit, so that what stands before it measures something; `None` while that is open.
fn is_measured(rest: &[u8], whole: bool) -> Option<bool> {
    let Some(after) = rest.strip_prefix(b" ") else {
        return if rest.is_empty() && !whole {
            None
        } else {
            Some(false)
        };
    };
    let length = run(&after[..after.len().min(LONGEST_UNIT + 1)], &ALPHANUMERIC);
    if length == after.len() && length <= LONGEST_UNIT && !whole {
        return None;
    }
    Some(UNITS.contains(&&after[..length]))
}

/// Whether a number may end before `rest`; `None` while that is open.
fn ends(rest: &[u8]) -> Option<bool> {
    match rest {
        [] | [b'-' | b'.' | b'/' | b':' | b','] => None,
        [next, ..] if next.is_ascii_alphanumeric() || matches!(next, b'_' | b'@') => Some(false),
        [b'-' | b'.' | b'/' | b':' | b',', next, ..] => Some(!next.is_ascii_digit()),
        _ => Some(true),
    }
}

/// What is read of a number so far.
#[derive(Default)]
struct Number {
    digits: [u8; 15],
    count: usize,
    plus: bool,
    brackets: bool,
    open: bool,
    /// The digits of each group.
    groups: [u8; 8],
    group: usize,
    separator: u8,
    mixed: bool,
}

impl Number {
    /// Reads one more byte; `false` where the number is over.
    fn push(&mut self, byte: u8, next: Option<u8>) -> bool {
        match byte {
            b'+' if self.count == 0 && !self.plus => self.plus = true,
            b'0'..=b'9' if self.count < 15 => {
                self.digits[self.count] = byte - b'0';
                self.count += 1;
                self.groups[self.group] += 1;
            }
            b'(' if !self.brackets => {
                (self.brackets, self.open) = (true, true);
                return self.next_group();
            }
            b')' if self.open => {
                self.open = false;
                return self.next_group();
            }
            b' ' | b'-' | b'.' | b'/'
                if self.count > 0
                    && next.is_none_or(|next| next.is_ascii_digit() || next == b'(') =>
            {
                self.mixed |= self.separator != 0 && self.separator != byte && !self.brackets;
                self.separator = byte;
                return self.next_group();
            }
            b' ' if self.brackets && next.is_none_or(|next| next.is_ascii_digit()) => {
                return self.next_group();
            }
            _ => return false,
        }
        true
    }

    fn next_group(&mut self) -> bool {
        if self.groups[self.group] > 0 {
            self.group += 1;
        }
        self.group < self.groups.len()
    }

    fn standing(&self) -> Standing {
        let digits = &self.digits[..self.count];
        let same = digits.iter().all(|digit| Some(digit) == digits.first());
        // A country code that is given to nobody (ITU-T E.164): surrogates are there.
        let nobodys = self.plus && digits.starts_with(&[9, 9, 9]);
        if self.open || self.count < SHORTEST || same || nobodys {
            return Standing::None;
        }
        if self.is_other() {
            return Standing::None;
        }
        if self.plus {
            return if is_international(digits) {
                Standing::Alone
            } else {
                Standing::Announced
            };
        }
        // Only the last one may be empty.
        let groups = &self.groups[..=self.group.min(self.groups.len() - 1)];
        let groups = match groups {
            [written @ .., 0] => written,
            all => all,
        };
        let american = match digits {
            [1, rest @ ..] if rest.len() == 10 => is_american(rest),
            rest if rest.len() == 10 => is_american(rest),
            _ => false,
        };
        match *groups {
            [3, 3, 4] | [1, 3, 3, 4]
                if american
                    && (self.brackets || !matches!(self.separator, b' ' | b'/'))
                    && !self.mixed =>
            {
                Standing::Alone
            }
            // The prefix of calls abroad, before the code of a country.
            [2..=6, _, ..]
                if digits.starts_with(&[0, 0])
                    && !self.mixed
                    && self.separator == b' '
                    && is_international(&digits[2..]) =>
            {
                Standing::Apart
            }
            // A date.
            [4, 2, 2] if self.separator == b'-' => Standing::None,
            // A trunk prefix: with a place for the area code, or in three groups or more.
            [2..=5, ..] if digits[0] == 0 && self.brackets && (9..=12).contains(&self.count) => {
                Standing::Alone
            }
            [3..=5, _, ref more @ ..]
                if digits[0] == 0
                    && digits[1] != 0
                    && self.separator == b' '
                    && !self.mixed
                    && (10..=11).contains(&self.count)
                    && !more.is_empty()
                    && groups[1..].iter().all(|group| (2..=4).contains(group)) =>
            {
                Standing::Apart
            }
            _ => Standing::Announced,
        }
    }
}

impl Number {
    /// Whether it is no more than some digits, as many as anything is counted by.
    fn is_plain(&self) -> bool {
        let signs = self.plus || self.brackets || self.separator != 0;
        !signs && self.count < 10 && self.digits[0] != 0
    }

    /// Whether it is written as a decimal, an address of a network, or the first and the last of some years.
    fn is_other(&self) -> bool {
        let groups = &self.groups[..=self.group.min(self.groups.len() - 1)];
        let year = |at: usize| matches!(self.digits[at..at + 2], [1, 9] | [2, 0]);
        match *groups {
            [whole, _] if self.separator == b'.' => self.plus && whole > 3,
            [1..=3, 1..=3, 1..=3, 1..=3] => self.separator == b'.' && !self.mixed && !self.plus,
            [4, 4] => self.separator == b'-' && year(0) && year(4),
            // A day in one piece.
            [8] => {
                year(0) && matches!(self.digits[4..6], [0, _] | [1, 0..=2]) && self.digits[6] < 4
            }
            _ => false,
        }
    }
}

/// What makes a number one of a telephone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    None,
    /// A word for it.
    Announced,
    /// The way it is written, if no other number stands beside it.
    Apart,
    /// The way it is written.
    Alone,
}

/// The North American plan: neither area nor exchange begins with 0 or 1, nor is one of the service codes.
fn is_american(digits: &[u8]) -> bool {
    let service = |part: &[u8]| part[1] == 1 && part[2] == 1;
    matches!(digits[0], 2..=9)
        && matches!(digits[3], 2..=9)
        && !service(&digits[..3])
        && !service(&digits[3..6])
}

fn is_international(digits: &[u8]) -> bool {
    let code = |length: usize| {
        digits[..length]
            .iter()
            .fold(0_u16, |code, digit| code * 10 + u16::from(*digit))
    };
    if !(8..=15).contains(&digits.len()) {
        return false;
    }
    match code(1) {
        1 => return digits.len() == 11 && is_american(&digits[1..]),
        7 => return digits.len() == 11,
        _ => {}
    }
    TWO.contains(&code(2))
        || matches!(code(3), 210..=299 | 350..=389 | 420..=423 | 500..=509 | 590..=599 | 670..=692 | 800 | 808 | 850..=889 | 960..=998)
}

const TWO: [u16; 44] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56,
    57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];
/// No number has fewer digits.
const SHORTEST: usize = 7;
/// Fifteen digits with separators.
const LONGEST: usize = 26;
const LONGEST_EXTENSION: usize = 6;

/// What a number may be called behind it, and what stands between the two.
const NAMES: [&[u8]; 11] = [
    b"office",
    b"fax",
    b"mobile",
    b"cell",
    b"home",
    b"desk",
    b"work",
    b"direct",
    b"phone",
    b"tel",
    b"landline",
];
const LONGEST_NAME: usize = 9;
/// What is measured in ranges, as it is written.
const UNITS: [&[u8]; 23] = [
    b"mAh", b"Ah", b"mA", b"mW", b"kW", b"Wh", b"px", b"dpi", b"ppi", b"Hz", b"kHz", b"MHz",
    b"GHz", b"mm", b"cm", b"km", b"ms", b"kB", b"KB", b"MB", b"GB", b"nits", b"rpm",
];
const LONGEST_UNIT: usize = 4;
static GAP: Class = Class::from(b" -(");

#[cfg(test)]
mod tests;
