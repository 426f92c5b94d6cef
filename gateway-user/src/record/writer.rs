//! The one task that fills the store: takes what is queued, writes it in one transaction, tells everybody who waits.
//!
//! Steps of entries are on record in the spool already, so they are left to gather for a moment; a write that somebody waits for
//! ends that moment. When a batch fails, each of its writes is tried alone, in order, so that one bad row takes no other with it;
//! when the store itself fails, everything from there on is kept and tried again until it succeeds.

use std::fs::File;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, query};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::batch::Batch;
use super::error::LedgerError;
use super::op::{Op, number};
use super::queue::{State, Write};
use super::step::Step;
use super::store;
use crate::telemetry::Timing;

/// The writer's state; [`Writer::run`] is its whole life.
pub(super) struct Writer {
    db: SqliteConnection,
    state: Arc<State>,
    /// How long transactions take.
    commits: Timing,
    /// Held for as long as this process writes the ledger.
    _lock: Arc<File>,
}

impl Writer {
    pub(super) fn new(
        db: SqliteConnection,
        lock: Arc<File>,
        state: Arc<State>,
        commits: Timing,
    ) -> Self {
        Self {
            db,
            state,
            commits,
            _lock: lock,
        }
    }

    /// Writes what a dead daemon left in the spool, then closes what it left open.
    pub(super) async fn recover(&mut self, left: Vec<(u64, Step)>) -> Result<(), LedgerError> {
        let mut left = left.into_iter().peekable();
        while left.peek().is_some() {
            let steps = left.by_ref().take(BATCH);
            let batch = steps.map(|(number, step)| Write::step(step, Some(number)));
            if !self.write(batch.collect()).await.is_empty() {
                let broken = self.state.broken.load();
                return Err(broken.as_deref().cloned().unwrap_or(LedgerError::Stopped));
            }
        }
        let closed = store::close_leftovers(&mut self.db).await;
        closed.map_err(|error| LedgerError::Write(Arc::new(error)))
    }

    /// Writes until the last sender is gone and everything queued has been written.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Write>) {
        let mut kept = Vec::new();
        loop {
            let mut batch = std::mem::take(&mut kept);
            let open = self.gather(&mut queue, &mut batch).await;
            let flushes = batch
                .extract_if(.., |write| matches!(write.op, Op::Flush))
                .collect::<Vec<_>>();
            kept = if batch.is_empty() && self.state.broken.load().is_none() {
                batch
            } else {
                self.write(batch).await
            };
            for flush in flushes {
                let behind = LedgerError::Behind(kept.len());
                answer(flush.done, kept.is_empty().then_some(()).ok_or(behind));
            }
            if !open {
                return self.stop(kept.len());
            }
        }
    }

    /// Adds what is queued to what is to be tried again; false when nothing will ever come.
    async fn gather(&self, queue: &mut mpsc::Receiver<Write>, batch: &mut Vec<Write>) -> bool {
        let again = !batch.is_empty() || self.state.broken.load().is_some();
        if !again && queue.recv_many(batch, BATCH).await == 0 {
            return false;
        }
        if batch.iter().all(|write| write.done.is_none()) {
            tokio::select! {
                () = sleep(if again { RETRY } else { GATHER }) => {}
                () = self.state.urgent.notified() => {}
            }
        }
        // While the store fails only ends come, as many as there are open entries; all of them wait here.
        while again || batch.len() < BATCH {
            match queue.try_recv() {
                Ok(write) => batch.push(write),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Writes what it can of a batch and answers its waiters; returns what must be tried again, in order.
    async fn write(&mut self, batch: Vec<Write>) -> Vec<Write> {
        if batch.len() != 1 && self.commit(&batch).await.is_ok() {
            for write in batch {
                answer(write.done, Ok(()));
            }
            return Vec::new();
        }
        let mut again = Vec::new();
        for write in batch {
            let step = matches!(write.op, Op::Step(..));
            // Whatever follows a step that has to wait waits too.
            if step && !again.is_empty() {
                again.push(write);
                continue;
            }
            match self.commit(slice::from_ref(&write)).await {
                Ok(()) => answer(write.done, Ok(())),
                Err(error) if step && is_storage(&error) => again.push(write),
                Err(error) => {
                    if write.done.is_none() {
                        tracing::error!(%error, op = ?write.op, "a ledger write is lost");
                    }
                    answer(write.done, Err(LedgerError::Write(error)));
                }
            }
        }
        again
    }

    /// All of a batch in one transaction, or nothing of it. An empty one finds out whether the store can be written.
    async fn commit(&mut self, batch: &[Write]) -> Result<(), Arc<Error>> {
        let power_safe = batch.iter().any(|write| write.op.needs_power_safety());
        let began = Instant::now();
        let result = self.transaction(batch, power_safe).await.map_err(Arc::new);
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
        if result.is_ok() {
            self.state.applied.fetch_max(last(batch), Ordering::AcqRel);
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
        let mut steps = Batch::default();
        for write in batch {
            if let Op::Step(step, _) = &write.op {
                steps.add(step);
            }
        }
        query("BEGIN IMMEDIATE").execute(&mut self.db).await?;
        steps.apply(&mut self.db).await?;
        for write in batch {
            write.op.apply(&mut self.db).await?;
        }
        query("UPDATE spool SET applied = MAX(applied, ?)")
            .bind(number(last(batch)))
            .execute(&mut self.db)
            .await?;
        query("COMMIT").execute(&mut self.db).await.map(drop)
    }

    /// Keeps what `Ledger::is_broken` shows, and says once when it steps.
    fn note(&self, result: &Result<(), Arc<Error>>) {
        let broken = self.state.broken.load().is_some();
        match result {
            Ok(()) if broken => {
                self.state.broken.store(None);
                tracing::info!("the ledger can be written again");
            }
            Err(error) if is_storage(error) && !broken => {
                let told = LedgerError::Write(Arc::clone(error));
                self.state.broken.store(Some(Arc::new(told)));
                tracing::error!(%error, "the ledger cannot be written: everything is refused until it can");
            }
            _ => {}
        }
    }

    fn stop(self, lost: usize) {
        if lost > 0 {
            tracing::error!(
                lost,
                "steps are not written; the next start takes them from the spool"
            );
        }
    }
}

/// The number of the last spooled step; 0 if there is none.
fn last(batch: &[Write]) -> u64 {
    let numbers = batch.iter().map(|write| match write.op {
        Op::Step(_, number) => number.unwrap_or(0),
        _ => 0,
    });
    numbers.max().unwrap_or(0)
}

/// Whether the store failed, rather than one row being refused.
fn is_storage(error: &Error) -> bool {
    match error {
        Error::RowNotFound | Error::Encode(_) => false,
        Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            code.is_none_or(|code| !ROW_ERRORS.contains(&(code & 0xff)))
        }
        _ => true,
    }
}

fn answer(waiter: Option<oneshot::Sender<Result<(), LedgerError>>>, with: Result<(), LedgerError>) {
    if let Some(waiter) = waiter {
        // A waiter that went away does not step what was written.
        let _ = waiter.send(with);
    }
}

/// Past this the cost of a commit is small against the rows in it.
const BATCH: usize = 2000;

/// What comes within this time of an idle ledger's first step shares its commit: most exchanges then open and end in one.
const GATHER: Duration = Duration::from_millis(20);

/// How soon what could not be written is tried again when nothing else is written.
const RETRY: Duration = Duration::from_secs(1);

/// Primary result codes (sqlite.org/rescode.html) that one row can cause; extended codes carry them in their low byte.
const ROW_ERRORS: [u32; 3] = [18, 19, 20];
