//! The way to the writer: the spool first, then a bounded queue in the same order.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::error::LedgerError;
use super::op::Op;
use super::spool::Spool;
use super::step::Step;

/// A write, and who waits for it.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) op: Op,
    pub(super) done: Option<oneshot::Sender<Result<(), LedgerError>>>,
    /// Its part of how far the store may be behind the spool; given back with the write.
    _lag: Option<OwnedSemaphorePermit>,
}

/// What the writer tells everybody.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Why the store cannot be written.
    pub(super) broken: ArcSwapOption<LedgerError>,
    /// The number of the last step that the store has.
    pub(super) applied: Arc<AtomicU64>,
    /// Somebody waits for the store.
    pub(super) urgent: Notify,
}

/// Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    writes: mpsc::Sender<Write>,
    spool: Arc<Mutex<Spool>>,
    pub(super) state: Arc<State>,
    lag: Arc<Semaphore>,
}

/// One place in the queue, kept for the end of one entry.
pub(super) type Slot = mpsc::OwnedPermit<Write>;

/// The right to put one step on record now.
pub(super) struct Room(OwnedSemaphorePermit);

impl Write {
    pub(super) fn step(step: Step, number: Option<u64>) -> Self {
        Self {
            op: Op::Step(step, number),
            done: None,
            _lag: None,
        }
    }
}

impl Queue {
    pub(super) fn new(spool: Spool, state: Arc<State>) -> (Self, mpsc::Receiver<Write>) {
        let (writes, received) = mpsc::channel(SLOTS);
        let queue = Self {
            writes,
            spool: Arc::new(Mutex::new(spool)),
            state,
            lag: Arc::new(Semaphore::new(LAG)),
        };
        (queue, received)
    }

    /// Waits until the store is near enough to the spool.
    ///
    /// # Errors
    /// The store cannot be written, or does not keep up.
    pub(super) async fn room(&self) -> Result<Room, LedgerError> {
        if let Some(error) = &*self.state.broken.load() {
            return Err(LedgerError::clone(error));
        }
        match timeout(PATIENCE, Arc::clone(&self.lag).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Room(permit)),
            _ => Err(LedgerError::Full),
        }
    }

    /// Places that are taken: open entries and writes under way.
    pub(super) fn taken(&self) -> usize {
        self.writes.max_capacity() - self.writes.capacity()
    }

    /// Whether what can do without should.
    pub(super) fn is_half_full(&self) -> bool {
        self.writes.capacity() < self.writes.max_capacity() / 2
    }

    /// A place for the end of an entry.
    pub(super) fn reserve(&self) -> Result<Slot, LedgerError> {
        self.writes.clone().try_reserve_owned().map_err(refused)
    }

    /// Puts a step on record; it is in the spool when this returns.
    pub(super) fn put(&self, step: Step, room: Option<Room>) -> Result<(), LedgerError> {
        let place = self.writes.try_reserve().map_err(refused)?;
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let number = spool.append(&step);
        let number = number.map_err(|error| LedgerError::Spool(Arc::new(error)))?;
        // Still under the lock: the queue has the order of the spool.
        place.send(Write {
            _lag: room.map(|room| room.0),
            ..Write::step(step, Some(number))
        });
        Ok(())
    }

    /// The end of an entry, which nobody would repeat: where the spool cannot be written, the store alone has it.
    pub(super) fn end(&self, slot: Slot, step: Step) {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let number = spool.append(&step);
        let number = number.inspect_err(|error| {
            tracing::error!(%error, "the end of an entry waits for the store: the spool cannot be written");
        });
        slot.send(Write::step(step, number.ok()));
    }

    /// Submits a write that is in the store when this returns.
    pub(super) async fn submit(&self, op: Op) -> Result<(), LedgerError> {
        let (done, committed) = oneshot::channel();
        let write = Write {
            op,
            done: Some(done),
            _lag: None,
        };
        self.writes.try_send(write).map_err(refused)?;
        self.state.urgent.notify_one();
        committed.await.map_err(|_| LedgerError::Stopped)?
    }

    /// Waits until everything that is on record is in the store.
    pub(super) async fn flush(&self) -> Result<(), LedgerError> {
        self.submit(Op::Flush).await
    }
}

fn refused<T>(error: TrySendError<T>) -> LedgerError {
    match error {
        TrySendError::Full(_) => LedgerError::Full,
        TrySendError::Closed(_) => LedgerError::Stopped,
    }
}

/// Open sessions and exchanges plus writes under way: a daemon with tens of thousands of connections. Above it, new ones are refused
/// rather than kept waiting behind ones that may never end.
const SLOTS: usize = 65_536;

/// How many steps the store may be behind: a second of its work. Past it, whoever opens something waits.
const LAG: usize = 16_384;

/// A store that has not caught up by then has failed.
const PATIENCE: Duration = Duration::from_secs(5);
