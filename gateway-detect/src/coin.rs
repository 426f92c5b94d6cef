//! Addresses and private keys of crypto currencies, and the machine-readable lines of passports: texts that check themselves.
//!
//! Sources: Bitcoin's Base58Check, BIP 173 and BIP 350; EIP-55; ICAO Doc 9303 parts 3, 4 and 6.

use sha2::{Digest, Sha256};

use super::Detector;
use super::place::{ALPHANUMERIC, Class, Place, Verdict, run};

/// An address or private key in Base58Check: the word that stands here.
pub(super) fn base58(place: Place<'_>, [address, key]: [Detector; 2]) -> Verdict {
    let ahead = place.ahead();
    if !b"13LMDTK5c9".contains(&ahead[0]) {
        return Verdict::No;
    }
    let length = run(&ahead[..ahead.len().min(LONGEST_WORD)], &ALPHANUMERIC);
    if length == ahead.len() && length < LONGEST_WORD && !place.whole {
        return Verdict::More;
    }
    let word = &ahead[..length];
    let detector = match (length, word[0]) {
        (26..=35, b'1' | b'3' | b'L' | b'M' | b'D' | b'T') => address,
        (51 | 52, b'5' | b'K' | b'L' | b'c' | b'9') => key,
        _ => return Verdict::No,
    };
    if has_base58_check(word) {
        Verdict::Match(detector, length)
    } else {
        Verdict::No
    }
}

fn has_base58_check(word: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 48];
    for byte in word {
        let Some(digit) = ALPHABET.iter().position(|other| other == byte) else {
            return false;
        };
        let mut carry = digit;
        for place in bytes.iter_mut().rev() {
            carry += usize::from(*place) * 58;
            *place = (carry % 256) as u8;
            carry /= 256;
        }
    }
    // A key has 33 or 34 bytes, an address 21, each before four of the check.
    let length = match word.len() {
        51 => 37,
        52 => 38,
        _ => 25,
    };
    let (front, rest) = bytes.split_at(bytes.len() - length);
    let (body, check) = rest.split_at(length - 4);
    let hash = Sha256::digest(Sha256::digest(body));
    front.iter().all(|&byte| byte == 0) && hash[..4] == *check
}

/// An address of Bitcoin, Litecoin or a test network as BIP 173 writes it.
pub(super) fn bech32(place: Place<'_>, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    let Some(prefix) = [&b"bc1"[..], b"tb1", b"ltc1"]
        .into_iter()
        .find(|prefix| ahead.starts_with(&prefix[..prefix.len().min(ahead.len())]))
    else {
        return Verdict::No;
    };
    let length = run(&ahead[..ahead.len().min(LONGEST_WORD)], &ALPHANUMERIC);
    if length == ahead.len() && length < LONGEST_WORD && !place.whole {
        return Verdict::More;
    }
    match length {
        42..=62 if has_bech32_check(&prefix[..prefix.len() - 1], &ahead[prefix.len()..length]) => {
            Verdict::Match(detector, length)
        }
        _ => Verdict::No,
    }
}

fn has_bech32_check(name: &[u8], data: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let step = |sum: u32, value: u32| {
        let top = sum >> 25;
        let next = (sum & 0x1ff_ffff) << 5 ^ value;
        GENERATOR
            .iter()
            .enumerate()
            .fold(next, |sum, (bit, generator)| {
                if top >> bit & 1 == 1 {
                    sum ^ generator
                } else {
                    sum
                }
            })
    };
    let high = name.iter().map(|byte| u32::from(byte >> 5));
    let low = name.iter().map(|byte| u32::from(byte & 31));
    let start = high.chain([0]).chain(low).fold(1, step);
    let mut sum = start;
    for byte in data {
        let Some(value) = ALPHABET.iter().position(|other| other == byte) else {
            return false;
        };
        sum = step(sum, value as u32);
    }
    matches!(sum, 1 | 0x2bc8_30a3)
}

/// An Ethereum address. In one case it has no check and counts behind a word for it.
pub(super) fn ethereum(
    place: Place<'_>,
    detector: Detector,
    announced: impl FnOnce() -> bool,
) -> Verdict {
    let ahead = place.ahead();
    let here = &ahead[..ahead.len().min(ETHEREUM)];
    let form = here.iter().enumerate().all(|(at, byte)| match at {
        0 => *byte == b'0',
        1 => *byte == b'x',
        _ => byte.is_ascii_hexdigit(),
    });
    if !form {
        return Verdict::No;
    }
    match ahead.get(ETHEREUM) {
        None if !place.whole => return Verdict::More,
        Some(next) if next.is_ascii_alphanumeric() => return Verdict::No,
        _ if here.len() < ETHEREUM => return Verdict::No,
        _ => {}
    }
    let digits = &here[2..];
    let mixed =
        digits.iter().any(u8::is_ascii_lowercase) && digits.iter().any(u8::is_ascii_uppercase);
    let right = if mixed {
        has_case_check(digits)
    } else {
        announced()
    };
    if right {
        Verdict::Match(detector, ETHEREUM)
    } else {
        Verdict::No
    }
}

/// A letter is a capital where the hash of all has a nibble above 7.
fn has_case_check(digits: &[u8]) -> bool {
    let hash = keccak256(&digits.to_ascii_lowercase());
    digits
        .iter()
        .enumerate()
        .filter(|(_, digit)| digit.is_ascii_alphabetic())
        .all(|(at, digit)| {
            let nibble = hash[at / 2] >> (if at % 2 == 0 { 4 } else { 0 }) & 15;
            digit.is_ascii_uppercase() == (nibble > 7)
        })
}

/// Keccak-256 of fewer than 136 bytes, with the padding it had before it became SHA-3.
fn keccak256(text: &[u8]) -> [u8; 32] {
    const TURNS: [u32; 24] = [
        1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44,
    ];
    const PLACES: [usize; 24] = [
        10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1,
    ];
    let mut block = [0_u8; 136];
    block[..text.len()].copy_from_slice(text);
    block[text.len()] = 1;
    block[135] |= 0x80;
    let mut lanes = [0_u64; 25];
    for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(8)) {
        *lane = bytes
            .iter()
            .rev()
            .fold(0, |lane, &byte| lane << 8 | u64::from(byte));
    }
    let mut register = 1_u8;
    for _ in 0..24 {
        let columns: [u64; 5] =
            std::array::from_fn(|x| (0..5).fold(0, |all, y| all ^ lanes[x + 5 * y]));
        for (at, lane) in lanes.iter_mut().enumerate() {
            *lane ^= columns[(at + 4) % 5] ^ columns[(at + 1) % 5].rotate_left(1);
        }
        let mut moved = lanes[1];
        for (turn, place) in TURNS.iter().zip(PLACES) {
            moved = std::mem::replace(&mut lanes[place], moved.rotate_left(*turn));
        }
        for row in lanes.chunks_exact_mut(5) {
            let old: [u64; 5] = std::array::from_fn(|x| row[x]);
            for (x, lane) in row.iter_mut().enumerate() {
                *lane = old[x] ^ !old[(x + 1) % 5] & old[(x + 2) % 5];
            }
        }
        // The round constants come from a shift register.
        for bit in 0..7 {
            if register & 1 == 1 {
                lanes[0] ^= 1 << ((1 << bit) - 1);
            }
            register = register << 1 ^ (if register & 0x80 == 0 { 0 } else { 0x71 });
        }
    }
    let mut hash = [0; 32];
    for (bytes, lane) in hash.chunks_exact_mut(8).zip(lanes) {
        bytes.copy_from_slice(&lane.to_le_bytes());
    }
    hash
}

/// The second line of a passport (TD3, 44 characters) or of a card or visa (TD2, 36).
pub(super) fn passport_line(place: Place<'_>, detector: Detector) -> Verdict {
    static CHARACTERS: Class = Class::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<");
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(45)], &CHARACTERS);
    if length == ahead.len() && length < 45 && !place.whole {
        return Verdict::More;
    }
    if !matches!(length, 44 | 36) {
        return Verdict::No;
    }
    let line = &ahead[..length];
    let check = |from: usize, to: usize| {
        let value = |byte: u8| match byte {
            b'<' => 0,
            b'0'..=b'9' => u32::from(byte - b'0'),
            _ => u32::from(byte - b'A') + 10,
        };
        let sum: u32 = line[from..to]
            .iter()
            .zip([7, 3, 1].iter().cycle())
            .map(|(&byte, weight)| value(byte) * weight)
            .sum();
        line[to].is_ascii_digit() && sum % 10 == value(line[to])
    };
    if check(0, 9) && check(13, 19) && check(21, 27) {
        Verdict::Match(detector, length)
    } else {
        Verdict::No
    }
}

const ETHEREUM: usize = 42;
const LONGEST_WORD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_addresses_check() {
        assert!(has_base58_check(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"));
        assert!(!has_base58_check(b"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3"));
        assert!(has_base58_check(
            b"5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
        ));
        assert!(has_bech32_check(
            b"bc",
            b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
        ));
        assert!(!has_bech32_check(
            b"bc",
            b"qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"
        ));
        // EIP-55's own examples.
        assert!(has_case_check(b"5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"));
        assert!(has_case_check(b"fB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"));
        assert!(!has_case_check(b"FB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"));
    }
}
