//! A request body on its way from the client, which an observed workload's request can have again from its beginning.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// A request body.
pub(super) enum Source {
    /// It can be read once.
    Once(Incoming),
    /// What is read of it is kept, as long as the [`Spare`] is.
    Kept(Arc<Mutex<Kept>>),
}

/// What was read of a body, and the rest of it.
pub(super) struct Kept {
    /// Nothing is kept any more once this is `None`.
    seen: Option<Seen>,
    /// What is to be read again first.
    again: Seen,
    body: Incoming,
}

#[derive(Default)]
struct Seen {
    data: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

/// The right to read a body from its beginning again. Dropped, it keeps nothing.
pub(super) struct Spare(Arc<Mutex<Kept>>);

impl Source {
    /// A body that can be read again.
    pub(super) fn kept(body: Incoming) -> (Self, Spare) {
        let kept = Arc::new(Mutex::new(Kept {
            seen: Some(Seen::default()),
            again: Seen::default(),
            body,
        }));
        (Self::Kept(Arc::clone(&kept)), Spare(kept))
    }
}

impl Spare {
    /// The body from its beginning. Whoever read it before must have stopped.
    pub(super) fn again(self) -> Source {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.again = kept.seen.take().unwrap_or_default();
        Source::Kept(Arc::clone(&self.0))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seen = None;
    }
}

impl Kept {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(data) = self.again.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.again.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Ok(frame))), Some(seen)) = (&polled, &mut self.seen) {
            seen.data.extend(frame.data_ref().cloned());
            seen.trailers = frame.trailers_ref().cloned();
        }
        polled
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Once(body) => Pin::new(body).poll_frame(context),
            Self::Kept(kept) => kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Once(body) => body.is_end_stream(),
            Self::Kept(kept) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.again.data.is_empty()
                    && kept.again.trailers.is_none()
                    && kept.body.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Once(body) => body.size_hint(),
            Self::Kept(kept) => {
                let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let again: usize = kept.again.data.iter().map(Bytes::len).sum();
                let mut hint = kept.body.size_hint();
                let again = again as u64;
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(again));
                }
                hint.set_lower(hint.lower().saturating_add(again));
                hint
            }
        }
    }
}
