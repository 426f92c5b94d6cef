//! What makes characters of the right form a key: randomness, checksums, structure.

/// What has to hold of a match beside its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is no filler and no word.
    Random,
    /// Digits, small and capital letters.
    Kinds,
    /// A long stretch without a hyphen, or all kinds of characters: slugs begin with the same letters.
    NoSlug,
    /// It is no filler, and in the length that the vendors describe it ends in the CRC-32 of what is before, in base 62.
    Github,
    /// The header of a JSON web token.
    Jwt,
    /// Its form alone says it.
    Form,
    /// Letters and digits.
    Mixed,
}

impl Proof {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "kinds" => Self::Kinds,
            "noslug" => Self::NoSlug,
            "github" => Self::Github,
            "jwt" => Self::Jwt,
            "form" => Self::Form,
            "mixed" => Self::Mixed,
            _ => return None,
        })
    }

    /// Whether it holds of a match, of which `body` stands behind its literal beginning.
    pub(super) fn accepts(self, found: &[u8], body: &[u8]) -> bool {
        match self {
            Self::Form => true,
            Self::Random => is_random(body),
            Self::Github => is_random(body) && (body.len() != CHECKED || has_github_checksum(body)),
            Self::Kinds => is_random(body) && has_all_kinds(body),
            Self::Mixed => is_random(body) && is_mixed(body),
            Self::NoSlug => {
                !body.starts_with(b"ant-")
                    && is_random(body)
                    && (has_stretch(body) || has_all_kinds(body))
            }
            Self::Jwt => is_token_header(found),
        }
    }

    /// Whether it is a key even where its beginning is glued to a word.
    pub(super) fn is_sure(self, body: &[u8]) -> bool {
        match self {
            Self::Github => has_github_checksum(body),
            _ => has_stretch(body) && has_all_kinds(body),
        }
    }
}

/// Not `xxxx`, not one character over and over.
fn is_random(body: &[u8]) -> bool {
    let least = match body.len() {
        0..8 => 0.5,
        8..16 => 1.8,
        16..24 => 2.4,
        _ => 2.8,
    };
    !is_filler(body) && entropy(body) >= least
}

pub(super) fn has_stretch(body: &[u8]) -> bool {
    body.split(|byte| matches!(byte, b'-' | b'_'))
        .any(|part| part.len() >= 16)
}

pub(super) fn has_all_kinds(body: &[u8]) -> bool {
    [
        u8::is_ascii_digit,
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
    ]
    .iter()
    .all(|kind| body.iter().any(kind))
}

pub(super) fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_alphabetic)
}

/// `sk-xxxxxxxx…` in a manual is no key.
pub(super) fn is_filler(body: &[u8]) -> bool {
    body.iter()
        .filter(|byte| matches!(byte, b'x' | b'X' | b'*'))
        .count()
        * 2
        > body.len()
}

/// Shannon's entropy of the bytes, in bits for each.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let length = text.len() as f64;
    let bits = counts.iter().filter(|count| **count > 0).map(|count| {
        let part = f64::from(*count) / length;
        -part * part.log2()
    });
    bits.sum()
}

/// The header of a JSON web token (RFC 7515): an object that names its algorithm.
fn is_token_header(found: &[u8]) -> bool {
    let header = found.split(|&byte| byte == b'.').next().unwrap_or_default();
    let header = decoded(header).unwrap_or_default();
    let has = |word: &[u8]| header.windows(word.len()).any(|part| part == word);
    // A second object behind it says as much.
    let object = || found.windows(4).any(|part| part == b".eyJ") && header.is_ascii();
    let named = || has(b"\"alg\"") || has(b"\"typ\"") || has(b"\"kid\"") || has(b"\"enc\"");
    header.starts_with(b"{\"") && (named() || object())
}

/// The whole quads of a text in base 64, of either alphabet.
pub(super) fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let mut bits = 0_u32;
    let mut count = 0;
    for &byte in text {
        if byte == b'=' {
            break;
        }
        bits = bits << 6 | sextet(byte)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xFF) as u8);
        }
    }
    Some(out)
}

/// What a character of base 64, of either alphabet, stands for.
pub(super) fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// The last 6 of the 36 characters check the first 30 (GitHub and npm write it alike).
///
/// Sources: GitHub's and npm's announcements of their token formats, 2021.
pub(super) fn has_github_checksum(body: &[u8]) -> bool {
    body.len() >= CHECKED
        && body[..CHECKED].iter().all(u8::is_ascii_alphanumeric)
        && body[30..CHECKED] == github_checksum(&body[..30])
}

/// The CRC-32 in base 62.
pub(super) fn github_checksum(text: &[u8]) -> [u8; 6] {
    let mut crc = crc32(text);
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[crc as usize % 62];
        crc /= 62;
    }
    digits
}

fn crc32(text: &[u8]) -> u32 {
    text.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    }) ^ u32::MAX
}

/// How long the part of a token is that ends in a checksum.
const CHECKED: usize = 36;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
