//! The upstream's side: TLS that proves a name before anything is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::roots::added;
use super::verify::Verifier;
use super::{Roots, RootsError, UpstreamTlsError, provider};

/// TLS towards the upstreams of one service. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    connector: TlsConnector,
    store: Arc<RootCertStore>,
    certificate: Option<Arc<CertifiedKey>>,
}

impl Upstream {
    /// Trusts `roots` and the certificates in `extra_ca`, and shows no certificate.
    pub fn new(roots: &Roots, extra_ca: Option<&Path>) -> Result<Self, RootsError> {
        Self::with_certificate(roots, extra_ca, None)
    }

    /// As [`Upstream::new`]; shows `certificate` to servers that ask for one.
    pub fn with_certificate(
        roots: &Roots,
        extra_ca: Option<&Path>,
        certificate: Option<Arc<CertifiedKey>>,
    ) -> Result<Self, RootsError> {
        let store = match extra_ca {
            Some(file) => roots.with(file)?,
            None => roots.store(),
        };
        Self::of(store, certificate)
    }

    /// The same, trusting these certificates as well.
    pub fn also_trusting(&self, more: &[CertificateDer<'static>]) -> Result<Self, RootsError> {
        let store = added(&self.store, more, Path::new("what was imported"))?;
        Self::of(store, self.certificate.clone())
    }

    fn of(
        store: Arc<RootCertStore>,
        certificate: Option<Arc<CertifiedKey>>,
    ) -> Result<Self, RootsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(RootsError::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(Verifier::new(Arc::clone(&store))?);
        let mut config = match &certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => {
                let resolver = SingleCertAndKey::from(CertifiedKey::clone(certificate));
                config.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        // A resumed session would prove nothing anew and would link the identities that share a service.
        config.resumption = Resumption::disabled();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            store,
            certificate,
        })
    }

    /// Completes a handshake in which the server proves `name`, a DNS name or an address. Only the ClientHello is sent
    /// before that. `alpn` is what to offer, most wanted first.
    pub async fn connect<IO>(
        &self,
        io: IO,
        name: ServerName<'static>,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<IO>, UpstreamTlsError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let text = name.to_str().into_owned();
        let offered = alpn.iter().map(|name| name.to_vec()).collect();
        let handshake = self.connector.with_alpn(offered).connect(name, io);
        match timeout(DEADLINE, handshake).await {
            Ok(Ok(io)) => Ok(io),
            Ok(Err(error)) => Err(UpstreamTlsError::new(text, error)),
            Err(_) => Err(UpstreamTlsError::Timeout {
                name: text,
                after: DEADLINE,
            }),
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// As long as a client of ours waits; its own time runs meanwhile.
const DEADLINE: Duration = Duration::from_secs(10);
