//! The parts of a multipart body: what approvals count, for a boundary made anew for every attempt does not make another request, and
//! what is masked.
//!
//! In: the Content-Type and the body. Out: the parts, or `None` for a body that is not in the one form that all readers understand in
//! the same way; that one counts as it is, with its boundary. Invariant: two bodies with the same parts are the same to every reader,
//! for the boundary occurs nowhere but in the delimiters. Source: RFC 2046, section 5.1.1.

use std::ops::Range;

use aho_corasick::AhoCorasick;

/// What separates parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    text: [u8; MAX_BOUNDARY],
    length: usize,
}

impl Boundary {
    /// That of a Content-Type, if all readers take the same from it.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let (_, boundary) = boundary(content_type)?;
        let mut text = [0; MAX_BOUNDARY];
        text.get_mut(..boundary.len())?
            .copy_from_slice(boundary.as_bytes());
        let length = boundary.len();
        Some(Self { text, length })
    }
}

/// The parts, each with its own headers, and the Content-Type without the boundary.
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Option<(String, Vec<&'a [u8]>)> {
    let (kind, _) = boundary(content_type)?;
    let parts = split(body, Boundary::of(content_type)?)?;
    let parts = parts.into_iter().map(|range| &body[range]);
    Some((kind, parts.collect()))
}

/// Where each part is, with its own headers.
#[must_use]
pub fn split(body: &[u8], boundary: Boundary) -> Option<Vec<Range<usize>>> {
    let found = AhoCorasick::new([&boundary.text[..boundary.length]]).ok()?;
    let mut delimiters = found.find_iter(body).map(|found| found.range());
    let first = delimiters.next()?;
    if body.get(..first.start)? != b"--" {
        return None;
    }
    let mut parts = Vec::new();
    let mut start = first.end;
    for delimiter in delimiters {
        let part = body.get(start..delimiter.start)?;
        let inside = part.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n--")?;
        parts.push(start + 2..start + 2 + inside.len());
        start = delimiter.end;
    }
    matches!(body.get(start..)?, b"--" | b"--\r\n").then_some(parts)
}

/// A multipart type without its boundary, and the boundary.
fn boundary(content_type: &str) -> Option<(String, &str)> {
    let is_boundary = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("boundary")
    };
    let (boundaries, others): (Vec<&str>, Vec<&str>) =
        content_type.split(';').partition(is_boundary);
    let [boundary] = boundaries.as_slice() else {
        return None;
    };
    let boundary = boundary.trim().split_once('=')?.1;
    // In quotes it is the same, as long as it has none of its own.
    let quoted = boundary.strip_prefix('"');
    let boundary = quoted.map_or(Some(boundary), |inside| inside.strip_suffix('"'))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.'".contains(&byte);
    let readable = (1..=MAX_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(plain);
    let multipart = others.first()?.trim_start().get(..10)?;
    // In a quoted string a semicolon would separate nothing.
    let quoted = others.iter().any(|parameter| parameter.contains('"'));
    (readable && !quoted && multipart.eq_ignore_ascii_case("multipart/"))
        .then(|| (others.join(";"), boundary))
}

/// RFC 2046.
const MAX_BOUNDARY: usize = 70;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_forms_that_clients_send_have_parts() {
        // requests and httpx, curl, Node.
        for (boundary, end) in [
            ("0123456789abcdef0123456789abcdef", "--\r\n"),
            ("------------------------0123456789abcdef", "--\r\n"),
            ("----formdata-undici-012345678901", "--"),
        ] {
            let head = "Content-Disposition: form-data; name=\"a\"\r\n\r\n";
            let body = format!(
                "--{boundary}\r\n{head}one\r\n--{boundary}\r\n{head}\r\n\r\n--{boundary}{end}"
            );
            let kind = format!("multipart/form-data; boundary={boundary}");
            let (kind, parts) = parts(&kind, body.as_bytes()).unwrap();
            assert_eq!(kind, "multipart/form-data");
            assert_eq!(parts.len(), 2);
            assert_eq!(parts[0], format!("{head}one").as_bytes());
            assert_eq!(parts[1], format!("{head}\r\n").as_bytes());
        }
    }

    #[test]
    fn what_two_readers_could_split_differently_counts_as_it_is() {
        let kind = "multipart/form-data; boundary=B";
        for body in [
            "",
            "--B",
            "--B--",
            "--B--x",
            "x--B\r\na\r\n--B--",
            "\r\n--B\r\na\r\n--B--",
            "--B\r\na\r\n--B--\r\nepilogue",
            "--B\r\na\r\n--B",
            "--B \r\na\r\n--B--",
            "--B\r\na\n--B\nb\r\n--B--",
            "--B\r\naB\r\n--B--",
            "--B\na\n--B--",
        ] {
            let found = parts(kind, body.as_bytes());
            // The body without a part is the only one that is in order.
            assert_eq!(found.is_some(), body == "--B--", "{body:?}");
        }
        let body = b"--B\r\na\r\n--B--";
        assert!(parts("multipart/form-data; Boundary=B; charset=x", body).is_some());
        assert!(parts("multipart/form-data; boundary=\"B\"", body).is_some());
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=B; boundary=B",
            "multipart/form-data; x=\";boundary=B\"",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"B",
            "multipart/form-data; boundary=B\"",
            "application/json; boundary=B",
            "boundary=B",
            "",
        ] {
            assert!(parts(kind, body).is_none(), "{kind:?}");
        }
    }
}
