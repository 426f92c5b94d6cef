//! Whether an HTTP/2 upstream takes extended CONNECT (RFC 8441, 3): its first frame says so, and nothing of the kind may be sent
//! before. hyper tells the setting, but not whether it has been received.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// What is known of an upstream's settings.
#[derive(Clone)]
pub(super) struct Extended(watch::Receiver<Option<bool>>);

impl Extended {
    /// Waits for the settings. A connection that ends before has none.
    pub(super) async fn enabled(mut self) -> bool {
        let told = self.0.wait_for(Option::is_some).await;
        told.is_ok_and(|enabled| *enabled == Some(true))
    }
}

/// A stream whose first frame is looked at.
pub(super) struct Watched<S> {
    stream: S,
    /// The frame so far.
    frame: Vec<u8>,
    tell: watch::Sender<Option<bool>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> (Self, Extended) {
        let (tell, told) = watch::channel(None);
        let watched = Self {
            stream,
            frame: Vec::new(),
            tell,
        };
        (watched, Extended(told))
    }

    fn look(&mut self, bytes: &[u8]) {
        self.frame.extend_from_slice(bytes);
        if let Some(enabled) = extended_connect(&self.frame) {
            self.tell.send_replace(Some(enabled));
            self.frame = Vec::new();
        }
    }
}

/// Whether a server that begins with `frame` takes extended CONNECT; `None` while the frame is not whole.
fn extended_connect(frame: &[u8]) -> Option<bool> {
    let (&[a, b, c, kind, ..], payload) = frame.split_first_chunk::<FRAME_HEAD>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    // What begins otherwise is no HTTP/2, which hyper will find out.
    if kind != SETTINGS || length > LARGEST_FRAME {
        return Some(false);
    }
    let settings = payload.get(..length)?;
    let (settings, _) = settings.as_chunks::<6>();
    Some(settings.contains(&ENABLE_CONNECT_PROTOCOL))
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.tell.borrow().is_none() {
            self.look(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Length, type, flags and stream of a frame.
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
/// What a peer may send before it has been told otherwise.
const LARGEST_FRAME: usize = 16 * 1024;
/// The setting's number, and 1.
const ENABLE_CONNECT_PROTOCOL: [u8; 6] = [0, 8, 0, 0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, settings: &[[u8; 6]]) -> Vec<u8> {
        let payload = settings.concat();
        let head = [0, 0, payload.len() as u8, kind, 0, 0, 0, 0, 0];
        [&head[..], &payload].concat()
    }

    #[test]
    fn the_first_frame_tells_with_its_last_byte() {
        let window = [0, 4, 0, 1, 0, 0];
        for (frame, enabled) in [
            (frame(4, &[window, [0, 8, 0, 0, 0, 1]]), true),
            (frame(4, &[[0, 8, 0, 0, 0, 0], window]), false),
            (frame(4, &[]), false),
        ] {
            for step in 1..=frame.len() {
                let (mut watched, told) = Watched::new(());
                for (index, chunk) in frame.chunks(step).enumerate() {
                    watched.look(chunk);
                    let whole = (index + 1) * step >= frame.len();
                    assert_eq!(*told.0.borrow(), whole.then_some(enabled), "{step}");
                }
            }
        }
        assert_eq!(extended_connect(&frame(0, &[])), Some(false));
        assert_eq!(extended_connect(b"HTTP/1.1 400"), Some(false));
    }
}
