//! Connections nobody parses: one exchange whose action is `connect`, then bytes both ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

use super::outcome::{self, Verdict};
use super::resource::Resource;
use super::revoke::revoked;
use super::tunnel::{Beating, Pulse};
use super::{Connection, ConnectionError};
use crate::approve::Digest;
use crate::config::{Credentials, Scheme};
use crate::forward::{self, Connected, Destination};
use crate::policy::Permit;
use crate::protocol::{Action, Facts};
use crate::record::{Closed, Outcome};

/// Decides on the connection as a whole; `tls_name` is what TLS, if any, was opened for. `reset` prepares a refusal.
pub(super) async fn serve<S>(
    connection: Arc<Connection>,
    stream: S,
    tls_name: Option<String>,
    reset: impl Fn(&S) + Send,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if connection.place.is_none() {
        connection
            .share
            .log("an opaque connection is refused: its workload has too many open");
        reset(&stream);
        return Ok(());
    }
    let resource = resource(&connection, tls_name).await;
    let passage = Passage {
        destination: resource.destination(&connection),
        action: connect(&resource, connection.origin),
        protocol: "opaque",
        note: None,
        resource,
    };
    tunnel(&connection, stream, passage, reset).await
}

/// What bytes are decided on, and where they go.
pub(super) struct Passage {
    pub(super) resource: Resource,
    pub(super) destination: Destination,
    pub(super) action: Action,
    /// What a ledger entry calls the protocol.
    pub(super) protocol: &'static str,
    /// What the record adds to an end that needs no reason.
    pub(super) note: Option<String>,
}

/// Decides on a connection as a whole, then passes its bytes. `reset` prepares a refusal.
pub(super) async fn tunnel<S>(
    connection: &Connection,
    mut stream: S,
    passage: Passage,
    reset: impl Fn(&S) + Send,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Passage {
        resource,
        destination,
        action,
        protocol,
        note,
    } = passage;
    let digest = digest(action.name, &resource, connection.origin);
    let asked = outcome::Asked {
        resource: &resource,
        action,
        shown: None,
        protocol,
        model: None,
        stream: None,
        findings: Vec::new(),
        patched: Vec::new(),
        policies: connection.gateway.policies.load_full(),
        digest,
        hold: HOLD,
        told: None,
    };
    let (entry, permit) = match outcome::decide(connection, asked).await? {
        Verdict::Permit(entry, permit) => (entry, permit),
        Verdict::Refused(refused) => {
            connection.share.log(&refused.refusal.message);
            reset(&stream);
            return Ok(refused.close(None, Outcome::Refused, None).await?);
        }
    };
    if let Some(reason) = unfit(connection, &resource, &permit) {
        reset(&stream);
        tracing::info!(id = %entry.id(), service = resource.name, reason, "refused");
        return Ok(entry
            .close(closed(Outcome::Refused, Some(reason.to_owned())))
            .await?);
    }
    let revoked = revoked(connection, permit.standing());
    let pulse = Pulse::new();
    let mut beating = Beating {
        stream: &mut stream,
        pulse: pulse.clone(),
    };
    let carried = tokio::select! {
        biased;
        reason = revoked => Err(reason),
        reason = pulse.expired() => Err(reason.to_owned()),
        forwarded = forward(connection, &destination, permit, &mut beating) => Ok(forwarded),
    };
    let end = match carried {
        Ok(Ok(())) => closed(Outcome::Completed, note),
        Ok(Err(reason)) => closed(Outcome::Failed, Some(reason)),
        Err(reason) => {
            tracing::info!(id = %entry.id(), service = resource.name, reason, "cut off");
            reset(&stream);
            closed(Outcome::Aborted, Some(reason))
        }
    };
    entry.close(end).await?;
    Ok(())
}

/// Why a permitted connection is refused all the same.
fn unfit(connection: &Connection, resource: &Resource, permit: &Permit) -> Option<&'static str> {
    let held = connection.gateway.keeper.holds(&resource.name);
    if !permit.masks().is_empty() {
        Some("policy masks it, which bytes that nobody parses cannot be")
    } else if held && connection.caller.identity.credentials == Credentials::Never {
        Some("the identity uses no held credential, and the service has one")
    } else {
        None
    }
}

/// A name of an opaque service is one this host's resolver gives the dialled address for, so an address alone finds it too.
async fn resource(connection: &Connection, tls_name: Option<String>) -> Resource {
    match tls_name {
        Some(name) => Resource::of(&connection.gateway, Scheme::Tls, &name, connection.origin),
        None => Resource::opaque(connection).await,
    }
}

/// Bytes that nobody parses.
pub(super) fn connect(resource: &Resource, origin: SocketAddr) -> Action {
    Action {
        name: "connect",
        facts: facts(resource, origin),
    }
}

pub(super) fn facts(resource: &Resource, origin: SocketAddr) -> Facts {
    let mut facts = Facts::default();
    facts.set("host", resource.host.as_str());
    facts.set("port", i64::from(origin.port()));
    facts.set("tls", resource.tls());
    facts.set("credential", "none");
    facts.set(
        "findings",
        crate::protocol::Fact::Set(std::collections::BTreeSet::new()),
    );
    facts
}

async fn forward<S>(
    connection: &Connection,
    destination: &Destination,
    permit: Permit,
    stream: &mut S,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connected = forward::connect(&permit, destination, &[])
        .await
        .inspect_err(|error| connection.note(error))
        .map_err(|error| error.to_string())?;
    let copied = match connected {
        Connected::Plain(mut upstream) => copy_bidirectional(stream, &mut upstream).await,
        Connected::Tls(mut upstream) => copy_bidirectional(stream, &mut *upstream).await,
    };
    copied.map(|_| ()).map_err(|error| error.to_string())
}

fn closed(outcome: Outcome, reason: Option<String>) -> Closed {
    Closed {
        cost: None,
        outcome,
        status: None,
        usage: None,
        findings: Vec::new(),
        reason,
    }
}

/// All that is known of an opaque connection is where it goes.
fn digest(action: &str, resource: &Resource, origin: SocketAddr) -> [u8; 32] {
    Digest::new(action)
        .field(resource.host.as_bytes())
        .field(origin.to_string().as_bytes())
        .finish()
}

/// Nobody tells how long a client of an unknown protocol waits.
const HOLD: Duration = Duration::from_secs(50);
