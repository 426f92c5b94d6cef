//! The forms in which a server may echo a credential: as it is, in base64, percent-encoded, and as a JSON string.
//!
//! SECURITY.md lists exactly these; other encodings (hexadecimal, compressed, encrypted) are not looked for.

use std::collections::BTreeSet;

use crate::base64::{self, STANDARD, URL_SAFE};

/// Every form of `secret` worth looking for, each at least [`SHORTEST`] bytes long, sorted.
pub(super) fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([secret.to_vec()]);
    for alphabet in [&STANDARD, &URL_SAFE] {
        for offset in 0..3 {
            forms.insert(base64_inside(secret, offset, alphabet));
        }
        let whole = base64::encode(secret, alphabet);
        forms.insert([whole.as_slice(), base64::padding(secret.len())].concat());
        forms.insert(whole);
    }
    for digits in [UPPER, LOWER] {
        for kept in PERCENT_KEPT {
            let keep = |byte: u8| byte.is_ascii_alphanumeric() || kept.contains(&byte);
            forms.insert(escape(secret, keep, |byte, out| {
                push_hex(out, b"%", byte, digits)
            }));
        }
        for escaped in JSON_ESCAPED {
            let keep = |byte: u8| !escaped.contains(&byte) && !b"\"\\".contains(&byte);
            forms.insert(escape(secret, keep, |byte, out| match byte {
                b'"' | b'\\' | b'/' => out.extend([b'\\', byte]),
                _ => push_hex(out, b"\\u00", byte, digits),
            }));
            let keep = |byte: u8| !escaped.contains(&byte) && byte != b'\\' && byte != b'"';
            forms.insert(escape(secret, keep, |byte, out| match byte {
                b'\\' => out.extend(b"\\\\"),
                _ => push_hex(out, b"\\u00", byte, digits),
            }));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// A certificate as PEM (RFC 7468).
pub(super) fn pem(certificate: &[u8]) -> String {
    let text = base64::padded(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// The characters that belong to `secret` alone when it stands `offset` bytes (mod 3) into a longer text.
fn base64_inside(secret: &[u8], offset: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let shifted = [&[0; 3][..offset], secret].concat();
    let first = (8 * offset).div_ceil(6);
    let end = 8 * shifted.len() / 6;
    base64::encode(&shifted, alphabet)[first..end.max(first)].to_vec()
}

fn escape(secret: &[u8], keep: impl Fn(u8) -> bool, encode: impl Fn(u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut text = Vec::with_capacity(secret.len());
    for byte in secret {
        match keep(*byte) {
            true => text.push(*byte),
            false => encode(*byte, &mut text),
        }
    }
    text
}

fn push_hex(out: &mut Vec<u8>, lead: &[u8], byte: u8, digits: &[u8; 16]) {
    out.extend_from_slice(lead);
    out.extend([
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 15)],
    ]);
}

/// Anything shorter would be found in ordinary text.
pub(super) const SHORTEST: usize = 6;
const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";
/// What encoders leave alone besides letters and digits: RFC 3986's unreserved (Go, Rust), with `/` (Python `quote`),
/// `encodeURIComponent`, `encodeURI`, and HTML forms.
const PERCENT_KEPT: [&[u8]; 5] = [
    b"-._~",
    b"-._~/",
    b"-._~!*'()",
    b"-._~!*'();/?:@&=+$,#",
    b"-._*",
];
/// What encoders escape besides quotes and backslashes: nothing, `/` (PHP), HTML characters (Go), those and `=` and `'`
/// (Gson), and .NET's list.
const JSON_ESCAPED: [&[u8]; 5] = [b"", b"/", b"<>&", b"<>&='", b"<>&'+`"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_stands() {
        let secret = b"sk-live/0123456789+abc";
        for before in 0..7 {
            for after in 0..4 {
                let text = [&b"user:xyz"[..before], secret, &b"tail"[..after]].concat();
                for alphabet in [&STANDARD, &URL_SAFE] {
                    let text = base64::encode(&text, alphabet);
                    let found =
                        |form: &Vec<u8>| text.windows(form.len()).any(|window| window == form);
                    assert!(
                        forms(secret).iter().any(found),
                        "{before} before, {after} after"
                    );
                }
            }
        }
    }

    #[test]
    fn the_forms_of_a_credential_with_awkward_characters() {
        let forms = forms(br#"a/b+c=d"e\f<g"#);
        for form in [
            r#"a/b+c=d"e\f<g"#,
            "a%2Fb%2Bc%3Dd%22e%5Cf%3Cg",
            "a/b%2bc%3dd%22e%5cf%3cg",
            r#"a/b+c=d\"e\\f<g"#,
            r#"a\/b+c=d\"e\\f<g"#,
            r#"a/b+c=d\"e\\f\u003cg"#,
            r#"a/b+c\u003dd\"e\\f\u003cg"#,
            r#"a/b\u002Bc=d\u0022e\\f\u003Cg"#,
            "YS9iK2M9ZCJlXGY8Zw==",
        ] {
            assert!(forms.contains(form.as_bytes()), "{form}");
        }
    }

    #[test]
    fn an_ordinary_key_has_few_forms() {
        assert!(forms(b"sk-proj-abcdefghijklmnopqrstuvwxyz0123456789").len() <= 8);
        assert!(forms(b"short").iter().all(|form| form.len() >= SHORTEST));
    }
}
