//! Closes a connection so that its last answer is read: what the client still sends is taken and thrown away for a while.
//!
//! A socket that is closed with unread bytes is reset, and a reset destroys answers that have not been read. A client that writes a whole
//! upload before it reads would learn of a broken pipe and not of the refusal. Nothing waits where no byte is waiting.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that lingers when it is shut down.
pub(super) struct Lingering<S> {
    stream: S,
    state: State,
}

enum State {
    Open,
    Told,
    /// Until then, and for so many bytes.
    Taking(Pin<Box<Sleep>>, usize),
    Over,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            state: State::Open,
        }
    }
}

impl<S> Lingering<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_over(&mut self, poller: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let (deadline, left) = match &mut self.state {
                State::Open => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(poller))?;
                    self.state = State::Told;
                    continue;
                }
                State::Told => (None, LIMIT),
                State::Taking(deadline, left) => (Some(deadline), *left),
                State::Over => return Poll::Ready(Ok(())),
            };
            let mut bytes = [0; 16 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = Pin::new(&mut self.stream).poll_read(poller, &mut buffer);
            let length = buffer.filled().len();
            self.state = match (read, deadline) {
                (Poll::Pending, Some(deadline)) => {
                    ready!(deadline.as_mut().poll(poller));
                    State::Over
                }
                (Poll::Ready(Ok(())), _) if (1..left).contains(&length) => {
                    match std::mem::replace(&mut self.state, State::Over) {
                        State::Taking(deadline, left) => State::Taking(deadline, left - length),
                        _ => State::Taking(Box::pin(sleep(DEADLINE)), left - length),
                    }
                }
                _ => State::Over,
            };
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        poller: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(poller, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        poller: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(poller, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, poller: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(poller)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, poller: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_over(poller)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        poller: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(poller, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A client that wants to send more than two of the largest bodies does not read the answer anyway.
const LIMIT: usize = 64 << 20;
/// Loopback brings as much in a fraction of this.
const DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_client_that_still_sends_reads_the_answer() {
        let (mut client, server) = duplex(1024);
        let mut server = Lingering::new(server);
        server.write_all(b"no").await.unwrap();
        let sending = async {
            client.write_all(&[b'x'; 100_000]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let (answer, closed) = tokio::join!(sending, server.shutdown());
        closed.unwrap();
        assert_eq!(answer, b"no");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_longer_than_the_deadline() {
        let (client, server) = duplex(1024);
        let started = tokio::time::Instant::now();
        Lingering::new(server).shutdown().await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO, "nothing was waiting");
        drop(client);

        let (mut client, server) = duplex(1024);
        client.write_all(b"x").await.unwrap();
        let started = tokio::time::Instant::now();
        Lingering::new(server).shutdown().await.unwrap();
        assert_eq!(started.elapsed(), DEADLINE);
        drop(client);
    }
}
