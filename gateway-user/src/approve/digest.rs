//! The digest that ties an approval to one request: SHA-256 over length-prefixed fields, so that no two different requests
//! give the same bytes.
//!
//! For HTTP: method, proven name, path with query, headers, credential class, body. Left out are short headers that change when
//! a client sends the same request again ([`VOLATILE`]), the boundary of a multipart body, and headers of the connection, whose
//! meaning is in other fields ([`CONNECTION`]). Credentials are replaced by their class, so that a new token does not make
//! a new request, and nobody can guess a token from a digest.
//!
//! Measured: what the OpenAI and Anthropic libraries for Python and Node, LangChain's, requests, httpx, Node's fetch and curl change
//! between two attempts is `x-stainless-retry-count` and, in forms, the boundary; the rest of the list is what tracers and gateways add.

use aws_lc_rs::digest::{Context, SHA256};

use crate::protocol::multipart;

/// Builds a digest; every field counts, and so does their order.
#[derive(Clone)]
pub struct Digest(Context);

impl Digest {
    /// Begins with the protocol's name, which keeps protocols apart.
    pub fn new(protocol: &str) -> Self {
        Self(Context::new(&SHA256)).field(protocol.as_bytes())
    }

    /// Begins an HTTP request: `name` is the proven name with its port, `target` the path and query as sent.
    pub fn http(method: &str, name: &str, target: &str) -> Self {
        Self::new("http")
            .field(method.as_bytes())
            .field(name.as_bytes())
            .field(target.as_bytes())
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds the headers and the whole body of an HTTP request.
    #[must_use]
    pub fn content<'a>(
        self,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        credential: &str,
        body: &[u8],
    ) -> Self {
        let headers: Vec<(&str, &[u8])> = headers.into_iter().collect();
        let is_kind = |name: &str| name.eq_ignore_ascii_case("content-type");
        let mut kinds = headers.iter().filter(|(name, _)| is_kind(name));
        let form = match (kinds.next(), kinds.next()) {
            (Some((_, kind)), None) => std::str::from_utf8(kind)
                .ok()
                .and_then(|kind| multipart::parts(kind, body)),
            _ => None,
        };
        let Some((kind, parts)) = form else {
            return self
                .headers(headers, credential)
                .field(b"whole")
                .field(body);
        };
        let named = headers
            .into_iter()
            .map(|(name, value)| match is_kind(name) {
                true => (name, kind.as_bytes()),
                false => (name, value),
            });
        let digest = self
            .headers(named, credential)
            .field(b"parts")
            .field(&(parts.len() as u64).to_be_bytes());
        parts.into_iter().fold(digest, Self::field)
    }

    /// Adds HTTP headers in any order of names (values of one name keep theirs), and the class of the credential among
    /// them, such as `own`.
    #[must_use]
    pub fn headers<'a>(
        self,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        credential: &str,
    ) -> Self {
        let mut kept: Vec<(String, &[u8])> = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, value)| counts(name, value))
            .collect();
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        let counted = self
            .field(credential.as_bytes())
            .field(&(kept.len() as u64).to_be_bytes());
        kept.iter().fold(counted, |digest, (name, value)| {
            digest.field(name.as_bytes()).field(value)
        })
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

fn counts(name: &str, value: &[u8]) -> bool {
    let volatile = || VOLATILE.contains(&name) || TRACERS.iter().any(|own| name.starts_with(own));
    !(value.len() <= MAX_VOLATILE && volatile()
        || CONNECTION.contains(&name)
        || CREDENTIAL.contains(&name))
}

/// Made anew for every attempt by clients, tracers and SDKs, or told so that the gateway can act on it.
const VOLATILE: [&str; 24] = [
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "b3",
    "baggage",
    "date",
    "elastic-apm-traceparent",
    "idempotency-key",
    "newrelic",
    "sec-websocket-key",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amz-date",
    "x-amzn-trace-id",
    "x-client-request-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-ms-client-request-id",
    "x-request-id",
    "x-retry-count",
    "x-stainless-read-timeout",
    "x-stainless-retry-count",
    "x-stainless-timeout",
];

/// Beginnings of names that belong to tracers.
const TRACERS: [&str; 2] = ["x-b3-", "x-datadog-"];

/// Longer values are not what those headers are for: nobody approved them unseen.
const MAX_VOLATILE: usize = 512;

/// Framing and routing: the body and the proven name are fields of their own, and a retry may use another HTTP version.
const CONNECTION: [&str; 5] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
];

/// Replaced by the credential's class.
const CREDENTIAL: [&str; 5] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

#[cfg(test)]
mod tests {
    use super::*;

    const HEADERS: [(&str, &[u8]); 4] = [
        ("content-type", b"application/json"),
        ("accept", b"*/*"),
        ("x-tag", b"1"),
        ("x-tag", b"2"),
    ];

    fn digest(headers: &[(&str, &[u8])], body: &[u8]) -> [u8; 32] {
        Digest::http("POST", "api.openai.com:443", "/v1/x?a=1")
            .content(headers.iter().copied(), "own", body)
            .finish()
    }

    #[test]
    fn the_layout_is_fixed() {
        // printf '\0\0\0\0\0\0\0\3sql\0\0\0\0\0\0\0\2ab' | sha256sum
        let hex: String = Digest::new("sql")
            .field(b"ab")
            .finish()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "5df097579cab6be2e620cd48479bff0b2cb8c6e702f7b3d09f64480041d1ac53"
        );
    }

    #[test]
    fn what_changes_between_attempts_does_not_count() {
        let mut again = HEADERS.to_vec();
        again.swap(0, 1);
        again.extend([
            ("X-Stainless-Retry-Count", b"1".as_slice()),
            ("X-Request-Id", b"r"),
            ("traceparent", b"t"),
            ("tracestate", b"t"),
            ("Date", b"now"),
            ("idempotency-key", b"i"),
            ("x-b3-traceid", b"t"),
            ("x-stainless-timeout", b"9"),
            ("content-length", b"2"),
            ("host", b"api.openai.com"),
            ("authorization", b"Bearer other"),
            ("cookie", b"c"),
        ]);
        assert_eq!(digest(&HEADERS, b"{}"), digest(&again, b"{}"));
    }

    #[test]
    fn everything_else_counts() {
        let base = digest(&HEADERS, b"{}");
        let mut swapped = HEADERS.to_vec();
        swapped.swap(2, 3);
        let mut more = HEADERS.to_vec();
        more.push(("user-agent", b"x"));
        assert_ne!(base, digest(&swapped, b"{}"));
        assert_ne!(base, digest(&more, b"{}"));
        let long = [b'x'; MAX_VOLATILE + 1];
        for (name, value) in [
            ("x-request-id", long.as_slice()),
            ("x-stainless-lang", b"js"),
            ("x-requested-by", b"x"),
        ] {
            let mut more = HEADERS.to_vec();
            more.push((name, value));
            assert_ne!(base, digest(&more, b"{}"), "{name}");
        }
        assert_ne!(base, digest(&HEADERS[..3], b"{}"));
        assert_ne!(base, digest(&HEADERS, b"{ }"));
        let part = |a: &str, b: &str| Digest::http("GET", a, b).finish();
        assert_ne!(part("a", "b/"), part("ab", "/"));
        let class = |class| Digest::new("http").headers([], class).finish();
        assert_ne!(class("own"), class("foreign"));
    }

    #[test]
    fn of_a_form_the_parts_count_and_not_the_boundary() {
        let form = |boundary: &str, parts: [&str; 2], kind: &str| {
            let kind = format!("{kind}; boundary={boundary}");
            let body = format!(
                "--{boundary}\r\n{}\r\n--{boundary}\r\n{}\r\n--{boundary}--\r\n",
                parts[0], parts[1]
            );
            let headers = [("Content-Type", kind.as_bytes()), ("x-tag", b"1")];
            digest(&headers, body.as_bytes())
        };
        let base = form("B0", ["one", "two"], "multipart/form-data");
        assert_eq!(base, form("C1", ["one", "two"], "multipart/form-data"));
        for other in [
            form("B0", ["two", "one"], "multipart/form-data"),
            form("B0", ["onet", "wo"], "multipart/form-data"),
            form("B0", ["one", "two"], "multipart/mixed"),
            // What another reader could split elsewhere counts with its boundary.
            form("C1", ["one\n--B0\n", "two"], "multipart/form-data"),
        ] {
            assert_ne!(base, other);
        }
        let inner = |boundary| form(boundary, ["one B0", "two C1"], "multipart/form-data");
        assert_ne!(inner("B0"), inner("C1"));
    }
}
