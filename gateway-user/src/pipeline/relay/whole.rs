//! An answer that is read to its end before any of it goes on: to be masked as one document, or for the calls of tools in it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Frame;

use super::record::Record;
use super::{Body, CHANGED_BY_EDITS, fail, mask_values, scrub_values, unmaskable};
use crate::keeper::Scrub;
use crate::mask::{self, MaskError, Masked, Shape};
use crate::pipeline::ConnectionError;
use crate::pipeline::coding::Upstream;
use crate::pipeline::inspect::counted;
use crate::pipeline::revoke::Revoked;
use crate::pipeline::shape::of_answer;
use crate::pipeline::tools::{Blocked, Tools};
use crate::protocol::frames::Framing;
use crate::protocol::llm::Family;
use crate::record::Outcome;

/// What is done with the answer.
pub(super) struct Editing {
    pub(super) family: Option<Family>,
    /// Vectors were asked for.
    pub(super) vectors: bool,
    pub(super) masks: mask::Set,
    pub(super) scrub: Option<Scrub>,
    pub(super) tools: Option<Arc<Tools>>,
}

/// Reads, judges and masks the answer.
pub(super) async fn answer(
    mut parts: Parts,
    upstream: Upstream,
    mut record: Record,
    editing: Editing,
    mut revoked: Revoked,
) -> Result<Response<Body>, ConnectionError> {
    let Editing {
        family,
        vectors,
        masks,
        scrub,
        tools,
    } = editing;
    let read = tokio::select! {
        biased;
        reason = &mut revoked => return fail(record, family, &reason).await,
        read = Limited::new(upstream, MAX_BODY).collect() => read,
    };
    let Ok(read) = read else {
        let reason = "the answer broke off, or is too large to be inspected";
        return fail(record, family, reason).await;
    };
    let mut trailers = read.trailers().cloned();
    let mut whole = read.to_bytes();
    if let Some(scrub) = scrub {
        whole = scrub.whole(&whole).into();
        if let Some(trailers) = &mut trailers {
            scrub_values(&scrub, trailers);
        }
    }
    if let Some(trailers) = &mut trailers {
        mask_values(trailers, &masks, &mut record.entry);
    }
    let mut edited = !masks.is_empty();
    if let Some(tools) = tools {
        let judged = tokio::select! {
            biased;
            reason = &mut revoked => return fail(record, family, &reason).await,
            judged = tools.judge_body(whole.clone()) => judged?,
        };
        match judged {
            Ok(goes_on) => {
                edited |= goes_on != whole;
                whole = goes_on;
            }
            Err(blocked) => return refuse(record, *blocked, &whole).await,
        }
    }
    let (bytes, findings) = if masks.is_empty() && !masks.tells() {
        (whole, Vec::new())
    } else {
        let what = of_answer(family, vectors, &parts.headers, &whole);
        match masked(&whole, what, &masks) {
            Ok(masked) => (masked.bytes, counted(&masked.findings)),
            Err(error) => return fail(record, family, &unmaskable(&error)).await,
        }
    };
    if edited {
        for name in CHANGED_BY_EDITS {
            parts.headers.remove(*name);
        }
    }
    record.collect(&bytes);
    record.close(Outcome::Completed, None, findings).await?;
    let body = match trailers {
        None => {
            let length = HeaderValue::from(bytes.len());
            parts.headers.insert(header::CONTENT_LENGTH, length);
            Body::whole(bytes)
        }
        Some(trailers) => Body::Trailed(vec![Frame::trailers(trailers), Frame::data(bytes)]),
    };
    Ok(Response::from_parts(parts, body))
}

/// Masks an answer, which may be a stream.
fn masked(
    whole: &Bytes,
    (shape, framing): (Shape, Option<Framing>),
    masks: &mask::Set,
) -> Result<Masked, MaskError> {
    let Some(framing) = framing else {
        return mask::body(whole, shape, masks);
    };
    let mut stream = mask::Stream::new(shape, framing, masks.clone());
    let mut out = BytesMut::with_capacity(whole.len());
    stream.push(whole, &mut out)?;
    stream.finish(&mut out)?;
    Ok(Masked {
        bytes: out.freeze(),
        findings: stream.findings().to_vec(),
    })
}

/// A call of a tool in the answer is refused, and with it the answer.
async fn refuse(
    mut record: Record,
    blocked: Blocked,
    whole: &Bytes,
) -> Result<Response<Body>, ConnectionError> {
    record.collect(whole);
    let response = blocked.refusal.response(Some(blocked.family));
    record.told = Some(response.status().as_u16());
    let reason = Some(blocked.reason);
    record.close(Outcome::Refused, reason, Vec::new()).await?;
    Ok(response.map(Body::whole))
}

const MAX_BODY: usize = 32 << 20;
