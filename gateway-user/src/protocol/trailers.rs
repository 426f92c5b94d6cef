//! Trailer fields of requests: end to end, but never able to say what only a head may say (RFC 9110, 6.5.1).

use http::HeaderMap;

use super::credentials;
use super::http::end_to_end;

/// Removes what would frame, route, authenticate or describe the request behind its decision.
pub fn keep_harmless(trailers: &mut HeaderMap) {
    end_to_end(trailers);
    credentials::strip(trailers);
    for name in OF_HEADS {
        trailers.remove(*name);
    }
}

const OF_HEADS: &[&str] = &[
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "host",
    "trailer",
    "range",
    "cache-control",
    "max-forwards",
    "set-cookie",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_what_a_head_does_not_decide_stays() {
        let mut trailers = HeaderMap::new();
        for name in OF_HEADS.iter().chain(credentials::HEADERS).chain(&[
            "transfer-encoding",
            "connection",
            "te",
            "expect",
            "grpc-status",
            "x-checksum",
        ]) {
            trailers.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        keep_harmless(&mut trailers);
        let mut names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["grpc-status", "x-checksum"]);
    }
}
