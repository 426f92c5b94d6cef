//! A connection that counts its bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a connection, as they pass.
#[derive(Debug, Default)]
pub struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
}

impl Traffic {
    /// Bytes read and bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.read.load(Ordering::Relaxed),
            self.written.load(Ordering::Relaxed),
        )
    }

    /// Adds what another connection carried.
    pub fn add(&self, (read, written): (u64, u64)) {
        self.read.fetch_add(read, Ordering::Relaxed);
        self.written.fetch_add(written, Ordering::Relaxed);
    }
}

/// `io`, counted.
#[derive(Debug)]
pub struct Metered<IO> {
    io: IO,
    traffic: Arc<Traffic>,
}

impl<IO> Metered<IO> {
    /// Counts what `io` carries in `traffic`.
    pub fn new(io: IO, traffic: Arc<Traffic>) -> Self {
        Self { io, traffic }
    }

    /// The connection itself, for its addresses and options.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Metered<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(context, buffer);
        let read = (buffer.filled().len() - before) as u64;
        this.traffic.read.fetch_add(read, Ordering::Relaxed);
        polled
    }
}

impl<IO: AsyncWrite + Unpin> Metered<IO> {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = polled {
            self.traffic
                .written
                .fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Metered<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(context, slices);
        this.wrote(polled)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn both_directions_are_counted_as_they_pass() {
        let traffic = Arc::new(Traffic::default());
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Metered::new(near, Arc::clone(&traffic));
        far.write_all(b"question").await.unwrap();
        let mut read = [0; 3];
        near.read_exact(&mut read).await.unwrap();
        assert_eq!(traffic.bytes(), (3, 0));
        near.write_all(b"answer").await.unwrap();
        assert_eq!(traffic.bytes(), (3, 6));
        drop(far);
        assert_eq!(near.read_to_end(&mut Vec::new()).await.unwrap(), 5);
        assert!(near.write_all(b"late").await.is_err());
        assert_eq!(traffic.bytes(), (8, 6));
    }
}
