//! Numbers of Europe.
//!
//! Sources: HMRC, NHS and DVLA; BZSt and the Deutsche Rentenversicherung; INSEE; the Spanish interior ministry; Agenzia delle Entrate; the
//! Polish, Nordic, Baltic and Balkan population registers; the Russian pension fund and tax service, the Ukrainian tax service; Rijksdienst voor Identiteitsgegevens; ZAS; SVNR of the Austrian Dachverband.

use super::{
    Check, is_date, is_day_month_year, is_uniform, is_year_month_day, last, luhn, mod11_10, number,
    value, weighted,
};

pub(super) fn named(name: &str) -> Option<Check> {
    let check: Check = match name {
        "nino" => |_, text| nino(text),
        "nhs" => |_, text| {
            (11 - weighted(text, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 == last(text)
                && !is_uniform(text)
        },
        "utr" => |_, text| utr(text),
        "ukdl" => |_, text| {
            matches!(number(&text[6..8]) % 50, 1..=12) && matches!(number(&text[8..10]), 1..=31)
        },
        "steuerid" => |_, text| steuer_id(text),
        "rvnr" => |_, text| rvnr(text),
        "deperso" => |_, text| de_card(text),
        // Kassenärztliche Bundesvereinigung, Arztnummern, section 4: of doctors the seventh digit checks six.
        "lanr" => |_, text| {
            let sum = weighted(text, &[4, 9, 4, 9, 4, 9]);
            (10 - sum % 10) % 10 == value(text[6]) && number(&text[..6]) > 0
        },
        "nir" => |_, text| nir(text),
        "kvnr" => |_, text| kvnr(text),
        // Of a company: where a person's has the month of birth, it has 20 or more.
        "orgnr" => |_, text| text[2] >= b'2' && luhn(text),
        "dni" => |_, text| {
            let (digits, letter) = text.split_at(text.len() - 1);
            digits.iter().all(u8::is_ascii_digit) && dni(number(digits), letter[0])
        },
        "nie" => |_, text| nie(text),
        "naf" => {
            |_, text| number(&text[..10]) % 97 == number(&text[10..]) && number(&text[..2]) > 0
        }
        "cf" => |_, text| codice_fiscale(text),
        "siren" => |_, text| luhn(text) && !is_uniform(text),
        "cif" => |_, text| super::vat::cif(text),
        // PRH: the last digit of a business number checks the others.
        "ytunnus" => |_, text| super::vat::finland(text),
        "ogrn" => |_, text| ogrn(text),
        "piva" => |_, text| luhn(text) && !is_uniform(text),
        "ptnif" => |_, text| {
            matches!(text[0], b'1'..=b'3' | b'5' | b'6' | b'8' | b'9')
                && below_ten(text, &[9, 8, 7, 6, 5, 4, 3, 2])
        },
        "pesel" => |_, text| pesel(text),
        "nip" => |_, text| {
            weighted(text, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == last(text) && !is_uniform(text)
        },
        "pldowod" => |_, text| weighted(text, &[7, 3, 1, 9, 7, 3, 1, 7, 3]).is_multiple_of(10),
        "regon" => |_, text| regon(text),
        "pnr" => |_, text| personnummer(text),
        "hetu" => |_, text| hetu(text),
        "fnr" => |_, text| fnr(text),
        "benn" => |_, text| be_national(text),
        "bsn" => |_, text| bsn(text),
        "pps" => |_, text| pps(text),
        "ahv" => |_, text| {
            text.starts_with(b"756")
                && weighted(text, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
        },
        "svnr" => |_, text| {
            let sum = weighted(text, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
            text[0] != b'0' && sum % 11 == value(text[3]) && is_day_month_year(&text[4..])
        },
        "lumat" => |_, text| {
            (1880..2100).contains(&number(&text[..4]))
                && is_year_month_day(&text[2..8])
                && luhn(&text[..12])
        },
        "rc" => |_, text| birth_number(text),
        "cnp" => |_, text| cnp(text),
        "egn" => |_, text| egn(text),
        "snils" => |_, text| {
            let sum = weighted(&text[..9], &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
            u64::from(sum % 101 % 100) == number(&text[9..]) && !is_uniform(&text[..9])
        },
        "inn" => |_, text| inn(text),
        "rnokpp" => |_, text| {
            let rest = [5, 7, 9, 4, 6, 10, 5, 7];
            // The first weight is -1; 10 is as much, in eleven.
            (value(text[0]) * 10 + weighted(&text[1..9], &rest)) % 11 % 10 == last(text)
                && !is_uniform(text)
        },
        "oib" => |_, text| mod11_10(text) && !is_uniform(text),
        "emso" => |_, text| emso(text),
        "amka" => |_, text| is_day_month_year(text) && luhn(text),
        "afm" => |_, text| afm(text),
        "baltic" => |_, text| baltic(text),
        "huadoszam" => |_, text| {
            text[0] == b'8' && weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == last(text)
        },
        _ => return None,
    };
    Some(check)
}

/// Modulo 11 from 11 down, where 10 and 11 are 0.
pub(super) fn below_ten(text: &[u8], weights: &[u32]) -> bool {
    let check = 11 - weighted(text, weights) % 11;
    (if check >= 10 { 0 } else { check }) == last(text) && !is_uniform(text)
}

/// Federal Tax Service: the last digit is that of the rest by eleven, of an entrepreneur's by thirteen.
fn ogrn(text: &[u8]) -> bool {
    let (body, kinds, modulus): (_, &[u8], _) = match text.len() {
        13 => (&text[..12], b"15", 11),
        _ => (&text[..14], b"3", 13),
    };
    kinds.contains(&text[0]) && number(body) % modulus % 10 == u64::from(last(text))
}

fn nino(text: &[u8]) -> bool {
    let (first, second) = (text[0], text[1]);
    !b"DFIQUV".contains(&first)
        && !b"DFIQUVO".contains(&second)
        && ![b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"]
            .iter()
            .any(|other| text.starts_with(*other))
        && matches!(text[8], b'A'..=b'D')
}

fn utr(text: &[u8]) -> bool {
    const CHECKS: [u32; 11] = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    let rest = weighted(&text[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11;
    CHECKS[rest as usize] == value(text[0]) && !is_uniform(text)
}

/// Of the first ten digits one comes twice or three times, the others once at most.
fn steuer_id(text: &[u8]) -> bool {
    let count = |digit: u8| text[..10].iter().filter(|&&byte| byte == digit).count();
    let mut repeated = (b'0'..=b'9').map(count).filter(|count| *count > 1);
    let once = matches!((repeated.next(), repeated.next()), (Some(2 | 3), None));
    text[0] != b'0' && once && mod11_10(text)
}

fn rvnr(text: &[u8]) -> bool {
    let letter = text[8] - b'A' + 1;
    let digits = [
        &text[..8],
        &[b'0' + letter / 10, b'0' + letter % 10],
        &text[9..11],
    ]
    .concat();
    let sum: u32 = digits
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(&byte, weight)| value(byte) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    let day = number(&text[2..4]) % 50;
    is_date(0, number(&text[4..6]), day) && sum % 10 == last(text)
}

fn de_card(text: &[u8]) -> bool {
    let letters = text
        .iter()
        .all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte));
    let plain = letters
        && b"CFGHJKLMNPRTVWXYZ".contains(&text[0])
        && text.iter().filter(|byte| byte.is_ascii_digit()).count() > 3;
    plain && (text.len() == 9 || weighted(text, &[7, 3, 1, 7, 3, 1, 7, 3, 1]) % 10 == last(text))
}

/// Of a company the tenth digit checks nine, of a person the eleventh and twelfth check those before them.
fn inn(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 11] = [3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8];
    let checks = |at: usize| {
        weighted(&text[..at], &WEIGHTS[WEIGHTS.len() - at..]) % 11 % 10 == value(text[at])
    };
    !is_uniform(text)
        && match text.len() {
            10 => checks(9),
            _ => checks(10) && checks(11),
        }
}

fn nir(text: &[u8]) -> bool {
    let plain = [
        &text[..6],
        if text[6] == b'A' { b"9" } else { b"8" },
        &text[7..],
    ]
    .concat();
    let corsican = text[6].is_ascii_uppercase();
    if corsican && !(text[5] == b'2' && matches!(text[6], b'A' | b'B')) {
        return false;
    }
    // 2A counts as 19, 2B as 18.
    let mut digits = if corsican { plain } else { text.to_vec() };
    if corsican {
        digits[5] = b'1';
    }
    let born = matches!(digits[0], b'1'..=b'4' | b'7' | b'8')
        && matches!(number(&digits[3..5]), 1..=12 | 20..=42 | 50..=99);
    born && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() < 15 || 97 - number(&digits[..13]) % 97 == number(&digits[13..]))
}

/// The letter counts as its place in the alphabet, in two digits; each product is the sum of its digits.
fn kvnr(text: &[u8]) -> bool {
    let letter = u32::from(text[0] - b'A') + 1;
    let body = text[1..9].iter().map(|byte| u32::from(byte - b'0'));
    let digits = [letter / 10, letter % 10].into_iter().chain(body);
    let products = digits
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| digit * weight);
    products
        .map(|product| product / 10 + product % 10)
        .sum::<u32>()
        % 10
        == last(text)
}

pub(super) fn dni(number: u64, letter: u8) -> bool {
    b"TRWAGMYFPDXBNJZSQVHLCKE"[(number % 23) as usize] == letter
}

pub(super) fn nie(text: &[u8]) -> bool {
    let first = match text[0] {
        first @ b'X'..=b'Z' => u64::from(first - b'X'),
        _ => return false,
    };
    dni(first * 10_000_000 + number(&text[1..8]), text[8])
}

fn codice_fiscale(text: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let even = |byte: u8| {
        if byte.is_ascii_digit() {
            value(byte)
        } else {
            value(byte) - 10
        }
    };
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(at, &byte)| {
            if at % 2 == 0 {
                ODD[even(byte) as usize]
            } else {
                even(byte)
            }
        })
        .sum();
    let numbers = [6, 7, 9, 10, 12, 13, 14]
        .iter()
        .all(|&at| text[at].is_ascii_digit() || b"LMNPQRSTUV".contains(&text[at]));
    numbers && b"ABCDEHLMPRST".contains(&text[8]) && sum % 26 == even(text[15])
}

fn pesel(text: &[u8]) -> bool {
    let sum = weighted(text, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    let born = is_date(
        number(&text[..2]),
        number(&text[2..4]) % 20,
        number(&text[4..6]),
    );
    born && (10 - sum % 10) % 10 == last(text)
}

fn regon(text: &[u8]) -> bool {
    let nine = weighted(&text[..8], &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10 == value(text[8]);
    let all = weighted(text, &[2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]) % 11 % 10;
    nine && !is_uniform(text) && (text.len() == 9 || all == last(text))
}

fn personnummer(text: &[u8]) -> bool {
    let ten = &text[text.len() - 10..];
    let day = number(&ten[4..6]);
    let century = text.len() == 10 || (18..=20).contains(&number(&text[..2]));
    century
        && is_date(
            number(&ten[..2]),
            number(&ten[2..4]),
            if day > 60 { day - 60 } else { day },
        )
        && luhn(ten)
}

fn hetu(text: &[u8]) -> bool {
    let (sign, rest) = match text.len() {
        11 => (text[6], &text[7..]),
        _ => (b'A', &text[6..]),
    };
    let count = number(&text[..6]) * 1000 + number(&rest[..3]);
    b"ABCDEFUVWXY".contains(&sign)
        && rest[..3].iter().all(u8::is_ascii_digit)
        && is_day_month_year(text)
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(count % 31) as usize] == rest[3]
}

fn fnr(text: &[u8]) -> bool {
    let (day, month) = (number(&text[..2]) % 40, number(&text[2..4]) % 40);
    let check = |weights: &[u32]| (11 - weighted(text, weights) % 11) % 11;
    is_date(number(&text[4..6]), month, day)
        && check(&[3, 7, 6, 1, 8, 9, 4, 5, 2]) == value(text[9])
        && check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) == value(text[10])
}

fn be_national(text: &[u8]) -> bool {
    let (born, check) = (number(&text[..9]), number(&text[9..]));
    let month = number(&text[2..4]) % 20;
    let right = |number: u64| 97 - number % 97 == check;
    month <= 12
        && number(&text[4..6]) <= 31
        && born > 0
        && (right(born) || right(2_000_000_000 + born))
}

fn bsn(text: &[u8]) -> bool {
    let sum = weighted(text, &[9, 8, 7, 6, 5, 4, 3, 2]);
    !is_uniform(text) && sum % 11 == last(text)
}

fn pps(text: &[u8]) -> bool {
    let second = text.get(8).map_or(
        0,
        |&letter| if letter == b'W' { 0 } else { value(letter) - 9 },
    );
    let rest = (weighted(&text[..7], &[8, 7, 6, 5, 4, 3, 2]) + second * 9) % 23;
    (if rest == 0 {
        b'W'
    } else {
        b'A' + rest as u8 - 1
    }) == text[7]
}

pub(super) fn birth_number(text: &[u8]) -> bool {
    let month = number(&text[2..4]) % 50;
    let born = is_date(
        number(&text[..2]),
        if month > 20 { month - 20 } else { month },
        number(&text[4..6]),
    );
    let all = number(text);
    born && (all.is_multiple_of(11) || number(&text[..9]) % 11 == 10 && last(text) == 0)
}

fn cnp(text: &[u8]) -> bool {
    let rest = weighted(text, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    text[0] != b'0'
        && is_year_month_day(&text[1..7])
        && (if rest == 10 { 1 } else { rest }) == last(text)
}

pub(super) fn egn(text: &[u8]) -> bool {
    let month = number(&text[2..4]) % 20;
    let sum = weighted(text, &[2, 4, 8, 5, 10, 9, 7, 3, 6]);
    is_date(number(&text[..2]), month, number(&text[4..6])) && sum % 11 % 10 == last(text)
}

fn emso(text: &[u8]) -> bool {
    let check = (11 - weighted(text, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    is_date(number(&text[5..7]), number(&text[2..4]), number(&text[..2])) && check == last(text)
}

fn afm(text: &[u8]) -> bool {
    let sum = weighted(text, &[256, 128, 64, 32, 16, 8, 4, 2]);
    !is_uniform(text) && sum % 11 % 10 == last(text)
}

fn baltic(text: &[u8]) -> bool {
    let rest = match weighted(text, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11 {
        10 => weighted(text, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10,
        rest => rest,
    };
    matches!(text[0], b'1'..=b'8') && is_year_month_day(&text[1..7]) && rest == last(text)
}
