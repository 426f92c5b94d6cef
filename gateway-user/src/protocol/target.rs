//! Hosts and paths in the one form that policy decides on, where no server is known to read them another way.
//!
//! In: a host or a path as sent. Out: its normal form, or `None` for what two servers would read differently. Invariant: what is
//! forwarded, decoded as often as a server may decode it, has the segments that were decided on (`forwarded_is_decided`). Sources: RFC 3986
//! (2.3, 3.2.2, 6.2.2), RFC 3629 (3: overlong forms), the WHATWG URL standard (hosts that end in a number).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lower case, without brackets or a final dot; addresses in their canonical form. `None` for what is no name (RFC 1123, with
/// underscores): other characters (names beyond ASCII have to be sent as `xn--`), empty labels, zones, addresses in parts or other bases.
#[must_use]
pub fn normal_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(IpAddr::V6(address).to_canonical().to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    if name.len() > MAX_NAME || !name.split('.').all(label) {
        return None;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x");
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!number || name.parse::<Ipv4Addr>().is_ok()).then_some(name)
}

/// Decimal, without a sign or a leading zero.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Percent-encoded unreserved characters decoded, other encodings in upper case, doubled slashes made one. `None` for dot segments
/// (also before parameters, as in `/..;/`), backslashes, NUL, encoded separators, and for dots and separators that appear when a
/// server decodes twice or takes overlong UTF-8.
#[must_use]
pub fn normal_path(path: &str) -> Option<String> {
    let (mut normal, mut decoded) = (Vec::with_capacity(path.len()), Vec::new());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            if byte == b'\\' {
                return None;
            }
            if !(byte == b'/' && normal.last() == Some(&b'/')) {
                normal.push(byte);
            }
            decoded.push(byte);
            continue;
        }
        let pair = rest.get(..2)?;
        let value = hex(pair)?;
        match value {
            b'/' | b'\\' | 0 => return None,
            value if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => {
                normal.push(value);
            }
            _ => {
                normal.push(b'%');
                normal.extend(pair.iter().map(u8::to_ascii_uppercase));
            }
        }
        decoded.push(value);
        rest = &rest[2..];
    }
    if overlong(&decoded) || hides(&decoded) {
        return None;
    }
    let normal = String::from_utf8(normal).ok()?;
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    let encoded = normal.replace("%3B", ";");
    (!encoded.split('/').any(dots)).then_some(normal)
}

/// Whether decoding once more, or more often, makes a dot, a separator or NUL.
fn hides(decoded: &[u8]) -> bool {
    decoded.iter().enumerate().any(|(at, byte)| {
        let mut rest = &decoded[at + 1..];
        while *byte == b'%'
            && let Some(after) = rest.strip_prefix(b"25")
        {
            rest = after;
        }
        let value = rest.get(..2).and_then(hex);
        *byte == b'%' && matches!(value, Some(b'.' | b'/' | b'\\' | 0))
    })
}

/// Sequences that stand for a character which has a shorter one.
fn overlong(bytes: &[u8]) -> bool {
    let pair = |pair: &[u8]| matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    bytes.iter().any(|byte| matches!(byte, 0xc0 | 0xc1)) || bytes.windows(2).any(pair)
}

fn hex(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let value = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
    u8::try_from(value).ok()
}

/// The longest name DNS has.
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts() {
        for (host, normal) in [
            ("API.Example.com", "api.example.com"),
            ("example.com.", "example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("under_score.test", "under_score.test"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "::1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
            ("[2001:DB8::0:1]", "2001:db8::1"),
            ("[::ffff:127.0.0.1]", "127.0.0.1"),
            ("1e100.net", "1e100.net"),
            ("0x.test", "0x.test"),
        ] {
            assert_eq!(normal_host(host).as_deref(), Some(normal), "{host}");
        }
        for host in [
            "",
            ".",
            "..",
            "a..b",
            "example.com..",
            ".example.com",
            "bücher.example",
            "a b",
            "a,b",
            "a%2eb",
            "u@a",
            "a/b",
            "a\\b",
            "a;b",
            "[::1",
            "::1",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[::1].",
            "[a]",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.5",
            "1.2.3.0x4",
            "0x7f000001",
            "a.0x1",
            "0x",
            "256.0.0.1",
            "a.1",
        ] {
            assert_eq!(normal_host(host), None, "{host}");
        }
        let long = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(61),
        ]
        .join(".");
        assert_eq!(normal_host(&long), Some(long.clone()));
        assert_eq!(normal_host(&format!("{long}e")), None);
    }

    #[test]
    fn ports() {
        assert_eq!(port("443"), Some(443));
        for text in ["", "0", "0443", "+443", "-1", "65536", "4 3", "４４３"] {
            assert_eq!(port(text), None, "{text}");
        }
    }

    #[test]
    fn paths() {
        for (path, normal) in [
            ("/", "/"),
            ("/v1/%63hat", "/v1/chat"),
            ("/a%7eb", "/a~b"),
            ("/a%c3%a9", "/a%C3%A9"),
            ("//v1///chat/", "/v1/chat/"),
            ("/a;b=c/d", "/a;b=c/d"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/c.", "/a..b/c."),
            ("/100%25", "/100%25"),
            ("/a%20b", "/a%20b"),
            ("*", "*"),
        ] {
            assert_eq!(normal_path(path).as_deref(), Some(normal), "{path}");
        }
        for path in [
            "/a/../b",
            "/a/..",
            "/.",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/..;/b",
            "/a/..;x=1/b",
            "/.;/",
            "/..%3b/",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%00",
            "/%zz",
            "/%2",
            "/%",
            "/%252e%252e/b",
            "/a%252fb",
            "/a%25252fb",
            "/a%255cb",
            "/a%2500",
            "/%c0%ae%c0%ae/",
            "/%c1%9c",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/%+1",
        ] {
            assert_eq!(normal_path(path), None, "{path}");
        }
    }

    /// As a server decodes: every encoding, once.
    fn decode(path: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), path);
        while let Some((&byte, tail)) = rest.split_first() {
            match tail.get(..2).and_then(hex) {
                Some(value) if byte == b'%' => {
                    out.push(value);
                    rest = &tail[2..];
                }
                _ => {
                    out.push(byte);
                    rest = tail;
                }
            }
        }
        out
    }

    /// The segments a server finds that merges slashes and resolves dots.
    fn resolved(path: &[u8]) -> Vec<Vec<u8>> {
        let mut segments = Vec::new();
        for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
            match segment
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default()
            {
                b"" if segment.is_empty() => {}
                b"." => {}
                b".." => drop(segments.pop()),
                _ => segments.push(segment.to_vec()),
            }
        }
        segments
    }

    proptest! {
        /// However often a server decodes, and whatever it resolves, it finds the segments that were decided on.
        #[test]
        fn forwarded_is_decided(path in "(/|/\\.|/\\.\\.|//|%2[eEfF5]|%5c|%25|%3[bB]|;|2e|2f|25|[a-c.%]|%[0-9a-f]{2}|%c0%ae|%[67][0-9a-f]){0,12}") {
            let path = format!("/{path}");
            if let Some(decided) = normal_path(&path) {
                let (mut sent, mut known) = (path.into_bytes(), decided.clone().into_bytes());
                for _ in 0..4 {
                    (sent, known) = (decode(&sent), decode(&known));
                    let segments: Vec<_> = known.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).map(<[u8]>::to_vec).collect();
                    prop_assert_eq!(resolved(&sent), segments);
                }
                prop_assert_eq!(normal_path(&decided), Some(decided.clone()));
            }
        }
    }
}
