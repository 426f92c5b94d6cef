//! gRPC over HTTP/2: which requests are calls, and a refusal as the status of a call.
//!
//! A client takes an HTTP error for a broken server and may call again; a response that has the status in its head and nothing else
//! ("trailers-only") is final. Source: the gRPC protocol over HTTP/2, sections "Responses" and "Status message".

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};

use super::{Refusal, Why};

/// Whether the request is a call: `application/grpc`, with or without a suffix.
#[must_use]
pub fn calls(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b'-' | b' ')))
}

/// The refusal as the status of a call.
#[must_use]
pub fn response(refusal: &Refusal) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert("grpc-status", HeaderValue::from(status(refusal.why)));
    for (name, text) in [
        ("grpc-message", encoded(&refusal.message)),
        ("x-tollgate-id", refusal.id.clone()),
    ] {
        // Encoded texts and ids are visible ASCII, always a header value.
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    response
}

fn status(why: Why) -> u16 {
    match why {
        Why::Policy | Why::ApprovalPending | Why::Budget => PERMISSION_DENIED,
        Why::Malformed => INVALID_ARGUMENT,
        Why::Coding => UNIMPLEMENTED,
        Why::TooLarge | Why::RateLimited(_) => RESOURCE_EXHAUSTED,
        Why::Withheld => INTERNAL,
        Why::Upstream | Why::Unavailable | Why::Overloaded => UNAVAILABLE,
    }
}

/// Visible ASCII and spaces stand for themselves, all else and the percent sign as its bytes.
fn encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

const INVALID_ARGUMENT: u16 = 3;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_content_type() {
        let calls = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            super::calls(&headers)
        };
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=1",
            "application/grpc-web",
        ] {
            assert!(calls(kind), "{kind}");
        }
        for kind in ["application/grpcx", "application/json", ""] {
            assert!(!calls(kind), "{kind}");
        }
        assert!(!super::calls(&HeaderMap::new()));
    }

    #[test]
    fn a_refusal_is_a_final_status() {
        let refusal = Refusal {
            why: Why::Policy,
            message: "100% nö\n".into(),
            id: "01ABC".into(),
        };
        let response = response(&refusal);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], "7");
        assert_eq!(response.headers()["grpc-message"], "100%25 n%C3%B6%0A");
        assert_eq!(response.headers()["x-tollgate-id"], "01ABC");
        assert!(response.body().is_empty());
    }
}
