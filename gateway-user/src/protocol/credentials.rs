//! Where agents put credentials in HTTP: the headers and query parameters that a held credential replaces.

use http::header::{HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_PROTOCOL};

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
    "job-token",
    "x-vault-token",
    "x-consul-token",
    "x-nomad-token",
    "x-figma-token",
    "x-shopify-access-token",
    "x-subscription-token",
    "x-rapidapi-key",
    "x-functions-key",
    "ocp-apim-subscription-key",
    "x-auth-key",
    "xi-api-key",
    "dd-api-key",
    "dd-application-key",
    "apikey",
    // Not secrets themselves, but they would pick another account for the credential that replaces the agent's.
    "openai-organization",
    "openai-project",
];

/// Removes every credential header, and the WebSocket subprotocols that stand for one.
pub fn strip(headers: &mut HeaderMap) {
    let carriers: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_header(name))
        .cloned()
        .collect();
    for name in carriers {
        headers.remove(name);
    }
    let kept: Vec<&[u8]> = subprotocols(headers)
        .filter(|offered| !SUBPROTOCOLS.iter().any(|prefix| starts(offered, prefix)))
        .collect();
    let kept = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

/// Each subprotocol that a WebSocket handshake offers.
fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    offered
        .map(<[u8]>::trim_ascii)
        .filter(|offered| !offered.is_empty())
}

fn starts(offered: &[u8], prefix: &str) -> bool {
    let start = offered.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Whether a secret stands in this header where a request presents it.
#[must_use]
pub fn is_secret(name: &HeaderName) -> bool {
    is_header(name) && !name.as_str().starts_with("openai")
}

/// Many servers read `x_api_key` as `x-api-key`.
fn is_header(name: &HeaderName) -> bool {
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

/// The credential a request presents, in a header, in its query or as a subprotocol; the first one found.
#[must_use]
pub fn presented<'a>(headers: &'a HeaderMap, target: &'a str) -> Option<&'a [u8]> {
    let in_header = headers.iter().find(|(name, _)| is_secret(name));
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
    let in_subprotocol = || {
        let secret = |offered: &&[u8]| {
            SECRET_SUBPROTOCOLS
                .iter()
                .find(|prefix| starts(offered, prefix))
        };
        subprotocols(headers).find_map(|offered| offered.get(secret(&offered)?.len()..))
    };
    in_header
        .map(|(_, value)| value.as_bytes())
        .or_else(in_query)
        .or_else(in_subprotocol)
}

/// Whether agents put credentials in a parameter, `name=value`, of this name. Percent-encoded names are decoded first: servers do.
#[must_use]
pub fn carries(pair: &str) -> bool {
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
    "x-goog-signature",
    "x-goog-credential",
    // Azure's shared access signatures.
    "sig",
];

/// Browsers cannot set headers on a WebSocket, so that providers take credentials, and what picks an account, as subprotocols.
const SUBPROTOCOLS: &[&str] = &[
    "openai-insecure-api-key.",
    "base64url.bearer.authorization.k8s.io.",
    "openai-organization.",
    "openai-project.",
];
const SECRET_SUBPROTOCOLS: &[&str] = &[SUBPROTOCOLS[0], SUBPROTOCOLS[1]];

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

    #[test]
    fn credentials_leave_subprotocols() {
        let offered = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap());
            }
            headers
        };
        let mut headers = offered(&[
            "realtime, OpenAI-insecure-api-key.sk-1",
            "openai-project.p,x",
        ]);
        assert_eq!(presented(&headers, "/p"), Some(&b"sk-1"[..]));
        strip(&mut headers);
        let left: Vec<_> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect();
        assert_eq!(left, ["realtime, x"]);
        assert_eq!(presented(&headers, "/p"), None);
        let mut headers = offered(&["base64url.bearer.authorization.k8s.io.dG9rZW4"]);
        assert_eq!(presented(&headers, "/p"), Some(&b"dG9rZW4"[..]));
        strip(&mut headers);
        assert!(headers.is_empty());
    }
}
