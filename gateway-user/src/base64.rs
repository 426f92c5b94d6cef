//! Base64 (RFC 4648).

/// The alphabet of section 4.
pub(crate) const STANDARD: [u8; 64] =
    *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The alphabet of section 5.
pub(crate) const URL_SAFE: [u8; 64] =
    *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Without padding.
pub(crate) fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0;
        for index in 0..3 {
            bits = bits << 8 | u32::from(group.get(index).copied().unwrap_or(0));
        }
        for index in 0..=group.len() {
            text.push(alphabet[(bits >> (18 - 6 * index) & 63) as usize]);
        }
    }
    text
}

/// With padding, in the standard alphabet.
pub(crate) fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut text = encode(bytes, &STANDARD);
    text.extend_from_slice(padding(bytes.len()));
    text
}

/// What pads the text of so many bytes.
pub(crate) fn padding(length: usize) -> &'static [u8] {
    match length % 3 {
        0 => b"",
        1 => b"==",
        _ => b"=",
    }
}

/// The bytes of a text in the standard alphabet with its padding; `None` for anything else, also where bits are left over.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let inside = text.strip_suffix(b"=").unwrap_or(text);
    let inside = inside.strip_suffix(b"=").unwrap_or(inside);
    if !text.len().is_multiple_of(4) || text.len() - inside.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(inside.len() / 4 * 3 + 2);
    for group in inside.chunks(4) {
        let mut bits = 0;
        for index in 0..4 {
            bits = bits << 6 | group.get(index).map_or(Some(0), |byte| value(*byte))?;
        }
        let [_, decoded @ ..] = u32::to_be_bytes(bits);
        let (kept, left) = decoded.split_at_checked(group.len() - 1)?;
        if left.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    (padding(bytes.len()).len() == text.len() - inside.len()).then_some(bytes)
}

fn value(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_rfc_4648() {
        let vectors: [(&[u8], &[u8], &[u8]); 4] = [
            (b"", b"", b""),
            (b"f", b"Zg", b"Zg=="),
            (b"fo", b"Zm8", b"Zm8="),
            (b"foobar", b"Zm9vYmFy", b"Zm9vYmFy"),
        ];
        for (bytes, text, whole) in vectors {
            assert_eq!(encode(bytes, &STANDARD), text);
            assert_eq!(padded(bytes), whole);
            assert_eq!(decode(whole).as_deref(), Some(bytes));
        }
        let every: Vec<u8> = (0..=255).collect();
        for length in 0..=every.len() {
            let bytes = &every[every.len() - length..];
            assert_eq!(decode(&padded(bytes)).as_deref(), Some(bytes));
        }
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8=Zm8=", "Zm-v", "Zg==\n", "====", "=",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(encode(&[0xfb, 0xff], &URL_SAFE), b"-_8");
    }
}
