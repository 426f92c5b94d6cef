//! What a workload has too much of: its requests are refused in their own words and may come again; the rest of a flood waits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::exchange::{self, Context, Hangup};
use super::relay::Body;
use crate::load::Place;

/// The body of an answer, with the place that its request takes until the end.
pub(super) struct Placed {
    body: Body,
    _place: Option<Place>,
}

/// Governs one request if there is a place for it, and says so if there is none.
pub(super) async fn handle(
    context: Arc<Context>,
    request: Request<Incoming>,
) -> Result<Response<Placed>, Hangup> {
    let connection = Arc::clone(&context.connection);
    let place = connection.share.request();
    let too_much = match (&connection.place, &place) {
        (None, _) => Some("it has too many connections open"),
        (_, None) => Some("too many requests are under way"),
        _ => None,
    };
    let (crowded, version) = (connection.place.is_none(), request.version());
    let mut response = exchange::handle(context, request, too_much).await?;
    if crowded && version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response.map(|body| Placed {
        body,
        _place: place,
    }))
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(poller)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is told to go is gone by then, so that the next can be told.
pub(super) const TOLD: Duration = Duration::from_secs(5);
