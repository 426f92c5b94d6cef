//! A connection that gives back the bytes that were read ahead, then goes on as itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `io` with a prefix to read first. Writes go straight through.
#[derive(Debug)]
pub struct Prefixed<IO> {
    prefix: Vec<u8>,
    given: usize,
    io: IO,
}

impl<IO> Prefixed<IO> {
    /// Puts `prefix` in front of what `io` will deliver.
    pub fn new(prefix: Vec<u8>, io: IO) -> Self {
        Self {
            prefix,
            given: 0,
            io,
        }
    }

    /// The bytes that have been looked at but not yet read.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix[self.given..]
    }

    /// The bytes that are still to be read first, and the connection.
    pub fn into_parts(mut self) -> (Vec<u8>, IO) {
        (self.prefix.split_off(self.given), self.io)
    }

    /// The connection itself, for its addresses and options. Reading from it would lose the prefix.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefixed<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = &this.prefix[this.given..];
        if left.is_empty() {
            return Pin::new(&mut this.io).poll_read(context, buffer);
        }
        let length = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..length]);
        this.given += length;
        if this.given == this.prefix.len() {
            this.prefix = Vec::new();
            this.given = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefixed<IO> {
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
