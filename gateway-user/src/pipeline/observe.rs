//! Observed workloads: what policy would say is recorded, and everything passes.
//!
//! In: what the other modules would refuse. Out: a permit with the decision on record, a request head read leniently, or the
//! connection passed on unopened. Invariants: nothing but a held credential is changed; it still goes only where its name is
//! proven; nothing passes that is not on record. What turns out not to be openable has failed once by then: it is remembered, and
//! the next connection of the workload to the same name passes as it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, header};
use hyper::body::Incoming;

use super::inspect::{self, Payload, Ready};
use super::opaque::{self, Passage};
use super::outcome::{self, Asked, Verdict};
use super::resource::{Resource, told};
use super::source::{Source, Spare};
use super::{Client, Connection, ConnectionError, reset_behind};
use crate::config::Scheme;
use crate::forward::resolves_to;
use crate::policy::{self, Denial, PolicySet, Query};
use crate::protocol::http::{self as protocol, Head};
use crate::protocol::llm::Family;
use crate::protocol::target::normal_host;
use crate::protocol::websocket;
use crate::record::{Decision, ExchangeStart};
use crate::sniff::Prefixed;
use crate::tls;

/// Records what `start` says would have been decided, and permits.
pub(super) async fn permit(
    connection: &Connection,
    mut start: ExchangeStart,
    policies: &PolicySet,
    query: Query,
) -> Result<Verdict, ConnectionError> {
    start.would = Some(start.decision);
    start.decision = Decision::Permit;
    let entry = connection.session.exchange(start).await?;
    Ok(Verdict::Permit(entry, policies.observe(query)))
}

/// Records that the request would have been refused before policy was asked, and permits.
pub(super) async fn permit_unfit(
    connection: &Connection,
    asked: &Asked<'_>,
    reason: &str,
) -> Result<Verdict, ConnectionError> {
    let (query, policies) = (
        connection.query(asked.resource, &asked.action),
        connection.gateway.policies.load(),
    );
    let denied = policy::Decision::Deny(Denial {
        policies: Vec::new(),
        reason: reason.to_owned(),
        error: false,
        detail: None,
    });
    let start = outcome::exchange_start(asked, &denied, &query, policies.version())?;
    permit(connection, start, &policies, query).await
}

/// Where a request goes: to the service it names, and in the clear only if that name is proven, as otherwise to the address.
pub(super) async fn resource(connection: &Connection, scheme: Scheme, host: &str) -> Resource {
    let origin = connection.origin;
    let proven = || async {
        let listed = Resource::of(&connection.gateway, scheme, host, origin);
        told(connection, &listed.name, host) || resolves_to(host, origin).await
    };
    if scheme == Scheme::Plain && !proven().await {
        let address = origin.ip().to_canonical().to_string();
        return Resource::of(&connection.gateway, scheme, &address, origin);
    }
    Resource::of(&connection.gateway, scheme, host, origin)
}

/// A head that policy would not be asked about, as far as it can be passed on as it came.
pub(super) fn head(parts: &Parts, connection: &Connection, tls_name: Option<&str>) -> Option<Head> {
    let codings = parts.headers.get_all(header::TRANSFER_ENCODING);
    let chunked = |coding: &http::HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if parts.method == Method::CONNECT || !codings.iter().all(chunked) {
        return None;
    }
    let told = parts.headers.get(header::HOST);
    let authority = told
        .and_then(|host| host.to_str().ok())
        .or(parts.uri.authority().map(|authority| authority.as_str()))
        .unwrap_or_default();
    let named = authority.parse::<http::uri::Authority>();
    let named = named.ok().and_then(|named| normal_host(named.host()));
    let address = || connection.origin.ip().to_canonical().to_string();
    let host = tls_name.map(str::to_owned).or(named);
    let host = host.unwrap_or_else(address);
    let target = parts.uri.path_and_query();
    Some(Head {
        method: parts.method.clone(),
        host,
        path: parts.uri.path().to_owned(),
        target: target.map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned()),
        authority: authority.to_owned(),
        websocket: websocket::asked(parts),
    })
}

/// What of a request can be passed on when it cannot be inspected.
pub(super) struct Uninspected {
    resource: Resource,
    head: Head,
    headers: HeaderMap,
    extensions: Extensions,
    body: Spare,
}

/// A body to inspect, and what is left if that fails.
pub(super) fn spare(
    resource: &Resource,
    head: &Head,
    parts: &Parts,
    body: Incoming,
) -> (Source, Option<Uninspected>) {
    let (source, body) = Source::kept(body);
    let left = Uninspected {
        resource: resource.clone(),
        head: head.clone(),
        headers: parts.headers.clone(),
        extensions: parts.extensions.clone(),
        body,
    };
    (source, Some(left))
}

impl Uninspected {
    /// The request as it came, with the facts of its head.
    pub(super) fn uninspected(self, connection: &Connection, family: Option<Family>) -> Ready {
        let facts = inspect::place(connection, &self.resource, &self.head);
        Ready {
            action: protocol::action(&self.head, facts),
            resource: self.resource,
            head: self.head,
            headers: self.headers,
            extensions: self.extensions,
            payload: Payload::Stream(self.body.again()),
            family,
            call: None,
            findings: Vec::new(),
            clean: None,
            shown: None,
            unfit: None,
            policies: connection.gateway.policies.load_full(),
        }
    }
}

/// A TLS connection of an observed workload, before it is opened: given back if it is to be opened, passed on if not.
pub(super) async fn open(
    connection: &Arc<Connection>,
    io: Prefixed<Client>,
) -> Result<Option<Prefixed<Client>>, ConnectionError> {
    let tls::Peeked { io, sni } = tls::peek(io).await;
    let (sni, why) = match sni {
        Ok(sni) => {
            let why = unopened(connection, sni.as_deref());
            (sni, why)
        }
        Err(reason) => (
            None,
            Some(format!("it is no TLS that can be opened: {reason}")),
        ),
    };
    let Some(why) = why else { return Ok(Some(io)) };
    let address = connection.origin.ip().to_canonical().to_string();
    let name = sni.clone().unwrap_or(address);
    connection
        .session
        .set_tls(sni.as_deref(), None, Some(&name))?;
    pass(Arc::clone(connection), io, Some(name), why).await?;
    Ok(None)
}

/// Passes every byte of a connection, to the address that was dialled. `tls_name` is what the TLS inside seems to be for.
pub(super) async fn pass(
    connection: Arc<Connection>,
    io: Prefixed<Client>,
    tls_name: Option<String>,
    why: String,
) -> Result<(), ConnectionError> {
    let resource = match tls_name {
        Some(name) => Resource::of(&connection.gateway, Scheme::Tls, &name, connection.origin),
        None => Resource::opaque(&connection).await,
    };
    let passage = Passage {
        destination: resource.address(),
        action: opaque::connect(&resource, connection.origin),
        protocol: if resource.tls() { "tls" } else { "opaque" },
        note: Some(format!("not inspected: {why}")),
        resource,
    };
    opaque::tunnel(&connection, io, passage, reset_behind).await
}

/// Why the workload's connections to that name, or else to the address it dialled, are not opened, if so.
pub(super) fn unopened(connection: &Connection, name: Option<&str>) -> Option<String> {
    if !connection.observes() {
        return None;
    }
    connection.gateway.unopened.get(&key(connection, name))
}

/// Has the next connections of an observed workload to that name, or else to the address, pass unopened.
pub(super) fn not_openable(connection: &Connection, name: Option<&str>, why: &str) {
    if !connection.observes() {
        return;
    }
    let (workload, port) = (&connection.caller.workload.name, connection.origin.port());
    tracing::warn!(
        workload,
        name,
        port,
        why,
        "cannot be opened: the next connections pass as they are"
    );
    connection.gateway.unopened.add(key(connection, name), why);
}

/// Workload, name or address, port.
pub(super) type Key = (u32, String, u16);

pub(super) fn key(connection: &Connection, name: Option<&str>) -> Key {
    let address = || connection.origin.ip().to_canonical().to_string();
    (
        connection.caller.workload.number,
        name.map_or_else(address, str::to_owned),
        connection.origin.port(),
    )
}

/// What could not be opened lately, and why: of observed workloads, and where clients of others did not accept our certificate.
#[derive(Debug, Default)]
pub struct Unopened(Mutex<HashMap<Key, (Instant, String)>>);

impl Unopened {
    pub(super) fn get(&self, key: &Key) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, why) = known.get(key)?;
        (since.elapsed() < REMEMBERED).then(|| why.clone())
    }

    pub(super) fn add(&self, key: Key, why: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.retain(|_, (since, _)| since.elapsed() < REMEMBERED);
        }
        if known.len() < MAX_REMEMBERED {
            known.insert(key, (Instant::now(), why.to_owned()));
        }
    }
}

/// Trust that has been mended is noticed the same day; what stays broken fails once an hour.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// More names than agents talk to; an agent that makes names up cannot take more memory.
const MAX_REMEMBERED: usize = 4096;
