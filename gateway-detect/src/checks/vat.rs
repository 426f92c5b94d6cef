//! VAT numbers of the European Union, where the last digits check the others.
//!
//! Source: the European Commission's VIES, "VAT identification number structure", and the national rules behind it.

use super::europe::{below_ten, dni, nie};
use super::{is_uniform, last, luhn, mod11_10, number, value, weighted};

/// Whether a number with its country in front can exist.
pub(super) fn vat(text: &[u8]) -> bool {
    let Some((country, rest)) = text.split_at_checked(2) else {
        return false;
    };
    let digits = rest.iter().all(u8::is_ascii_digit);
    let length = rest.len();
    match (country, length) {
        (b"AT", 9) => {
            rest[0] == b'U' && rest[1..].iter().all(u8::is_ascii_digit) && austria(&rest[1..])
        }
        (b"BE", 10) => {
            digits
                && matches!(rest[0], b'0' | b'1')
                && 97 - number(&rest[..8]) % 97 == number(&rest[8..])
        }
        (b"DE", 9) => digits && rest[0] != b'0' && mod11_10(rest),
        (b"DK", 8) => {
            digits
                && rest[0] != b'0'
                && weighted(rest, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
                && !is_uniform(rest)
        }
        (b"EE", 9) => {
            digits && (10 - weighted(rest, &[3, 7, 1, 3, 7, 1, 3, 7]) % 10) % 10 == last(rest)
        }
        (b"EL" | b"GR", 9) => {
            digits && weighted(rest, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == last(rest)
        }
        (b"ES", 9) => spain(rest),
        (b"FI", 8) => {
            digits
                && (11 - weighted(rest, &[7, 9, 10, 5, 8, 4, 2]) % 11) % 11 == last(rest)
                && !is_uniform(rest)
        }
        (b"FR", 11) => {
            digits
                && luhn(&rest[2..])
                && (12 + 3 * (number(&rest[2..]) % 97)) % 97 == number(&rest[..2])
        }
        (b"HR", 11) => digits && mod11_10(rest),
        (b"HU", 8) => {
            digits
                && (10 - weighted(rest, &[9, 7, 3, 1, 9, 7, 3]) % 10) % 10 == last(rest)
                && !is_uniform(rest)
        }
        (b"IT", 11) => digits && luhn(rest) && !is_uniform(rest),
        (b"LU", 8) => digits && number(&rest[..6]) % 89 == number(&rest[6..]),
        (b"NL", 12) => netherlands(text, rest),
        (b"PL", 10) => {
            digits
                && weighted(rest, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == last(rest)
                && !is_uniform(rest)
        }
        (b"PT", 9) => digits && below_ten(rest, &[9, 8, 7, 6, 5, 4, 3, 2]),
        (b"SE", 12) => digits && rest.ends_with(b"01") && luhn(&rest[..10]),
        (b"SI", 8) => {
            digits
                && rest[0] != b'0'
                && (11 - weighted(rest, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == last(rest)
        }
        (b"SK", 10) => digits && number(rest).is_multiple_of(11) && rest[0] != b'0',
        (b"IE", 8 | 9) => rest[..7].iter().all(u8::is_ascii_digit) && ireland(rest),
        _ => false,
    }
}

fn austria(rest: &[u8]) -> bool {
    let sum: u32 = rest[..7]
        .iter()
        .zip([1, 2, 1, 2, 1, 2, 1])
        .map(|(&byte, weight)| value(byte) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    (106 - sum) % 10 == last(rest)
}

fn spain(rest: &[u8]) -> bool {
    if rest[..8].iter().all(u8::is_ascii_digit) {
        return dni(number(&rest[..8]), rest[8]);
    }
    if !rest[1..8].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = rest[1..8]
        .iter()
        .zip([2, 1, 2, 1, 2, 1, 2])
        .map(|(&byte, weight)| value(byte) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    let check = (10 - sum % 10) % 10;
    nie(rest)
        || b"ABCDEFGHJNPQRSUVW".contains(&rest[0])
            && (value(rest[8]) == check || b"JABCDEFGHI"[check as usize] == rest[8])
}

/// Nine digits, B, two digits: by the rule of the citizen number, or, since 2020, of the whole.
fn netherlands(text: &[u8], rest: &[u8]) -> bool {
    let form = rest[9] == b'B' && rest[..9].iter().chain(&rest[10..]).all(u8::is_ascii_digit);
    form && (weighted(rest, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == value(rest[8])
        || super::mod97(text) == 1)
}

fn ireland(rest: &[u8]) -> bool {
    let second = rest.get(8).map_or(0, |&letter| {
        if letter.is_ascii_digit() {
            100
        } else {
            value(letter) - 9
        }
    });
    let sum = (weighted(&rest[..7], &[8, 7, 6, 5, 4, 3, 2]) + second * 9) % 23;
    rest[7] == if sum == 0 { b'W' } else { b'A' + sum as u8 - 1 }
}
