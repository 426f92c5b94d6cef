//! Relays the upstream's answer: scrubs, masks, collects for the record, and closes the exchange exactly once.
//!
//! In: a response whose body has not been read. Out: a body that streams. Invariants: the last bytes leave after the record is
//! closed; a body that is dropped early is recorded as aborted; what cannot be masked is not passed.

mod begun;
mod record;
mod stream;
mod whole;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use self::record::Record;
pub(super) use self::stream::BoxError;
use self::stream::{Edits, Relay};
use self::whole::Editing;
use super::charge::Charge;
use super::coding::Upstream;
use super::held::Held;
use super::inspect::counted;
use super::revoke::Revoked;
use super::tools::{Judged, Tools};
use super::{Connection, ConnectionError};
use crate::keeper::Scrub;
use crate::mask::{self, MaskError, Shape};
use crate::protocol::coding;
use crate::protocol::frames::{Framing, Opening};
use crate::protocol::http::{chunked_only, end_to_end};
use crate::protocol::llm::Family;
use crate::protocol::sse::Whole;
use crate::protocol::transcript::Collector;
use crate::protocol::{Refusal, Why};
use crate::record::{ExchangeEntry, Id, Outcome};

/// The body of an answer to an agent.
pub(super) enum Body {
    /// A refusal, or an answer that had to be read whole.
    Whole(Option<Bytes>),
    /// One that had to be read whole and has trailers, last frame first.
    Trailed(Vec<Frame<Bytes>>),
    /// An upstream's body.
    Relay(Box<Relay>),
    /// One whose head went out before it was decided.
    Held(Box<Held>),
}

/// What requests of a family look like, and answers unless they have vectors in them.
pub(super) fn shape_of(family: Family) -> Shape {
    match family {
        Family::OpenAiChat
        | Family::OpenRouterChat
        | Family::OpenAiCompletions
        | Family::OpenAiEmbeddings => Shape::OpenAiChat,
        Family::OpenAiResponses => Shape::OpenAiResponses,
        Family::OpenAiRealtime => Shape::OpenAiRealtime,
        Family::AnthropicMessages => Shape::AnthropicMessages,
        Family::Gemini => Shape::Gemini,
        Family::Ollama => Shape::Ollama,
        Family::Cohere => Shape::Cohere,
        Family::MistralConversations => Shape::Mistral,
        Family::BedrockConverse | Family::BedrockInvoke => Shape::Bedrock,
        Family::OpenAiModels | Family::AnthropicModels => Shape::Json,
    }
}

/// How an answer is relayed.
pub(super) struct Answering<'a> {
    pub(super) family: Option<Family>,
    pub(super) masks: mask::Set,
    /// The service, where its credential is held.
    pub(super) held: Option<&'a str>,
    pub(super) charge: Charge,
    /// The client did not ask for the token counts of its stream.
    pub(super) without_counts: bool,
    /// A stream is asked for.
    pub(super) streams: bool,
    /// It has vectors.
    pub(super) vectors: bool,
    /// What calls of tools are judged by, where policy has a say in them.
    pub(super) tools: Option<Arc<Tools>>,
}

impl<'a> Answering<'a> {
    /// An answer that is no model's.
    pub(super) fn plain(masks: mask::Set, held: Option<&'a str>) -> Self {
        Self {
            family: None,
            masks,
            held,
            charge: Charge::default(),
            without_counts: false,
            streams: false,
            vectors: false,
            tools: None,
        }
    }
}

/// Turns the upstream's response into the agent's.
pub(super) async fn start(
    connection: &Connection,
    mut entry: ExchangeEntry,
    response: Response<Incoming>,
    answering: Answering<'_>,
    mut revoked: Revoked,
) -> Result<Response<Body>, ConnectionError> {
    let Answering {
        family,
        masks,
        held,
        charge,
        without_counts,
        streams,
        vectors,
        tools,
    } = answering;
    let (mut parts, upstream) = response.into_parts();
    // Each side has its own version.
    parts.version = http::Version::default();
    let framed = chunked_only(&parts.headers);
    end_to_end(&mut parts.headers);
    let scrub = if let Some(service) = held {
        let scrub = connection.gateway.keeper.scrub(service)?;
        scrub_values(&scrub, &mut parts.headers);
        // The words behind the status of HTTP/1 are the upstream's too.
        parts.extensions.remove::<hyper::ext::ReasonPhrase>();
        Some(scrub)
    } else {
        None
    };
    mask_head(&mut parts, &masks, &mut entry);
    let edited = held.is_some() || !masks.is_empty() || tools.is_some();
    let coding = coding::of(&parts.headers);
    let readable = coding.is_ok();
    // Of others, a stream of documents is a document like any.
    let framing = Framing::of(&parts.headers, streams && family == Some(Family::Gemini));
    let framing = framing.filter(|framing| framing.has_comments() || family.is_some());
    let readable = family.filter(|_| readable);
    let collector = readable.map(|family| {
        let mut collector = Collector::new(family, framing);
        collector.head(&parts.headers);
        collector
    });
    let status = parts.status.as_u16();
    let mut record = Record {
        entry,
        collector,
        status,
        told: None,
        everything: masks.everything(),
        charge,
    };

    if let Err(error) = framed {
        return fail(record, family, &error.to_string()).await;
    }
    if upstream.is_end_stream() {
        record.close(Outcome::Completed, None, Vec::new()).await?;
        return Ok(Response::from_parts(parts, Body::Whole(None)));
    }
    let upstream = match coding {
        Ok(Some(coding)) if edited || masks.tells() || family.is_some() => {
            parts.headers.remove(header::CONTENT_ENCODING);
            for name in CHANGED_BY_EDITS {
                parts.headers.remove(*name);
            }
            match Upstream::decoded(upstream, coding) {
                Ok(upstream) => upstream,
                Err(error) => return fail(record, family, &error.to_string()).await,
            }
        }
        Err(error) if edited => {
            let reason = format!("the answer has to be read: {error}");
            return fail(record, family, &reason).await;
        }
        _ => Upstream::AsIs(upstream),
    };
    let edited = tools.is_some() || !masks.is_empty();
    let (opening, upstream) = match framing {
        Some(framing) => (Opening::Stream(framing), upstream),
        None if edited && !vectors => tokio::select! {
            biased;
            reason = &mut revoked => return fail(record, family, &reason).await,
            begun = begun::read(upstream, &parts.headers, family) => begun,
        },
        None if edited => (Opening::Document, upstream),
        None => (Opening::Text, upstream),
    };
    let streamed = matches!(opening, Opening::Stream(_));
    let framing = match opening {
        Opening::Stream(begun) => {
            if framing.is_none()
                && let Some(family) = readable
            {
                let mut collector = Collector::new(family, Some(begun));
                collector.head(&parts.headers);
                record.collector = Some(collector);
            }
            begun
        }
        Opening::Text if tools.is_none() => Framing::Events,
        _ => {
            let editing = Editing {
                family,
                vectors,
                masks,
                scrub,
                tools,
            };
            return whole::answer(parts, upstream, record, editing, revoked).await;
        }
    };
    let counted = family.filter(|_| record.charge.counts() && streamed);
    let whole = counted.map(|family| (Whole::new(framing, without_counts), family));
    if whole.is_some() {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let upstream = match tools {
        Some(tools) => {
            // A call may go on with other arguments.
            for name in CHANGED_BY_EDITS {
                parts.headers.remove(*name);
            }
            Upstream::Judged(Box::new(Judged::new(upstream, framing, tools)))
        }
        None => upstream,
    };
    let edited = !masks.is_empty();
    let trailers = masks.clone();
    let (mut mask, mut text) = (None, None);
    match family.filter(|_| streamed) {
        _ if masks.is_empty() && !masks.tells() => {}
        None if masks.is_empty() || !streamed => text = Some(mask::Running::new(masks)),
        None if framing != Framing::Lines => {
            let reason = "an event stream of an unknown format cannot be masked";
            return fail(record, None, reason).await;
        }
        None => mask = Some((mask::Stream::new(Shape::Json, framing, masks), None)),
        Some(family) => {
            let stream = mask::Stream::new(shape_of(family), framing, masks);
            mask = Some((stream, Some(family)));
        }
    }
    if edited || mask.is_some() {
        for name in CHANGED_BY_EDITS {
            parts.headers.remove(*name);
        }
    }
    let edits = Edits {
        scrub,
        mask,
        text,
        trailers,
        whole,
    };
    let relay = Relay::new(upstream, framing, edits, record, revoked);
    Ok(Response::from_parts(parts, Body::Relay(Box::new(relay))))
}

/// An answer that must not be passed becomes an error of the gateway.
async fn fail(
    record: Record,
    family: Option<Family>,
    reason: &str,
) -> Result<Response<Body>, ConnectionError> {
    let what = format!("withheld the answer: {reason}");
    let refusal = refusal(record.entry.id(), Why::Withheld, &what);
    record
        .close(Outcome::Failed, Some(reason.to_owned()), Vec::new())
        .await?;
    Ok(refusal.response(family).map(Body::whole))
}

/// What a client is told in place of an answer, or of what is left of one.
fn refusal(id: Id, why: Why, what: &str) -> Refusal {
    Refusal {
        why,
        message: format!("Tollgate {what}. Id {id}; operator: tollgate replay {id}"),
        id: id.to_string(),
    }
}

fn unmaskable(error: &MaskError) -> String {
    format!("the answer cannot be masked: {error}")
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Trailed(frames) => Poll::Ready(frames.pop().map(Ok)),
            Self::Relay(relay) => relay.poll(poller),
            Self::Held(held) => held.poll(poller),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Trailed(frames) => frames.is_empty(),
            Self::Relay(relay) => relay.is_end_stream(),
            Self::Held(held) => held.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Relay(relay) => relay.size_hint(),
            Self::Held(_) | Self::Trailed(_) => SizeHint::default(),
        }
    }
}

/// Masks the head of an answer.
pub(super) fn mask_head(parts: &mut Parts, masks: &mask::Set, entry: &mut ExchangeEntry) {
    mask_values(&mut parts.headers, masks, entry);
    let words = parts.extensions.get::<hyper::ext::ReasonPhrase>();
    let words = words.map(|words| Bytes::copy_from_slice(words.as_bytes()));
    let masked = words.and_then(|words| {
        let masked = mask::body(&words, Shape::Text, masks).ok()?;
        (masked.bytes != words).then_some(masked)
    });
    if let Some(masked) = masked {
        entry.found(&counted(&masked.findings));
        parts.extensions.remove::<hyper::ext::ReasonPhrase>();
    }
}

/// Masks headers or trailers.
fn mask_values(headers: &mut HeaderMap, masks: &mask::Set, entry: &mut ExchangeEntry) {
    if masks.is_empty() && !masks.tells() {
        return;
    }
    let mut found = Vec::new();
    mask::head::answer(headers, masks, &mut found);
    entry.found(&counted(&found));
}

/// Removes echoes from headers or trailers.
pub(super) fn scrub_values(scrub: &Scrub, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let scrubbed = scrub.whole(value.as_bytes());
        if scrubbed != value.as_bytes() {
            *value =
                HeaderValue::from_bytes(&scrubbed).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
}

/// Headers that describe the bytes as the upstream sent them.
pub(super) const CHANGED_BY_EDITS: &[&str] = &[
    "content-length",
    "etag",
    "digest",
    "content-digest",
    "repr-digest",
    "content-md5",
];
