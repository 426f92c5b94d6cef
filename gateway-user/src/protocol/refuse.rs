//! How a refusal reaches a client: in the envelope of the protocol it speaks, so that its library raises its own, final error.
//!
//! Sources: the SDK behaviour measured for each status and envelope; 403 with `x-should-retry: false` is raised once, unretried.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::llm::Family;

/// A refusal, ready to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind it is; decides the status.
    pub why: Why,
    /// The whole sentence, safe for the client: identity, destination, reason, id.
    pub message: String,
    /// The ledger entry to look up.
    pub id: String,
}

/// Kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Policy, or a person, said no.
    Policy,
    /// An approval is awaited; the identical request may be sent again.
    ApprovalPending,
    /// The request cannot be understood.
    Malformed,
    /// The body has a content coding that is not understood.
    Coding,
    /// The body is larger than what is inspected.
    TooLarge,
    /// The upstream could not be reached or proven.
    Upstream,
    /// The gateway itself cannot do its work.
    Unavailable,
}

impl Why {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Policy | Self::ApprovalPending => StatusCode::FORBIDDEN,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Policy => "policy_denied",
            Self::ApprovalPending => "approval_pending",
            Self::Malformed => "invalid_request",
            Self::Coding => "unsupported_content_coding",
            Self::TooLarge => "request_too_large",
            Self::Upstream => "upstream_unavailable",
            Self::Unavailable => "gateway_unavailable",
        }
    }
}

impl Refusal {
    /// The refusal as an HTTP response in the envelope of `family`; plain JSON where there is none.
    #[must_use]
    pub fn response(&self, family: Option<Family>) -> Response<Bytes> {
        let code = self.why.code();
        let body = match family {
            Some(Family::OpenAiChat) => {
                json!({"error": {"message": self.message, "type": "permission_error", "param": null, "code": code}})
            }
            Some(Family::AnthropicMessages) => {
                let kind = match self.why {
                    Why::Policy | Why::ApprovalPending => "permission_error",
                    Why::Malformed | Why::Coding => "invalid_request_error",
                    Why::TooLarge => "request_too_large",
                    Why::Upstream | Why::Unavailable => "api_error",
                };
                json!({"type": "error", "error": {"type": kind, "message": self.message}, "request_id": self.id})
            }
            None => json!({"error": {"message": self.message, "code": code, "id": self.id}}),
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = self.why.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
        Self::put_id(headers, &self.id);
        // For a stream whose head has gone out: it gets the event instead.
        response.extensions_mut().insert(self.clone());
        response
    }

    /// Names the ledger entry where the providers' libraries look for the name of a request.
    pub fn put_id(headers: &mut HeaderMap, id: &str) {
        // Ids are Crockford base32, always a valid header value.
        if let Ok(id) = HeaderValue::from_str(id) {
            for name in ["x-request-id", "request-id", "x-tollgate-id"] {
                headers.insert(name, id.clone());
            }
        }
    }

    /// The refusal as the last event of a stream whose head has gone out: the one from which the provider's library raises its error.
    #[must_use]
    pub fn event(&self, family: Family) -> Bytes {
        let envelope = self.response(Some(family)).into_body();
        let envelope = String::from_utf8_lossy(&envelope);
        Bytes::from(match family {
            Family::AnthropicMessages => format!("event: error\ndata: {envelope}\n\n"),
            Family::OpenAiChat => format!("data: {envelope}\n\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn each_family_gets_its_own_envelope_and_no_retry() {
        let refusal = Refusal {
            why: Why::Policy,
            message: "no".into(),
            id: "01ABCDEF".into(),
        };
        for (family, pointer) in [
            (Some(Family::OpenAiChat), "/error/message"),
            (Some(Family::AnthropicMessages), "/error/message"),
            (None, "/error/message"),
        ] {
            let response = refusal.response(family);
            assert_eq!(response.status(), 403);
            assert_eq!(response.headers()["x-should-retry"], "false");
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(body.pointer(pointer).unwrap(), "no");
        }
    }
}
