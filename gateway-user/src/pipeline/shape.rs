//! What the bytes of a request are, so that they are searched and masked as that.

use http::{HeaderMap, header};

use super::relay::shape_of;
use crate::mask::{Order, Shape, Signal};
use crate::protocol::frames::{Framing, media_type};
use crate::protocol::grpc;
use crate::protocol::http::Head;
use crate::protocol::llm::Family;
use crate::protocol::multipart::Boundary;

/// Servers read JSON also where the content type says otherwise, so escapes in it are decoded before they are searched.
pub(super) fn shape(
    family: Option<Family>,
    head: &Head,
    headers: &HeaderMap,
    body: &[u8],
) -> Shape {
    let kind = media_type(headers);
    match family {
        Some(family) => shape_of(family),
        None if kind.starts_with("multipart/") => {
            let boundary = headers
                .get(header::CONTENT_TYPE)
                .and_then(|kind| kind.to_str().ok());
            boundary
                .and_then(Boundary::of)
                .map_or(Shape::Text, Shape::Parts)
        }
        None if grpc::calls(headers) => {
            signal(&head.path).map_or(Shape::SealedCall, Shape::ExportCall)
        }
        None if PROTOBUF.contains(&kind.as_str()) => {
            signal(&head.path).map_or(Shape::Sealed, Shape::Export)
        }
        None if is_json(headers) || reads_as_json(body) => Shape::Json,
        None if kind == FORM => Shape::Form,
        None => text(headers, body),
    }
}

/// Text, in the coding that its head or its first bytes tell.
pub(super) fn text(headers: &HeaderMap, body: &[u8]) -> Shape {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    Order::told(kind.unwrap_or_default(), body).map_or(Shape::Text, Shape::Wide)
}

/// What an answer is that has come whole, and how it is framed if it is a stream. An error page of something before the provider is text,
/// whatever was asked, but a client reads what a type does not tell by how it begins.
pub(super) fn of_answer(
    family: Option<Family>,
    vectors: bool,
    headers: &HeaderMap,
    body: &[u8],
) -> (Shape, Option<Framing>) {
    let json = is_json(headers);
    let framing = family
        .filter(|_| !json)
        .and_then(|family| Framing::begun(body, family));
    let shape = match family {
        _ if !json && framing.is_none() && !reads_as_json(body) => text(headers, body),
        _ if vectors && framing.is_none() => Shape::Vectors,
        Some(family) => shape_of(family),
        None => Shape::Json,
    };
    (shape, framing)
}

/// What is exported to this path, over HTTP or by gRPC.
fn signal(path: &str) -> Option<Signal> {
    let found = EXPORTS.iter().find(|(end, _)| path.ends_with(end));
    found.map(|(_, signal)| *signal)
}

pub(super) fn reads_as_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = media_type(headers);
    kind == "application/json" || kind.ends_with("+json")
}

/// OpenTelemetry's protocol, over HTTP and by gRPC.
const EXPORTS: &[(&str, Signal)] = &[
    ("/v1/traces", Signal::Traces),
    ("/v1/logs", Signal::Logs),
    ("/v1/metrics", Signal::Metrics),
    (".TraceService/Export", Signal::Traces),
    (".LogsService/Export", Signal::Logs),
    (".MetricsService/Export", Signal::Metrics),
];
const PROTOBUF: &[&str] = &[
    "application/x-protobuf",
    "application/protobuf",
    "application/proto",
    "application/vnd.google.protobuf",
];
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
