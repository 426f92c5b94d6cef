//! Handles to what is open in the ledger. Each holds a reserved slot in the writer's queue, so that its end is always recorded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::error::LedgerError;
use super::id::{Id, Ids};
use super::live::{Change, Counted, Flow, Live, Open};
use super::op::{End, Op, Tls};
use super::read::Reader;
use super::store;
use super::time::Time;
use super::transcript::Transcript;
use super::types::{Closed, Decided, ExchangeStart, Finding, Outcome, SessionStart};
use super::writer::{Write, Writer};
use crate::telemetry::{Metrics, Traffic};

/// The right to write the ledger. Clones share one writer; it ends when the last clone and the last open entry are gone.
#[derive(Clone, Debug)]
pub struct Ledger {
    queue: mpsc::Sender<Write>,
    ids: Arc<Ids>,
    broken: Arc<AtomicBool>,
    live: Arc<Live>,
    reader: Reader,
}

impl Ledger {
    /// Opens the ledger file, making it and its folder if they are missing, brings its schema up to date and closes as
    /// `unknown` what a dead daemon left open. Needs a tokio runtime, which the writer task then lives on.
    ///
    /// # Errors
    /// The file cannot be made, locked, read or brought up to date, or others may write to its folder.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_with(path, store::writer_options(path)).await
    }

    pub(super) async fn open_with(
        path: &Path,
        options: SqliteConnectOptions,
    ) -> Result<Self, LedgerError> {
        let lock = store::claim(path)?;
        let db = store::writer(path, options).await?;
        let broken = Arc::new(AtomicBool::new(false));
        let live = Arc::new(Live::default());
        let writer = Writer {
            db,
            broken: Arc::clone(&broken),
            commits: live.metrics.commits.clone(),
            _lock: lock,
        };
        let (queue, writes) = mpsc::channel(SLOTS);
        #[expect(
            clippy::disallowed_methods,
            reason = "the writer outlives every task that waits for it, and ends with the last handle"
        )]
        tokio::spawn(writer.run(writes));
        Ok(Self {
            queue,
            ids: Arc::default(),
            broken,
            live,
            reader: Reader::open(path),
        })
    }

    /// Opens a session; it is in the ledger when this returns.
    ///
    /// # Errors
    /// It could not be written; the connection has to be refused.
    pub async fn session(&self, start: SessionStart) -> Result<SessionEntry, LedgerError> {
        let (id, now) = (self.new_id()?, Time::now());
        let mut entry = SessionEntry {
            id,
            ledger: self.clone(),
            slot: Some(self.reserve()?),
            open: Open::new(id, now, start.clone()),
        };
        let op = Op::SessionOpened(id, now, Box::new(start));
        if let Err(error) = self.submit(op).await {
            // There is no row to end.
            entry.slot = None;
            return Err(error);
        }
        self.live.opened(&entry.open);
        Ok(entry)
    }

    /// Waits until everything submitted so far is written, dropped entries included.
    ///
    /// # Errors
    /// Something could not be written yet.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        self.submit(Op::Flush).await
    }

    /// Whether the last write failed. Every write still tries, so the first that succeeds ends this.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// What is counted of the record, and what other stages count beside it.
    pub fn metrics(&self) -> &Metrics {
        &self.live.metrics
    }

    /// The sessions that are open, oldest first.
    pub fn flows(&self) -> Vec<Flow> {
        self.live.flows()
    }

    /// What happens to open sessions from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.live.changes()
    }

    /// How many sessions are open, and bytes read from and written to agents since the start.
    pub fn totals(&self) -> (usize, (u64, u64)) {
        self.live.totals()
    }

    /// Places of the queue that are taken: open entries and writes under way.
    pub fn slots(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// The reading side.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn new_id(&self) -> Result<Id, LedgerError> {
        self.ids.next()
    }

    pub(crate) async fn asked(&self, asked: super::Asked) -> Result<(), LedgerError> {
        self.submit(Op::Asked(Box::new(asked))).await
    }

    pub(crate) async fn linked(&self, exchange: Id, approval: Id) -> Result<(), LedgerError> {
        self.submit(Op::Linked(exchange, approval)).await
    }

    pub(crate) async fn answered(&self, answered: super::Answered) -> Result<(), LedgerError> {
        self.submit(Op::Answered(Box::new(answered))).await
    }

    pub(crate) async fn used(&self, approval: Id) -> Result<(), LedgerError> {
        self.submit(Op::Used(approval)).await
    }

    fn reserve(&self) -> Result<Slot, LedgerError> {
        self.queue.clone().try_reserve_owned().map_err(refused)
    }

    async fn submit(&self, op: Op) -> Result<(), LedgerError> {
        let (done, committed) = oneshot::channel();
        let write = Write {
            op,
            done: Some(done),
        };
        self.queue.try_send(write).map_err(refused)?;
        committed.await.map_err(|_| LedgerError::Stopped)?
    }
}

/// An open session. Dropping it ends it.
#[derive(Debug)]
pub struct SessionEntry {
    id: Id,
    ledger: Ledger,
    slot: Option<Slot>,
    open: Arc<Open>,
}

impl SessionEntry {
    /// Its name.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Where the connection's bytes are counted.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.open.traffic)
    }

    /// Adds what the TLS handshake told. It is in the ledger before any exchange that is opened afterwards.
    ///
    /// # Errors
    /// The ledger's queue is full or gone.
    pub fn set_tls(
        &self,
        sni: Option<&str>,
        alpn: Option<&str>,
        name: Option<&str>,
    ) -> Result<(), LedgerError> {
        if let Some(name) = name {
            self.open.named(name);
        }
        let tls = Tls {
            sni: sni.map(str::to_owned),
            alpn: alpn.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        let write = Write {
            op: Op::Tls(self.id, tls),
            done: None,
        };
        self.ledger.queue.try_send(write).map_err(refused)
    }

    /// Opens an exchange; it is in the ledger, with its decision, when this returns.
    ///
    /// # Errors
    /// It could not be written; the request has to be refused.
    pub async fn exchange(&self, start: ExchangeStart) -> Result<ExchangeEntry, LedgerError> {
        let live = &self.ledger.live;
        let mut entry = ExchangeEntry {
            id: self.ledger.new_id()?,
            ledger: self.ledger.clone(),
            slot: Some(self.ledger.reserve()?),
            counted: live.exchange(&self.open, &start),
            findings: start.findings.clone(),
            request: Transcript::default(),
            response: Transcript::default(),
        };
        // Log lines of this request carry its name from here on.
        tracing::Span::current().record("exchange", tracing::field::display(entry.id));
        let protocol = start.protocol.clone();
        let op = Op::ExchangeOpened(entry.id, self.id, Time::now(), Box::new(start));
        if let Err(error) = self.ledger.submit(op).await {
            // There is no row to close.
            entry.slot = None;
            return Err(error);
        }
        entry.counted.begun(protocol);
        Ok(entry)
    }

    /// Ends the session, as dropping it does.
    pub fn close(self) {}
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let op = Op::SessionEnded(self.id, Time::now());
            slot.send(Write { op, done: None });
        }
        self.ledger.live.closed(&self.open);
    }
}

/// An open exchange. It ends once: by [`ExchangeEntry::close`], or as `aborted` when it is dropped.
#[derive(Debug)]
pub struct ExchangeEntry {
    id: Id,
    ledger: Ledger,
    slot: Option<Slot>,
    counted: Counted,
    findings: Vec<Finding>,
    request: Transcript,
    response: Transcript,
}

impl ExchangeEntry {
    /// Its name, which refusals show.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Records the decision that follows an `Ask`; it is in the ledger when this returns.
    ///
    /// # Errors
    /// It could not be written; the request has to be refused.
    pub async fn decided(&self, decided: Decided) -> Result<(), LedgerError> {
        let decision = decided.decision;
        let op = Op::Decided(self.id, Box::new(decided));
        self.ledger.submit(op).await?;
        self.counted.decided(decision);
        Ok(())
    }

    /// Adds to the request's transcript: decoded and masked by the caller, kept up to 1 MiB.
    pub fn request(&mut self, chunk: &[u8]) {
        self.request.push(chunk);
    }

    /// Adds to the answer's transcript: decoded and masked by the caller, kept up to 1 MiB.
    pub fn response(&mut self, chunk: &[u8]) {
        self.response.push(chunk);
    }

    /// Records how it ended; it is in the ledger when this returns.
    ///
    /// # Errors
    /// It could not be written yet. The ledger keeps it and tries again.
    pub async fn close(mut self, closed: Closed) -> Result<(), LedgerError> {
        let (done, committed) = oneshot::channel();
        self.end(closed, Some(done));
        committed.await.map_err(|_| LedgerError::Stopped)?
    }

    fn end(&mut self, closed: Closed, done: Option<oneshot::Sender<Result<(), LedgerError>>>) {
        let Some(slot) = self.slot.take() else { return };
        self.counted.ended(closed.outcome);
        let mut findings = std::mem::take(&mut self.findings);
        for found in &closed.findings {
            match findings
                .iter_mut()
                .find(|known| known.detector == found.detector && known.class == found.class)
            {
                Some(known) => known.count += found.count,
                None => findings.push(found.clone()),
            }
        }
        let op = Op::ExchangeClosed(Box::new(End {
            id: self.id,
            closed,
            findings,
            ms: u64::try_from(self.counted.elapsed().as_millis()).unwrap_or(u64::MAX),
            request: std::mem::take(&mut self.request).finish(),
            response: std::mem::take(&mut self.response).finish(),
        }));
        slot.send(Write { op, done });
    }
}

impl Drop for ExchangeEntry {
    fn drop(&mut self) {
        let aborted = Closed {
            outcome: Outcome::Aborted,
            status: None,
            usage: None,
            findings: Vec::new(),
            reason: None,
        };
        self.end(aborted, None);
    }
}

/// One place in the writer's queue, kept for the end of one entry.
type Slot = mpsc::OwnedPermit<Write>;

fn refused<T>(error: TrySendError<T>) -> LedgerError {
    match error {
        TrySendError::Full(_) => LedgerError::Full,
        TrySendError::Closed(_) => LedgerError::Stopped,
    }
}

/// Open sessions and exchanges plus writes under way. Every submitter waits for its own commit, so this bounds a daemon with
/// tens of thousands of connections; above it, new ones are refused rather than kept waiting behind ones that may never end.
const SLOTS: usize = 65_536;
