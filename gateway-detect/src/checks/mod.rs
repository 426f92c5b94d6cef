//! Check digits and other rules that numbers of people, companies and devices obey.
//!
//! In: what stands in a text, and its letters and digits alone. Out: whether such a number can exist. Sources: the publications of the
//! issuing authorities, as each group of functions names them.

mod americas;
mod asia;
mod europe;
mod vat;

/// A rule. The first text is as written, the second its letters and digits.
pub(super) type Check = fn(&[u8], &[u8]) -> bool;

/// The rule of this name.
pub(super) fn named(name: &str) -> Option<Check> {
    let check: Check = match name {
        "any" | "stnr" | "plate" => |_, text| !is_uniform(text),
        "mixed" => |_, text| {
            text.iter().filter(|byte| byte.is_ascii_digit()).count() >= 4 && !is_uniform(text)
        },
        "dob" => |written, _| is_date_written(written),
        "ddmmyy" => |_, text| is_day_month_year(text),
        "luhn9" => |_, text| luhn(text) && !is_uniform(text),
        "imei" => |_, text| luhn(text) && !is_uniform(text),
        "iccid" => |_, text| text.starts_with(b"89") && luhn(text),
        "lei" => |_, text| mod97(text) == 1 && text.iter().any(u8::is_ascii_uppercase),
        "bic" => |_, text| is_country(&text[4..6]),
        "vin" => |_, text| vin(text),
        "vat" => |_, text| vat::vat(text),
        _ => {
            return europe::named(name)
                .or_else(|| americas::named(name))
                .or_else(|| asia::named(name));
        }
    };
    Some(check)
}

fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) + 10,
    }
}

/// The sum of digits by weights, as far as there are weights.
fn weighted(text: &[u8], weights: &[u32]) -> u32 {
    text.iter()
        .zip(weights)
        .map(|(&byte, weight)| value(byte) * weight)
        .sum()
}

fn number(text: &[u8]) -> u64 {
    text.iter()
        .fold(0, |number, &byte| number * 10 + u64::from(value(byte)))
}

fn last(text: &[u8]) -> u32 {
    text.last().map_or(0, |&byte| value(byte))
}

/// 111111111 and 000000000 pass some rules.
fn is_uniform(text: &[u8]) -> bool {
    text.iter().all(|byte| Some(byte) == text.first())
}

/// Whether the last digit checks the others (ISO/IEC 7812-1, annex B).
#[must_use]
pub fn luhn(text: &[u8]) -> bool {
    let sum: u32 = text
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &byte)| match (at % 2, value(byte)) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The remainder by 97 of digits and capital letters, which are two digits each (ISO/IEC 7064).
#[must_use]
pub fn mod97(text: &[u8]) -> u32 {
    text.iter().fold(0, |rest, &byte| match value(byte) {
        digit @ 0..=9 => (rest * 10 + digit) % 97,
        letter => (rest * 100 + letter) % 97,
    })
}

/// ISO/IEC 7064, mod 11,10: the last digit checks the others.
fn mod11_10(text: &[u8]) -> bool {
    let [body @ .., _] = text else { return false };
    let rest = body.iter().fold(10, |product, &byte| {
        let sum = match (value(byte) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - rest) % 10 == last(text)
}

/// Verhoeff's check digit: the dihedral group of order ten.
fn verhoeff(text: &[u8]) -> bool {
    let product = |a: usize, b: usize| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    const TURN: [usize; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let digits = text.iter().rev().enumerate();
    digits.fold(0, |check, (at, &byte)| {
        let turned = (0..at % 8).fold(value(byte) as usize, |digit, _| TURN[digit]);
        product(check, turned)
    }) == 0
}

fn is_date(year: u64, month: u64, day: u64) -> bool {
    let days = match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Six digits.
fn is_day_month_year(text: &[u8]) -> bool {
    text.len() >= 6 && is_date(number(&text[4..6]), number(&text[2..4]), number(&text[..2]))
}

/// Six digits.
fn is_year_month_day(text: &[u8]) -> bool {
    text.len() >= 6 && is_date(number(&text[..2]), number(&text[2..4]), number(&text[4..6]))
}

/// A date of somebody's life, in any order of its parts.
fn is_date_written(written: &[u8]) -> bool {
    let parts: Vec<u64> = written
        .split(|byte| !byte.is_ascii_digit())
        .map(number)
        .collect();
    match parts[..] {
        [year @ 1880..2100, month, day] => is_date(year, month, day),
        [one, other, year @ (0..100 | 1880..2100)] => {
            is_date(year, other, one) || is_date(year, one, other)
        }
        _ => false,
    }
}

/// 49 CFR 565: the ninth character checks all.
fn vin(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let letter = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'I' | b'O' | b'Q' => None,
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'R' => Some(u32::from(byte - b'J') + 1),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    let values: Option<Vec<u32>> = text.iter().map(|&byte| letter(byte)).collect();
    let Some(values) = values.filter(|values| values.len() == 17) else {
        return false;
    };
    let sum: u32 = values
        .iter()
        .zip(WEIGHTS)
        .map(|(value, weight)| value * weight)
        .sum();
    let check = if sum % 11 == 10 {
        b'X'
    } else {
        b'0' + (sum % 11) as u8
    };
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    text[8] == check && (3..17).contains(&digits)
}

/// ISO 3166-1 alpha-2, with the codes that banks add.
pub(super) fn is_country(code: &[u8]) -> bool {
    COUNTRIES
        .as_bytes()
        .chunks(2)
        .any(|country| country == code)
}

const COUNTRIES: &str = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCX\
CYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKR\
KWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRU\
RWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZW";

#[cfg(test)]
mod tests;
