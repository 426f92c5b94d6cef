//! Keeps a model call that streams alive while a person decides: the head of the answer goes out, then every few seconds what says
//! nothing in it, then the upstream's stream, or an event from which the provider's library raises its error.
//!
//! In: the work on a request, and whether it waits for a person. Out: the work's own answer if that comes soon, so that most refusals
//! have a status; else a stream. Invariants: nothing here releases or records anything, the work does as ever; a client that hangs up
//! drops the work, which is recorded as aborted and leaves the question open for the identical request; so does a drain.
//! Sources: WHATWG HTML, server-sent events (a line that begins with a colon is a comment). Measured: the OpenAI and Anthropic libraries
//! for Python and Node, LangChain's of both, and the `ai` package read over comments before the first event; events of another kind
//! break most of them. Google's library takes a comment for an answer, and reads over empty lines; between JSON documents, white space
//! means nothing, but Ollama's library takes an empty line for a document. botocore reads over messages of a type that it does not know.

use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

use super::exchange::Hangup;
use super::inspect::{self, Ready};
use super::relay::{Body, BoxError};
use crate::approve::MAX_WITHIN;
use crate::drain::Drain;
use crate::protocol::eventstream;
use crate::protocol::frames::Framing;
use crate::protocol::llm::Family;
use crate::protocol::{Refusal, Why};
use crate::record::Id;

/// What becomes of a request, once it is decided.
pub(super) type Work = Pin<Box<dyn Future<Output = Answer> + Send>>;

type Answer = Result<Response<Body>, Hangup>;

/// What a request waits for.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    pub(super) approval: Id,
    pub(super) exchange: Id,
}

/// Where the work tells that it waits for a person, and that it does no more.
pub(super) type Told = watch::Sender<Option<Waits>>;

/// How a waiting request is kept alive.
pub(super) struct Pulse {
    format: Format,
    /// When the client is answered at the latest.
    until: Instant,
    /// Between two comments.
    beat: Duration,
    waits: watch::Receiver<Option<Waits>>,
}

/// How a stream is written.
#[derive(Clone, Copy)]
pub(super) struct Format {
    pub(super) family: Family,
    pub(super) framing: Framing,
}

/// The body of an answer whose head went out before it was decided.
pub(super) struct Held {
    format: Format,
    state: State,
}

enum State {
    Waiting {
        next: Pin<Box<dyn Future<Output = Result<Body, BoxError>> + Send>>,
        beat: Interval,
        waits: watch::Receiver<Option<Waits>>,
        drain: Pin<Box<dyn Future<Output = ()> + Send>>,
    },
    Answering(Body),
}

/// How long a request waits for a person, and how it is kept alive so long, if it can be. HTTP/1.0 has no stream that tells its end.
pub(super) fn patience(version: Version, ready: &Ready) -> (Duration, Option<(Told, Pulse)>) {
    let hold = inspect::hold(&ready.headers);
    let call = ready
        .call
        .as_ref()
        .filter(|call| call.stream && !ready.head.websocket);
    let Some(call) = call.filter(|_| version != Version::HTTP_10) else {
        return (hold, None);
    };
    let (told, waits) = watch::channel(None);
    let pulse = Pulse {
        format: Format {
            family: call.family,
            framing: call.framing(&ready.head),
        },
        until: Instant::now() + SOON.min(hold),
        beat: BEAT.min(hold).max(FASTEST),
        waits,
    };
    (MAX_WITHIN, Some((told, pulse)))
}

/// The answer of `work`, or a stream that will have it.
pub(super) async fn alive(mut work: Work, mut pulse: Pulse, drain: Drain) -> Answer {
    let waits = tokio::select! {
        biased;
        answer = &mut work => return answer,
        waits = pulse.goes_on() => waits,
    };
    let mut beat = interval(pulse.beat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let format = pulse.format;
    let state = State::Waiting {
        next: Box::pin(async move { streamed(work.await, format, waits).await }),
        beat,
        waits: pulse.waits,
        drain: Box::pin(async move { drain.begun().await }),
    };
    let held = Held { format, state };
    let mut response = Response::new(Body::Held(Box::new(held)));
    let headers = response.headers_mut();
    let stream = HeaderValue::from_static(match format.framing {
        Framing::Events => "text/event-stream; charset=utf-8",
        Framing::Lines => "application/x-ndjson",
        Framing::Array => "application/json; charset=utf-8",
        Framing::Messages => eventstream::CONTENT_TYPE,
        // A handshake is answered when it is decided.
        Framing::Frames => "application/octet-stream",
    });
    headers.insert(header::CONTENT_TYPE, stream);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Refusal::put_id(headers, &waits.exchange.to_string());
    Ok(response)
}

impl Pulse {
    /// Waits until a person has been asked and the client has to be answered.
    async fn goes_on(&mut self) -> Waits {
        loop {
            let Ok(Some(waits)) = self
                .waits
                .wait_for(Option::is_some)
                .await
                .map(|waits| *waits)
            else {
                // Decided; the rest does not wait for a person.
                return std::future::pending().await;
            };
            let answered = self.waits.wait_for(Option::is_none);
            if timeout_at(self.until, answered).await.is_err() {
                return waits;
            }
        }
    }
}

impl Held {
    pub(super) fn poll(
        &mut self,
        poller: &mut Poller<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match &mut self.state {
                State::Waiting {
                    next,
                    beat,
                    waits,
                    drain,
                } => {
                    if let Poll::Ready(next) = next.as_mut().poll(poller) {
                        let (body, broken) = match next {
                            Ok(body) => (body, None),
                            Err(error) => (Body::Whole(None), Some(error)),
                        };
                        self.state = State::Answering(body);
                        match broken {
                            Some(error) => return Poll::Ready(Some(Err(error))),
                            None => continue,
                        }
                    }
                    let waits = *waits.borrow();
                    if let (Some(waits), Poll::Ready(())) = (waits, drain.as_mut().poll(poller)) {
                        let body = stopped(self.format, waits);
                        self.state = State::Answering(body);
                        continue;
                    }
                    ready!(beat.poll_tick(poller));
                    let beat = self.format.beat(waits);
                    return Poll::Ready(Some(Ok(Frame::data(beat))));
                }
                State::Answering(body) => return Pin::new(body).poll_frame(poller),
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Waiting { .. } => false,
            State::Answering(body) => body.is_end_stream(),
        }
    }
}

impl Format {
    /// What keeps a client waiting and says nothing to it.
    pub(super) fn beat(self, waits: Option<Waits>) -> Bytes {
        let comments = self.framing == Framing::Events && self.family != Family::Gemini;
        match (self.framing, waits) {
            (Framing::Events, Some(waits)) if comments => {
                format!(": waiting for approval {}\n\n", waits.approval).into()
            }
            (Framing::Events, None) if comments => ": waiting for the answer\n\n".into(),
            (Framing::Events, _) => "\n".into(),
            (Framing::Lines | Framing::Array, _) => " ".into(),
            (Framing::Messages, _) => eventstream::event("waiting", "{}"),
            (Framing::Frames, _) => Bytes::new(),
        }
    }
}

/// What is left to send of an answer when its head has gone out: its stream, or the event that says why there is none.
async fn streamed(answer: Answer, format: Format, waits: Waits) -> Result<Body, BoxError> {
    let response = match answer {
        Ok(response) => response,
        Err(Hangup::Upstream(_)) => {
            return Ok(told(format, waits, "the upstream could not be reached"));
        }
        Err(error) => return Err(error.into()),
    };
    let (parts, body) = response.into_parts();
    if let Some(refusal) = parts.extensions.get::<Refusal>() {
        return Ok(format.refused(refusal));
    }
    if parts.status == StatusCode::OK && format.is_of(&parts.headers) {
        return Ok(body);
    }
    let text = Limited::new(body, MAX_ERROR).collect().await;
    let text = text.map(|text| message(&text.to_bytes()));
    let reason = match text {
        Ok(text) if parts.status.is_success() => format!("{}, not a stream: {text}", parts.status),
        Ok(text) => format!("{}: {text}", parts.status),
        Err(_) => parts.status.to_string(),
    };
    let reason = format!("the upstream answered {reason}");
    Ok(told(format, waits, &reason))
}

impl Format {
    /// Whether an answer is such a stream, and not compressed.
    fn is_of(self, headers: &HeaderMap) -> bool {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        Framing::of(headers, true) == Some(self.framing)
            && codings.all(|coding| coding.as_bytes() == b"identity")
    }

    fn refused(self, refusal: &Refusal) -> Body {
        Body::whole(refusal.last(self.family, self.framing, false))
    }
}

fn told(format: Format, waits: Waits, reason: &str) -> Body {
    event(format, Why::Upstream, waits.exchange, reason)
}

/// The gateway ends before a person has answered, and the next one goes on with the question.
fn stopped(format: Format, waits: Waits) -> Body {
    let approval = waits.approval;
    let reason = format!(
        "Tollgate is being stopped or restarted; approval {approval} stays open for the same request, sent again"
    );
    event(format, Why::Unavailable, waits.exchange, &reason)
}

fn event(format: Format, why: Why, id: Id, reason: &str) -> Body {
    let refusal = Refusal {
        why,
        message: format!("{reason}. Id {id}; operator: tollgate replay {id}"),
        id: id.to_string(),
    };
    format.refused(&refusal)
}

/// What an error page says: the provider's message where there is one.
fn message(page: &[u8]) -> String {
    let error = serde_json::from_slice::<serde_json::Value>(page).ok();
    let message = error.as_ref().and_then(|error| {
        let message = error.pointer("/error/message");
        let message = message.or_else(|| error.get("error"));
        message.or_else(|| error.get("message"))?.as_str()
    });
    let text = String::from_utf8_lossy(page);
    let message = message.unwrap_or(text.trim());
    message.chars().take(MAX_MESSAGE).collect()
}

/// Long enough for a person at a screen and for rules that answer, so that those refusals have a status; and short of the five seconds
/// after which httpx gives up on a silent connection, and with it the libraries that set no timeout of their own (OpenRouter's).
const SOON: Duration = Duration::from_secs(3);
/// As `SOON`: httpx counts from the last byte.
pub(super) const BEAT: Duration = Duration::from_secs(3);
/// For clients that give up within a second.
pub(super) const FASTEST: Duration = Duration::from_millis(250);
/// Providers' errors are small.
const MAX_ERROR: usize = 1 << 20;
/// An error page can be a whole document.
const MAX_MESSAGE: usize = 1000;
