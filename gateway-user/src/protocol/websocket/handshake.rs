//! The handshake: RFC 6455, section 4, over HTTP/1.1; RFC 8441 over HTTP/2.
//!
//! Over HTTP/2 it is an extended CONNECT, which here reads as the GET it stands for: policy and record see one kind of handshake.

use aws_lc_rs::{digest, rand};
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, response};
use hyper::ext::Protocol;

use crate::base64;

/// Handshakes that are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum HandshakeError {
    #[error("a WebSocket is opened with exactly one Sec-WebSocket-Version, and that is 13")]
    Version,
    #[error("a WebSocket is opened with exactly one Sec-WebSocket-Key of 16 bytes")]
    Key,
    #[error("the request that opens a WebSocket has no body")]
    Body,
    #[error("the system's random source failed")]
    Random,
    #[error("the upstream answered {0} and did not open a WebSocket")]
    Status(u16),
    #[error("the agent's connection cannot become a WebSocket")]
    Upgrade,
    #[error("the upstream accepted the WebSocket with headers that do not fit")]
    Accept,
    #[error("the upstream agreed to an extension that was not offered")]
    Extension,
}

/// Whether a request asks for a WebSocket. A method or version that cannot ask for one makes `Upgrade` mean nothing (RFC 9110, 7.8).
#[must_use]
pub fn asked(parts: &Parts) -> bool {
    if parts.version >= Version::HTTP_2 {
        let protocol = parts.extensions.get::<Protocol>();
        return parts.method == Method::CONNECT
            && protocol.is_some_and(|protocol| protocol.as_str() == WEBSOCKET);
    }
    parts.version == Version::HTTP_11
        && parts.method == Method::GET
        && names(&parts.headers, &UPGRADE, WEBSOCKET)
        && names(&parts.headers, &CONNECTION, "upgrade")
}

/// Checks a request that asks for a WebSocket.
///
/// # Errors
/// [`HandshakeError`] where servers could differ about it.
pub fn check(parts: &Parts) -> Result<(), HandshakeError> {
    let headers = &parts.headers;
    if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    if parts.version < Version::HTTP_2 {
        let key = only(headers, &SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
        if !is_key(key.as_bytes()) {
            return Err(HandshakeError::Key);
        }
    }
    let length = headers.get(CONTENT_LENGTH);
    if headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0") {
        return Err(HandshakeError::Body);
    }
    Ok(())
}

/// Adds a key where the agent, over HTTP/2, sent none.
///
/// # Errors
/// The system gave no random bytes.
pub fn with_key(headers: &mut HeaderMap) -> Result<(), HandshakeError> {
    if !headers.contains_key(SEC_WEBSOCKET_KEY) {
        let mut key = [0; 16];
        rand::fill(&mut key).map_err(|_| HandshakeError::Random)?;
        let key = HeaderValue::from_bytes(&base64::padded(&key));
        headers.insert(SEC_WEBSOCKET_KEY, key.map_err(|_| HandshakeError::Key)?);
    }
    Ok(())
}

/// The request that asks for a WebSocket over `version`; `parts` has a key.
#[must_use]
pub fn offer(parts: &Parts, version: Version) -> Parts {
    let mut parts = parts.clone();
    parts.version = version;
    let headers = &mut parts.headers;
    if version >= Version::HTTP_2 {
        parts.method = Method::CONNECT;
        let protocol = Protocol::from_static(WEBSOCKET);
        parts.extensions.insert(protocol);
        headers.remove(SEC_WEBSOCKET_KEY);
    } else {
        parts.method = Method::GET;
        parts.extensions.remove::<Protocol>();
        headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    parts
}

/// Whether a response, over `version`, ends HTTP.
#[must_use]
pub fn switches(status: StatusCode, version: Version) -> bool {
    if version >= Version::HTTP_2 {
        status == StatusCode::OK
    } else {
        status == StatusCode::SWITCHING_PROTOCOLS
    }
}

/// Checks the response that accepts what [`offer`] asked for; `sent` are the headers it went out with. Whether compression was agreed on.
///
/// # Errors
/// [`HandshakeError`] where a client has to fail the WebSocket.
pub fn answered(
    answer: &response::Parts,
    sent: &HeaderMap,
    version: Version,
) -> Result<bool, HandshakeError> {
    let headers = &answer.headers;
    if version < Version::HTTP_2 {
        let key = sent.get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
        let accept = only(headers, &SEC_WEBSOCKET_ACCEPT);
        let accepted = names(headers, &UPGRADE, WEBSOCKET)
            && names(headers, &CONNECTION, "upgrade")
            && accept.is_some_and(|accept| accept.as_bytes() == acceptance(key.as_bytes()));
        if !accepted {
            return Err(HandshakeError::Accept);
        }
    }
    let agreed = headers.contains_key(SEC_WEBSOCKET_EXTENSIONS);
    if agreed && !sent.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(HandshakeError::Extension);
    }
    Ok(agreed)
}

/// Makes a response accept a WebSocket over `version`; `key` is what the agent sent.
pub fn opened(answer: &mut response::Parts, version: Version, key: Option<&HeaderValue>) {
    let headers = &mut answer.headers;
    headers.remove(SEC_WEBSOCKET_ACCEPT);
    if version >= Version::HTTP_2 {
        answer.status = StatusCode::OK;
        return;
    }
    answer.status = StatusCode::SWITCHING_PROTOCOLS;
    headers.insert(UPGRADE, HeaderValue::from_static(WEBSOCKET));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = key.map(|key| acceptance(key.as_bytes()));
    if let Some(Ok(accept)) = accept.map(|accept| HeaderValue::from_bytes(&accept)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// What proves that a server has read `key` (RFC 6455, 4.2.2).
fn acceptance(key: &[u8]) -> Vec<u8> {
    let mut sha1 = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::padded(sha1.finish().as_ref())
}

/// Sixteen bytes in base64: 21 characters, one that ends in four zero bits, and the padding.
fn is_key(key: &[u8]) -> bool {
    let Some((characters, b"==")) = key.split_last_chunk() else {
        return false;
    };
    characters.len() == 22
        && characters
            .iter()
            .all(|byte| base64::STANDARD.contains(byte))
        && characters.last().is_some_and(|last| b"AQgw".contains(last))
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a list header has that token.
fn names(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

const WEBSOCKET: &str = "websocket";
