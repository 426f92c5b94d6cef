//! Request bodies in memory: read whole, decoded, counted against budgets while they are held.
//!
//! In: a body, and its headers. Out: [`Held`], with the bytes that are inspected and those that came. Invariants: what is held has
//! its share of the workload's and of the gateway's budget before it is kept; nothing is decoded that there is no share for.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::consume_budget;
use tokio::time::timeout;

use super::Connection;
use super::inspect::{Unfit, malformed};
use super::source::Source;
use crate::forward::Outgoing;
use crate::protocol::Why;
use crate::protocol::coding::{self, Coding, CodingError, Decoder};
use crate::protocol::trailers::keep_harmless;

/// A body in memory.
pub(super) struct Held {
    /// What it says: what is inspected and decided on.
    pub(super) bytes: Bytes,
    /// As it came, where a content coding stands between the two.
    coded: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
    /// Given back when the body is dropped.
    _share: Share,
}

impl Held {
    /// The body as it came, with its trailers.
    pub(super) fn untouched(self) -> Outgoing {
        outgoing(self.coded.unwrap_or(self.bytes), self.trailers)
    }

    /// Another body in its place, with its trailers.
    pub(super) fn replaced(self, bytes: Bytes) -> Outgoing {
        outgoing(bytes, self.trailers)
    }
}

fn outgoing(bytes: Bytes, trailers: Option<HeaderMap>) -> Outgoing {
    match trailers {
        None => Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync(),
        Some(trailers) => Trailed(vec![Frame::trailers(trailers), Frame::data(bytes)])
            .map_err(|never| match never {})
            .boxed_unsync(),
    }
}

/// A body with trailers, last frame first. It tells no length: HTTP/1 has trailers only where there is none.
struct Trailed(Vec<Frame<Bytes>>);

impl Body for Trailed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// A body that streams, whose trailers say nothing that was not decided on.
pub(super) fn streamed(body: Source) -> Outgoing {
    body.map_frame(|frame| match frame.into_trailers() {
        Ok(mut trailers) => {
            keep_harmless(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    })
    .boxed_unsync()
}

/// What held bodies may take: of the workload's memory, and of the gateway's.
pub(super) struct Budgets<'a> {
    workload: &'a Arc<Semaphore>,
    gateway: &'a Arc<Semaphore>,
}

/// A part of the budgets, given back when it is dropped.
pub(super) struct Share {
    workload: OwnedSemaphorePermit,
    gateway: OwnedSemaphorePermit,
}

/// Everything that all workloads together may hold.
#[must_use]
pub fn body_budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ALL_BODIES))
}

/// Reads a body to its end, and decodes it.
pub(super) async fn read_whole(
    budgets: Budgets<'_>,
    headers: &HeaderMap,
    body: Source,
) -> Result<Held, Unfit> {
    let coding = coding::of(headers).map_err(|error| unsupported(&error))?;
    if body.size_hint().lower() > MAX_INSPECTED_BODY as u64 {
        return Err(too_large());
    }
    let read = async {
        let held = hold(&budgets, body).await?;
        match coding {
            Some(coding) if !held.bytes.is_empty() => decode(&budgets, coding, held).await,
            _ => Ok(held),
        }
    };
    match timeout(BODY_DEADLINE, read).await {
        Ok(held) => held,
        Err(_) => Err(malformed(&"the body did not arrive in time")),
    }
}

/// Collects a body frame by frame; each takes its share as it arrives.
async fn hold(budgets: &Budgets<'_>, mut body: Source) -> Result<Held, Unfit> {
    let mut bytes = BytesMut::new();
    let mut share = budgets.take(0)?;
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let data = match frame.map_err(|error| malformed(&error))?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok().map(|mut trailers| {
                    keep_harmless(&mut trailers);
                    trailers
                });
                continue;
            }
        };
        if bytes.len() + data.len() > MAX_INSPECTED_BODY {
            return Err(too_large());
        }
        share.merge(budgets.take(data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok(Held {
        bytes: bytes.freeze(),
        coded: None,
        trailers,
        _share: share,
    })
}

async fn decode(budgets: &Budgets<'_>, coding: Coding, held: Held) -> Result<Held, Unfit> {
    let Held {
        bytes: coded,
        trailers,
        _share: mut share,
        ..
    } = held;
    let mut decoder = Decoder::new(coding).map_err(|error| malformed(&error))?;
    let mut bytes = BytesMut::new();
    let mut input = &coded[..];
    while !input.is_empty() || decoder.pending() {
        let before = bytes.len();
        decoder
            .step(&mut input, &mut bytes)
            .and_then(|()| decoder.in_proportion())
            .map_err(|error| malformed(&error))?;
        if bytes.len() > MAX_INSPECTED_BODY {
            return Err(too_large());
        }
        share.merge(budgets.take(bytes.len() - before)?);
        // Decoding 32 MiB takes long enough for others to wait.
        consume_budget().await;
    }
    decoder.finish().map_err(|error| malformed(&error))?;
    Ok(Held {
        bytes: bytes.freeze(),
        coded: Some(coded),
        trailers,
        _share: share,
    })
}

impl<'a> Budgets<'a> {
    pub(super) fn of(connection: &'a Connection) -> Self {
        Self {
            workload: &connection.caller.workload.bodies,
            gateway: &connection.gateway.bodies,
        }
    }

    pub(super) fn take(&self, length: usize) -> Result<Share, Unfit> {
        let of = |budget: &Arc<Semaphore>, whose: &str| {
            let bytes = u32::try_from(length).unwrap_or(u32::MAX);
            let taken = Arc::clone(budget).try_acquire_many_owned(bytes);
            taken.map_err(|_| Unfit {
                why: Why::Overloaded,
                reason: format!("{whose} too many large requests: try again later"),
            })
        };
        Ok(Share {
            workload: of(self.workload, "this workload holds")?,
            gateway: of(self.gateway, "all workloads together hold")?,
        })
    }
}

impl Share {
    pub(super) fn merge(&mut self, more: Self) {
        self.workload.merge(more.workload);
        self.gateway.merge(more.gateway);
    }
}

fn unsupported(error: &CodingError) -> Unfit {
    Unfit {
        why: Why::Coding,
        reason: error.to_string(),
    }
}

fn too_large() -> Unfit {
    Unfit {
        why: Why::TooLarge,
        reason: format!(
            "the body is larger than the {} MiB that are inspected",
            MAX_INSPECTED_BODY >> 20
        ),
    }
}

/// Larger than any prompt seen; a body that has to be understood is held in memory while it is.
const MAX_INSPECTED_BODY: usize = 32 << 20;
/// What four workloads may take each; a fifth of the memory of a small host.
const ALL_BODIES: usize = 512 << 20;
/// Loopback delivers the largest body in a fraction of this; an agent that builds one as it goes has the rest.
const BODY_DEADLINE: Duration = Duration::from_secs(120);
