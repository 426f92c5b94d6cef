//! The request as the upstream gets it.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, header};

use super::Connection;
use super::inspect::{Payload, Ready, Unfit, malformed, uses_held};
use super::relay::CHANGED_BY_EDITS;
use super::shape::shape;
use super::signing::sign;
use super::surrogates::restored;
use crate::mask::{self, Restored};
use crate::policy::Permit;
use crate::protocol::llm::{Family, asking_for_counts, wants_asking};
use crate::protocol::signed::Signature;
use crate::protocol::{Why, credentials, http as protocol};

/// What leaves.
pub(super) struct Outgoing {
    pub(super) parts: Parts,
    /// `None` where it passes untouched.
    pub(super) body: Option<Bytes>,
    /// It asks for token counts that the client did not ask for.
    pub(super) counts: bool,
    /// What it has the real values of, in place of surrogates.
    pub(super) restored: Restored,
}

/// The request as the upstream gets it: the target and headers of the agent, minus what belongs to its connection, with the held
/// credential in place of its own. `counts` has a stream tell its token counts, where a format tells them only when asked.
pub(super) fn outgoing(
    connection: &Connection,
    ready: &Ready,
    family: Option<Family>,
    permit: &Permit,
    masks: &mask::Set,
    counts: bool,
) -> Result<Outgoing, Unfit> {
    let mut headers = ready.headers.clone();
    protocol::end_to_end(&mut headers);
    let mut target = ready.head.target.clone();
    if !masks.is_empty() {
        mask::head::headers(&mut headers, ready.head.websocket, masks, &mut Vec::new());
        if let Some(masked) = mask::head::target(&target, masks, &mut Vec::new()) {
            target = masked;
        }
    }
    let held = connection.gateway.keeper.holds(&ready.resource.name);
    let signature = Signature::of(&ready.headers, &ready.head.target)
        .filter(|_| !held && !connection.observes());
    if held {
        credentials::strip(&mut headers);
    }
    // Also where a request that is only observed has come this far.
    uses_held(connection, &ready.resource)?;
    if connection.gateway.keeper.fills(&ready.resource.name) {
        let fill = connection.gateway.keeper.fill(&ready.resource.name);
        fill.map_err(|error| Unfit {
            why: Why::Unavailable,
            reason: error.to_string(),
        })?
        .set(&mut headers);
    }
    if held || !masks.is_empty() {
        // What is looked for must not be asked for in halves.
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
    }
    let covers = |name| {
        signature
            .as_ref()
            .is_some_and(|signature| signature.covers(name))
    };
    let inspected = held || (family.is_some() && !connection.observes()) || !masks.is_empty();
    if inspected && !covers("accept-encoding") {
        // What is inspected has to be readable; where this header is signed, whatever comes is decoded.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    }
    let mut bytes = None;
    if !masks.is_empty()
        && let Payload::Whole(held) = &ready.payload
        && !held.bytes.is_empty()
    {
        let shape = shape(family, &ready.head, &ready.headers, &held.bytes);
        let clean = ready.clean.as_ref();
        if !clean.is_some_and(|clean| clean.covers(shape, masks)) {
            let masked = mask::body(&held.bytes, shape, masks);
            let masked = masked.map_err(|error| malformed(&error))?.bytes;
            bytes = (masked != held.bytes).then_some(masked);
        }
    }
    let real = restored(connection, ready, permit, &target, bytes.as_ref())?;
    bytes = real.body.or(bytes);
    target = real.target.unwrap_or(target);
    if held {
        target = credentials::strip_target(&target);
    }
    let asking = asking(ready, family, bytes.as_deref());
    // A signed call stays as it is: its reservation counts.
    let asking = asking.filter(|_| counts && signature.is_none());
    let counts = asking.is_some();
    bytes = asking.or(bytes);
    if connection.gateway.keeper.signs(&ready.resource.name)
        && let Payload::Whole(held) = &ready.payload
    {
        // What leaves is what is signed, without a coding.
        bytes.get_or_insert_with(|| held.bytes.clone());
    }
    if let Some(bytes) = &bytes {
        // What is sent instead is sent without a coding: every server takes that.
        headers.remove(header::CONTENT_ENCODING);
        for name in CHANGED_BY_EDITS {
            headers.remove(*name);
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    if let Payload::Whole(held) = &ready.payload
        && let Some(trailers) = &held.trailers
    {
        // HTTP/1 has trailers only behind chunks, and only those that the head names.
        headers.remove(header::CONTENT_LENGTH);
        let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
            headers.insert(header::TRAILER, names);
        }
    }
    // What an observed workload said of its destination passes as it said it.
    if !(connection.observes() && headers.contains_key(header::HOST)) {
        headers.insert(
            header::HOST,
            HeaderValue::from_str(&ready.head.authority).map_err(|error| malformed(&error))?,
        );
    }
    if let Some(signature) = signature
        && (bytes.is_some()
            || target != ready.head.target
            || !signature.holds(&ready.headers, &headers))
    {
        return Err(Unfit {
            why: Why::Policy,
            reason: SIGNED.to_owned(),
        });
    }
    if connection.gateway.keeper.signs(&ready.resource.name) {
        sign(connection, ready, &target, bytes.as_deref(), &mut headers)?;
    }
    let mut request = Request::builder()
        .method(ready.head.method.clone())
        .uri(&target)
        .body(())
        .map_err(|error| malformed(&error))?;
    *request.headers_mut() = headers;
    *request.extensions_mut() = ready.extensions.clone();
    Ok(Outgoing {
        parts: request.into_parts().0,
        body: bytes,
        counts,
        restored: real.restored,
    })
}

const SIGNED: &str = "policy has something masked in it that its AWS signature (SigV4) covers, and the provider would refuse it without a word: let the agent use a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), or hold a key of AWS for the service (sign = \"aws\")";

/// The body of a call whose stream would end without its token counts, with a word for them.
fn asking(ready: &Ready, family: Option<Family>, masked: Option<&[u8]>) -> Option<Bytes> {
    let silent = family.is_some_and(|family| wants_asking(family, &ready.head));
    let streams = ready.call.as_ref().is_some_and(|call| call.stream);
    let body = masked.unwrap_or(ready.payload.bytes());
    (silent && streams)
        .then(|| asking_for_counts(body))
        .flatten()
}
