//! The digest that ties an approval to one request: SHA-256 over length-prefixed fields, so that no two different requests
//! give the same bytes.
//!
//! For HTTP: method, proven name, path with query, headers, credential class, body. Left out are headers that change when
//! a client sends the same request again ([`VOLATILE`], `x-stainless-*`) and headers of the connection, whose meaning is in
//! other fields ([`CONNECTION`]). Credentials are replaced by their class, so that a new token does not make
//! a new request, and nobody can guess a token from a digest.

use aws_lc_rs::digest::{Context, SHA256};

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
            .filter(|(name, _)| counts(name))
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

fn counts(name: &str) -> bool {
    !(VOLATILE.contains(&name)
        || CONNECTION.contains(&name)
        || CREDENTIAL.contains(&name)
        || name.starts_with("x-stainless-"))
}

/// Made anew for every attempt by clients, tracers and SDKs.
const VOLATILE: [&str; 5] = [
    "date",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "x-request-id",
];

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
            .headers(headers.iter().copied(), "own")
            .field(body)
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
        assert_ne!(base, digest(&HEADERS[..3], b"{}"));
        assert_ne!(base, digest(&HEADERS, b"{ }"));
        let part = |a: &str, b: &str| Digest::http("GET", a, b).finish();
        assert_ne!(part("a", "b/"), part("ab", "/"));
        let class = |class| Digest::new("http").headers([], class).finish();
        assert_ne!(class("own"), class("foreign"));
    }
}
