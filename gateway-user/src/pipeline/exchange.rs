//! One HTTP request, from its head to the response that starts to flow: read, decide, mask or ask, forward.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;

use super::body::streamed;
use super::charge::Charge;
use super::farewell::Upgrade;
use super::held::{self, Told};
use super::http::Clear;
use super::inspect::{Payload, Ready, Unfit, digest, prepare};
use super::observe;
use super::outcome::{self, Asked, Described, Refused, Verdict};
use super::outgoing::outgoing;
use super::relay::{self, Answering, Body};
use super::resource::Resource;
use super::revoke::revoked;
use super::source::Source;
use super::surrogates::released;
use super::tools::{self, Tools};
use super::unreadable::unreadable;
use super::websocket::{self, Handshake};
use super::{Connection, ConnectionError};
use crate::config::Scheme;
use crate::forward::{ForwardError, Pool};
use crate::mask;
use crate::policy::Permit;
use crate::protocol::http::{self as protocol, Head};
use crate::protocol::llm::{self, Family};
use crate::protocol::{Refusal, Why, grpc};
use crate::record::{ExchangeEntry, Outcome};

/// What the exchanges of one connection share.
pub(super) struct Context {
    pub(super) connection: Arc<Connection>,
    pub(super) clear: Clear,
    pub(super) pool: Pool,
}

impl Context {
    /// What a ledger entry calls the protocol of a request that none more specific claims.
    fn protocol(&self, head: &Head) -> &'static str {
        if head.websocket {
            "websocket"
        } else {
            self.clear.protocol()
        }
    }
}

/// The connection is dropped without an answer, as it would be if the upstream had dropped it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Hangup {
    /// hyper looks for the reason of a reset among the causes, so that an upstream's reset reaches the client as the same.
    #[error("the upstream could not be reached")]
    Upstream(#[source] ForwardError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// Governs one request, or refuses it because of `too_much`. `Err` drops the connection, or resets the stream.
pub(super) async fn handle(
    context: Arc<Context>,
    request: Request<Incoming>,
    too_much: Option<&str>,
) -> Result<Response<Body>, Hangup> {
    let calls = grpc::calls(request.headers());
    let head = request.method() == Method::HEAD;
    let mut response = answered(context, request, too_much).await?;
    match response.extensions_mut().remove::<Refusal>() {
        Some(refusal) if calls => Ok(grpc::response(&refusal).map(|_| Body::empty())),
        // In HTTP/2 nobody else takes it off.
        Some(_) if head => Ok(response.map(|_| Body::empty())),
        _ => Ok(response),
    }
}

async fn answered(
    context: Arc<Context>,
    request: Request<Incoming>,
    too_much: Option<&str>,
) -> Result<Response<Body>, Hangup> {
    let (mut parts, body) = request.into_parts();
    let version = parts.version;
    let connection = &context.connection;
    Upgrade::keep(&mut parts.extensions, &connection.gateway.tasks);
    let observes = connection.observes();
    let tls_name = context.clear.tls_name.as_deref();
    let mut unfit = None;
    let head = match protocol::read(&parts, tls_name, connection.origin.port()) {
        Ok(head) => head,
        Err(error) => {
            let lenient = observes.then(|| observe::head(&parts, connection, tls_name));
            let Some(head) = lenient.flatten() else {
                return unreadable(&context, &parts, &error).await;
            };
            unfit = Some(error.to_string());
            head
        }
    };
    let scheme = if context.clear.tls_name.is_some() {
        Scheme::Tls
    } else {
        Scheme::Plain
    };
    let resource = if observes {
        observe::resource(connection, scheme, &head.host).await
    } else {
        Resource::of(&connection.gateway, scheme, &head.host, connection.origin)
    };
    let endpoint = llm::recognise(&head, &parts.headers, resource.is_provider());
    let mut described = Described {
        action: endpoint.map_or(protocol::name(&head), |found| found.action),
        service: resource.name.clone(),
        method: Some(head.method.to_string()),
        path: None,
        tool: None,
    };
    if let Some(reason) = too_much {
        described.path = Some(shown(connection, &head.path));
        let (why, reason) = (Why::Overloaded, reason.to_owned());
        let family = endpoint.map(|found| found.family);
        return unfit_answer(&context, described, family, &Unfit { why, reason }).await;
    }
    let (body, spare) = if observes {
        observe::spare(&resource, &head, &parts, body)
    } else {
        (Source::Once(body), None)
    };
    let family = endpoint.map(|found| found.family);
    let path = head.path.clone();
    let mut prepared = prepare(&context, resource, head, parts, body, endpoint).await;
    let searched = prepared.as_mut().ok();
    let searched = searched.and_then(|ready| ready.shown.take());
    described.path = Some(searched.unwrap_or_else(|| shown(connection, &path)));
    let mut ready = match (prepared, spare) {
        (Ok(ready), _) => ready,
        (Err(why), Some(spare)) => {
            unfit.get_or_insert(why.reason);
            spare.uninspected(connection, family)
        }
        (Err(why), None) => return unfit_answer(&context, described, family, &why).await,
    };
    ready.unfit = unfit;
    let family = ready.family;
    match held::patience(version, &ready) {
        (hold, None) => governed(context, ready, described, family, hold, None).await,
        (hold, Some((told, pulse))) => {
            let drain = context.connection.gateway.drain.clone();
            let work = governed(context, ready, described, family, hold, Some(told));
            held::alive(Box::pin(work), pulse, drain).await
        }
    }
}

/// A path as the record keeps it: without what detectors find.
fn shown(connection: &Connection, path: &str) -> String {
    let everything = mask::Set::all().with(connection.gateway.policies.load().detectors());
    mask::head::target(path, &everything, &mut Vec::new()).unwrap_or_else(|| path.to_owned())
}

/// Decides, then forwards or refuses.
async fn governed(
    context: Arc<Context>,
    ready: Ready,
    described: Described,
    family: Option<Family>,
    hold: Duration,
    told: Option<Told>,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    let asked = Asked {
        resource: &ready.resource,
        action: ready.action.clone(),
        shown: described.path.as_ref().and_then(|path| {
            let mut facts = ready.action.facts.clone();
            facts.set("path", path.as_str());
            (*path != ready.head.path).then_some(facts)
        }),
        protocol: family.map_or(context.protocol(&ready.head), Family::name),
        model: ready.call.as_ref().map(|call| call.model.clone()),
        stream: ready.call.as_ref().map(|call| call.stream),
        findings: ready.findings.clone(),
        patched: Vec::new(),
        policies: Arc::clone(&ready.policies),
        digest: digest(&ready),
        hold,
        told,
    };
    let verdict = match &ready.unfit {
        Some(reason) => observe::permit_unfit(connection, &asked, reason).await?,
        None => outcome::decide(connection, asked).await?,
    };
    match verdict {
        Verdict::Permit(entry, permit) => {
            forward(&context, ready, described, family, entry, permit).await
        }
        Verdict::Refused(mut refused) => {
            record_request(refused.entry(), connection, &ready);
            refuse(connection, refused, family, Outcome::Refused, None).await
        }
    }
}

/// Masks, places the credential, sends, and starts to relay the answer.
async fn forward(
    context: &Context,
    mut ready: Ready,
    described: Described,
    family: Option<Family>,
    mut entry: ExchangeEntry,
    permit: Permit,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    record_request(&mut entry, connection, &ready);
    let charge = match Charge::admit(connection, &ready, &mut entry).await? {
        Ok(charge) => charge,
        Err((why, reason)) => {
            let refused = Refused::new(entry, connection, &described, why, &reason);
            return refuse(connection, refused, family, Outcome::Refused, Some(reason)).await;
        }
    };
    let masks = connection.masks(&permit);
    let brought = connection.brought(&ready.resource.name);
    let outgoing = match outgoing(connection, &ready, family, &permit, &masks, charge.counts()) {
        Ok(outgoing) => outgoing,
        Err(unfit) => {
            let refused = Refused::new(entry, connection, &described, unfit.why, &unfit.reason)
                .costing(charge.free());
            return refuse(
                connection,
                refused,
                family,
                Outcome::Refused,
                Some(unfit.reason),
            )
            .await;
        }
    };
    if let Payload::Whole(held) = &mut ready.payload
        && let Some(trailers) = &mut held.trailers
    {
        mask::head::headers(trailers, false, &masks, &mut Vec::new());
    }
    entry.found(&released(&outgoing.restored));
    let tools = Tools::of(connection, &ready, &permit, entry.id());
    if ready.head.websocket {
        let handshake = Handshake {
            ready,
            described,
            parts: outgoing.parts,
            tools,
            charge,
        };
        return websocket::open(context, handshake, entry, permit).await;
    }
    let without_counts = outgoing.counts;
    let streams = ready.call.as_ref().is_some_and(|call| call.stream);
    let vectors = ready.action.name == llm::EMBED;
    let request = match (outgoing.body, ready.payload) {
        (_, Payload::Stream(body)) => Request::from_parts(outgoing.parts, streamed(body)),
        (Some(bytes), Payload::Whole(held)) => {
            Request::from_parts(outgoing.parts, held.replaced(bytes))
        }
        (None, Payload::Whole(held)) => Request::from_parts(outgoing.parts, held.untouched()),
    };
    let destination = ready.resource.destination(connection);
    let service = ready.resource.name.as_str();
    let held = connection.gateway.keeper.holds(service).then_some(service);
    let mut revoked = revoked(connection, tools::standing(tools.as_ref(), family, &permit));
    let sent = tokio::select! {
        biased;
        reason = &mut revoked => {
            let refused = Refused::new(entry, connection, &described, Why::Policy, &reason);
            let refused = refused.costing(charge.free());
            return refuse(connection, refused, family, Outcome::Aborted, Some(reason)).await;
        }
        sent = context.pool.send(permit, &destination, request) => sent,
    };
    match sent {
        Ok(response) => {
            let answering = Answering {
                family,
                masks: masks.told(brought),
                held,
                charge,
                without_counts,
                streams,
                vectors,
                tools,
            };
            Ok(relay::start(connection, entry, response, answering, revoked).await?)
        }
        Err(error) => failed(context, entry, &described, family, error, charge).await,
    }
}

/// Nothing came back: the agent is told, or finds the connection gone where that is what it would have found without the gateway.
pub(super) async fn failed(
    context: &Context,
    entry: ExchangeEntry,
    described: &Described,
    family: Option<Family>,
    error: ForwardError,
    charge: Charge,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    connection.note(&error);
    if connection.observes() && !error.is_unreachable() {
        let tls_name = context.clear.tls_name.as_deref();
        observe::not_openable(connection, tls_name, &error.to_string());
    }
    let (outcome, reason) = match &error {
        ForwardError::Http(body) if body.is_user() => {
            (Outcome::Aborted, "the request's body broke off".to_owned())
        }
        _ => (Outcome::Failed, error.to_string()),
    };
    let mut refused = Refused::new(entry, connection, described, Why::Upstream, &reason);
    if error.is_unreachable() {
        refused = refused.costing(charge.free());
    }
    if connection.observes() || error.is_unreachable() {
        let closed = refused.close(None, outcome, Some(reason)).await;
        closed.map_err(ConnectionError::from)?;
        return Err(Hangup::Upstream(error));
    }
    refuse(connection, refused, family, outcome, Some(reason)).await
}

pub(super) async fn unfit_answer(
    context: &Context,
    described: Described,
    family: Option<Family>,
    unfit: &Unfit,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    let entry = outcome::open_denied(
        connection,
        &described,
        context.clear.protocol(),
        &unfit.reason,
    )
    .await;
    let entry = entry.map_err(ConnectionError::from)?;
    let refused = Refused::new(entry, connection, &described, unfit.why, &unfit.reason);
    refuse(connection, refused, family, Outcome::Refused, None).await
}

pub(super) async fn refuse(
    connection: &Connection,
    refused: Refused,
    family: Option<Family>,
    outcome: Outcome,
    reason: Option<String>,
) -> Result<Response<Body>, Hangup> {
    let response = refused.refusal.response(family);
    connection.share.log(&refused.refusal.message);
    refused
        .close(Some(response.status().as_u16()), outcome, reason)
        .await
        .map_err(ConnectionError::from)?;
    Ok(response.map(Body::whole))
}

/// The record keeps what was said masked for every class, whatever policy wants of the wire.
fn record_request(entry: &mut ExchangeEntry, connection: &Connection, ready: &Ready) {
    let everything = mask::Set::all().with(connection.gateway.policies.load().detectors());
    if let (Some(call), Payload::Whole(held)) = (&ready.call, &ready.payload) {
        let shape = relay::shape_of(call.family);
        let clean = ready.clean.as_ref();
        if clean.is_some_and(|clean| clean.covers(shape, &everything)) {
            entry.request(&held.bytes);
        } else if let Ok(masked) = mask::body(&held.bytes, shape, &everything) {
            entry.request(&masked.bytes);
        }
    }
}
