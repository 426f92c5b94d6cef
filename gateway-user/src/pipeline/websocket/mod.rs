//! WebSocket: the handshake with the upstream, then frames both ways, each judged by what policy said of the handshake.
//!
//! In: a permitted handshake. Out: the response; when it accepts, a task that carries frames until the end. Invariants: until the
//! upstream accepts, its answer is an ordinary one; what has to be inspected is not compressed; the exchange is closed once, when the
//! WebSocket ends. Sources: RFC 6455, RFC 8441.

mod answering;
mod asking;
mod created;
mod direction;
mod leg;
mod message;
mod relay;
mod session;
mod talk;
mod terms;
mod told;

use std::sync::Arc;
use std::time::Duration;

use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use http::request::Parts;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::timeout;

use self::answering::Answering as Answers;
use self::asking::Asking;
use self::created::Opening;
use self::direction::Direction;
use self::relay::{Ended, Relay};
use self::talk::Talk;
use self::terms::{Stop, Terms};
use super::ConnectionError;
use super::charge::Charge;
use super::exchange::{Context, Hangup, failed, refuse};
use super::farewell::Upgrade;
use super::inspect::Ready;
use super::outcome::{Described, Refused};
use super::relay::{self as answer, Answering, Body};
use super::revoke::{Revoked, revoked};
use super::tools::{self, Tools};
use crate::forward::Outgoing;
use crate::policy::Permit;
use crate::protocol::Why;
use crate::protocol::http::end_to_end;
use crate::protocol::websocket::{self as protocol, HandshakeError, Peer, code};
use crate::record::{Closed, ExchangeEntry, Id, Outcome};

/// A handshake that is permitted.
pub(super) struct Handshake {
    pub(super) ready: Ready,
    pub(super) described: Described,
    /// The request as the upstream gets it.
    pub(super) parts: Parts,
    /// What calls of tools are judged by, in a conversation with a model.
    pub(super) tools: Option<Arc<Tools>>,
    /// What its answers cost.
    pub(super) charge: Charge,
}

/// Sends the handshake and returns the answer; where it accepts, frames flow from then on.
pub(super) async fn open(
    context: &Context,
    mut handshake: Handshake,
    entry: ExchangeEntry,
    permit: Permit,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    let Handshake {
        ready,
        described,
        parts,
        tools,
        charge,
    } = &mut handshake;
    let service = ready.resource.name.as_str();
    let held = connection.gateway.keeper.holds(service).then_some(service);
    let standing = tools::standing(tools.as_ref(), ready.family, &permit);
    let terms = Terms::new(Arc::clone(connection), permit);
    let read = terms.inspect() || terms.answers().tells();
    if held.is_some() || read || ready.family.is_some() && !terms.observed() {
        parts.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    }
    if let Err(error) = protocol::with_key(&mut parts.headers) {
        return unopened(context, &handshake, entry, Why::Unavailable, &error).await;
    }
    let destination = ready.resource.destination(connection);
    let write = |version| Request::from_parts(protocol::offer(parts, version), nothing());
    let mut revoked = revoked(connection, standing);
    let sent = tokio::select! {
        biased;
        reason = &mut revoked => {
            let refused = Refused::new(entry, connection, described, Why::Policy, &reason);
            return refuse(connection, refused, ready.family, Outcome::Aborted, Some(reason)).await;
        }
        sent = context.pool.upgrade(terms.permit(), &destination, write) => sent,
    };
    let (version, response) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            return failed(
                context,
                entry,
                described,
                ready.family,
                error,
                std::mem::take(charge),
            )
            .await;
        }
    };
    if protocol::switches(response.status(), version) {
        return accepted(
            context,
            handshake,
            entry,
            terms,
            (version, response),
            revoked,
        )
        .await;
    }
    // Over HTTP/2 a success is an acceptance, whatever the upstream meant by it over HTTP/1.1.
    if context.clear.version >= Version::HTTP_2 && response.status().is_success() {
        let error = HandshakeError::Status(response.status().as_u16());
        return unopened(context, &handshake, entry, Why::Upstream, &error).await;
    }
    let masks = terms.answers();
    let answering = Answering::plain(masks, held);
    Ok(answer::start(connection, entry, response, answering, revoked).await?)
}

/// Accepts the agent's handshake as the upstream has accepted ours.
async fn accepted(
    context: &Context,
    handshake: Handshake,
    mut entry: ExchangeEntry,
    terms: Terms,
    (version, mut response): (Version, Response<Incoming>),
    revoked: Revoked,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    let upstream = hyper::upgrade::on(&mut response);
    let mut parts = response.into_parts().0;
    let answered = protocol::answered(&parts, &handshake.parts.headers, version);
    let compression = match answered {
        Ok(compression) => compression,
        Err(error) => return unopened(context, &handshake, entry, Why::Upstream, &error).await,
    };
    let agent = handshake.ready.extensions.get::<Upgrade>();
    let Some(agent) = agent.and_then(Upgrade::take) else {
        let error = HandshakeError::Upgrade;
        return unopened(context, &handshake, entry, Why::Unavailable, &error).await;
    };
    end_to_end(&mut parts.headers);
    let (keeper, service) = (&connection.gateway.keeper, &handshake.ready.resource.name);
    let scrub = match keeper.holds(service) {
        true => Some(keeper.scrub(service).map_err(ConnectionError::from)?),
        false => None,
    };
    if let Some(scrub) = &scrub {
        answer::scrub_values(scrub, &mut parts.headers);
        parts.extensions.remove::<hyper::ext::ReasonPhrase>();
    }
    answer::mask_head(&mut parts, &terms.answers(), &mut entry);
    let key = handshake.ready.headers.get(SEC_WEBSOCKET_KEY);
    protocol::opened(&mut parts, context.clear.version, key);

    let terms = Arc::new(terms);
    let mut up = Direction::new(Peer::Client, compression, Arc::clone(&terms), None);
    let mut down = Direction::new(Peer::Server, compression, Arc::clone(&terms), scrub);
    let id = entry.id();
    let record = match handshake.ready.family {
        // Of an observed workload what is said passes unread.
        Some(family) if !terms.observed() => {
            let Handshake {
                described,
                tools,
                charge,
                ready,
                ..
            } = handshake;
            let mut headers = ready.headers;
            end_to_end(&mut headers);
            let opening = Opening {
                resource: ready.resource,
                headers,
            };
            let talk = Talk::new(
                &terms,
                described,
                tools,
                entry,
                charge,
                (family, ready.head, opening),
            );
            up.asks(Asking::new(Arc::clone(&talk)));
            down.answers(Answers::new(Arc::clone(&talk)));
            Record::Talk(talk)
        }
        _ => Record::Entry(Box::new(entry)),
    };
    let open = Open {
        up,
        down,
        status: parts.status.as_u16(),
        id,
        record,
        terms,
        revoked,
    };
    connection.gateway.tasks.spawn(open.carry(agent, upstream));
    Ok(Response::from_parts(parts, Body::Whole(None)))
}

/// A WebSocket that is accepted.
struct Open {
    terms: Arc<Terms>,
    id: Id,
    record: Record,
    status: u16,
    up: Direction,
    down: Direction,
    revoked: Revoked,
}

/// Who has its record.
enum Record {
    Entry(Box<ExchangeEntry>),
    /// A conversation with a model, until that is over.
    Talk(Arc<Talk>),
}

impl Open {
    /// Carries frames to the end, and puts that on record.
    async fn carry(self, agent: OnUpgrade, upstream: OnUpgrade) {
        let gateway = &self.terms.connection().gateway;
        let id = self.id;
        let talk = match &self.record {
            Record::Talk(talk) => Some(Arc::clone(talk)),
            Record::Entry(_) => None,
        };
        let both = timeout(OPENING, async { tokio::try_join!(agent, upstream) });
        let ended = match both.await {
            Ok(Ok((agent, upstream))) => {
                let relay = Relay::new(agent, upstream, self.up, self.down);
                let answers = async {
                    match &talk {
                        Some(talk) => talk.revoked().await,
                        None => std::future::pending().await,
                    }
                };
                let revoked = async {
                    tokio::select! {
                        reason = self.revoked => reason,
                        reason = self.terms.enforced() => reason,
                        reason = answers => reason,
                    }
                };
                let last_word = |stop: &Stop| {
                    // Whoever is only sent elsewhere is not refused.
                    let talk = talk.as_ref().filter(|_| stop.code != code::GOING_AWAY)?;
                    Some(talk.last_word(stop, id))
                };
                relay.run(&gateway.drain, revoked, id, last_word).await
            }
            _ => Ended {
                outcome: Outcome::Aborted,
                reason: "an end was gone before it was open".to_owned(),
                findings: Vec::new(),
                usage: None,
            },
        };
        let (entry, cost) = match self.record {
            Record::Entry(entry) => (Some(*entry), None),
            Record::Talk(talk) => talk.end(ended.outcome),
        };
        let Some(entry) = entry else { return };
        tracing::info!(%id, reason = ended.reason, "WebSocket ended");
        let closed = Closed {
            cost,
            outcome: ended.outcome,
            status: Some(self.status),
            usage: ended.usage,
            findings: ended.findings,
            reason: Some(ended.reason),
        };
        if let Err(error) = entry.close(closed).await {
            tracing::error!(%id, %error, "the end of a WebSocket is not on record yet");
        }
    }
}

/// The WebSocket cannot be opened, for a reason that lies behind policy.
async fn unopened(
    context: &Context,
    handshake: &Handshake,
    entry: ExchangeEntry,
    why: Why,
    error: &HandshakeError,
) -> Result<Response<Body>, Hangup> {
    let reason = error.to_string();
    let refused = Refused::new(
        entry,
        &context.connection,
        &handshake.described,
        why,
        &reason,
    );
    refuse(
        &context.connection,
        refused,
        handshake.ready.family,
        Outcome::Failed,
        Some(reason),
    )
    .await
}

/// The body of a handshake.
fn nothing() -> Outgoing {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Both ends have said yes; what is left is to write that and hand over the streams.
const OPENING: Duration = Duration::from_secs(30);
