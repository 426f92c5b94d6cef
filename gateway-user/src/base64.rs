//! Base64 (RFC 4648), one way: bytes to text.

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
        }
        assert_eq!(encode(&[0xfb, 0xff], &URL_SAFE), b"-_8");
    }
}
