//! One HTTP request, from its head to the response that starts to flow: read, decide, mask or ask, forward.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::http::Clear;
use super::outcome::{self, Asked, Described, Refused, Verdict};
use super::relay::{self, Body};
use super::resource::Resource;
use super::{Connection, ConnectionError};
use crate::approve::Digest;
use crate::config::Scheme;
use crate::forward::{ForwardError, Pool, whole};
use crate::keeper::CredentialClass;
use crate::mask::{self, Shape};
use crate::policy::Permit;
use crate::protocol::http::Head;
use crate::protocol::llm::{self, Call, Family};
use crate::protocol::{Action, Facts, Why, credentials, http as protocol};
use crate::record::{ExchangeEntry, Finding, Outcome};

/// What the exchanges of one connection share.
pub(super) struct Context {
    pub(super) connection: Arc<Connection>,
    pub(super) clear: Clear,
    pub(super) pool: Pool,
}

/// The connection is dropped without an answer, as it would be if the upstream had dropped it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Hangup {
    #[error("the upstream could not be reached")]
    Upstream,
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

/// A request body: read whole where facts or masks need it, else streamed.
enum Payload {
    Whole(Bytes),
    Stream(Incoming),
}

/// A request that policy can decide on.
struct Ready {
    resource: Resource,
    head: Head,
    headers: HeaderMap,
    payload: Payload,
    action: Action,
    call: Option<Call>,
    findings: Vec<Finding>,
}

/// Why a request is refused before, or beside, policy.
struct Unfit {
    why: Why,
    reason: String,
}

/// Governs one request. `Err` drops the connection.
pub(super) async fn handle(context: Arc<Context>, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let (parts, body) = request.into_parts();
    let connection = &context.connection;
    let head = match protocol::read(&parts, context.clear.tls_name.as_deref(), connection.origin.port()) {
        Ok(head) => head,
        Err(error) => return unreadable(&context, &parts, &error.to_string()).await,
    };
    let scheme = if context.clear.tls_name.is_some() { Scheme::Tls } else { Scheme::Plain };
    let resource = Resource::of(&connection.gateway, scheme, &head.host, connection.origin);
    let family = llm::recognise(&head);
    let described = Described { action: family.map_or("http.write", |_| "llm.generate"), service: resource.name.clone() };
    let ready = match prepare(&context, resource, head, parts, body, family).await {
        Ok(ready) => ready,
        Err(unfit) => return unfit_answer(&context, described, family, &unfit).await,
    };

    let asked = Asked {
        resource: &ready.resource,
        action: ready.action.clone(),
        protocol: family.map_or(version_name(&context), Family::name),
        model: ready.call.as_ref().map(|call| call.model.clone()),
        stream: ready.call.as_ref().map(|call| call.stream),
        findings: ready.findings.clone(),
        digest: digest(&ready),
        hold: hold(&ready.headers),
    };
    match outcome::decide(connection, asked).await? {
        Verdict::Permit(entry, permit) => forward(&context, ready, described, family, entry, permit).await,
        Verdict::Refused(mut refused) => {
            record_request(refused.entry(), &ready);
            refuse(refused, family, Outcome::Refused, None).await
        }
    }
}

/// Reads as much of the request as facts need.
async fn prepare(
    context: &Context,
    resource: Resource,
    head: Head,
    parts: Parts,
    body: Incoming,
    family: Option<Family>,
) -> Result<Ready, Unfit> {
    let connection = &context.connection;
    let policies = connection.gateway.policies.load();
    let headers = parts.headers;
    let mut facts = Facts::default();
    facts.set("host", head.host.as_str());
    facts.set("port", i64::from(connection.origin.port()));
    facts.set("tls", resource.tls());
    facts.set("credential", credential_class(connection, &resource, &headers, &head)?);

    let streamed = protocol::action(&head, facts.clone());
    let needs_body = family.is_some() || policies.needs_findings(streamed.name);
    let payload = if needs_body { Payload::Whole(read_whole(&headers, body).await?) } else { Payload::Stream(body) };
    let Payload::Whole(bytes) = &payload else {
        let mut action = streamed;
        action.facts.set("findings", crate::protocol::Fact::Set(Default::default()));
        return Ok(Ready { resource, head, headers, payload, action, call: None, findings: Vec::new() });
    };

    let shape = shape(family, &headers);
    let found = if bytes.is_empty() { Vec::new() } else { mask::findings(bytes, shape).map_err(|error| malformed(&error))? };
    let names = found.iter().flat_map(|finding| [finding.detector, finding.class]).map(str::to_owned);
    facts.set("findings", names.collect::<crate::protocol::Fact>());
    let call = family.map(|family| llm::read(family, &head, bytes, facts.clone())).transpose().map_err(|error| malformed(&error))?;
    let action = call.as_ref().map_or_else(|| protocol::action(&head, facts), |call| call.action.clone());
    Ok(Ready { resource, head, headers, payload, action, call, findings: counted(&found) })
}

async fn read_whole(headers: &HeaderMap, body: Incoming) -> Result<Bytes, Unfit> {
    let coded = headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return Err(malformed(&"an encoded request body cannot be inspected: send it without Content-Encoding"));
    }
    match Limited::new(body, MAX_INSPECTED_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unfit {
            why: Why::TooLarge,
            reason: format!("the body is larger than the {} MiB that are inspected", MAX_INSPECTED_BODY >> 20),
        }),
        Err(error) => Err(malformed(&error)),
    }
}

fn credential_class(connection: &Connection, resource: &Resource, headers: &HeaderMap, head: &Head) -> Result<&'static str, Unfit> {
    let presented = credentials::presented(headers, &head.target).unwrap_or_default();
    let class = connection.gateway.keeper.classify(&resource.name, presented, &[]);
    class.map(CredentialClass::as_str).map_err(|error| Unfit { why: Why::Unavailable, reason: error.to_string() })
}

/// Masks, places the credential, sends, and starts to relay the answer.
async fn forward(
    context: &Context,
    ready: Ready,
    described: Described,
    family: Option<Family>,
    mut entry: ExchangeEntry,
    permit: Permit,
) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    record_request(&mut entry, &ready);
    let masks = mask::Set::new(permit.masks().iter().map(String::as_str));
    let request = match outgoing(connection, &ready, family, &masks) {
        Ok(request) => request,
        Err(unfit) => {
            let refused = Refused::new(entry, connection, &described, unfit.why, &unfit.reason);
            return refuse(refused, family, Outcome::Refused, Some(unfit.reason)).await;
        }
    };
    let request = match (request, ready.payload) {
        ((parts, Some(bytes)), _) => Request::from_parts(parts, whole(bytes)),
        ((parts, None), Payload::Stream(body)) => Request::from_parts(parts, body.boxed_unsync()),
        ((parts, None), Payload::Whole(bytes)) => Request::from_parts(parts, whole(bytes)),
    };
    let destination = ready.resource.destination(&connection.gateway);
    let held = connection.gateway.keeper.holds(&ready.resource.name);
    match context.pool.send(permit, &destination, request).await {
        Ok(response) => Ok(relay::start(connection, entry, response, family, masks, held).await?),
        Err(error @ (ForwardError::Dial { .. } | ForwardError::Http(_))) => {
            let failed = Refused::new(entry, connection, &described, Why::Upstream, &error.to_string());
            failed.close(None, Outcome::Failed, Some(error.to_string())).await.map_err(ConnectionError::from)?;
            Err(Hangup::Upstream)
        }
        Err(error) => {
            let reason = error.to_string();
            let refused = Refused::new(entry, connection, &described, Why::Upstream, &reason);
            refuse(refused, family, Outcome::Failed, Some(reason)).await
        }
    }
}

/// The request as the upstream gets it: the target and headers of the agent, minus what belongs to its connection, with the held
/// credential in place of its own. The body is `None` where it passes untouched.
fn outgoing(connection: &Connection, ready: &Ready, family: Option<Family>, masks: &mask::Set) -> Result<(Parts, Option<Bytes>), Unfit> {
    let mut headers = ready.headers.clone();
    protocol::end_to_end(&mut headers);
    let mut target = ready.head.target.clone();
    if connection.gateway.keeper.holds(&ready.resource.name) {
        credentials::strip(&mut headers);
        target = credentials::strip_target(&target);
        let fill = connection.gateway.keeper.fill(&ready.resource.name);
        fill.map_err(|error| Unfit { why: Why::Unavailable, reason: error.to_string() })?.set(&mut headers);
    }
    if family.is_some() || !masks.is_empty() {
        // What is inspected has to be readable.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let mut bytes = None;
    if !masks.is_empty()
        && let Payload::Whole(body) = &ready.payload
        && !body.is_empty()
    {
        let masked = mask::body(body, shape(family, &ready.headers), masks).map_err(|error| malformed(&error))?;
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(masked.bytes.len()));
        bytes = Some(masked.bytes);
    }
    headers.insert(header::HOST, HeaderValue::from_str(&ready.head.authority).map_err(|error| malformed(&error))?);
    let mut request = Request::builder().method(ready.head.method.clone()).uri(&target).body(()).map_err(|error| malformed(&error))?;
    *request.headers_mut() = headers;
    Ok((request.into_parts().0, bytes))
}

/// Answers a request whose head cannot be read one way only.
async fn unreadable(context: &Context, parts: &Parts, reason: &str) -> Result<Response<Body>, Hangup> {
    let host = context.clear.tls_name.clone().unwrap_or_else(|| context.connection.origin.ip().to_string());
    let service = format!("{host}:{}", context.connection.origin.port());
    let action = if parts.method.is_safe() { "http.read" } else { "http.write" };
    let described = Described { action, service };
    unfit_answer(context, described, None, &Unfit { why: Why::Malformed, reason: reason.to_owned() }).await
}

async fn unfit_answer(context: &Context, described: Described, family: Option<Family>, unfit: &Unfit) -> Result<Response<Body>, Hangup> {
    let connection = &context.connection;
    let entry = outcome::open_denied(connection, &described, version_name(context), &unfit.reason).await;
    let entry = entry.map_err(ConnectionError::from)?;
    let refused = Refused::new(entry, connection, &described, unfit.why, &unfit.reason);
    refuse(refused, family, Outcome::Refused, None).await
}

async fn refuse(refused: Refused, family: Option<Family>, outcome: Outcome, reason: Option<String>) -> Result<Response<Body>, Hangup> {
    let response = refused.refusal.response(family);
    tracing::info!("{}", refused.refusal.message);
    refused.close(Some(response.status().as_u16()), outcome, reason).await.map_err(ConnectionError::from)?;
    Ok(response.map(Body::whole))
}

/// The record keeps what was said masked for every class, whatever policy wants of the wire.
fn record_request(entry: &mut ExchangeEntry, ready: &Ready) {
    if let (Some(call), Payload::Whole(bytes)) = (&ready.call, &ready.payload)
        && let Ok(masked) = mask::body(bytes, relay::shape_of(call.family), &mask::Set::all())
    {
        entry.request(&masked.bytes);
    }
}

fn digest(ready: &Ready) -> [u8; 32] {
    let headers = ready.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let class = ready.action.facts.text("credential").unwrap_or_default();
    let digest = Digest::http(ready.head.method.as_str(), &ready.head.host, &ready.head.target).headers(headers, class);
    match &ready.payload {
        Payload::Whole(bytes) => digest.field(bytes).finish(),
        Payload::Stream(_) => digest.finish(),
    }
}

/// How long the client's own read timeout, which SDKs tell, leaves for a person; a margin is left to be refused in time.
fn hold(headers: &HeaderMap) -> Duration {
    let told = TIMEOUT_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok()?.parse::<f64>().ok());
    match told {
        Some(seconds) if seconds.is_finite() && seconds > 0.0 => {
            Duration::from_secs_f64((seconds * 0.9).min(seconds - 1.0).clamp(0.0, MAX_HOLD.as_secs_f64()))
        }
        _ => UNTOLD_HOLD,
    }
}

fn shape(family: Option<Family>, headers: &HeaderMap) -> Shape {
    match family {
        Some(family) => relay::shape_of(family),
        None if is_json(headers) => Shape::Json,
        None => Shape::Text,
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

pub(super) fn counted(found: &[crate::detect::Finding]) -> Vec<Finding> {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for finding in found {
        *counts.entry((finding.detector, finding.class)).or_default() += 1;
    }
    let finding = |((detector, class), count): ((&str, &str), u64)| Finding {
        detector: detector.to_owned(),
        class: class.to_owned(),
        count,
    };
    counts.into_iter().map(finding).collect()
}

fn malformed(error: &dyn std::fmt::Display) -> Unfit {
    Unfit { why: Why::Malformed, reason: error.to_string() }
}

fn version_name(context: &Context) -> &'static str {
    context.clear.protocol()
}

/// Larger than any prompt seen; a body that has to be understood is held in memory while it is.
const MAX_INSPECTED_BODY: usize = 32 << 20;
const TIMEOUT_HEADERS: &[&str] = &["x-stainless-read-timeout", "x-stainless-timeout"];
/// The SDKs' own default.
const MAX_HOLD: Duration = Duration::from_secs(600);
/// Below the minute that most clients and load balancers wait.
const UNTOLD_HOLD: Duration = Duration::from_secs(50);
