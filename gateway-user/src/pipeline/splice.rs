//! TLS that policy lets pass unopened, as for clients that pin a certificate: decided from the ClientHello alone.
//!
//! In: a TLS connection of which nothing has been answered. Out: the connection given back, to be opened as any other, or passed on. Invariants:
//! only by a permit that names the action, never by one for everything; only to an address that the operator's resolution, or an answer of the DNS
//! stage, gives for the name; no held credential goes with it; it is on record as not inspected.

use std::sync::Arc;

use super::observe::key;
use super::opaque::{self, Passage};
use super::resource::{Resource, told};
use super::{Client, Connection, ConnectionError, reset_behind};
use crate::config::Scheme;
use crate::forward::resolves_to;
use crate::policy::{Decision, SPLICE};
use crate::protocol::Action;
use crate::sniff::Prefixed;
use crate::tls::{self, TlsError};

/// Passes the connection on where policy says so, and gives it back where not.
pub(super) async fn open(
    connection: &Arc<Connection>,
    io: Prefixed<Client>,
) -> Result<Option<Prefixed<Client>>, ConnectionError> {
    let gateway = &connection.gateway;
    if !gateway.policies.load().splices() {
        return Ok(Some(io));
    }
    let tls::Peeked { io, sni } = tls::peek(io).await;
    let Ok(Some(name)) = sni else {
        return Ok(Some(io));
    };
    let origin = connection.origin;
    let resource = Resource::of(gateway, Scheme::Tls, &name, origin);
    let mut facts = opaque::facts(&resource, origin);
    let distrusted = gateway.unopened.get(&key(connection, Some(&name)));
    facts.set("distrusted", distrusted.is_some());
    let action = Action {
        name: SPLICE,
        facts,
    };
    let query = connection.query(&resource, &action);
    if let Decision::Deny(_) = gateway.policies.load_full().decide(query) {
        return Ok(Some(io));
    }
    if !(told(connection, &resource.name, &name) || resolves_to(&name, origin).await) {
        tracing::info!(name, %origin, "is opened: the name is not proven to lead there");
        return Ok(Some(io));
    }
    connection.session.set_tls(Some(&name), None, Some(&name))?;
    let passage = Passage {
        destination: resource.address(),
        action,
        protocol: "tls",
        note: Some("not inspected: policy lets it pass unopened".to_owned()),
        resource,
    };
    opaque::tunnel(connection, io, passage, reset_behind).await?;
    Ok(None)
}

/// Remembers that a client did not accept the gateway's certificate, which policy may take as a reason. One that left after the handshake may have made
/// the connection ahead and not needed it: that counts from the second time on.
pub(super) fn distrusted(connection: &Connection, name: &str, error: &TlsError) {
    let gateway = &connection.gateway;
    if error.distrust().is_some() && !connection.observes() && gateway.policies.load().splices() {
        let key = key(connection, Some(name));
        if matches!(error, TlsError::ClosedAfterHandshake) && gateway.silent.get(&key).is_none() {
            return gateway.silent.add(key, &error.to_string());
        }
        gateway.unopened.add(key, &error.to_string());
    }
}
