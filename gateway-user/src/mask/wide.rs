//! Text in UTF-16: read, masked, written in it again. Source: RFC 2781.

use super::document::any;
use super::{MaskError, Set};
use crate::detect::Finding;

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The lower one.
    Little,
    /// The upper one.
    Big,
}

impl Order {
    /// That of a text whose head says `charset`; none if it is not in UTF-16. A mark at its beginning tells more than its head, which need
    /// not tell it then.
    #[must_use]
    pub fn of(charset: Option<&str>, body: &[u8]) -> Option<Self> {
        let marked = match body {
            [0xff, 0xfe, ..] => Some(Self::Little),
            [0xfe, 0xff, ..] => Some(Self::Big),
            _ => None,
        };
        let charset = charset.unwrap_or_default().to_ascii_lowercase();
        match charset.as_str() {
            "utf-16" | "utf16" | "ucs-2" | "iso-10646-ucs-2" | "unicode" => {
                marked.or_else(|| Some(guessed(body)))
            }
            "utf-16le" => marked.or(Some(Self::Little)),
            "utf-16be" => marked.or(Some(Self::Big)),
            // Other bytes begin like that as well.
            _ => marked.filter(|order| read(body, *order).is_ok()),
        }
    }
}

/// Most of a text is in the first 256 characters, whose upper byte is zero.
fn guessed(body: &[u8]) -> Order {
    let zeros = |first: usize| {
        let bytes = body.iter().skip(first).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    if zeros(0) > zeros(1) {
        Order::Big
    } else {
        Order::Little
    }
}

fn read(body: &[u8], order: Order) -> Result<String, MaskError> {
    let (units, []) = body.as_chunks::<2>() else {
        return Err(MaskError::NotUtf16);
    };
    let units = units.iter().map(|unit| match order {
        Order::Little => u16::from_le_bytes(*unit),
        Order::Big => u16::from_be_bytes(*unit),
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map_err(|_| MaskError::NotUtf16)
}

/// Masks a text; `None` where nothing is to be masked.
pub(super) fn masked(
    body: &[u8],
    order: Order,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let text = read(body, order)?;
    // A mark is no part of what may be a document.
    let (mark, said) = match text.strip_prefix(MARK) {
        Some(said) => (MARK, said),
        None => ("", text.as_str()),
    };
    let new = any(said, set, found).map(|new| mark.to_owned() + &new);
    Ok(new.map(|new| {
        let units = new.encode_utf16().flat_map(|unit| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        });
        units.collect()
    }))
}

const MARK: &str = "\u{feff}";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::mask::{Shape, body};

    #[test]
    fn text_in_utf_16_is_read_and_written_in_either_order() {
        let coded = |text: &str, order| -> Vec<u8> {
            let units = text.encode_utf16().flat_map(|unit| match order {
                Order::Little => u16::to_le_bytes(unit),
                Order::Big => u16::to_be_bytes(unit),
            });
            units.collect()
        };
        for order in [Order::Little, Order::Big] {
            for (says, leaves) in [
                ("a \u{1f600} b@corp.com", "a \u{1f600} [REDACTED:email]"),
                (
                    "\u{feff}{\"a\":\"b\\u0040corp.com\"}",
                    "\u{feff}{\"a\":\"[REDACTED:email]\"}",
                ),
                ("nothing", "nothing"),
            ] {
                let sent = coded(says, order);
                let told = match order {
                    Order::Little => "UTF-16LE",
                    Order::Big => "utf-16be",
                };
                for charset in ["utf-16", told] {
                    assert_eq!(Order::of(Some(charset), &sent), Some(order));
                }
                let marked = says.starts_with(MARK).then_some(order);
                assert_eq!(Order::of(None, &sent), marked);
                let bytes = bytes::Bytes::from(sent);
                let out = body(&bytes, Shape::Wide(order), &Set::all()).unwrap();
                assert_eq!(out.bytes, coded(leaves, order));
            }
            let odd = bytes::Bytes::from_static(b"a\0b");
            assert!(body(&odd, Shape::Wide(order), &Set::all()).is_err());
        }
        assert_eq!(Order::of(Some("utf-8"), b"\xff\xfeodd"), None);
    }
}
