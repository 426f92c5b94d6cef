//! Which service a destination is: what policy decides on, and how its name is proven.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::config::{LLM_GROUP, Mode, Scheme, Vouched};
use crate::dns::{self, Trust};
use crate::forward::{Destination, Proof, resolves_to};
use crate::identity::Caller;
use crate::pipeline::{Connection, Gateway};

/// A destination with its service.
#[derive(Clone)]
pub(super) struct Resource {
    /// The service's name in policies.
    pub(super) name: String,
    /// Its groups.
    pub(super) groups: Vec<String>,
    /// The name or address that has to be proven.
    pub(super) host: String,
    scheme: Scheme,
    origin: SocketAddr,
}

impl Resource {
    /// The service at `host`, a name that is claimed so far, on the port that was dialled.
    pub(super) fn of(gateway: &Gateway, scheme: Scheme, host: &str, origin: SocketAddr) -> Self {
        let (name, groups) = match gateway.catalog.find(scheme, host, origin.port()) {
            Some(service) => (service.name.clone(), service.groups.clone()),
            None => (
                format!("{host}:{}", origin.port()),
                vec![UNLISTED.to_owned()],
            ),
        };
        Self {
            name,
            groups,
            host: host.to_owned(),
            scheme,
            origin,
        }
    }

    /// The opaque service one of whose names this host resolves to the address; else the address itself.
    pub(super) async fn opaque(connection: &Connection) -> Self {
        let (gateway, origin) = (&connection.gateway, connection.origin);
        for service in gateway.catalog.services() {
            for endpoint in service.endpoints.iter().filter(|endpoint| {
                endpoint.scheme == Scheme::Opaque && endpoint.port == origin.port()
            }) {
                if told(connection, &service.name, &endpoint.host)
                    || resolves_to(&endpoint.host, origin).await
                {
                    return Self::of(gateway, Scheme::Opaque, &endpoint.host, origin);
                }
            }
        }
        Self::of(
            gateway,
            Scheme::Opaque,
            &origin.ip().to_canonical().to_string(),
            origin,
        )
    }

    /// The one place this is: a service may live at several.
    pub(super) fn place(&self) -> String {
        let scheme = if self.tls() { "tls" } else { "plain" };
        format!("{scheme}://{}:{}", self.host, self.origin.port())
    }

    /// Whether the destination speaks TLS.
    pub(super) fn tls(&self) -> bool {
        self.scheme == Scheme::Tls
    }

    /// Whether it is known to be a provider of models.
    pub(super) fn is_provider(&self) -> bool {
        self.groups.iter().any(|group| group == LLM_GROUP)
    }

    /// Its address, with nothing to prove.
    pub(super) fn address(&self) -> Destination {
        Destination {
            origin: self.origin,
            service: self.name.clone(),
            host: self.origin.ip().to_canonical().to_string(),
            tls: None,
            proof: Proof::Resolution,
        }
    }

    /// Where a permit for this resource leads.
    pub(super) fn destination(&self, connection: &Connection) -> Destination {
        let upstreams = &connection.gateway.upstreams;
        let tls = self.tls().then(|| upstreams.of(&self.name));
        Destination {
            origin: self.origin,
            service: self.name.clone(),
            host: self.host.clone(),
            tls,
            proof: self.proof(connection),
        }
    }

    fn proof(&self, connection: &Connection) -> Proof {
        // Whoever writes an address means that address; but what clouds tell credentials at is never meant by a permit for everything.
        let literal = self.host.parse::<IpAddr>();
        let meant = literal.is_ok_and(|address| !dns::is_metadata(address));
        let trust = trust(&connection.gateway, &connection.caller, &self.host);
        if told(connection, &self.name, &self.host) {
            Proof::Told
        } else if meant || trust.reaches(self.origin.ip()) {
            Proof::Resolution
        } else {
            Proof::Nothing
        }
    }
}

/// How far the operator vouches for a name. Nothing is changed for a workload that is only observed.
pub(super) fn trust(gateway: &Gateway, caller: &Caller, host: &str) -> Trust {
    if caller.workload.mode.get() == Mode::Observe || gateway.policies.load().vouches(host) {
        return Trust::Host;
    }
    match gateway.catalog.vouched(host) {
        Some(Vouched::Host) => Trust::Host,
        Some(Vouched::Wildcard) => Trust::Domain,
        None => Trust::Public,
    }
}

/// Whether the DNS stage has told the workload that the name has the dialled address. For a service with a credential that is no proof.
pub(super) fn told(connection: &Connection, service: &str, host: &str) -> bool {
    let (gateway, workload) = (&connection.gateway, connection.caller.workload.number);
    let address = connection.origin.ip();
    !gateway.keeper.holds(service)
        && gateway
            .dns
            .proofs
            .hold(workload, host, address, Instant::now())
}

/// The group of destinations that no service lists.
const UNLISTED: &str = "unlisted";
