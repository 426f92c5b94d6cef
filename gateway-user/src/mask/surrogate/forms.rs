//! The forms of surrogates: each under a name or number that is reserved for nobody, and shaped like what it stands for.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::detect;

/// What counts of a value: spaces and dashes between digits are a matter of writing.
pub fn canonical(value: &str) -> Cow<'_, str> {
    if is_grouped(value) {
        Cow::Owned(compact(value))
    } else {
        Cow::Borrowed(value)
    }
}

/// A surrogate of a value.
pub(super) struct Minted {
    /// As it stands in the value's place: in the same groups.
    pub(super) written: String,
    /// As it is looked up: without them.
    pub(super) key: String,
    /// What it stands for, likewise.
    pub(super) value: String,
}

/// The surrogate of `value`.
pub(super) fn surrogate(detector: &str, value: &str, random: &[u8; 32]) -> Minted {
    let mut random = Random(random);
    let numbered = |number: String| Minted {
        written: laid_out(value, &number),
        key: number,
        value: compact(value),
    };
    let alone = |written: String| Minted {
        key: written.clone(),
        written,
        value: value.to_owned(),
    };
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    match detector {
        "email" if value.is_ascii() && value.contains('@') => {
            alone(format!("{}{EMAIL}", random.word()))
        }
        "phone-number" if value.is_ascii() => alone(format!("{PHONE}{}", random.digits(10))),
        "credit-card" if is_grouped(value) && (12..=19).contains(&digits) => {
            numbered(card(digits, &mut random))
        }
        "us-ssn" if is_grouped(value) && digits == 9 => numbered(ssn(&mut random)),
        "iban" if is_iban(value) => numbered(iban(&compact(value), &mut random)),
        "ip-address" => match value.parse() {
            Ok(IpAddr::V4(_)) => alone(v4(&mut random).to_string()),
            Ok(IpAddr::V6(_)) => alone(v6(&mut random).to_string()),
            Err(_) => alone(named(detector, &mut random)),
        },
        _ => alone(named(detector, &mut random)),
    }
}

/// Digits in groups, or none.
fn is_grouped(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.all(|byte| byte.is_ascii_digit() || b" -".contains(&byte))
}

fn is_iban(value: &str) -> bool {
    let mut bytes = value.bytes();
    let plain = bytes.all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte));
    plain && (15..=34).contains(&compact(value).len())
}

pub(super) fn compact(value: &str) -> String {
    let characters = value.chars();
    characters.filter(|one| !matches!(one, ' ' | '-')).collect()
}

/// `number` in the groups of `like`.
pub(super) fn laid_out(like: &str, number: &str) -> String {
    let mut number = number.chars();
    like.chars()
        .map(|one| match one {
            ' ' | '-' => one,
            other => number.next().unwrap_or(other),
        })
        .collect()
}

/// An industry that is a country's, of a country that is none; with a sound check digit (Luhn).
fn card(digits: usize, random: &mut Random<'_>) -> String {
    let number = format!("{CARD}{}", random.digits(digits - 5));
    let mut all = (0..10).map(|check| format!("{number}{check}"));
    // One of ten is sound.
    all.find(|card| detect::luhn(card.as_bytes()))
        .unwrap_or(number)
}

/// An area from 900 on, which is never given out, with a group that no taxpayer number has.
fn ssn(random: &mut Random<'_>) -> String {
    format!(
        "9{}{:02}{:04}",
        random.digits(2),
        1 + random.below(49),
        1 + random.below(9999)
    )
}

/// A country that is none, with sound check digits.
fn iban(like: &str, random: &mut Random<'_>) -> String {
    let account: String = like[4..]
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' => digit(u32::from(random.byte())),
            _ => char::from(b'A' + random.byte() % 26),
        })
        .collect();
    format!(
        "{IBAN}{:02}{account}",
        98 - detect::mod97(format!("{account}{IBAN}00").as_bytes())
    )
}

fn v4(random: &mut Random<'_>) -> Ipv4Addr {
    let [a, b, c, d] = [random.byte(), random.byte(), random.byte(), random.byte()];
    // The last of the range is everybody's.
    Ipv4Addr::new(240 + a % 15, b, c, d)
}

fn v6(random: &mut Random<'_>) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    for octet in &mut octets[6..] {
        *octet = random.byte();
    }
    octets.into()
}

fn named(detector: &str, random: &mut Random<'_>) -> String {
    format!("{NAMED}{detector}-{}", random.word())
}

fn digit(of: u32) -> char {
    char::from_digit(of % 10, 10).unwrap_or('0')
}

/// Bytes of a tag, each used once.
struct Random<'a>(&'a [u8]);

impl Random<'_> {
    /// The tag has more bytes than any form needs.
    fn byte(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::from_be_bytes([0, self.byte(), self.byte(), self.byte()]) % limit
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| digit(u32::from(self.byte()))).collect()
    }

    fn word(&mut self) -> String {
        let mut letter = || char::from(ALPHABET[usize::from(self.byte() % 32)]);
        (0..WORD).map(|_| letter()).collect()
    }
}

/// The domain of addresses. Libraries that check addresses take it, other than `.invalid` and `.test`.
pub(super) const EMAIL: &str = "@surrogate.example";
/// What stands for anything that has no reserved range.
pub(super) const NAMED: &str = "surrogate-";
pub(super) const PHONE: &str = "+999";
pub(super) const CARD: &str = "9999";
pub(super) const IBAN: &str = "XX";
/// 60 bits.
pub(super) const WORD: usize = 12;
/// Base 32 (RFC 4648), in lower case.
pub(super) const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
