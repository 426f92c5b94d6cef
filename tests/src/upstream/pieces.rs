//! A response body of given pieces with a pause before each, so that each leaves in a write of its own.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
    header::HeaderValue,
};
use tokio::time::{Sleep, sleep};

/// The body.
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    pace: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
    trailers: Option<HeaderMap>,
    /// Ends in an error instead of an end.
    broken: bool,
}

impl Pieces {
    /// A body of one piece, whose length is announced.
    pub(super) fn whole(body: impl Into<Bytes>) -> Self {
        Self {
            pieces: VecDeque::from([body.into()]),
            pace: None,
            pause: None,
            trailers: None,
            broken: false,
        }
    }

    /// A body whose length is not known beforehand.
    pub(super) fn stream(pieces: Vec<Bytes>, pace: Duration) -> Self {
        Self {
            pieces: pieces.into(),
            pace: Some(pace),
            pause: None,
            trailers: None,
            broken: false,
        }
    }

    /// An empty body with a trailer that says `text`.
    pub(super) fn with_trailer(name: &'static str, text: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(text).unwrap_or_else(|_| HeaderValue::from_static("?"));
        let mut trailers = HeaderMap::new();
        trailers.insert(name, value);
        Self {
            trailers: Some(trailers),
            ..Self::stream(Vec::new(), Duration::ZERO)
        }
    }

    /// A body that breaks off behind `piece`.
    pub(super) fn broken(piece: Bytes) -> Self {
        Self {
            broken: true,
            ..Self::stream(vec![piece], Duration::ZERO)
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(pace) = self.pace.filter(|_| !self.pieces.is_empty()) {
            ready!(
                self.pause
                    .get_or_insert_with(|| Box::pin(sleep(pace)))
                    .as_mut()
                    .poll(context)
            );
            self.pause = None;
        }
        let piece = self.pieces.pop_front().map(Frame::data);
        let frame = piece.or_else(|| self.trailers.take().map(Frame::trailers));
        if frame.is_none() && std::mem::take(&mut self.broken) {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.trailers.is_none() && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        match self.pace {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum()),
        }
    }
}
