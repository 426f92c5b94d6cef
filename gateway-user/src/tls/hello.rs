//! The client's side: reads the ClientHello, then completes the handshake with a leaf of the workload's CA.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{DnsName, ServerName};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::{H2, HTTP_1_1, TlsError, provider};
use crate::keeper::Authority;

/// A connection whose ClientHello has been read, and to which nothing has been answered.
pub struct Hello<IO> {
    sni: Option<DnsName<'static>>,
    alpn: Vec<Vec<u8>>,
    start: StartHandshake<IO>,
}

/// Reads a ClientHello, however many segments and records it comes in. The TLS library takes at most 64 KiB,
/// the headers of records included.
pub async fn hello<IO>(io: IO) -> Result<Hello<IO>, TlsError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let read = timeout(DEADLINE, LazyConfigAcceptor::new(Acceptor::default(), io)).await;
    let start = read
        .map_err(|_| TlsError::HelloTimeout(DEADLINE))?
        .map_err(TlsError::in_hello)?;
    let hello = start.client_hello();
    Ok(Hello {
        sni: hello.server_name().map(normal).transpose()?,
        alpn: hello
            .alpn()
            .map_or_else(Vec::new, |names| names.map(<[u8]>::to_vec).collect()),
        start,
    })
}

impl<IO> Hello<IO> {
    /// The name that the client asks for: lower case, no trailing dot.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_ref().map(AsRef::as_ref)
    }

    /// The application protocols that the client offers, most wanted first.
    pub fn alpn(&self) -> &[Vec<u8>] {
        &self.alpn
    }

    /// What the leaf must be for: the name that the client asks for, else the address that it dialled.
    pub fn name(&self, dialled: IpAddr) -> ServerName<'static> {
        match &self.sni {
            Some(name) => ServerName::DnsName(name.clone()),
            None => ServerName::IpAddress(dialled.to_canonical().into()),
        }
    }
}

impl<IO> Hello<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    /// Completes the handshake with a leaf for [`Hello::name`]. Of HTTP/2 and HTTP/1.1 the client gets the one that it wants
    /// more; a client that offers no application protocol gets none.
    pub async fn complete(
        self,
        authority: &Authority,
        dialled: IpAddr,
    ) -> Result<TlsStream<IO>, TlsError> {
        let leaf = authority.leaf(&self.name(dialled))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Handshake)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(leaf)));
        // Tickets of TLS 1.3 come right after the handshake: from this near, while the client writes its request. OpenSSL reads them in one
        // thread (Python's `websockets` has one for it) and refuses to write in another meanwhile, or never ends.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // The library prefers by its own order, so that it is given one choice where there is one. Given all, it says by alert
        // that none fits.
        config.alpn_protocols = match self
            .alpn
            .iter()
            .find(|offered| HTTP.contains(&offered.as_slice()))
        {
            Some(wanted) => vec![wanted.clone()],
            None => HTTP.iter().map(|name| name.to_vec()).collect(),
        };
        let handshake = self.start.into_stream(Arc::new(config));
        timeout(DEADLINE, handshake)
            .await
            .map_err(|_| TlsError::HandshakeTimeout(DEADLINE))?
            .map_err(TlsError::in_handshake)
    }
}

impl<IO> fmt::Debug for Hello<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("sni", &self.sni)
            .field("alpn", &self.alpn)
            .finish_non_exhaustive()
    }
}

pub(super) fn normal(name: &str) -> Result<DnsName<'static>, TlsError> {
    let normal = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    DnsName::try_from(normal).map_err(|_| TlsError::Name(name.to_owned()))
}

/// What is spoken inside. The client's order counts, not this one.
const HTTP: [&[u8]; 2] = [H2, HTTP_1_1];
/// For the ClientHello, and again for the rest of the handshake. Clients give up after 10 to 60 seconds.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
