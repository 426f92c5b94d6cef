//! Numbers of Asia and the Middle East.
//!
//! Sources: UIDAI and the Indian tax department; GB 11643; the registers of Hong Kong, Taiwan, Singapore, Malaysia, Thailand, Indonesia,
//! Korea and Japan; the Turkish, Emirati and Saudi civil registers.

use super::{
    Check, is_date, is_uniform, is_year_month_day, last, luhn, number, value, verhoeff, weighted,
};

pub(super) fn named(name: &str) -> Option<Check> {
    let check: Check = match name {
        "tckn" => |_, text| tckn(text),
        "emirates" => |_, text| text.starts_with(b"784") && luhn(text),
        "saudi" => |_, text| matches!(text[0], b'1' | b'2') && luhn(text),
        "aadhaar" => {
            |_, text| matches!(text[0], b'2'..=b'9') && verhoeff(text) && !is_uniform(text)
        }
        "inpan" => |_, text| in_pan(text),
        "gstin" => |_, text| gstin(text),
        "cnid" => |_, text| cn_id(text),
        "hkid" => |_, text| hkid(text),
        "twid" => |_, text| tw_id(text),
        "nric" => |_, text| nric(text),
        "mykad" => |_, text| {
            is_year_month_day(text)
                && !matches!(number(&text[6..8]), 0 | 17..=20 | 69 | 70 | 73 | 80 | 81 | 94..=97)
        },
        "thid" => |_, text| {
            let sum = weighted(text, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
            matches!(text[0], b'1'..=b'8')
                && (10..=96).contains(&number(&text[1..3]))
                && (11 - sum % 11) % 10 == last(text)
        },
        // Bureau of Internal Revenue: the ninth digit checks eight; what follows is the number of a branch.
        "phtin" => |_, text| {
            weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == value(text[8])
                && number(&text[..9]) > 0
        },
        "nik" => |_, text| {
            let day = number(&text[6..8]) % 40;
            (11..=94).contains(&number(&text[..2]))
                && is_date(number(&text[10..12]), number(&text[8..10]), day)
        },
        "rrn" => |_, text| {
            let sum = weighted(text, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
            rrn_form(text) && (11 - sum % 11) % 10 == last(text)
        },
        // Since October 2020 they are drawn, and have no check digit.
        "rrnform" => |_, text| rrn_form(text),
        "uen" => |_, text| uen(text),
        "brn" => |_, text| {
            let sum = weighted(text, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + value(text[8]) * 5 / 10;
            !is_uniform(text) && (10 - sum % 10) % 10 == last(text)
        },
        "mynumber" => |_, text| {
            let rest = weighted(text, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
            !is_uniform(text) && (if rest <= 1 { 0 } else { 11 - rest }) == last(text)
        },
        // Province, century and sex, year of birth.
        "vnid" => |_, text| (1..=96).contains(&number(&text[..3])) && text[3] <= b'3',
        _ => return None,
    };
    Some(check)
}

fn tckn(text: &[u8]) -> bool {
    let odd = weighted(text, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weighted(text, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let sum: u32 = text[..10].iter().map(|&byte| value(byte)).sum();
    text[0] != b'0' && (odd * 7 + 100 - even) % 10 == value(text[9]) && sum % 10 == value(text[10])
}

/// The fourth letter says whose it is.
fn in_pan(text: &[u8]) -> bool {
    b"ABCFGHJKLPT".contains(&text[3]) && number(&text[5..9]) > 0
}

fn gstin(text: &[u8]) -> bool {
    let sum: u32 = text[..14]
        .iter()
        .zip([1, 2].iter().cycle())
        .map(|(&byte, factor)| value(byte) * factor)
        .map(|product| product / 36 + product % 36)
        .sum();
    matches!(number(&text[..2]), 1..=38 | 97 | 99)
        && text[13] == b'Z'
        && (36 - sum % 36) % 36 == value(text[14])
}

fn cn_id(text: &[u8]) -> bool {
    let sum = weighted(text, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let born = (1880..2100).contains(&number(&text[6..10])) && is_year_month_day(&text[8..14]);
    matches!(text[0], b'1'..=b'8') && born && b"10X98765432"[(sum % 11) as usize] == text[17]
}

fn hkid(text: &[u8]) -> bool {
    // Of one letter, a space counts before it.
    let letters = text
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let front = match letters {
        1 => 36 * 9 + value(text[0]) * 8,
        _ => value(text[0]) * 9 + value(text[1]) * 8,
    };
    let [digits @ .., check] = &text[letters..] else {
        return false;
    };
    let check = match check {
        b'A' => 10,
        b'0'..=b'9' => value(*check),
        _ => return false,
    };
    (front + weighted(digits, &[7, 6, 5, 4, 3, 2]) + check).is_multiple_of(11)
}

fn tw_id(text: &[u8]) -> bool {
    const CODES: [u32; 26] = [
        10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32,
        30, 31, 33,
    ];
    let code = CODES[usize::from(text[0] - b'A')];
    let sum = code / 10 + code % 10 * 9 + weighted(&text[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(text[1], b'1' | b'2' | b'8' | b'9') && sum.is_multiple_of(10)
}

fn nric(text: &[u8]) -> bool {
    let sum = weighted(&text[1..8], &[2, 7, 6, 5, 4, 3, 2]);
    let (letters, more): (&[u8; 11], u32) = match text[0] {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        b'M' => (b"XWUTRQPNJLK", 3),
        _ => return false,
    };
    letters[((sum + more) % 11) as usize] == text[8]
}

/// A day of birth, and a digit for the century, the sex and the nationality.
fn rrn_form(text: &[u8]) -> bool {
    is_year_month_day(text) && matches!(text[6], b'1'..=b'8')
}

/// Of a business, of a company since its year, and of others, each with weights and letters of its own.
fn uen(text: &[u8]) -> bool {
    let sum = |weights: &[u32]| weighted(text, weights) as usize;
    let letter = match text.len() {
        9 => b"XMKECAWLJDB"[sum(&[10, 4, 9, 3, 8, 2, 7, 1]) % 11],
        10 if text[0].is_ascii_digit() => b"ZKCMDNERGWH"[sum(&[10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11],
        _ => {
            let all = b"ABCDEFGHJKLMNPQRSTUVWX0123456789";
            let place = |byte: &u8| all.iter().position(|other| other == byte).unwrap_or(0);
            let weights = [4, 3, 5, 3, 10, 2, 2, 5, 7];
            let sum: usize = text
                .iter()
                .map(place)
                .zip(weights)
                .map(|(one, weight)| one * weight)
                .sum();
            all[(sum + 6) % 11]
        }
    };
    text.last() == Some(&letter)
}
