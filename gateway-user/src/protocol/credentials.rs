//! Where agents put credentials in HTTP: the headers and query parameters that a held credential replaces.

use http::{HeaderMap, HeaderName};

/// The headers agents put credentials in. At a service with a held credential all of them are removed.
pub const HEADERS: &[&str] = &[
    "authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "private-token",
    // Not secrets themselves, but they would pick another account for the credential that replaces the agent's.
    "openai-organization",
    "openai-project",
];

/// Removes every credential header.
pub fn strip(headers: &mut HeaderMap) {
    let carriers: Vec<HeaderName> = headers.keys().filter(|name| named(name)).cloned().collect();
    for name in carriers {
        headers.remove(name);
    }
}

/// Many servers read `x_api_key` as `x-api-key`.
fn named(name: &HeaderName) -> bool {
    HEADERS.contains(&name.as_str().replace('_', "-").as_str())
}

/// The same target without the query parameters that carry credentials.
#[must_use]
pub fn strip_target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let kept: Vec<&str> = query.split('&').filter(|pair| !carries(pair)).collect();
    if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", kept.join("&"))
    }
}

/// The credential a request presents, in a header or in its query; the first one found.
#[must_use]
pub fn presented<'a>(headers: &'a HeaderMap, target: &'a str) -> Option<&'a [u8]> {
    let secret = |name: &HeaderName| named(name) && !name.as_str().starts_with("openai");
    let in_header = headers.iter().find(|(name, _)| secret(name));
    let in_query = || {
        let pair = target
            .split_once('?')?
            .1
            .split('&')
            .find(|pair| carries(pair))?;
        Some(
            pair.split_once('=')
                .map_or(pair, |(_, value)| value)
                .as_bytes(),
        )
    };
    in_header
        .map(|(_, value)| value.as_bytes())
        .or_else(in_query)
}

/// Percent-encoded names are decoded first: servers do.
fn carries(pair: &str) -> bool {
    let name = percent_decode(pair.split('=').next().unwrap_or(pair));
    PARAMETERS
        .iter()
        .any(|parameter| name.eq_ignore_ascii_case(parameter.as_bytes()))
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let pair = rest
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                rest = &rest[2..];
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// The query parameters agents put credentials in.
const PARAMETERS: &[&str] = &[
    "key",
    "api_key",
    "api-key",
    "apikey",
    "access_token",
    "token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn credentials_leave_headers_and_query() {
        assert_eq!(strip_target("/p?key=s&a=1&API_KEY=t&%6bey=u"), "/p?a=1");
        assert_eq!(strip_target("/p?token=s"), "/p");
        assert_eq!(strip_target("/p"), "/p");
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers, "/p?a=1"), None);
        assert_eq!(presented(&headers, "/p?access_token=1"), Some(&b"1"[..]));
        headers.insert("x-api-key", "k".parse().unwrap());
        assert_eq!(presented(&headers, "/p"), Some(&b"k"[..]));
        headers.insert("x_api_key", "k".parse().unwrap());
        headers.insert("openai-project", "p".parse().unwrap());
        strip(&mut headers);
        assert!(headers.is_empty());
        assert_eq!(presented(&headers, "/p"), None);
    }
}
