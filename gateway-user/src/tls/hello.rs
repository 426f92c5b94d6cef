//! The client's side: reads the ClientHello, then completes the handshake with a leaf of the workload's CA.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::{TlsError, provider};
use crate::keeper::Authority;

/// A connection whose ClientHello has been read, and to which nothing has been answered.
pub struct Hello<IO> {
    sni: Option<String>,
    alpn: Vec<Vec<u8>>,
    start: StartHandshake<IO>,
}

/// A connection in the clear.
#[derive(Debug)]
pub struct Clear<IO> {
    io: TlsStream<IO>,
    name: ServerName<'static>,
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
        sni: hello.server_name().map(normal),
        alpn: hello
            .alpn()
            .map_or_else(Vec::new, |names| names.map(<[u8]>::to_vec).collect()),
        start,
    })
}

impl<IO> Hello<IO> {
    /// The name that the client asks for: lower case, no trailing dot. The TLS library has refused what is not a name.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// The application protocols that the client offers, most wanted first.
    pub fn alpn(&self) -> &[Vec<u8>] {
        &self.alpn
    }

    /// What the leaf must be for: the name that the client asks for, else the address that it dialled.
    pub fn name(&self, dialled: IpAddr) -> ServerName<'static> {
        let named = self
            .sni
            .as_ref()
            .and_then(|sni| ServerName::try_from(sni.clone()).ok());
        named.unwrap_or(ServerName::IpAddress(dialled.into()))
    }
}

impl<IO> Hello<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    /// Completes the handshake with a leaf for `name`. Of the protocols in `alpn` the client gets the one that it wants most;
    /// one that offers none gets none.
    pub async fn complete(
        self,
        authority: &Authority,
        name: ServerName<'static>,
        alpn: &[&[u8]],
    ) -> Result<Clear<IO>, TlsError> {
        let leaf = authority.leaf(&name)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Handshake)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(leaf)));
        config.ticketer = authority.tickets();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // The library prefers by its own order, so that it is given one choice where there is one. Given all, it says by alert
        // that none fits.
        config.alpn_protocols = match self
            .alpn
            .iter()
            .find(|offered| alpn.contains(&offered.as_slice()))
        {
            Some(wanted) => vec![wanted.clone()],
            None => alpn.iter().map(|name| name.to_vec()).collect(),
        };
        let handshake = self.start.into_stream(Arc::new(config));
        let io = timeout(DEADLINE, handshake)
            .await
            .map_err(|_| TlsError::HandshakeTimeout(DEADLINE))?
            .map_err(TlsError::in_handshake)?;
        Ok(Clear { io, name })
    }
}

impl<IO> Clear<IO> {
    /// What the leaf is for.
    pub fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// The application protocol that was agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.session().alpn_protocol()
    }

    /// The state of the session: version, cipher suite, resumption.
    pub fn session(&self) -> &ServerConnection {
        self.io.get_ref().1
    }

    /// The stream of clear bytes.
    pub fn into_io(self) -> TlsStream<IO> {
        self.io
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

fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// For the ClientHello, and again for the rest of the handshake. Clients give up after 10 to 60 seconds.
const DEADLINE: Duration = Duration::from_secs(10);
