//! Supervised tasks: the one place tasks are spawned, so that a shutdown ends all of them and a panic is logged.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tracing::Instrument;

/// The running tasks of the daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// Runs `future` until it ends or [`Tasks::shutdown`] is called.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            report(ended);
        }
        set.spawn(future);
    }

    /// How many tasks run.
    #[must_use]
    pub fn running(&self) -> usize {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            report(ended);
        }
        set.len()
    }

    /// Cancels every task and waits until all are gone. What they hold is dropped, so open ledger entries are closed.
    pub async fn shutdown(&self) {
        let mut set = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        set.shutdown().await;
    }
}

/// hyper runs HTTP/2 streams as tasks of their own.
impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        // What a stream logs belongs to its connection.
        self.spawn(future.in_current_span());
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task panicked; its connection was dropped");
    }
}
