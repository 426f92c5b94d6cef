//! Two-phase drain: connections are asked to finish what they have begun, then whatever is left is cancelled.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::tasks::Tasks;

/// Tells connections to finish. Clones share the signal.
#[derive(Clone, Debug)]
pub struct Drain(watch::Sender<bool>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Drain {
    /// Returns when it is time to finish.
    pub async fn begun(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }

    /// Whether it is time to finish.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when a connection without a request need not be kept any longer: a little after the drain has begun, since a
    /// request may be on its way, and at once closing would lose it.
    pub async fn last_call(&self) {
        self.begun().await;
        sleep(LINGER).await;
    }

    /// Asks everything to finish, waits for `tasks` until `deadline`, then cancels the rest.
    pub async fn run(&self, tasks: &Tasks, deadline: Duration) {
        self.0.send_replace(true);
        let until = Instant::now() + deadline;
        while tasks.running() > 0 && Instant::now() < until {
            sleep(POLL).await;
        }
        tasks.shutdown().await;
    }
}

/// Covers a handshake and the time between two requests of a busy client.
const LINGER: Duration = Duration::from_millis(500);

/// Short against any deadline; a drain happens once.
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finishes_is_waited_for_and_who_does_not_is_cancelled() {
        let (drain, tasks) = (Drain::default(), Tasks::default());
        let (finished, done) = tokio::sync::oneshot::channel();
        let asked = drain.clone();
        tasks.spawn(async move {
            asked.begun().await;
            sleep(Duration::from_secs(2)).await;
            let _ = finished.send(());
        });
        tasks.spawn(std::future::pending());
        let began = Instant::now();
        drain.run(&tasks, Duration::from_secs(5)).await;
        assert!(done.await.is_ok());
        assert_eq!(began.elapsed().as_secs(), 5);
        assert_eq!(tasks.running(), 0);
    }
}
