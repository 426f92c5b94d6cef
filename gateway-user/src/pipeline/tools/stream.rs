//! An upstream's stream of events whose calls of tools are judged while it passes.
//!
//! Out: the stream, as [`calls::Stream`] lets it go on; while a person is asked, a comment every few seconds. Ends with [`Blocked`] as
//! its error, behind which nothing comes. Of an observed workload everything passes, also what cannot be read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Judgement, STREAM_HOLD, Tools, waiting};
use crate::pipeline::ConnectionError;
use crate::pipeline::coding::Upstream;
use crate::pipeline::held::{BEAT, FASTEST, Format, Waits};
use crate::pipeline::relay::BoxError;
use crate::protocol::calls::{self, CallsError, Step};
use crate::protocol::frames::Framing;
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Refusal, Why};

/// A stream and its judge.
pub(in crate::pipeline) struct Judged {
    upstream: Upstream,
    framing: Framing,
    tools: Arc<Tools>,
    calls: calls::Stream,
    out: BytesMut,
    judging: Option<Judging>,
    /// What follows the events.
    trailers: Option<Frame<Bytes>>,
    /// Nothing is looked at any more.
    blind: bool,
    over: bool,
    done: bool,
}

/// Calls that are being decided on.
struct Judging {
    work: Pin<Box<dyn Future<Output = Result<Judgement, ConnectionError>> + Send>>,
    waits: watch::Receiver<Option<Waits>>,
    format: Format,
    beat: Interval,
    drain: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Judged {
    pub(in crate::pipeline) fn new(
        upstream: Upstream,
        framing: Framing,
        tools: Arc<Tools>,
    ) -> Self {
        Self {
            framing,
            calls: calls::Stream::new(tools.family, framing),
            upstream,
            tools,
            out: BytesMut::new(),
            judging: None,
            trailers: None,
            blind: false,
            over: false,
            done: false,
        }
    }

    pub(in crate::pipeline) fn is_end_stream(&self) -> bool {
        self.done
    }

    pub(in crate::pipeline) fn poll(
        &mut self,
        poller: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.out.split().freeze()))));
            }
            if self.done {
                return Poll::Ready(None);
            }
            if let Some(judging) = &mut self.judging {
                let verdict = match judging.poll(poller, &self.tools) {
                    Poll::Ready(Ok(verdict)) => verdict,
                    Poll::Ready(Err(comment)) => {
                        return Poll::Ready(Some(Ok(Frame::data(comment))));
                    }
                    Poll::Pending => return Poll::Pending,
                };
                self.judging = None;
                match verdict {
                    Ok(Ok(edits)) => {
                        let step = self.calls.permit(&edits, &mut self.out);
                        self.go_on(step)?;
                    }
                    Ok(Err(blocked)) => return self.fail(blocked),
                    Err(error) => return self.fail(error.into()),
                }
                continue;
            }
            if self.over {
                self.done = true;
                return Poll::Ready(self.trailers.take().map(Ok));
            }
            match ready!(Pin::new(&mut self.upstream).poll_frame(poller)) {
                Some(Err(error)) => return self.fail(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if self.blind => self.out.extend_from_slice(&data),
                    Ok(data) => {
                        let step = self.calls.push(&data, &mut self.out);
                        self.go_on(step)?;
                    }
                    Err(trailers) => {
                        self.trailers = Some(trailers);
                        self.finish()?;
                    }
                },
                None => self.finish()?,
            }
        }
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        self.over = true;
        if self.blind {
            return Ok(());
        }
        let step = self.calls.finish(&mut self.out);
        self.go_on(step)
    }

    fn go_on(&mut self, step: Result<Step, CallsError>) -> Result<(), BoxError> {
        match step {
            Ok(Step::More) => {}
            Ok(Step::Decide(calls)) => {
                let tools = Arc::clone(&self.tools);
                self.judging = Some(Judging::new(tools, self.framing, calls));
            }
            Err(_) if self.tools.connection.observes() => {
                self.blind = true;
                self.calls.give_up(&mut self.out);
            }
            Err(error) => {
                self.done = true;
                return Err(self.tools.unreadable(&error));
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: BoxError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.done = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl Judging {
    fn new(tools: Arc<Tools>, framing: Framing, calls: Vec<ToolCall>) -> Self {
        let (told, waits) = waiting();
        let family = tools.family;
        // Between documents nothing goes on alone.
        let hold = match framing {
            Framing::Events | Framing::Messages | Framing::Frames => STREAM_HOLD,
            Framing::Lines | Framing::Array => tools.hold,
        };
        let drain = tools.connection.gateway.drain.clone();
        let beats = BEAT.min(tools.hold).max(FASTEST);
        let mut beat = interval_at(Instant::now() + beats, beats);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            work: Box::pin(async move { tools.judge(calls, hold, Some(&told)).await }),
            waits,
            format: Format { family, framing },
            beat,
            drain: Box::pin(async move { drain.begun().await }),
        }
    }

    /// The verdict, or what keeps the client waiting for it.
    fn poll(
        &mut self,
        poller: &mut Context<'_>,
        tools: &Tools,
    ) -> Poll<Result<Result<Judgement, ConnectionError>, Bytes>> {
        if let Poll::Ready(verdict) = self.work.as_mut().poll(poller) {
            return Poll::Ready(Ok(verdict));
        }
        let Some(waits) = *self.waits.borrow() else {
            return Poll::Pending;
        };
        if self.drain.as_mut().poll(poller).is_ready() {
            return Poll::Ready(Ok(Ok(Err(Box::new(tools.stopped(waits))))));
        }
        if !self.format.framing.has_comments() {
            return Poll::Pending;
        }
        ready!(self.beat.poll_tick(poller));
        Poll::Ready(Err(self.format.beat(Some(waits))))
    }
}

impl Tools {
    /// The gateway ends before a person has answered.
    fn stopped(&self, waits: Waits) -> super::Blocked {
        let (approval, id) = (waits.approval, waits.exchange);
        let reason = format!(
            "Tollgate is being stopped or restarted; approval {approval} stays open for the same call, made again"
        );
        super::Blocked {
            refusal: Refusal {
                why: Why::Unavailable,
                message: format!("{reason}. Id {id}; operator: tollgate replay {id}"),
                id: id.to_string(),
            },
            family: self.family,
            reason,
        }
    }
}
