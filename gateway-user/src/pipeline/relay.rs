//! Relays the upstream's answer: scrubs, masks, collects for the record, and closes the exchange exactly once.
//!
//! In: a response whose body has not been read. Out: a body that streams. Invariants: the last bytes leave after the record is
//! closed; a body that is dropped early is recorded as aborted; what cannot be masked is not passed.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::inspect::{counted, is_json};
use super::{Connection, ConnectionError};
use crate::keeper::{Keeper, KeeperError, Scrub};
use crate::mask::{self, Shape};
use crate::protocol::http::end_to_end;
use crate::protocol::llm::Family;
use crate::protocol::transcript::{Collector, Summary};
use crate::record::{Closed, ExchangeEntry, Finding, LedgerError, Outcome, Usage};

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an answer to an agent.
pub(super) enum Body {
    /// A refusal, or an answer that had to be read whole.
    Whole(Option<Bytes>),
    /// An upstream's body.
    Relay(Box<Relay>),
}

/// An upstream's body on its way to the agent.
pub(super) struct Relay {
    upstream: Incoming,
    edits: Edits,
    record: Option<Record>,
    /// The end of the body, which waits for the record.
    closing: Option<Closing>,
    last: Option<Bytes>,
    trailers: Option<HeaderMap>,
    done: bool,
}

type Closing = Pin<Box<dyn Future<Output = Result<(), LedgerError>> + Send>>;

/// What happens to the bytes.
struct Edits {
    scrub: Option<Scrub>,
    mask: Option<(mask::Stream, Shape)>,
}

/// What is kept of the exchange.
struct Record {
    entry: ExchangeEntry,
    collector: Option<Collector>,
    status: u16,
}

pub(super) fn shape_of(family: Family) -> Shape {
    match family {
        Family::OpenAiChat => Shape::OpenAiChat,
        Family::AnthropicMessages => Shape::AnthropicMessages,
    }
}

/// Turns the upstream's response into the agent's.
pub(super) async fn start(
    connection: &Connection,
    entry: ExchangeEntry,
    response: Response<Incoming>,
    family: Option<Family>,
    masks: mask::Set,
    held: bool,
) -> Result<Response<Body>, ConnectionError> {
    let (mut parts, upstream) = response.into_parts();
    end_to_end(&mut parts.headers);
    let scrub = if held {
        Some(scrubbed_headers(
            &connection.gateway.keeper,
            &mut parts.headers,
        )?)
    } else {
        None
    };
    let coded = parts
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity");
    let collector = family.filter(|_| !coded).map(Collector::new);
    let status = parts.status.as_u16();
    let mut record = Record {
        entry,
        collector,
        status,
    };

    if upstream.is_end_stream() {
        record.close(Outcome::Completed, None, Vec::new()).await?;
        return Ok(Response::from_parts(parts, Body::Whole(None)));
    }
    if masks.is_empty() {
        let edits = Edits { scrub, mask: None };
        return Ok(Response::from_parts(
            parts,
            Body::relay(upstream, edits, record),
        ));
    }

    if coded {
        let reason = "the upstream compressed an answer that has to be masked";
        return fail(record, parts, reason).await;
    }
    let shape = family.map_or(
        if is_json(&parts.headers) {
            Shape::Json
        } else {
            Shape::Text
        },
        shape_of,
    );
    for name in CHANGED_BY_EDITS {
        parts.headers.remove(*name);
    }
    if is_event_stream(&parts.headers) {
        let edits = Edits {
            scrub,
            mask: Some((mask::Stream::new(shape, masks), shape)),
        };
        return Ok(Response::from_parts(
            parts,
            Body::relay(upstream, edits, record),
        ));
    }
    let Ok(whole) = Limited::new(upstream, MAX_MASKED_BODY).collect().await else {
        return fail(
            record,
            parts,
            "the answer broke off, or is too large to be masked",
        )
        .await;
    };
    let whole = whole.to_bytes();
    let whole = scrub.map_or(whole.clone(), |scrub| scrub.whole(&whole).into());
    match mask::body(&whole, shape, &masks) {
        Ok(masked) => {
            record.collect(&masked.bytes);
            record
                .close(Outcome::Completed, None, counted(&masked.findings))
                .await?;
            parts.headers.insert(
                header::CONTENT_LENGTH,
                HeaderValue::from(masked.bytes.len()),
            );
            Ok(Response::from_parts(parts, Body::Whole(Some(masked.bytes))))
        }
        Err(error) => {
            fail(
                record,
                parts,
                &format!("the answer cannot be masked: {error}"),
            )
            .await
        }
    }
}

/// An answer that must not be passed becomes an error of the gateway.
async fn fail(
    record: Record,
    mut parts: http::response::Parts,
    reason: &str,
) -> Result<Response<Body>, ConnectionError> {
    let id = record.entry.id().to_string();
    record
        .close(Outcome::Failed, Some(reason.to_owned()), Vec::new())
        .await?;
    parts.status = http::StatusCode::BAD_GATEWAY;
    parts.headers = HeaderMap::new();
    parts
        .headers
        .insert("x-should-retry", HeaderValue::from_static("false"));
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let message =
        format!("Tollgate withheld the answer: {reason}. Id {id}; operator: tollgate replay {id}");
    let body = serde_json::json!({"error": {"message": message, "type": "api_error", "code": "answer_withheld"}});
    Ok(Response::from_parts(
        parts,
        Body::Whole(Some(body.to_string().into())),
    ))
}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }

    fn relay(upstream: Incoming, edits: Edits, record: Record) -> Self {
        let record = Some(record);
        Self::Relay(Box::new(Relay {
            upstream,
            edits,
            record,
            closing: None,
            last: None,
            trailers: None,
            done: false,
        }))
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
            Self::Relay(relay) => relay.poll(poller),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Relay(relay) => relay.done && relay.last.is_none() && relay.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Relay(relay) if relay.edits.mask.is_none() && !relay.done => {
                relay.upstream.size_hint()
            }
            Self::Relay(_) => SizeHint::default(),
        }
    }
}

impl Relay {
    fn poll(&mut self, poller: &mut Poller<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(closing) = &mut self.closing {
                let closed = ready!(closing.as_mut().poll(poller));
                self.closing = None;
                self.done = true;
                closed?;
            }
            if self.done {
                let last = self.last.take().map(Frame::data);
                return Poll::Ready(
                    last.or_else(|| self.trailers.take().map(Frame::trailers))
                        .map(Ok),
                );
            }
            let frame = match ready!(Pin::new(&mut self.upstream).poll_frame(poller)) {
                None => {
                    self.end(Bytes::new());
                    continue;
                }
                Some(Err(error)) => {
                    self.close(
                        Outcome::Failed,
                        Some(format!("the upstream broke off: {error}")),
                    );
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some(Ok(frame)) => frame,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    self.end(Bytes::new());
                    continue;
                }
            };
            match self.edit(data) {
                // hyper stops asking once the declared length is reached, so the record is closed before the last bytes leave.
                Ok(edited) if self.upstream.is_end_stream() => self.end(edited),
                Ok(edited) if edited.is_empty() => {}
                Ok(edited) => return Poll::Ready(Some(Ok(Frame::data(edited)))),
                Err((error, event)) => {
                    self.last = Some(event);
                    self.close(
                        Outcome::Failed,
                        Some(format!("the answer cannot be masked: {error}")),
                    );
                }
            }
        }
    }

    /// Edits one chunk; an error comes with the event that tells the client.
    fn edit(&mut self, data: Bytes) -> Result<Bytes, (String, Bytes)> {
        let scrubbed = match &mut self.edits.scrub {
            Some(scrub) => {
                let mut out = BytesMut::with_capacity(data.len());
                scrub.push(&data, &mut out);
                out.freeze()
            }
            None => data,
        };
        self.mask(scrubbed, false)
    }

    fn mask(&mut self, data: Bytes, last: bool) -> Result<Bytes, (String, Bytes)> {
        let masked = match &mut self.edits.mask {
            None => Ok(data),
            Some((stream, shape)) => {
                let mut out = BytesMut::new();
                let pushed = stream.push(&data, &mut out);
                let finished = pushed.and_then(|()| {
                    if last {
                        stream.finish(&mut out)
                    } else {
                        Ok(())
                    }
                });
                let event = || shape.error_event("Tollgate withheld the rest of the answer");
                finished
                    .map(|()| out.freeze())
                    .map_err(|error| (error.to_string(), event()))
            }
        };
        if let (Some(record), Ok(out)) = (&mut self.record, &masked) {
            record.collect(out);
        }
        masked
    }

    /// The body is over: what was held back goes out with `rest`, after the record is closed.
    fn end(&mut self, rest: Bytes) {
        let mut held = BytesMut::new();
        if let Some(scrub) = &mut self.edits.scrub {
            scrub.finish(&mut held);
        }
        let (flushed, outcome, reason) = match self.mask(held.freeze(), true) {
            Ok(flushed) => (flushed, Outcome::Completed, None),
            Err((error, event)) => (
                event,
                Outcome::Failed,
                Some(format!("the answer cannot be masked: {error}")),
            ),
        };
        let last = if flushed.is_empty() {
            rest
        } else {
            Bytes::from([rest, flushed].concat())
        };
        self.last = (!last.is_empty()).then_some(last);
        self.close(outcome, reason);
    }

    fn close(&mut self, outcome: Outcome, reason: Option<String>) {
        let findings = self
            .edits
            .mask
            .as_ref()
            .map(|(stream, _)| counted(stream.findings()))
            .unwrap_or_default();
        if let Some(record) = self.record.take() {
            self.closing = Some(Box::pin(record.close(outcome, reason, findings)));
        }
    }
}

impl Record {
    fn collect(&mut self, bytes: &[u8]) {
        if let Some(collector) = &mut self.collector {
            collector.push(bytes);
        }
    }

    async fn close(
        mut self,
        outcome: Outcome,
        reason: Option<String>,
        findings: Vec<Finding>,
    ) -> Result<(), LedgerError> {
        let summary = self.summarise();
        let usage = summary
            .and_then(|summary| summary.usage)
            .map(|usage| Usage {
                input: usage.input,
                output: usage.output,
            });
        self.entry
            .close(Closed {
                outcome,
                status: Some(self.status),
                usage,
                findings,
                reason,
            })
            .await
    }

    /// Puts what was collected into the record, masked for every class.
    fn summarise(&mut self) -> Option<Summary> {
        let summary = self.collector.take()?.finish();
        let text = Bytes::from(summary.to_json().to_string());
        if let Ok(masked) = mask::body(&text, Shape::Json, &mask::Set::all()) {
            self.entry.response(&masked.bytes);
        }
        Some(summary)
    }
}

impl Drop for Relay {
    /// An entry that is dropped is closed as aborted; what was said until then is kept.
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.summarise();
        }
    }
}

/// Removes echoes from the headers; gives the scrubber for the body.
fn scrubbed_headers(keeper: &Keeper, headers: &mut HeaderMap) -> Result<Scrub, KeeperError> {
    let scrub = keeper.scrub()?;
    for value in headers.values_mut() {
        let scrubbed = scrub.whole(value.as_bytes());
        if scrubbed != value.as_bytes()
            && let Ok(clean) = HeaderValue::from_bytes(&scrubbed)
        {
            *value = clean;
        }
    }
    Ok(scrub)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Headers that describe the bytes as the upstream sent them.
const CHANGED_BY_EDITS: &[&str] = &[
    "content-length",
    "etag",
    "digest",
    "content-digest",
    "repr-digest",
    "content-md5",
];
const MAX_MASKED_BODY: usize = 32 << 20;
