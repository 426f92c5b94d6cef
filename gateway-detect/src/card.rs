//! Payment card numbers: 12 to 19 digits of a known issuer range, or behind a word for cards, that satisfy the Luhn check, written in one
//! piece or in the groups cards are printed in.
//!
//! Numbers inside words and hashes, decimals (`0.4111…`) and telephone numbers (`+49…`) are not cards. Groups count as a whole: a
//! card may stand beside further numbers (`… 1111 12/27`), never inside a longer run of digits. Of the ranges that only a word proves,
//! many are issued, and no list of them is complete; but what is announced as the number of a SIM or identity card is none.
//! Ranges and check digit: ISO/IEC 7812-1, annex B; the ranges are those the networks publish.

use super::Detector;
use super::checks::luhn;
use super::place::{LOOKBEHIND, Place, Verdict, last, unanswered};
use super::table::Table;
use super::words::Words;

/// The words that announce a card, and those that say that it is another kind of card.
#[derive(Debug)]
pub(super) struct Said {
    cards: Vec<usize>,
    others: Vec<usize>,
}

impl Said {
    pub(super) fn new(words: &mut Words) -> Self {
        let mut numbers = |all: &[&str]| all.iter().map(|word| words.number(word)).collect();
        Self {
            cards: numbers(&CARDS),
            others: numbers(&OTHERS),
        }
    }
}

/// What stands here, if it is a card number.
pub(super) fn at(
    place: Place,
    detector: Detector,
    (words, table): (&Words, &mut Table),
    said: &Said,
) -> Verdict {
    let ahead = place.ahead();
    if !ahead[0].is_ascii_digit() || !may_start(place) {
        return Verdict::No;
    }
    // Most numbers are left by their first group.
    let first = digits(ahead).len();
    if first < ahead.len() && !may_begin(first) {
        return Verdict::No;
    }
    let mut number = Number::default();
    let mut found = Verdict::No;
    let mut end = 0;
    let mut joint: Option<&[u8]> = None;
    // Cards are not printed so: only a word proves that it is one.
    let mut odd = false;
    let mut announced = |length: usize| {
        let says = |near: &super::words::Said| near.any(&said.cards) && !near.any(&said.others);
        let mut room = [0; LOOKBEHIND];
        let behind = unanswered(place.behind(), &mut room);
        says(&words.said(last(behind, NEAR))) || says(&table.said(place, length, words))
    };
    loop {
        let group = digits(&ahead[end..]);
        end += group.len();
        if !number.push(group) {
            return found;
        }
        let rest = &ahead[end..];
        let gap = separator(rest);
        // One byte tells whether the group is over; after a separator or a full stop it takes one more.
        let needed = if rest.starts_with(b".") {
            2
        } else {
            gap.max(usize::from(rest.starts_with(b" ")) * 3) + 1
        };
        if rest.len() < needed && !place.whole {
            return Verdict::More;
        }
        if may_end(rest) && number.is_card(odd, || announced(end)) {
            found = Verdict::Match(detector, end);
        }
        let next = rest.get(gap).is_some_and(u8::is_ascii_digit);
        if gap == 0 || !next || *joint.get_or_insert(&rest[..gap]) != &rest[..gap] {
            return found;
        }
        odd |= !matches!(rest[..gap], [b' ' | b'-']);
        end += gap;
    }
}

fn may_start(place: Place) -> bool {
    let decimal = matches!(place.behind(), [.., before, b'.'] if before.is_ascii_digit());
    // What begins an account number.
    let account = matches!(
        place.behind(),
        [.., b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', b' ']
    );
    !decimal && !account && !place.follows(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
}

/// Whether a card [is printed](Number::is_printed_so) with so many digits in its first group.
fn may_begin(first: usize) -> bool {
    matches!(first, 4 | 6) || (SHORTEST..=LONGEST).contains(&first)
}

fn may_end(rest: &[u8]) -> bool {
    match rest {
        [b'.', after, ..] => !after.is_ascii_digit(),
        [next, ..] => !next.is_ascii_alphanumeric(),
        [] => true,
    }
}

/// The digits `text` starts with, at most one more than a card has.
fn digits(text: &[u8]) -> &[u8] {
    let length = text
        .iter()
        .take(LONGEST + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    &text[..length]
}

/// The length of the separator `text` starts with: a sign, two spaces, or a sign between two.
fn separator(text: &[u8]) -> usize {
    match text {
        [b' ', b'-' | b'/' | b'.', b' ', ..] => 3,
        [b' ', b' ', ..] => 2,
        [b' ' | b'-' | b'.' | b'/', ..] => 1,
        _ => 0,
    }
}

/// The groups read so far; the digits fit, for a number that is too long is dropped.
#[derive(Default)]
struct Number {
    digits: [u8; LONGEST],
    length: usize,
    groups: [usize; LONGEST],
    count: usize,
}

impl Number {
    /// Adds a group; `false` when the number has become too long for a card.
    fn push(&mut self, group: &[u8]) -> bool {
        let Some(room) = self.digits.get_mut(self.length..self.length + group.len()) else {
            return false;
        };
        room.copy_from_slice(group);
        self.length += group.len();
        self.groups[self.count] = group.len();
        self.count += 1;
        true
    }

    fn is_card(&self, odd: bool, announced: impl FnOnce() -> bool) -> bool {
        self.is_printed_so()
            && luhn(&self.digits[..self.length])
            && (!odd && self.has_issuer() && !self.is_article() && !self.is_identifier()
                || self.may_be_issued() && announced())
    }

    /// In one piece, in fours, or in a network's own layout. Any grouping would turn every table of numbers into cards.
    fn is_printed_so(&self) -> bool {
        match &self.groups[..self.count] {
            [all] => (SHORTEST..=LONGEST).contains(all),
            [4, 6, 4 | 5] | [4, 3, 3, 3] | [6, 13] => true,
            [fours @ .., last] => {
                fours.len() >= 3 && fours.iter().all(|&four| four == 4) && (1..=4).contains(last)
            }
            [] => false,
        }
    }

    fn has_issuer(&self) -> bool {
        let six = self.digits[..6].iter().fold(0_u32, |number, &digit| {
            number * 10 + u32::from(digit - b'0')
        });
        ISSUERS.iter().any(|(from, to, lengths)| {
            (*from..=*to).contains(&six) && lengths.contains(&self.length)
        })
    }

    /// Whether some range may have it: not of telecommunications, no time in fractions of a second, not one digit over and over.
    fn may_be_issued(&self) -> bool {
        let digits = &self.digits[..self.length];
        let time = digits[0] == b'1' && digits.len() != 15;
        // A country's own (9), of one that is none (ISO 3166-1 has no 999): surrogates are there.
        let nobodys = digits.starts_with(b"9999");
        !time
            && !nobodys
            && !digits.starts_with(b"89")
            && digits.iter().any(|digit| *digit != digits[0])
    }

    /// Longer numbers in one piece are drawn by programs more often than they are printed on cards.
    fn is_identifier(&self) -> bool {
        matches!(self.groups[..self.count], [all] if all > 16)
    }

    /// The number on an article's bar code (GS1 General Specifications, section 7.9) has 12 or 13 digits and a check digit of its own.
    fn is_article(&self) -> bool {
        let digits = self.digits[..self.length]
            .iter()
            .rev()
            .zip([1, 3].iter().cycle());
        let sum: u32 = digits
            .map(|(digit, weight)| u32::from(*digit - b'0') * weight)
            .sum();
        matches!(self.groups[..self.count], [12 | 13]) && sum.is_multiple_of(10)
    }
}

const SHORTEST: usize = 12;
const LONGEST: usize = 19;
/// How far before a number a word may stand.
const NEAR: usize = 40;

/// What announces a number.
const CARDS: [&str; 46] = [
    "karte",
    "card",
    "cards",
    "cardnumber",
    "creditcard",
    "cc",
    "ccnum",
    "ccn",
    "visa",
    "mastercard",
    "maestro",
    "amex",
    "american express",
    "jcb",
    "unionpay",
    "diners club",
    "kreditkarte",
    "kartennummer",
    "carte",
    "tarjeta",
    "carta",
    "cartão",
    "kaart",
    "kort",
    "カード",
    "thẻ tín dụng",
    "kredi kartı",
    "kart numarası",
    "číslo karty",
    "numer karty",
    "bankkártya",
    "kártyaszám",
    "номер карты",
    "номер картки",
    "कार्ड",
    "بطاقة",
    "บัตรเครดิต",
    "כרטיס אשראי",
    "kartu kredit",
    "κάρτα",
    "信用卡",
    "卡号",
    "銀行卡",
    "신용카드",
    "카드번호",
    "kortnummer",
];

/// What announces another kind of card.
const OTHERS: [&str; 16] = [
    "sim card",
    "id card",
    "identity card",
    "identification card",
    "insurance card",
    "health card",
    "medicare card",
    "library card",
    "loyalty card",
    "membership card",
    "resident card",
    "graphics card",
    "sd card",
    "iccid",
    "imei",
    "passport card",
];

/// First six digits from, to, and how long such numbers are. Only lengths in use: what has 17 or 18 digits is an identifier.
const ISSUERS: [(u32, u32, &[usize]); 25] = [
    (400_000, 499_999, &[13, 16, 19]),     // Visa
    (510_000, 559_999, &[16]),             // Mastercard
    (222_100, 272_099, &[16]),             // Mastercard
    (340_000, 349_999, &[15]),             // American Express
    (370_000, 379_999, &[15]),             // American Express
    (300_000, 305_999, &[14, 16]),         // Diners Club
    (309_500, 309_599, &[14, 16]),         // Diners Club
    (360_000, 369_999, &[14, 16]),         // Diners Club
    (380_000, 399_999, &[14, 16]),         // Diners Club
    (352_800, 358_999, &[16, 19]),         // JCB
    (601_100, 601_199, &[16, 19]),         // Discover
    (644_000, 659_999, &[16, 19]),         // Discover, RuPay
    (620_000, 629_999, &[16, 17, 18, 19]), // UnionPay
    (810_000, 829_999, &[16, 19]),         // UnionPay, RuPay
    (508_500, 508_999, &[16]),             // RuPay
    (220_000, 220_499, &[16, 19]),         // Mir
    (979_200, 979_299, &[16]),             // Troy
    (180_000, 180_099, &[15]),             // JCB
    (213_100, 213_199, &[15]),             // JCB
    (501_800, 501_899, MAESTRO),
    (502_000, 502_099, MAESTRO),
    (503_800, 503_899, MAESTRO),
    (589_300, 589_399, MAESTRO),
    (630_400, 630_499, MAESTRO),
    (675_900, 676_399, MAESTRO),
];

const MAESTRO: &[usize] = &[12, 13, 14, 15, 16, 17, 18, 19];

#[cfg(test)]
mod tests;
