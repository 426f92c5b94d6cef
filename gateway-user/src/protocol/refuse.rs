//! How a refusal reaches a client: in the envelope of the protocol it speaks, so that its library raises its own, final error.
//!
//! Sources: the SDK behaviour measured for each status and envelope; 403 with `x-should-retry: false` is raised once, unretried.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::eventstream;
use super::frames::Framing;
use super::llm::Family;
use super::websocket;

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
    /// The answer, or the rest of it, must not be passed on.
    Withheld,
    /// The gateway itself cannot do its work.
    Unavailable,
    /// Too much is under way; the request may come again.
    Overloaded,
    /// A budget has no room for it.
    Budget,
    /// It comes too soon after others; it may come again after so many seconds.
    RateLimited(u32),
}

impl Why {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Policy | Self::ApprovalPending | Self::Budget => StatusCode::FORBIDDEN,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upstream | Self::Withheld => StatusCode::BAD_GATEWAY,
            Self::Unavailable | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::Withheld => "answer_withheld",
            Self::Unavailable => "gateway_unavailable",
            Self::Overloaded => "overloaded",
            Self::Budget => "budget_exceeded",
            Self::RateLimited(_) => "rate_limited",
        }
    }

    /// Google's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::Policy | Self::ApprovalPending | Self::Budget | Self::Withheld => {
                "PERMISSION_DENIED"
            }
            Self::RateLimited(_) => "RESOURCE_EXHAUSTED",
            Self::Malformed | Self::Coding | Self::TooLarge => "INVALID_ARGUMENT",
            Self::Upstream => "INTERNAL",
            Self::Unavailable | Self::Overloaded => "UNAVAILABLE",
        }
    }

    /// Amazon's name of the exception.
    fn exception(self) -> &'static str {
        match self {
            Self::Policy | Self::ApprovalPending | Self::Budget | Self::Withheld => {
                "AccessDeniedException"
            }
            Self::RateLimited(_) => "ThrottlingException",
            Self::Malformed | Self::Coding | Self::TooLarge => "ValidationException",
            Self::Upstream => "InternalServerException",
            Self::Unavailable | Self::Overloaded => "ServiceUnavailableException",
        }
    }

    /// The providers' own word for it.
    fn kind(self) -> &'static str {
        match self {
            Self::Policy | Self::ApprovalPending | Self::Budget => "permission_error",
            Self::RateLimited(_) => "rate_limit_error",
            Self::Malformed | Self::Coding => "invalid_request_error",
            Self::TooLarge => "request_too_large",
            Self::Upstream | Self::Withheld | Self::Unavailable => "api_error",
            Self::Overloaded => "overloaded_error",
        }
    }
}

impl Refusal {
    /// The refusal as an HTTP response in the envelope of `family`; plain JSON where there is none.
    #[must_use]
    pub fn response(&self, family: Option<Family>) -> Response<Bytes> {
        let body = match family {
            Some(family) => self.envelope(family),
            None => {
                json!({"error": {"message": self.message, "code": self.why.code(), "id": self.id}})
            }
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = family.map_or(self.why.status(), |family| self.status(family));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match self.why {
            Why::Overloaded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Why::RateLimited(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => {
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
        }
        Self::put_id(headers, &self.id);
        if family.is_some_and(is_amazons) {
            let kind = HeaderValue::from_static(self.why.exception());
            headers.insert("x-amzn-errortype", kind);
            if let Some(id) = headers.get("x-request-id").cloned() {
                headers.insert("x-amzn-requestid", id);
            }
        }
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
        let data = self.envelope(family);
        let text = match family {
            Family::BedrockConverse | Family::BedrockInvoke => {
                // Inside a stream, names of exceptions begin small.
                let kind = self.why.exception();
                let kind = kind[..1].to_ascii_lowercase() + &kind[1..];
                return eventstream::exception(&kind, &self.message, &data.to_string());
            }
            Family::Gemini => format!("data: {data}\n\n"),
            Family::Ollama => format!("{data}\n"),
            Family::Cohere => {
                let delta = json!({"finish_reason": "ERROR", "error": self.message});
                let data = json!({"type": "message-end", "id": self.id, "delta": delta});
                format!("event: message-end\ndata: {data}\n\n")
            }
            // The provider's own event has the fields at the top and a type; its library raises for what has none.
            Family::MistralConversations => {
                let code = self.why.status().as_u16();
                let data = json!({"message": self.message, "code": code, "error": data["error"]});
                format!("event: conversation.response.error\ndata: {data}\n\n")
            }
            Family::AnthropicMessages | Family::AnthropicModels => {
                format!("event: error\ndata: {data}\n\n")
            }
            // The provider's own event has the fields at the top, where clients of the stream look; its library raises for `error` alone.
            Family::OpenAiResponses => {
                let error = &data["error"];
                let data = json!({
                    "type": "error", "code": error["code"], "message": error["message"], "param": null, "error": error,
                });
                format!("event: error\ndata: {data}\n\n")
            }
            Family::OpenAiRealtime => {
                let id = format!("event_{}", self.id);
                let data = json!({"type": "error", "event_id": id, "error": data["error"]});
                return websocket::text(&data.to_string());
            }
            Family::OpenAiChat
            | Family::OpenRouterChat
            | Family::OpenAiCompletions
            | Family::OpenAiEmbeddings
            | Family::OpenAiModels => format!("data: {data}\n\n"),
        };
        Bytes::from(text)
    }

    /// The refusal as the end of a stream of this framing; `begun` tells that something of it has gone out.
    #[must_use]
    pub fn last(&self, family: Family, framing: Framing, begun: bool) -> Bytes {
        match framing {
            // The older version.
            Framing::Lines if family == Family::Cohere => {
                let response =
                    json!({"response_id": self.id, "finish_reason": "ERROR", "text": ""});
                let line = json!({"is_finished": true, "event_type": "stream-end", "finish_reason": "ERROR", "error": self.message, "response": response});
                Bytes::from(format!("{line}\n"))
            }
            Framing::Frames if family == Family::OpenAiResponses => self.in_lane(""),
            Framing::Events | Framing::Lines | Framing::Messages | Framing::Frames => {
                self.event(family)
            }
            Framing::Array => {
                let before = if begun { "," } else { "[" };
                Bytes::from(format!("{before}{}]", self.envelope(family)))
            }
        }
    }

    /// The refusal of an answer of OpenAI's responses over a WebSocket, as the event of its lane.
    #[must_use]
    pub fn in_lane(&self, lane: &str) -> Bytes {
        let family = Family::OpenAiResponses;
        let status = self.status(family).as_u16();
        let mut data =
            json!({"type": "error", "status": status, "error": self.envelope(family)["error"]});
        if !lane.is_empty() {
            data["stream_id"] = json!(lane);
        }
        websocket::text(&data.to_string())
    }

    /// The HTTP status. Google's, Amazon's, Cohere's and OpenRouter's libraries heed no header that says not to try again, and try 502 again and again: what is
    /// withheld now would be withheld then.
    fn status(&self, family: Family) -> StatusCode {
        match (self.why, family) {
            (Why::Withheld, Family::Gemini | Family::Cohere | Family::OpenRouterChat) => {
                StatusCode::FORBIDDEN
            }
            (Why::Withheld, family) if is_amazons(family) => StatusCode::FORBIDDEN,
            (why, _) => why.status(),
        }
    }

    /// What the provider's own errors look like.
    fn envelope(&self, family: Family) -> Value {
        let (message, code) = (&self.message, self.why.code());
        match family {
            Family::Gemini => {
                let details = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "tollgate", "metadata": {"id": self.id}});
                json!({"error": {"code": self.status(family).as_u16(), "message": message, "status": self.why.word(), "details": [details]}})
            }
            // Its library takes no other code than a number for an error.
            Family::OpenRouterChat => {
                let metadata = json!({"reason": code, "id": self.id});
                json!({"error": {"code": self.status(family).as_u16(), "message": message, "metadata": metadata}})
            }
            Family::Ollama => json!({"error": message}),
            Family::Cohere => json!({"message": message, "id": self.id}),
            Family::BedrockConverse | Family::BedrockInvoke => json!({"message": message}),
            Family::AnthropicMessages | Family::AnthropicModels => {
                json!({"type": "error", "error": {"type": self.why.kind(), "message": message}, "request_id": self.id})
            }
            Family::OpenAiChat
            | Family::OpenAiResponses
            | Family::OpenAiCompletions
            | Family::OpenAiEmbeddings
            | Family::OpenAiModels
            | Family::OpenAiRealtime
            | Family::MistralConversations => {
                json!({"error": {"message": message, "type": self.why.kind(), "param": null, "code": code, "id": self.id}})
            }
        }
    }
}

fn is_amazons(family: Family) -> bool {
    matches!(family, Family::BedrockConverse | Family::BedrockInvoke)
}

#[cfg(test)]
mod tests;
