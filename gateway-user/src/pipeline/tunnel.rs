//! What holds for everything that outlives its decision: how long it may last, and how long it may be silent.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

/// When something last passed through a tunnel. Clones share it.
#[derive(Clone)]
pub(super) struct Pulse {
    began: Instant,
    /// In milliseconds after the beginning.
    last: Arc<AtomicU64>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::default(),
        }
    }

    /// Something passes.
    pub(super) fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Ends, with the reason, when the tunnel has been silent or open for too long.
    pub(super) async fn expired(&self) -> &'static str {
        loop {
            let silent =
                self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + IDLE;
            let old = self.began + LIFE;
            if Instant::now() >= old {
                return "it was open for a day";
            }
            if Instant::now() >= silent {
                return "nothing passed for two hours";
            }
            sleep_until(silent.min(old)).await;
        }
    }
}

/// A stream whose bytes, in either direction, are a tunnel's pulse.
pub(super) struct Beating<S> {
    pub(super) stream: S,
    pub(super) pulse: Pulse,
}

impl<S: AsyncRead + Unpin> AsyncRead for Beating<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.pulse.beat();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Beating<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.pulse.beat();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// As long as Linux lets a connection be silent before it asks whether the other end still lives (tcp_keepalive_time).
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// What was decided once should not hold for ever: by then identities, names and addresses have changed.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_tunnel_and_a_day_ends_a_busy_one() {
        let pulse = Pulse::new();
        let began = Instant::now();
        assert_eq!(pulse.expired().await, "nothing passed for two hours");
        assert_eq!(began.elapsed().as_secs(), 7200);

        let pulse = Pulse::new();
        let began = Instant::now();
        let busy = async {
            loop {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                pulse.beat();
            }
        };
        tokio::select! {
            () = busy => {}
            reason = pulse.expired() => assert_eq!(reason, "it was open for a day"),
        }
        assert_eq!(began.elapsed().as_secs(), 86400);
    }
}
