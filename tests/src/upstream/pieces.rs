//! A response body of given pieces with a pause before each, so that each leaves in a write of its own.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The body.
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    pace: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pieces {
    /// A body of one piece, whose length is announced.
    pub(super) fn whole(body: impl Into<Bytes>) -> Self {
        Self {
            pieces: VecDeque::from([body.into()]),
            pace: None,
            pause: None,
        }
    }

    /// A body whose length is not known beforehand.
    pub(super) fn stream(pieces: Vec<Bytes>, pace: Duration) -> Self {
        Self {
            pieces: pieces.into(),
            pace: Some(pace),
            pause: None,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pace) = self.pace.filter(|_| !self.pieces.is_empty()) {
            ready!(
                self.pause
                    .get_or_insert_with(|| Box::pin(sleep(pace)))
                    .as_mut()
                    .poll(context)
            );
            self.pause = None;
        }
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.pace {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum()),
        }
    }
}
