//! VAT numbers of the European Union, where the last digits check the others.
//!
//! Source: the European Commission's VIES, "VAT identification number structure", and the national rules behind it.

use super::europe::{below_ten, birth_number, dni, egn, nie};
use super::{is_day_month_year, is_uniform, last, luhn, mod11_10, number, value, weighted};

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
        (b"FI", 8) => digits && finland(rest),
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
        (b"BG", 9) => digits && bulgaria(rest),
        (b"BG", 10) => {
            digits
                && (egn(rest)
                    || (11 - weighted(rest, &[4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11 == last(rest))
        }
        (b"CY", 9) => rest[..8].iter().all(u8::is_ascii_digit) && cyprus(rest),
        (b"CZ", 8) => {
            digits && rest[0] != b'9' && {
                let check = (11 - weighted(rest, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
                check == last(rest)
            }
        }
        (b"CZ", 9 | 10) => digits && birth_number(rest),
        (b"CH", 10) => rest[0] == b'E' && switzerland(&rest[1..]),
        (b"CH", 13 | 14) => {
            rest[0] == b'E' && is_swiss_tax(&rest[10..]) && switzerland(&rest[1..10])
        }
        // Of the government and of the health service.
        (b"GB", 5) => {
            let kind = if rest[2] < b'5' { b"GD" } else { b"HA" };
            rest.starts_with(kind) && rest[2..].iter().all(u8::is_ascii_digit)
        }
        (b"GB", 9 | 12) => digits && britain(rest),
        (b"LT", 9 | 12) => digits && lithuania(rest),
        (b"LV", 11) => digits && latvia(rest),
        (b"MT", 8) => {
            digits
                && rest[0] != b'0'
                && weighted(rest, &[3, 4, 6, 7, 8, 9, 10, 1]).is_multiple_of(37)
        }
        (b"RO", 6..=10) => digits && rest[0] != b'0' && romania(rest),
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

/// A business number of Finland.
pub(super) fn finland(rest: &[u8]) -> bool {
    (11 - weighted(rest, &[7, 9, 10, 5, 8, 4, 2]) % 11) % 11 == last(rest) && !is_uniform(rest)
}

fn bulgaria(rest: &[u8]) -> bool {
    let check = match weighted(rest, &[1, 2, 3, 4, 5, 6, 7, 8]) % 11 {
        10 => weighted(rest, &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10,
        check => check,
    };
    check == last(rest) && !is_uniform(rest)
}

/// The digits at odd places count as the table has them; a letter checks them all.
fn cyprus(rest: &[u8]) -> bool {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let sum: u32 = rest[..8]
        .iter()
        .enumerate()
        .map(|(at, &byte)| match at % 2 {
            0 => ODD[value(byte) as usize],
            _ => value(byte),
        })
        .sum();
    !rest.starts_with(b"12") && rest[8] == b'A' + (sum % 26) as u8
}

/// The number of a company: nine digits behind `CHE`, and perhaps what its tax is called in one of the languages.
fn switzerland(digits: &[u8]) -> bool {
    let check = (11 - weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11;
    digits.iter().all(u8::is_ascii_digit) && check == last(digits) && !is_uniform(digits)
}

fn is_swiss_tax(name: &[u8]) -> bool {
    [&b"MWST"[..], b"TVA", b"IVA", b"TPV"].contains(&name)
}

/// Numbers of before 2010 and those of after: the last two digits make the sum one of 97, or of 97 less 55.
fn britain(rest: &[u8]) -> bool {
    let sum = u64::from(weighted(rest, &[8, 7, 6, 5, 4, 3, 2])) + number(&rest[7..9]);
    (sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)) && !is_uniform(&rest[..7])
}

fn lithuania(rest: &[u8]) -> bool {
    let turn = |from: u32| {
        let body = &rest[..rest.len() - 1];
        let weights = (0..).map(|at: u32| (at + from) % 9 + 1);
        body.iter()
            .zip(weights)
            .map(|(&byte, weight)| value(byte) * weight)
            .sum::<u32>()
    };
    let check = match turn(0) % 11 {
        10 => turn(2) % 11 % 10,
        check => check,
    };
    rest[rest.len() - 2] == b'1' && check == last(rest)
}

/// Of a company, or of a person: that begins with the day of birth, or with 32.
fn latvia(rest: &[u8]) -> bool {
    if rest[0] > b'3' {
        return weighted(rest, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 == 3;
    }
    let sum = 1 + weighted(rest, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
    (rest.starts_with(b"32") || is_day_month_year(rest)) && sum % 11 % 10 == last(rest)
}

fn romania(rest: &[u8]) -> bool {
    const WEIGHTS: [u32; 9] = [7, 5, 3, 2, 1, 7, 5, 3, 2];
    let body = &rest[..rest.len() - 1];
    let sum = weighted(body, &WEIGHTS[WEIGHTS.len() - body.len()..]);
    sum * 10 % 11 % 10 == last(rest)
}

/// A company's number of Spain, with its letter in front.
pub(super) fn cif(rest: &[u8]) -> bool {
    rest[0].is_ascii_alphabetic() && !b"XYZ".contains(&rest[0]) && spain(rest)
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
