//! Telephone numbers: international ones behind `+`, and national ones that are written as such or follow a word for them.
//!
//! Left alone: times in seconds, serial numbers and other runs of digits without separators; what stands in a longer number.
//! Sources: ITU-T E.164 and its list of country codes; the North American numbering plan.

use super::Detector;
use super::place::{Place, Verdict, last};
use super::words::Words;

/// The telephone number that stands here: at `+`, `(` or the first digit.
pub(super) fn at(place: Place<'_>, detector: Detector, words: &Words, said: &[usize]) -> Verdict {
    let ahead = place.ahead();
    if place.follows(|byte| byte.is_ascii_alphanumeric() || b"-.+/_#$&".contains(&byte)) {
        return Verdict::No;
    }
    let announced = || words.said(last(place.behind(), NEAR)).any(said);
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
        match ends(rest) {
            None if !place.whole => return Verdict::More,
            Some(false) => {}
            _ if number.is_valid(&announced) => found = Verdict::Match(detector, at + 1),
            _ => {}
        }
    }
    found
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

    fn is_valid(&self, announced: &dyn Fn() -> bool) -> bool {
        let digits = &self.digits[..self.count];
        if self.open || digits.iter().all(|digit| Some(digit) == digits.first()) {
            return false;
        }
        if self.plus {
            return is_international(digits);
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
            [3, 3, 4] | [1, 3, 3, 4] if american => {
                (self.brackets || self.separator != b' ') && !self.mixed || announced()
            }
            // A date.
            [4, 2, 2] if self.separator == b'-' => false,
            // A trunk prefix and a place for the area code.
            [2..=5, ..] if digits.first() == Some(&0) && self.brackets => {
                (9..=12).contains(&self.count)
            }
            _ => (7..=15).contains(&self.count) && announced(),
        }
    }
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
/// Fifteen digits with separators.
const LONGEST: usize = 26;
const NEAR: usize = 40;

/// What announces a number.
pub(super) const WORDS: [&str; 32] = [
    "phone",
    "phones",
    "telephone",
    "tel",
    "tel.",
    "mobile",
    "cell",
    "call",
    "fax",
    "whatsapp",
    "sms",
    "text me",
    "dial",
    "telefon",
    "telefono",
    "teléfono",
    "téléphone",
    "handy",
    "mobil",
    "celular",
    "telefone",
    "numéro",
    "phone number",
    "contact number",
    "calling",
    "ph",
    "reach me",
    "reached at",
    "hotline",
    "ring",
    "电话",
    "電話",
];
