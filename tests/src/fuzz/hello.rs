//! The ClientHello: what it says does not depend on how it arrives, looking at it says the same as reading it, and looking uses up nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use gateway_user::{
    sniff::Prefixed,
    tls::{hello, peek},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes that come piece by piece and then end; what is written goes nowhere.
struct Arriving<'a, I: Iterator<Item = &'a [u8]>> {
    pieces: I,
    rest: &'a [u8],
}

fn arriving<'a, I: Iterator<Item = &'a [u8]>>(pieces: I) -> Arriving<'a, I> {
    Arriving { pieces, rest: &[] }
}

impl<'a, I: Iterator<Item = &'a [u8]> + Unpin> AsyncRead for Arriving<'a, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            self.rest = self.pieces.next().unwrap_or_default();
        }
        let (now, later) = self.rest.split_at(self.rest.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}

impl<'a, I: Iterator<Item = &'a [u8]> + Unpin> AsyncWrite for Arriving<'a, I> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(super) fn run(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else {
        return;
    };
    super::paused(async {
        let cut = said(arriving(super::pieces(bytes, seed))).await;
        let even = said(arriving(bytes.chunks(EVEN))).await;
        assert_eq!(cut, even);
        let looked = peek(Prefixed::new(
            Vec::new(),
            arriving(super::pieces(bytes, seed)),
        ))
        .await;
        match (&even, &looked.sni) {
            (Some((name, _)), Ok(seen)) => assert_eq!(name, seen),
            (Some(_), Err(reason)) => panic!("read, but not seen: {reason}"),
            // A whole ClientHello can be followed by what no reader accepts, or offer what nobody can do.
            (None, _) => {}
        }
        let (mut io, mut all) = (looked.io, Vec::new());
        let read = io.read_to_end(&mut all).await;
        assert!(read.is_ok() && all == bytes, "looking has used up bytes");
    });
}

/// The name and the protocols of a ClientHello, if it is one.
async fn said(io: impl AsyncRead + AsyncWrite + Unpin) -> Option<(Option<String>, Vec<Vec<u8>>)> {
    let hello = hello(io).await.ok()?;
    let name = hello.sni().map(str::to_owned);
    if let Some(name) = &name {
        assert!(!name.ends_with('.') && *name == name.to_ascii_lowercase());
    }
    Some((name, hello.alpn().to_vec()))
}

/// Another way to arrive.
const EVEN: usize = 31;
