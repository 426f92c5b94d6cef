//! What can be asked of a match beside its form.

use super::proof::entropy;

/// A condition on a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Validator {
    /// Its digits have a right check digit (ISO/IEC 7812-1).
    Luhn,
    /// It is an account number with right check digits (ISO 13616, ISO 7064 mod 97-10).
    Iban,
    /// Its characters carry at least so many bits each, by how often they occur in it.
    Entropy(f64),
}

impl Validator {
    /// Reads `luhn`, `iban` or `entropy >= 3.5`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "luhn" => Some(Self::Luhn),
            "iban" => Some(Self::Iban),
            other => {
                let bits = other.strip_prefix("entropy")?.trim().strip_prefix(">=")?;
                let bits: f64 = bits.trim().parse().ok()?;
                (0.0..=8.0).contains(&bits).then_some(Self::Entropy(bits))
            }
        }
    }

    pub(super) fn accepts(self, found: &[u8]) -> bool {
        match self {
            Self::Luhn => luhn(found),
            Self::Iban => iban(found),
            Self::Entropy(bits) => entropy(found) >= bits,
        }
    }
}

fn luhn(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(at, byte)| match (at % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit @ 0..=4) => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10) && text.iter().any(u8::is_ascii_digit)
}

fn iban(text: &[u8]) -> bool {
    let plain: Vec<u8> = text
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-'))
        .map(u8::to_ascii_uppercase)
        .collect();
    let form = (15..=34).contains(&plain.len())
        && plain.iter().all(u8::is_ascii_alphanumeric)
        && plain[..2].iter().all(u8::is_ascii_uppercase)
        && plain[2..4].iter().all(u8::is_ascii_digit);
    if !form {
        return false;
    }
    let (country, account) = plain.split_at(4);
    let rest = account.iter().chain(country).fold(0_u32, |rest, byte| {
        let (value, shift) = match byte {
            b'0'..=b'9' => (u32::from(byte - b'0'), 10),
            _ => (u32::from(byte - b'A') + 10, 100),
        };
        (rest * shift + value) % 97
    });
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_hold() {
        for (text, yes, no) in [
            ("luhn", "79927398713", "79927398710"),
            (
                "iban",
                "DE89 3704 0044 0532 0130 00",
                "DE88 3704 0044 0532 0130 00",
            ),
            ("iban", "GB82WEST12345698765432", "GB82WEST1234569876543"),
            ("entropy >= 3.5", "f3A9kLq0Zx7Tb2Wc", "aaaaaaaaaaaaaaab"),
            ("entropy>=0", "a", ""),
        ] {
            let validator = Validator::parse(text);
            let accepts = |found: &str| validator.is_some_and(|it| it.accepts(found.as_bytes()));
            assert!(accepts(yes), "{text} {yes}");
            assert!(!accepts(no) || no.is_empty(), "{text} {no}");
        }
        for text in [
            "",
            "Luhn",
            "entropy",
            "entropy > 3",
            "entropy >= 9",
            "entropy >= x",
        ] {
            assert_eq!(Validator::parse(text), None, "{text}");
        }
    }
}
