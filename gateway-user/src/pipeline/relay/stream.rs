//! An upstream's body while it streams to the agent: edited, collected, and closed in the record before its last bytes leave.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::record::Record;
use super::{mask_values, refusal, scrub_values, unmaskable};
use crate::keeper::Scrub;
use crate::mask::{self, MaskError};
use crate::pipeline::charge::EXCEEDED;
use crate::pipeline::coding::Upstream;
use crate::pipeline::inspect::counted;
use crate::pipeline::revoke::Revoked;
use crate::pipeline::tools::Blocked;
use crate::protocol::Why;
use crate::protocol::frames::Framing;
use crate::protocol::llm::Family;
use crate::protocol::sse::Whole;
use crate::record::{Finding, LedgerError, Outcome};

pub(in crate::pipeline) type BoxError = Box<dyn Error + Send + Sync>;

/// An upstream's body on its way to the agent.
pub(in crate::pipeline) struct Relay {
    upstream: Upstream,
    framing: Framing,
    /// Something has gone out.
    begun: bool,
    edits: Edits,
    record: Option<Record>,
    revoked: Revoked,
    /// The end of the body, which waits for the record.
    closing: Option<Closing>,
    last: Option<Bytes>,
    trailers: Option<HeaderMap>,
    /// Why the body ends early; told after the record is closed.
    broken: Option<BoxError>,
    done: bool,
}

type Closing = Pin<Box<dyn Future<Output = Result<(), LedgerError>> + Send>>;

/// What happens to the bytes.
pub(super) struct Edits {
    pub(super) scrub: Option<Scrub>,
    pub(super) mask: Option<(mask::Stream, Option<Family>)>,
    /// It is a text like any, masked or searched.
    pub(super) text: Option<mask::Running>,
    /// What is masked in trailers.
    pub(super) trailers: mask::Set,
    /// Only whole events go out, where a budget may end the stream.
    pub(super) whole: Option<(Whole, Family)>,
}

impl Relay {
    pub(super) fn new(
        upstream: Upstream,
        framing: Framing,
        edits: Edits,
        record: Record,
        revoked: Revoked,
    ) -> Self {
        let record = Some(record);
        Self {
            upstream,
            framing,
            begun: false,
            edits,
            record,
            revoked,
            closing: None,
            last: None,
            trailers: None,
            broken: None,
            done: false,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.done && self.last.is_none() && self.trailers.is_none() && self.broken.is_none()
    }

    /// Scrubbing keeps lengths; masking does not.
    pub(super) fn size_hint(&self) -> SizeHint {
        let edits = &self.edits;
        let text = edits.text.as_ref().is_some_and(mask::Running::is_masked);
        if edits.mask.is_none() && !text && edits.whole.is_none() && !self.done {
            self.upstream.size_hint()
        } else {
            SizeHint::default()
        }
    }

    pub(super) fn poll(
        &mut self,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(closing) = &mut self.closing {
                let closed = ready!(closing.as_mut().poll(poller));
                self.closing = None;
                self.done = true;
                closed?;
            }
            if self.done {
                if let Some(error) = self.broken.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                let last = self.last.take().map(Frame::data);
                return Poll::Ready(
                    last.or_else(|| self.trailers.take().map(Frame::trailers))
                        .map(Ok),
                );
            }
            if let Poll::Ready(reason) = self.revoked.as_mut().poll(poller) {
                self.cut_off(reason);
                continue;
            }
            let frame = match ready!(Pin::new(&mut self.upstream).poll_frame(poller)) {
                None => {
                    self.end(Bytes::new());
                    continue;
                }
                Some(Err(error)) => {
                    let error = match error.downcast::<Blocked>() {
                        Ok(blocked) => {
                            self.block(*blocked);
                            continue;
                        }
                        Err(error) => error,
                    };
                    self.close(
                        Outcome::Failed,
                        Some(format!("the upstream broke off: {error}")),
                    );
                    self.broken = Some(error);
                    continue;
                }
                Some(Ok(frame)) => frame,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    if let (Some(scrub), Some(trailers)) = (&self.edits.scrub, &mut self.trailers) {
                        scrub_values(scrub, trailers);
                    }
                    if let (Some(record), Some(trailers)) = (&mut self.record, &mut self.trailers) {
                        mask_values(trailers, &self.edits.trailers, &mut record.entry);
                    }
                    self.end(Bytes::new());
                    continue;
                }
            };
            let (edited, masked) = self.edit(data);
            match masked {
                Ok(()) if self.is_exceeded() => self.overspend(edited),
                // hyper stops asking once the declared length is reached, so the record is closed before the last bytes leave.
                Ok(()) if self.upstream.is_end_stream() => self.end(edited),
                Ok(()) if edited.is_empty() => {}
                Ok(()) => {
                    self.begun = true;
                    return Poll::Ready(Some(Ok(Frame::data(edited))));
                }
                Err(error) => self.withhold(edited, &error),
            }
        }
    }

    /// Edits one chunk. What comes out is settled, also ahead of an error.
    fn edit(&mut self, data: Bytes) -> (Bytes, Result<(), MaskError>) {
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

    fn mask(&mut self, data: Bytes, last: bool) -> (Bytes, Result<(), MaskError>) {
        let (out, masked) = match &mut self.edits.mask {
            None => match &mut self.edits.text {
                Some(text) => {
                    let mut out = BytesMut::new();
                    text.push(&data, last, &mut out);
                    (out.freeze(), Ok(()))
                }
                None => (data, Ok(())),
            },
            Some((stream, _)) => {
                let mut out = BytesMut::new();
                let mut masked = stream.push(&data, &mut out);
                if masked.is_ok() && last {
                    masked = stream.finish(&mut out);
                }
                (out.freeze(), masked)
            }
        };
        if let Some(record) = &mut self.record {
            record.collect(&out);
        }
        match &mut self.edits.whole {
            Some((whole, _)) => match whole.push(&out) {
                Ok(events) if last => (Bytes::from([events, whole.finish()].concat()), masked),
                Ok(events) => (events, masked),
                Err(error) => (Bytes::new(), masked.and(Err(error.into()))),
            },
            None => (out, masked),
        }
    }

    /// Whether more was written than a budget has room for.
    fn is_exceeded(&self) -> bool {
        self.record
            .as_ref()
            .is_some_and(|record| record.charge.is_exceeded(record.written()))
    }

    /// The provider goes past what the call may cost: it is cut off, and the reservation is spent.
    fn overspend(&mut self, settled: Bytes) {
        let reason = EXCEEDED.to_owned();
        let event = self.told(
            &settled,
            Why::Budget,
            &format!("ended the answer: {reason}"),
        );
        let event = event.unwrap_or_default();
        self.last = Some(Bytes::from([settled, event].concat()));
        self.close(Outcome::Aborted, Some(reason));
    }

    /// The body is over: what was held back goes out with `rest`, after the record is closed.
    fn end(&mut self, rest: Bytes) {
        let mut held = BytesMut::new();
        if let Some(scrub) = &mut self.edits.scrub {
            scrub.finish(&mut held);
        }
        let (flushed, masked) = self.mask(held.freeze(), true);
        let last = if flushed.is_empty() {
            rest
        } else {
            Bytes::from([rest, flushed].concat())
        };
        match masked {
            Ok(()) => {
                self.last = (!last.is_empty()).then_some(last);
                self.close(Outcome::Completed, None);
            }
            Err(error) => self.withhold(last, &error),
        }
    }

    /// A call of a tool is refused: what came before it goes out, and behind that the event that says so.
    fn block(&mut self, blocked: Blocked) {
        let mut held = BytesMut::new();
        if let Some(scrub) = &mut self.edits.scrub {
            scrub.finish(&mut held);
        }
        let (settled, _) = self.mask(held.freeze(), true);
        let begun = self.begun || !settled.is_empty();
        let event = blocked.refusal.last(blocked.family, self.framing, begun);
        self.last = Some(Bytes::from([settled, event].concat()));
        self.close(Outcome::Refused, Some(blocked.reason));
    }

    /// What is settled goes out, and behind it the event that tells the client that the rest does not come.
    fn withhold(&mut self, settled: Bytes, error: &MaskError) {
        let what = "withheld the rest of the answer: it cannot be masked";
        match self.told(&settled, Why::Withheld, what) {
            Some(event) => self.last = Some(Bytes::from([settled, event].concat())),
            None => self.broken = Some(format!("Tollgate {what}").into()),
        }
        self.close(Outcome::Failed, Some(unmaskable(error)));
    }

    /// The policies no longer permit it. A client that has only whole events is told in its own format; any other sees the body break.
    fn cut_off(&mut self, reason: String) {
        let what = format!("ended the answer: {reason}");
        self.last = self.told(&[], Why::Policy, &what);
        if self.last.is_none() {
            self.broken = Some(format!("Tollgate {what}").into());
        }
        self.close(Outcome::Aborted, Some(reason));
    }

    /// The event by which a stream ends early whose client has only whole events.
    fn told(&self, settled: &[u8], why: Why, what: &str) -> Option<Bytes> {
        let masked = self.edits.mask.as_ref().and_then(|(_, family)| *family);
        let whole = self.edits.whole.as_ref().map(|(_, family)| *family);
        let family = masked.or(whole)?;
        let refusal = refusal(self.record.as_ref()?.entry.id(), why, what);
        let begun = self.begun || !settled.is_empty();
        Some(refusal.last(family, self.framing, begun))
    }

    /// What was masked.
    fn findings(&self) -> Vec<Finding> {
        let mask = self.edits.mask.as_ref().map(|(mask, _)| mask.findings());
        let text = self.edits.text.as_ref().map(mask::Running::findings);
        mask.or(text).map(counted).unwrap_or_default()
    }

    fn close(&mut self, outcome: Outcome, reason: Option<String>) {
        let findings = self.findings();
        if let Some(record) = self.record.take() {
            self.closing = Some(Box::pin(async move {
                record.close(outcome, reason, findings).await?;
                if outcome == Outcome::Failed {
                    // hyper forgets what it has not written when a body fails, so what came before goes out first.
                    tokio::task::yield_now().await;
                }
                Ok(())
            }));
        }
    }
}

impl Drop for Relay {
    /// A client may leave as soon as the answer has told its end, ahead of that of the body. Any other entry that is dropped is closed
    /// as aborted; what was said until then is kept.
    fn drop(&mut self) {
        let findings = self.findings();
        if let Some(record) = &mut self.record {
            if record.is_ended() {
                let closed = record.closed(Outcome::Completed, None, findings);
                record.entry.end(closed);
            } else {
                record.summarise();
            }
        }
    }
}
