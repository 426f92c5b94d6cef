//! Whether a client says anything inside of TLS, or leaves once the handshake is over.
//!
//! In: a TLS connection after its handshake. Out: the same connection, and what its first read came to.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Connection;
use crate::tls::TlsError;

/// A connection whose first read is noted.
pub(super) struct Heard<IO> {
    io: IO,
    first: First,
    since: Instant,
    /// Who may speak, and to which name; nobody once that is known.
    speaker: Option<(Arc<Connection>, String)>,
}

/// What the first read of a connection came to.
#[derive(Clone, Default)]
pub(super) struct First(Arc<OnceLock<Option<TlsError>>>);

impl First {
    /// The client left soon after the handshake, and had said nothing.
    pub(super) fn left_early(self) -> Option<TlsError> {
        Arc::into_inner(self.0)?.into_inner()?
    }
}

impl<IO> Heard<IO> {
    pub(super) fn new(io: IO, connection: &Arc<Connection>, name: &str) -> (Self, First) {
        let first = First::default();
        let speaker = Some((Arc::clone(connection), name.to_owned()));
        let heard = Self {
            io,
            first: first.clone(),
            since: Instant::now(),
            speaker,
        };
        (heard, first)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Heard<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut this.io).poll_read(context, buffer));
        let Some((connection, name)) = this.speaker.take() else {
            return Poll::Ready(read);
        };
        let soon = this.since.elapsed() < SOON;
        let (left, read) = match read {
            Ok(()) if buffer.filled().len() > before => {
                let distrustful = &connection.gateway.distrustful;
                distrustful.speaks(&connection.caller.process, &name);
                (None, Ok(()))
            }
            Ok(()) => (Some(ErrorKind::UnexpectedEof.into()), Ok(())),
            Err(error) => {
                let same = Err(error.kind().into());
                (Some(error), same)
            }
        };
        let left = left.filter(|_| soon).map(TlsError::after_handshake);
        let _ = this.first.0.set(left);
        Poll::Ready(read)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Heard<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// Who verifies a certificate after the handshake does so at once; a connection that was made ahead is kept for longer.
const SOON: Duration = Duration::from_secs(2);
