//! The name in a ClientHello, found without using up a byte: for connections that may have to be passed unopened.

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::hello::{DEADLINE, normal};
use crate::sniff::Prefixed;

/// A connection from which nothing has been read.
pub struct Peeked<IO> {
    /// It gives back the bytes that were looked at.
    pub io: Prefixed<IO>,
    /// The name a whole ClientHello asks for, if it asks for one; else why there is no whole ClientHello.
    pub sni: Result<Option<String>, String>,
}

/// Looks at a connection until its ClientHello is whole, or cannot become whole.
pub async fn peek<IO>(io: Prefixed<IO>) -> Peeked<IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Instant::now() + DEADLINE;
    let (mut seen, mut io) = io.into_parts();
    let mut acceptor = Acceptor::default();
    let mut fed = 0;
    let sni = loop {
        match feed(&mut acceptor, &seen[fed..]) {
            Ok(Some(sni)) => break Ok(sni),
            Ok(None) => fed = seen.len(),
            Err(reason) => break Err(reason),
        }
        match timeout_at(deadline, io.read_buf(&mut seen)).await {
            Err(_) => break Err("its ClientHello did not arrive in time".to_owned()),
            Ok(Err(error)) => break Err(error.to_string()),
            Ok(Ok(0)) => break Err("its ClientHello broke off".to_owned()),
            Ok(Ok(_)) => {}
        }
    };
    Peeked {
        io: Prefixed::new(seen, io),
        sni,
    }
}

/// `Some` once the ClientHello is whole.
fn feed(acceptor: &mut Acceptor, mut bytes: &[u8]) -> Result<Option<Option<String>>, String> {
    while !bytes.is_empty() {
        acceptor
            .read_tls(&mut bytes)
            .map_err(|error| error.to_string())?;
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let name = hello.server_name().map(normal).transpose();
                return name
                    .map(|name| Some(name.map(|name| name.as_ref().to_owned())))
                    .map_err(|error| error.to_string());
            }
            Err((error, _)) => return Err(error.to_string()),
        }
    }
    Ok(None)
}
