//! Payment card numbers: 12 to 19 digits of a known issuer range that satisfy the Luhn check, written in one piece or in the groups
//! cards are printed in.
//!
//! Numbers inside words and hashes, decimals (`0.4111…`) and telephone numbers (`+49…`) are not cards. Groups count as a whole: a
//! card may stand beside further numbers (`… 1111 12/27`), never inside a longer run of digits.
//! Ranges and check digit: ISO/IEC 7812-1, annex B; the ranges are those the networks publish.

use super::Detector;
use super::place::{Place, Verdict};

/// What stands here, if it is a card number.
pub(super) fn at(place: Place, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    if !ahead[0].is_ascii_digit() || !may_start(place) {
        return Verdict::No;
    }
    let mut number = Number::default();
    let mut found = Verdict::No;
    let mut end = 0;
    let mut joint: Option<&[u8]> = None;
    loop {
        let group = digits(&ahead[end..]);
        end += group.len();
        if !number.push(group) {
            return found;
        }
        let rest = &ahead[end..];
        let gap = separator(rest);
        // One byte tells whether the group is over; after a separator or a full stop it takes one more.
        let needed = if rest.starts_with(b".") { 2 } else { gap + 1 };
        if rest.len() < needed && !place.whole {
            return Verdict::More;
        }
        if may_end(rest) && number.is_card() {
            found = Verdict::Match(detector, end);
        }
        let next = rest.get(gap).is_some_and(u8::is_ascii_digit);
        if gap == 0 || !next || *joint.get_or_insert(&rest[..gap]) != &rest[..gap] {
            return found;
        }
        end += gap;
    }
}

fn may_start(place: Place) -> bool {
    let decimal = matches!(place.behind(), [.., before, b'.'] if before.is_ascii_digit());
    !decimal && !place.follows(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
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

/// The length of the separator `text` starts with: a space or a hyphen.
fn separator(text: &[u8]) -> usize {
    usize::from(matches!(text, [b' ' | b'-', ..]))
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
        for (to, digit) in room.iter_mut().zip(group) {
            *to = digit - b'0';
        }
        self.length += group.len();
        self.groups[self.count] = group.len();
        self.count += 1;
        true
    }

    fn is_card(&self) -> bool {
        self.is_printed_so() && self.has_issuer() && self.has_check_digit()
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
        let six = self.digits[..6]
            .iter()
            .fold(0_u32, |number, &digit| number * 10 + u32::from(digit));
        ISSUERS.iter().any(|(from, to, lengths)| {
            (*from..=*to).contains(&six) && lengths.contains(&self.length)
        })
    }

    fn has_check_digit(&self) -> bool {
        let sum: u32 = self.digits[..self.length]
            .iter()
            .rev()
            .enumerate()
            .map(|(at, &digit)| match (at % 2, u32::from(digit)) {
                (0, digit) => digit,
                (_, digit @ 0..=4) => digit * 2,
                (_, digit) => digit * 2 - 9,
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

const SHORTEST: usize = 12;
const LONGEST: usize = 19;

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
mod tests {
    use crate::{Detectors, scan};

    /// What is found in `text`, as text.
    fn cards(text: &str) -> Vec<&str> {
        scan(text, &Detectors::default())
            .into_iter()
            .filter(|finding| finding.detector == "credit-card")
            .map(|finding| &text[finding.range])
            .collect()
    }

    #[test]
    fn numbers_the_networks_publish_for_tests_are_found() {
        for number in [
            "4111111111111111",
            "4012888888881881",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "371449635398431",
            "30569309025904",
            "38520000023237",
            "6011111111111117",
            "3530111333300000",
            "6200000000000005",
            "6759649826438453",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "3782 822463 10005",
            "3782 8224 6310 005",
            "3056 930902 5904",
            "4111\u{2011}1111\u{2011}1111\u{2011}1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        ] {
            for text in [
                number.to_owned(),
                format!("card: {number}."),
                format!("x={number},y"),
                format!("\"{number}\""),
                format!("{{\\n{number}\\n}}"),
                format!("{number} 12/27 123"),
                format!("order 42 {number}"),
                format!("é{number}é"),
            ] {
                assert_eq!(cards(&text), [number], "{text}");
            }
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "4111111111111112",                         // check digit
            "1234567812345670",                         // issuer
            "0.4111111111111111",                       // decimal
            "3.4111111111111111",                       // decimal
            "4111111111111111.25",                      // decimal
            "41111111111111110000",                     // longer run
            "94111111111111111",                        // longer run
            "a4111111111111111",                        // hash
            "4111111111111111f",                        // hash
            "+4222222222222",                           // telephone
            "4111  1111 1111 1111",                     // two spaces
            "4111 1111-1111 1111",                      // mixed
            "41 11 11 11 11 11 11 11",                  // pairs
            "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",          // list
            "1763640391123456",                         // microseconds
            "1763640391123456789",                      // nanoseconds
            "018f4111-1111-4111-8111-111111111111",     // UUID
            "4111\n1111\n1111\n1111",                   // column
            "4111,1111,1111,1111",                      // list
            "da39a3ee5e6b4b0d3255bfef95601890afd80709", // SHA-1
        ] {
            assert_eq!(cards(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn the_longest_number_wins_and_a_following_group_does_not_hide_it() {
        assert_eq!(cards("4111 1111 1111 1111 123"), ["4111 1111 1111 1111"]);
        assert_eq!(
            cards("4111111111111111 5555555555554444"),
            ["4111111111111111", "5555555555554444"]
        );
        assert_eq!(
            cards("4111-1111-1111-1111-5555-5555-5555-4444"),
            ["4111-1111-1111-1111", "5555-5555-5555-4444"]
        );
    }
}
