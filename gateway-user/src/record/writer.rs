//! The one task that writes the ledger: takes what is queued, writes it in one transaction, tells everybody who waits.
//!
//! An idle ledger writes at once; a busy one puts up to [`BATCH`] writes into a transaction, so that they share the cost of a
//! commit. When a batch fails, each of its writes is tried alone, so that one bad row takes no other with it. Writes that
//! nobody would repeat (outcomes) are kept and tried again until they succeed.

use std::collections::VecDeque;
use std::fs::File;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, query};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::error::LedgerError;
use super::op::Op;
use crate::telemetry::Timing;

/// A write, and who waits for it.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) op: Op,
    pub(super) done: Option<oneshot::Sender<Result<(), LedgerError>>>,
}

/// The writer's state; [`Writer::run`] is its whole life.
pub(super) struct Writer {
    pub(super) db: SqliteConnection,
    /// Shared with every `Ledger`: the last write failed.
    pub(super) broken: Arc<AtomicBool>,
    /// How long transactions take.
    pub(super) commits: Timing,
    /// Held for as long as this process writes the ledger.
    pub(super) _lock: File,
}

impl Writer {
    /// Writes until the last sender is gone and everything queued has been written.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Write>) {
        let mut kept: VecDeque<Op> = VecDeque::new();
        loop {
            let mut batch = Vec::new();
            let received = match kept.is_empty() {
                true => Some(queue.recv_many(&mut batch, BATCH).await),
                false => timeout(RETRY, queue.recv_many(&mut batch, BATCH))
                    .await
                    .ok(),
            };
            let (flushes, batch) = batch
                .into_iter()
                .partition(|write| matches!(write.op, Op::Flush));

            let again = kept.drain(..kept.len().min(BATCH));
            let again = again.map(|op| Write { op, done: None }).collect();
            for op in self.write(again).await.into_iter().rev() {
                kept.push_front(op);
            }
            kept.extend(self.write(batch).await);

            for flush in flushes {
                let behind = LedgerError::Behind(kept.len());
                answer(flush.done, kept.is_empty().then_some(()).ok_or(behind));
            }
            if received == Some(0) {
                return self.stop(kept.len());
            }
        }
    }

    /// Writes what it can of a batch and answers its waiters; returns what must be tried again.
    async fn write(&mut self, batch: Vec<Write>) -> Vec<Op> {
        if batch.len() > 1 && self.commit(&batch).await.is_ok() {
            for write in batch {
                answer(write.done, Ok(()));
            }
            return Vec::new();
        }
        let mut again = Vec::new();
        for write in batch {
            match self.commit(slice::from_ref(&write)).await {
                Ok(()) => answer(write.done, Ok(())),
                Err(error) => {
                    if is_storage(&error) && write.op.must_land() {
                        again.push(write.op);
                    } else if write.done.is_none() {
                        tracing::error!(%error, op = ?write.op, "a ledger write is lost");
                    }
                    answer(write.done, Err(LedgerError::Write(Arc::new(error))));
                }
            }
        }
        again
    }

    /// All of a batch in one transaction, or nothing of it.
    async fn commit(&mut self, batch: &[Write]) -> Result<(), Error> {
        let power_safe = batch.iter().any(|write| write.op.needs_power_safety());
        let began = Instant::now();
        let result = self.transaction(batch, power_safe).await;
        self.commits.observe(began.elapsed());
        if result.is_err() {
            // After some errors SQLite has rolled back by itself, and then this one fails; sqlx's own transactions lose
            // count of that, which is why the statements are written out here.
            let _ = query("ROLLBACK").execute(&mut self.db).await;
        }
        if power_safe {
            // A failure leaves the stricter setting in force.
            let _ = query("PRAGMA synchronous = NORMAL")
                .execute(&mut self.db)
                .await;
        }
        self.note(&result);
        result
    }

    async fn transaction(&mut self, batch: &[Write], power_safe: bool) -> Result<(), Error> {
        if power_safe {
            query("PRAGMA synchronous = FULL")
                .execute(&mut self.db)
                .await?;
        }
        query("BEGIN IMMEDIATE").execute(&mut self.db).await?;
        for write in batch {
            write.op.apply(&mut self.db).await?;
        }
        query("COMMIT").execute(&mut self.db).await.map(drop)
    }

    /// Keeps the flag that `Ledger::is_broken` shows, and says once when it changes.
    fn note(&self, result: &Result<(), Error>) {
        match result {
            Ok(()) if self.broken.swap(false, Ordering::Relaxed) => {
                tracing::info!("the ledger can be written again");
            }
            Err(error) if is_storage(error) && !self.broken.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "the ledger cannot be written: everything is refused until it can");
            }
            _ => {}
        }
    }

    fn stop(self, lost: usize) {
        if lost > 0 {
            tracing::error!(
                lost,
                "outcomes are not written; the next start records them as unknown"
            );
        }
    }
}

/// Whether the store failed, rather than one row being refused.
fn is_storage(error: &Error) -> bool {
    match error {
        Error::RowNotFound | Error::Encode(_) => false,
        Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            code.is_none_or(|code| code & 0xff != SQLITE_CONSTRAINT)
        }
        _ => true,
    }
}

fn answer(waiter: Option<oneshot::Sender<Result<(), LedgerError>>>, with: Result<(), LedgerError>) {
    if let Some(waiter) = waiter {
        // A waiter that went away does not change what was written.
        let _ = waiter.send(with);
    }
}

/// Past this the cost of a commit is small against the rows in it.
const BATCH: usize = 500;

/// How soon outcomes that could not be written are tried again when nothing else is written.
const RETRY: Duration = Duration::from_secs(1);

/// Primary result code (sqlite.org/rescode.html); extended codes carry it in their low byte.
const SQLITE_CONSTRAINT: u32 = 19;
