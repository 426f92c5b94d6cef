//! Names the wire protocol from a bounded prefix within a deadline.
//!
//! In: a connection whose peer may or may not speak first. Out: [`Sniffed`], the name of the protocol and the same
//! connection with every byte still to be read.
//!
//! Invariants: no byte is consumed, at most [`MAX_PREFIX`] bytes are held, and the answer comes as soon as the bytes allow only
//! one. What is not recognised is [`Wire::Unknown`], which policy sees as a connection to an opaque service.
//!
//! Fails when the peer closes before it has said anything, or on an I/O error.
//!
//! Sources: RFC 8446 section 5.1 (record header), RFC 9112 section 3 (request line), RFC 9113 section 3.4 (preface).

mod prefix;
mod prefixed;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

pub use prefixed::Prefixed;

/// The protocol that the first bytes of a client belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A TLS record that starts a ClientHello.
    Tls,
    /// An HTTP/1 request line.
    Http1,
    /// The HTTP/2 connection preface, without TLS.
    Http2,
    /// The client said nothing for [`Deadlines::silence`]: it waits for the server.
    ServerFirst,
    /// Anything else.
    Unknown,
}

/// A connection with its protocol named and nothing read from it.
#[derive(Debug)]
pub struct Sniffed<IO> {
    /// What the client speaks.
    pub wire: Wire,
    /// The connection; it gives back the bytes that were looked at.
    pub io: Prefixed<IO>,
}

/// How long to wait for the client.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Without any byte for this long the client is taken to wait for the server.
    pub silence: Duration,
    /// After this long an undecided prefix is [`Wire::Unknown`].
    pub prefix: Duration,
}

impl Deadlines {
    /// For a port whose clients speak first: only a client that never speaks is taken to wait for the server.
    #[must_use]
    pub fn client_speaks_first() -> Self {
        let Self { prefix, .. } = Self::default();
        Self {
            silence: prefix,
            prefix,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            // Long enough for a loaded client on the same host, short enough not to be felt by clients of SSH or MySQL.
            silence: Duration::from_millis(500),
            // Loopback delivers a request line at once; only a person at a keyboard needs seconds.
            prefix: Duration::from_secs(10),
        }
    }
}

/// Why no protocol could be named.
#[derive(Debug, Error)]
pub enum SniffError {
    /// The client closed without a byte: a port probe, or a pool that opened a connection it did not need.
    #[error("the client closed the connection before it sent anything")]
    Closed,
    /// Reading failed.
    #[error("reading the first bytes failed: {0}")]
    Read(#[from] io::Error),
}

/// Looks at the first bytes of `io` until they name a protocol.
pub async fn classify<IO>(mut io: IO, deadlines: Deadlines) -> Result<Sniffed<IO>, SniffError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    let mut seen = Vec::with_capacity(FIRST_READ);
    let wire = loop {
        let deadline = match seen.len() {
            0 => started + deadlines.silence,
            _ => started + deadlines.prefix,
        };
        let room = (MAX_PREFIX - seen.len()) as u64;
        let mut bounded = (&mut io).take(room);
        match timeout_at(deadline, bounded.read_buf(&mut seen)).await {
            Err(_) if seen.is_empty() => break Wire::ServerFirst,
            Err(_) => break Wire::Unknown,
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(0)) if seen.is_empty() => return Err(SniffError::Closed),
            Ok(Ok(0)) => break Wire::Unknown,
            Ok(Ok(_)) => {}
        }
        if let Some(wire) = prefix::name(&seen) {
            break wire;
        }
        if seen.len() == MAX_PREFIX {
            break Wire::Unknown;
        }
    };
    Ok(Sniffed {
        wire,
        io: Prefixed::new(seen, io),
    })
}

/// A request line with an unregistered method must end within this many bytes; hyper's own limit for a head is larger.
const MAX_PREFIX: usize = 8 * 1024;
/// A ClientHello or a request head usually fits.
const FIRST_READ: usize = 2 * 1024;
