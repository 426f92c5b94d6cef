//! Numbers of the Americas, Africa and Oceania.
//!
//! Sources: SSA (POMS RM 10201), IRS, CMS, DEA, ABA; Receita Federal; RENAPO and SAT; AFIP; SII; DIAN; SUNAT; ATO and ABR; IRD.

use super::{Check, is_uniform, is_year_month_day, last, luhn, number, value, weighted};

pub(super) fn named(name: &str) -> Option<Check> {
    let check: Check = match name {
        "ssn" => |_, text| ssn(text),
        "itin" => |_, text| itin(text),
        "ein" => |_, text| ein(text),
        "npi" => |_, text| {
            matches!(text[0], b'1' | b'2')
                && !is_uniform(&text[..9])
                && luhn(&[b"80840", text].concat())
        },
        "dea" => |_, text| dea(text),
        "mbi" => |_, text| text[0] != b'0' && !text.iter().any(|byte| b"SLOIBZ".contains(byte)),
        "aba" => |_, text| aba(text),
        "sin" => |_, text| luhn(text) && !is_uniform(text),
        "cpf" => |_, text| !is_uniform(text) && two_digits(text, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]),
        "cnpj" => |_, text| {
            !is_uniform(text) && two_digits(text, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])
        },
        "cnh" => |_, text| !is_uniform(text) && cnh(text),
        "pis" => |_, text| {
            let sum = weighted(text, &[3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
            !is_uniform(text) && (11 - sum % 11) % 11 % 10 == last(text)
        },
        "curp" => |_, text| curp(text),
        "rfc" => |_, text| is_year_month_day(&text[4..10]),
        "mxnss" => |_, text| luhn(text) && !is_uniform(text),
        "clabe" => |_, text| clabe(text),
        "cuit" => |_, text| cuit(text),
        "rut" => |_, text| rut(text),
        "nit" => |_, text| nit(text),
        "ruc" => |_, text| ruc(text),
        "cedula" => {
            |_, text| matches!(number(&text[..2]), 1..=24 | 30) && value(text[2]) < 6 && luhn(text)
        }
        "vecedula" => |_, text| matches!(text[0], b'V' | b'E') && !is_uniform(&text[1..]),
        "verif" => |_, text| rif(text),
        "uyci" => |_, text| {
            let padded = if text.len() == 7 {
                [b"0", text].concat()
            } else {
                text.to_vec()
            };
            !is_uniform(text)
                && (10 - weighted(&padded, &[2, 9, 8, 7, 6, 3, 4]) % 10) % 10 == last(text)
        },
        "zaid" => {
            |_, text| is_year_month_day(text) && matches!(text[10], b'0'..=b'2') && luhn(text)
        }
        "egid" => |_, text| matches!(text[0], b'2' | b'3') && is_year_month_day(&text[1..7]),
        "tfn" => |_, text| {
            !is_uniform(text) && weighted(text, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
        },
        "abn" => |_, text| abn(text),
        "acn" => |_, text| {
            !is_uniform(text)
                && (10 - weighted(text, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == last(text)
        },
        "aumedicare" => |_, text| {
            matches!(text[0], b'2'..=b'6')
                && weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == value(text[8])
        },
        "ird" => |_, text| ird(text),
        "nhi" => |_, text| nhi(text),
        _ => return None,
    };
    Some(check)
}

fn ssn(text: &[u8]) -> bool {
    let (area, group, serial) = (number(&text[..3]), number(&text[3..5]), number(&text[5..]));
    // Two were printed in advertisements.
    !matches!(area, 0 | 666 | 900..)
        && group > 0
        && serial > 0
        && !is_uniform(text)
        && ![&b"078051120"[..], b"219099999"].contains(&text)
}

fn itin(text: &[u8]) -> bool {
    text[0] == b'9' && matches!(number(&text[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn ein(text: &[u8]) -> bool {
    !matches!(number(&text[..2]), 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97)
        && !is_uniform(text)
}

fn dea(text: &[u8]) -> bool {
    let digits = &text[2..];
    b"ABCDEFGHJKLMNPRSTUX".contains(&text[0])
        && weighted(digits, &[1, 2, 1, 2, 1, 2]) % 10 == last(text)
        && !is_uniform(digits)
}

fn aba(text: &[u8]) -> bool {
    let bank = matches!(number(&text[..2]), 1..=12 | 21..=32 | 61..=72 | 80);
    bank && weighted(text, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10) && !is_uniform(text)
}

/// Two check digits modulo 11, the weights of the second; those of the first are the same without their beginning.
fn two_digits(text: &[u8], weights: &[u32]) -> bool {
    let check = |length: usize| {
        let sum = weighted(&text[..length], &weights[weights.len() - length..]);
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    let length = text.len();
    check(length - 2) == value(text[length - 2]) && check(length - 1) == value(text[length - 1])
}

fn cnh(text: &[u8]) -> bool {
    let first = weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
    let (first, less) = if first >= 10 { (0, 2) } else { (first, 0) };
    let second = (weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 + 11 - less) % 11;
    let second = if second >= 10 { 0 } else { second };
    (first, second) == (value(text[9]), value(text[10]))
}

fn curp(text: &[u8]) -> bool {
    // Ñ stands behind N in the alphabet.
    let letter = |byte: u8| value(byte) + u32::from(byte >= b'O');
    let sum: u32 = text[..17]
        .iter()
        .zip((2..=18).rev())
        .map(|(&byte, weight)| letter(byte) * weight)
        .sum();
    is_year_month_day(&text[4..10])
        && matches!(text[10], b'H' | b'M' | b'X')
        && (10 - sum % 10) % 10 == last(text)
}

fn clabe(text: &[u8]) -> bool {
    let sum: u32 = text[..17]
        .iter()
        .zip([3, 7, 1].iter().cycle())
        .map(|(&byte, weight)| value(byte) * weight % 10)
        .sum();
    !is_uniform(text) && (10 - sum % 10) % 10 == last(text)
}

fn cuit(text: &[u8]) -> bool {
    let check = match 11 - weighted(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        11 => 0,
        10 => 9,
        check => check,
    };
    matches!(number(&text[..2]), 20 | 23..=27 | 30 | 33 | 34) && check == last(text)
}

fn rut(text: &[u8]) -> bool {
    let [body @ .., check] = text else {
        return false;
    };
    let weights = [2, 3, 4, 5, 6, 7];
    let sum: u32 = body
        .iter()
        .rev()
        .zip(weights.iter().cycle())
        .map(|(&byte, weight)| value(byte) * weight)
        .sum();
    let right = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        digit => b'0' + digit as u8,
    };
    body.iter().all(u8::is_ascii_digit) && *check == right && !is_uniform(body)
}

fn nit(text: &[u8]) -> bool {
    let [body @ .., _] = text else { return false };
    let weights = [3, 7, 13, 17, 19, 23, 29, 37, 41, 43];
    let sum: u32 = body
        .iter()
        .rev()
        .zip(weights)
        .map(|(&byte, weight)| value(byte) * weight)
        .sum();
    let check = match sum % 11 {
        rest @ 0..=1 => rest,
        rest => 11 - rest,
    };
    check == last(text) && !is_uniform(text)
}

/// SENIAT: the letter counts as a digit.
fn rif(text: &[u8]) -> bool {
    let Some(kind) = b"VEJPG".iter().position(|kind| *kind == text[0]) else {
        return false;
    };
    let letter = [4, 8, 12, 16, 20][kind];
    let sum = letter + weighted(&text[1..9], &[3, 2, 7, 6, 5, 4, 3, 2]);
    let check = match 11 - sum % 11 {
        10 | 11 => 0,
        check => check,
    };
    check == last(text)
}

fn ruc(text: &[u8]) -> bool {
    let check = (11 - weighted(text, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    matches!(number(&text[..2]), 10 | 15 | 17 | 20) && check == last(text)
}

fn abn(text: &[u8]) -> bool {
    let sum = weighted(text, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    text[0] != b'0' && (sum - 10).is_multiple_of(89)
}

fn ird(text: &[u8]) -> bool {
    let padded = if text.len() == 8 {
        [b"0", text].concat()
    } else {
        text.to_vec()
    };
    let check = |weights: &[u32]| (11 - weighted(&padded, weights) % 11) % 11;
    let right = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        digit => digit,
    };
    (10_000_000..150_000_000).contains(&number(&padded)) && right == last(text)
}

fn nhi(text: &[u8]) -> bool {
    let letter = |byte: u8| match byte {
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'N' => u32::from(byte - b'A'),
        b'P'..=b'Z' => u32::from(byte - b'A') - 1,
        _ => value(byte),
    };
    let sum: u32 = text[..6]
        .iter()
        .zip((2..=7).rev())
        .map(|(&byte, weight)| letter(byte) * weight)
        .sum();
    let ambiguous = text[..3].iter().any(|byte| matches!(byte, b'I' | b'O'));
    !ambiguous && !sum.is_multiple_of(11) && (11 - sum % 11) % 10 == last(text)
}
