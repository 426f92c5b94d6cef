//! An upstream's body as it is read: as it comes, or decoded while it streams.
//!
//! Out: pieces of bounded size, each as soon as the bytes so far allow. Invariants: the upstream is asked for more only when all that
//! came has been passed on, so a slow reader slows the upstream; trailers come through; a coded body that ends early is an error.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::relay::BoxError;
use super::tools::Judged;
use crate::protocol::coding::{Coding, CodingError, Decoder};

/// An upstream's body.
pub(super) enum Upstream {
    AsIs(Incoming),
    Decoded(Box<Decoded>),
    /// A stream of events whose calls of tools are decided on.
    Judged(Box<Judged>),
    /// One of which something has been read.
    Begun(Box<Begun>),
}

/// A body with what was read of it.
pub(super) struct Begun {
    came: VecDeque<Result<Frame<Bytes>, BoxError>>,
    rest: Upstream,
}

impl Begun {
    pub(super) fn new(came: VecDeque<Result<Frame<Bytes>, BoxError>>, rest: Upstream) -> Self {
        Self { came, rest }
    }
}

/// A body behind its decoder.
pub(super) struct Decoded {
    body: Incoming,
    decoder: Decoder,
    /// What came and has not been decoded.
    input: Bytes,
    /// What follows the last decoded piece.
    end: Option<Frame<Bytes>>,
    done: bool,
}

impl Upstream {
    pub(super) fn decoded(body: Incoming, coding: Coding) -> Result<Self, CodingError> {
        Ok(Self::Decoded(Box::new(Decoded {
            body,
            decoder: Decoder::new(coding)?,
            input: Bytes::new(),
            end: None,
            done: false,
        })))
    }
}

impl Body for Upstream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        poller: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::AsIs(body) => Pin::new(body)
                .poll_frame(poller)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Self::Decoded(decoded) => decoded.poll(poller),
            Self::Judged(judged) => judged.poll(poller),
            Self::Begun(begun) => match begun.came.pop_front() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => Pin::new(&mut begun.rest).poll_frame(poller),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::AsIs(body) => body.is_end_stream(),
            Self::Decoded(decoded) => decoded.done,
            Self::Judged(judged) => judged.is_end_stream(),
            Self::Begun(begun) => begun.came.is_empty() && begun.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::AsIs(body) => body.size_hint(),
            Self::Decoded(_) | Self::Judged(_) | Self::Begun(_) => SizeHint::default(),
        }
    }
}

impl Decoded {
    fn poll(&mut self, poller: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.done {
                return Poll::Ready(None);
            }
            if !self.input.is_empty() || self.decoder.pending() {
                let mut out = BytesMut::new();
                let mut input = &self.input[..];
                let before = input.len();
                let stepped = self.decoder.step(&mut input, &mut out);
                let used = before - input.len();
                self.input.advance(used);
                if let Err(error) = stepped {
                    return self.failed(error.into());
                }
                if !out.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
                }
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(poller)) {
                Some(Err(error)) => return self.failed(error.into()),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.input = data,
                    Err(trailers) => self.end = Some(trailers),
                },
                None => {
                    if let Err(error) = self.decoder.finish() {
                        return self.failed(error.into());
                    }
                    self.done = true;
                    return Poll::Ready(self.end.take().map(Ok));
                }
            }
        }
    }

    fn failed(&mut self, error: BoxError) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.done = true;
        Poll::Ready(Some(Err(error)))
    }
}
