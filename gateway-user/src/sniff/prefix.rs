//! Which protocol a prefix belongs to: pure, over bytes.
//!
//! Invariant: an answer never changes when more bytes follow.

use super::Wire;

/// The protocol that starts with `seen`, or `None` while more than one is possible.
pub(super) fn name(seen: &[u8]) -> Option<Wire> {
    match seen {
        [] => None,
        [TLS_HANDSHAKE, ..] => tls(seen),
        [first, ..] if is_method(*first) => http(seen),
        _ => Some(Wire::Unknown),
    }
}

/// A record of type handshake, version 3.x, not empty and not longer than a record may be, that starts with a ClientHello.
fn tls(seen: &[u8]) -> Option<Wire> {
    let plausible = match seen {
        [_, major, ..] if *major != 3 => false,
        [_, _, minor, ..] if *minor > 4 => false,
        [_, _, _, high, ..] if *high > 0x40 => false,
        [_, _, _, high, low, ..] if !(1..=0x4000).contains(&u16::from_be_bytes([*high, *low])) => {
            false
        }
        [_, _, _, _, _, kind, ..] => match *kind {
            CLIENT_HELLO => return Some(Wire::Tls),
            _ => false,
        },
        _ => true,
    };
    if plausible { None } else { Some(Wire::Unknown) }
}

/// A registered method and a space decide; any other upper-case token needs the version at the end of its line, because
/// many line protocols start with an upper-case word.
fn http(seen: &[u8]) -> Option<Wire> {
    if seen.starts_with(PREFACE) {
        return Some(Wire::Http2);
    }
    if PREFACE.starts_with(seen) {
        return None;
    }
    let Some(length) = seen.iter().position(|byte| !is_method(*byte)) else {
        return if seen.len() > MAX_METHOD {
            Some(Wire::Unknown)
        } else {
            None
        };
    };
    let (method, rest) = seen.split_at(length);
    if length > MAX_METHOD || rest[0] != b' ' {
        return Some(Wire::Unknown);
    }
    if METHODS.contains(&method) {
        return Some(Wire::Http1);
    }
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
    match line {
        [.., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            Some(Wire::Http1)
        }
        _ => Some(Wire::Unknown),
    }
}

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'-'
}

const TLS_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest registered method, BASELINE-CONTROL and UPDATEREDIRECTREF, with room to spare.
const MAX_METHOD: usize = 32;
/// RFC 9110 section 9 and RFC 5789. CONNECT is left to the line's end: other protocols start with that word.
const METHODS: [&[u8]; 8] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH",
];
