//! Consumes a [`Permit`], dials the attributed destination, proves its name, relays. The only opener of outbound sockets.
//!
//! In: a permit and a request that has been masked. Out: the upstream's response. Invariants: nothing is dialled, looked up or
//! sent without a permit for this very service; under TLS nothing is sent before the certificate proves the name policy decided
//! on; without TLS a name counts when the DNS stage has told the workload so, or this host's own resolution contains the dialled address. Fails as [`ForwardError`].

mod pool;
mod settings;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Service;
use crate::policy::Permit;
use crate::tls::{Roots, RootsError, Upstream as UpstreamTls, UpstreamTlsError};

pub use pool::{Outgoing, Pool};

/// Where a flow goes, as decided on.
#[derive(Clone)]
pub struct Destination {
    /// The address the agent dialled.
    pub origin: SocketAddr,
    /// The service policy decides on, which a permit has to name.
    pub service: String,
    /// The name or address that has to be proven.
    pub host: String,
    /// How to prove it under TLS; `None` is a destination without TLS.
    pub tls: Option<UpstreamTls>,
    /// What proves it without TLS.
    pub proof: Proof,
}

/// What proves a name where no certificate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The DNS stage has told the workload that it has the address.
    Told,
    /// This host resolves it to the address.
    Resolution,
    /// Nothing: a name that the operator does not vouch for may not lead to such an address, whoever says that it does.
    Nothing,
}

/// TLS towards every service: the operator's roots, plus a service's own, plus what is imported for it while the daemon runs.
pub struct Upstreams {
    host: UpstreamTls,
    services: HashMap<String, UpstreamTls>,
    imported: ArcSwap<HashMap<String, UpstreamTls>>,
}

impl Upstreams {
    /// Reads the roots of the host and of each service; `certificates` are shown to those of that name.
    ///
    /// # Errors
    /// A service's `ca` cannot be used.
    pub fn new<'a>(
        roots: &Roots,
        services: impl Iterator<Item = &'a Arc<Service>>,
        certificates: &HashMap<String, Arc<CertifiedKey>>,
    ) -> Result<Self, RootsError> {
        let mut own = HashMap::new();
        for service in services {
            let (ca, shown) = (service.ca.as_deref(), certificates.get(&service.name));
            if ca.is_some() || shown.is_some() {
                let tls = UpstreamTls::with_certificate(roots, ca, shown.cloned())?;
                own.insert(service.name.clone(), tls);
            }
        }
        let services = own;
        Ok(Self {
            host: UpstreamTls::new(roots, None)?,
            services,
            imported: ArcSwap::default(),
        })
    }

    /// What proves the upstreams of `service`.
    #[must_use]
    pub fn of(&self, service: &str) -> UpstreamTls {
        let imported = self.imported.load().get(service).cloned();
        imported.unwrap_or_else(|| self.configured(service).clone())
    }

    /// From now on these vouch as well, by service, and nothing else that was imported.
    ///
    /// # Errors
    /// One cannot be used; nothing has changed.
    pub fn import(
        &self,
        roots: &HashMap<String, Vec<CertificateDer<'static>>>,
    ) -> Result<(), RootsError> {
        let trusting = roots.iter().map(|(service, more)| {
            let tls = self.configured(service).also_trusting(more)?;
            Ok((service.clone(), tls))
        });
        self.imported
            .store(Arc::new(trusting.collect::<Result<_, _>>()?));
        Ok(())
    }

    fn configured(&self, service: &str) -> &UpstreamTls {
        self.services.get(service).unwrap_or(&self.host)
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ForwardError {
    #[error("the permit is for {permitted}, not for {asked}")]
    WrongPermit { permitted: String, asked: String },
    #[error("connecting to {origin} failed: {source}")]
    Dial {
        origin: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] UpstreamTlsError),
    #[error("the name {host} is not proven: this host does not resolve it to {address}")]
    Unproven { host: String, address: IpAddr },
    #[error(
        "rebinding: {host} may not lead to {address}, an address of this host or a private network; list it in a service, or name it in a permit"
    )]
    Rebinding { host: String, address: IpAddr },
    #[error(
        "{address} is link-local, where clouds tell credentials (metadata services): list it in a service, or name it in a permit"
    )]
    Metadata { address: IpAddr },
    #[error("{host} is not a name a certificate can prove")]
    Name { host: String },
    #[error("{host} ended TLS (alert {alert}){}", remedy(alert))]
    Alert { host: String, alert: String },
    #[error("the upstream switched protocols, which nobody asked for")]
    Switched,
    #[error("the upstream's HTTP failed: {0}")]
    Http(#[from] hyper::Error),
}

impl ForwardError {
    /// Whether the agent itself would not have got through: without the gateway the connection would break here too.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Dial { .. } | Self::Http(_))
    }
}

fn remedy(alert: &str) -> &'static str {
    if alert.contains("certificate") || alert == "unknown_ca" {
        ": it wants another client certificate, or one at all (the service's `credential`)"
    } else {
        ""
    }
}

/// A connection to a proven destination.
pub enum Connected {
    /// Without TLS.
    Plain(TcpStream),
    /// TLS, name proven.
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// Dials the destination and proves its name.
///
/// # Errors
/// [`ForwardError`]; nothing has been sent but, under TLS, a handshake.
pub async fn connect(
    permit: &Permit,
    destination: &Destination,
    alpn: &[&[u8]],
) -> Result<Connected, ForwardError> {
    if permit.query().service != destination.service {
        return Err(ForwardError::WrongPermit {
            permitted: permit.query().service.clone(),
            asked: destination.service.clone(),
        });
    }
    let Some(tls) = &destination.tls else {
        prove(destination).await?;
        return Ok(Connected::Plain(dial(destination.origin).await?));
    };
    let name = ServerName::try_from(destination.host.clone()).map_err(|_| ForwardError::Name {
        host: destination.host.clone(),
    })?;
    let stream = dial(destination.origin).await?;
    Ok(Connected::Tls(Box::new(
        tls.connect(stream, name, alpn).await?,
    )))
}

async fn dial(origin: SocketAddr) -> Result<TcpStream, ForwardError> {
    let fail = |source| ForwardError::Dial { origin, source };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that opens outbound sockets"
    )]
    let connecting = TcpStream::connect(origin);
    let stream = timeout(DIAL_DEADLINE, connecting)
        .await
        .map_err(|_| fail(io::ErrorKind::TimedOut.into()))?
        .map_err(fail)?;
    // A request and its answer are written whole; waiting to fill segments only adds latency.
    stream.set_nodelay(true).map_err(fail)?;
    Ok(stream)
}

async fn prove(destination: &Destination) -> Result<(), ForwardError> {
    let (host, address) = (&destination.host, destination.origin.ip().to_canonical());
    match destination.proof {
        Proof::Told => Ok(()),
        Proof::Resolution if resolves_to(host, destination.origin).await => Ok(()),
        Proof::Resolution => Err(ForwardError::Unproven {
            host: host.clone(),
            address,
        }),
        Proof::Nothing if host.parse::<IpAddr>().is_ok() => Err(ForwardError::Metadata { address }),
        Proof::Nothing => Err(ForwardError::Rebinding {
            host: host.clone(),
            address,
        }),
    }
}

/// Whether this host resolves `host` to the dialled address. The operator's resolver is the host's own; servers the workload can
/// address prove nothing.
pub async fn resolves_to(host: &str, origin: SocketAddr) -> bool {
    let address = origin.ip().to_canonical();
    if let Ok(literal) = host.parse::<IpAddr>() {
        return literal.to_canonical() == address;
    }
    match timeout(
        DIAL_DEADLINE,
        tokio::net::lookup_host((host, origin.port())),
    )
    .await
    {
        Ok(Ok(mut addresses)) => {
            addresses.any(|candidate| candidate.ip().to_canonical() == address)
        }
        _ => false,
    }
}

/// Clients wait longer than this for a connection; past it the destination is as good as unreachable.
const DIAL_DEADLINE: Duration = Duration::from_secs(30);
