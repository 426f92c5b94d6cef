//! International bank account numbers: country, check digits, and as many characters as the country's have, in one piece or in fours,
//! in other parts where they are mostly digits; letters are of one case.
//!
//! Sources: ISO 13616-1 and its registry (lengths), ISO/IEC 7064 mod 97-10.

use super::Detector;
use super::checks::mod97;
use super::place::{Place, Verdict};

/// What stands here, at the start of a word.
pub(super) fn at(place: Place<'_>, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    let head = &ahead[..ahead.len().min(4)];
    let begins = head.iter().enumerate().all(|(at, byte)| {
        if at < 2 {
            byte.is_ascii_alphabetic()
        } else {
            byte.is_ascii_digit()
        }
    });
    if !begins || place.follows(|byte| matches!(byte, b'-' | b'_' | b'+' | b'/')) {
        return Verdict::No;
    }
    let undecided = if place.whole {
        Verdict::No
    } else {
        Verdict::More
    };
    let [a, b, _, _] = head else {
        return undecided;
    };
    let country = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    let Some((_, length)) = LENGTHS.iter().find(|(code, _)| **code == country) else {
        return Verdict::No;
    };
    let mut plain = [0_u8; LONGEST];
    let mut count = 0;
    let mut at = 0;
    let mut joint = None;
    // In fours, as it is printed.
    let mut even = true;
    while count < *length {
        match ahead.get(at) {
            None => return undecided,
            Some(byte) if byte.is_ascii_alphanumeric() => {
                plain[count] = byte.to_ascii_uppercase();
                count += 1;
            }
            Some(sign @ (b' ' | b'-' | b'.'))
                if count >= 4
                    && ahead[at - 1].is_ascii_alphanumeric()
                    && *joint.get_or_insert(sign) == sign =>
            {
                even &= count.is_multiple_of(4);
            }
            Some(_) => return Verdict::No,
        }
        at += 1;
    }
    let (front, account) = plain[..count].split_at(4);
    let written = &ahead[..at];
    let digits = account.iter().filter(|byte| byte.is_ascii_digit()).count();
    let mixed =
        written.iter().any(u8::is_ascii_lowercase) && written.iter().any(u8::is_ascii_uppercase);
    if mixed || !even && digits * 3 < account.len() * 2 {
        return Verdict::No;
    }
    match ahead.get(at) {
        None if !place.whole => Verdict::More,
        Some(next) if next.is_ascii_alphanumeric() => Verdict::No,
        _ if mod97(&[account, front].concat()) == 1 => Verdict::Match(detector, at),
        _ => Verdict::No,
    }
}

const LONGEST: usize = 34;

#[rustfmt::skip]
const LENGTHS: [(&[u8; 2], usize); 89] = [
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22), (b"BH", 22), (b"BI", 27),
    (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24), (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28),
    (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18), (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23),
    (b"GL", 18), (b"GR", 27), (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20), (b"LU", 20), (b"LV", 21),
    (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20), (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28),
    (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24), (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22),
    (b"RU", 33), (b"SA", 24), (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20), (b"YE", 30),
];
