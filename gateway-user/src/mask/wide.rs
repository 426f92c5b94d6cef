//! Text in UTF-16: read, masked, written in it again. Source: RFC 2781.

use std::char::DecodeUtf16Error;

use super::document::any;
use super::{MaskError, Set, parts};
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
    /// That of a text of this content type; none if it is not in UTF-16.
    #[must_use]
    pub fn told(content_type: &str, body: &[u8]) -> Option<Self> {
        let charset = content_type.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let named = name.trim().eq_ignore_ascii_case("charset");
            named.then(|| value.trim().trim_matches('"'))
        });
        Self::of(charset, body)
    }

    /// That of a text whose head says `charset`; none if it is not in UTF-16. A mark at its beginning tells more than its head, which need
    /// not tell it then.
    #[must_use]
    pub fn of(charset: Option<&str>, body: &[u8]) -> Option<Self> {
        let marked = marked(body);
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

fn marked(body: &[u8]) -> Option<Order> {
    match body {
        [0xff, 0xfe, ..] => Some(Order::Little),
        [0xfe, 0xff, ..] => Some(Order::Big),
        _ => None,
    }
}

fn read(body: &[u8], order: Order) -> Result<String, MaskError> {
    let (characters, []) = characters(body, order) else {
        return Err(MaskError::NotUtf16);
    };
    let text: Result<String, _> = characters.collect();
    text.map_err(|_| MaskError::NotUtf16)
}

/// The characters, and the byte behind them if their number is odd.
fn characters(
    body: &[u8],
    order: Order,
) -> (impl Iterator<Item = Result<char, DecodeUtf16Error>>, &[u8]) {
    let (units, rest) = body.as_chunks::<2>();
    let units = units.iter().map(move |unit| match order {
        Order::Little => u16::from_le_bytes(*unit),
        Order::Big => u16::from_be_bytes(*unit),
    });
    (char::decode_utf16(units), rest)
}

/// Masks a text; `None` where nothing is to be masked.
///
/// A reader may trust neither its head nor its mark, so the text is searched as one in UTF-8 as well. It cannot be masked as both.
pub(super) fn masked(
    body: &[u8],
    order: Order,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let start = marked(body).map_or(0, |_| 2);
    let narrow = |body: &[u8], found: &mut Vec<Finding>| {
        let (mark, said) = body.split_at(start);
        parts::narrow(said, set, found).map(|new| [mark, &new].concat())
    };
    let text = match read(body, order) {
        Ok(text) => text,
        Err(_) if is_narrow(&body[start..]) => return Ok(narrow(body, found)),
        Err(error) => return Err(error),
    };
    // A mark is no part of what may be a document.
    let (mark, said) = match text.strip_prefix(MARK) {
        Some(said) => (MARK, said),
        None => ("", text.as_str()),
    };
    let Some(new) = any(said, set, found) else {
        return Ok(narrow(body, found));
    };
    let units = mark.encode_utf16().chain(new.encode_utf16());
    let new: Vec<u8> = units
        .flat_map(|unit| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        })
        .collect();
    match narrow(&new, &mut Vec::new()) {
        Some(_) => Err(MaskError::NotUtf16),
        None => Ok(Some(new)),
    }
}

/// Whether these bytes are text in UTF-8. In UTF-16 nearly any text has zeros.
fn is_narrow(body: &[u8]) -> bool {
    !body.contains(&0) && std::str::from_utf8(body).is_ok()
}

/// Refuses bytes that begin like text in UTF-16 and are none, if something is found in what a reader gets that passes over what is wrong.
pub(super) fn search(body: &[u8], set: &Set) -> Result<(), MaskError> {
    let Some(order) = marked(body) else {
        return Ok(());
    };
    let (characters, _) = characters(&body[2..], order);
    let said: String = characters
        .map(|sign| sign.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    match any(&said, set, &mut Vec::new()) {
        Some(_) => Err(MaskError::NotUtf16),
        None => Ok(()),
    }
}

const MARK: &str = "\u{feff}";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::mask::{Shape, body};
    use crate::protocol::multipart::Boundary;

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

    #[test]
    fn a_part_of_a_form_in_utf_16_is_masked_too() {
        let form = |kind: &str, said: &[u8]| -> bytes::Bytes {
            let head = format!(
                "--b\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Type: {kind}\r\n\r\n"
            );
            [head.as_bytes(), said, b"\r\n--b--\r\n"].concat().into()
        };
        let coded =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let boundary = Boundary::of("multipart/form-data; boundary=b").unwrap();
        let masked = |sent: &_| body(sent, Shape::Parts(boundary), &Set::all());
        for (kind, mark) in [
            ("text/csv", "\u{feff}"),
            ("text/csv; charset=\"UTF-16LE\"", ""),
        ] {
            let text = |mail: &str| coded(&format!("{mark}name;mail\r\nAnn;{mail}\r\n"));
            let out = masked(&form(kind, &text("ann@corp.com"))).unwrap();
            assert_eq!(out.bytes, form(kind, &text("[REDACTED:email]")));
            let clean = form(kind, &text("none"));
            assert_eq!(masked(&clean).unwrap().bytes, clean);
            let odd = [&text("ann@corp.com")[..], b"!"].concat();
            assert!(masked(&form(kind, &odd)).is_err());
        }
        let out = masked(&form("text/csv; charset=utf-16", b"to ann@corp.com"));
        let wanted = form("text/csv; charset=utf-16", b"to [REDACTED:email]");
        assert_eq!(out.unwrap().bytes, wanted);
    }

    #[test]
    fn a_text_that_is_not_what_its_head_says_is_searched_as_what_it_is() {
        let mut passed = Vec::new();
        for (charset, sent) in [
            (Some("utf-16"), &b"write to ann@corp.com."[..]),
            (Some("utf-16le"), b"write to ann@corp.com."),
            (Some("utf-16be"), b"write to ann@corp.com."),
            (None, b"\xff\xfewrite to ann@corp.com."),
            (Some("utf-8"), b"\xfe\xffwrite to ann@corp.com."),
        ] {
            let sent = bytes::Bytes::from_static(sent);
            let shape = Order::of(charset, &sent).map_or(Shape::Text, Shape::Wide);
            let out = body(&sent, shape, &Set::all());
            if out.is_ok_and(|out| out.bytes == sent) {
                passed.push((charset, sent));
            }
        }
        assert_eq!(passed, []);
    }

    #[test]
    fn what_reads_as_two_texts_is_masked_as_neither() {
        let wide: Vec<u8> = "ann@corp.com "
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let both = bytes::Bytes::from([&wide[..], b" bob@corp.com "].concat());
        assert!(body(&both, Shape::Wide(Order::Little), &Set::all()).is_err());
        // An odd byte, and half of a character: most readers pass over them.
        for wrong in [&b"!"[..], b"\x00\xd8"] {
            let sent = [b"\xff\xfe", &wide[..], wrong].concat();
            assert_eq!(Order::of(None, &sent), None);
            assert!(body(&sent.into(), Shape::Text, &Set::all()).is_err());
        }
        let odd = bytes::Bytes::from_static(b"ann@corp.com!");
        let out = body(&odd, Shape::Wide(Order::Little), &Set::all()).unwrap();
        assert_eq!(out.bytes, &b"[REDACTED:email]!"[..]);
    }
}
