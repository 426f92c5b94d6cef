//! Handles to what is open in the ledger. Each holds a reserved slot in the writer's queue, so that its end is always recorded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::broadcast;

use super::error::LedgerError;
use super::id::{Id, Ids};
use super::live::{Change, Counted, Flow, Live, Open};
use super::op::Op;
use super::queue::{Queue, Slot, State};
use super::read::Reader;
use super::spool::Spool;
use super::step::{End, Step, Tls};
use super::store;
use super::time::Time;
use super::transcript::Transcript;
use super::types::{Closed, Decided, ExchangeStart, Finding, Outcome, SessionStart};
use super::writer::Writer;
use crate::telemetry::{Metrics, Traffic};

/// The right to write the ledger. Clones share one writer; it ends when the last clone and the last open entry are gone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) queue: Queue,
    ids: Arc<Ids>,
    live: Arc<Live>,
    reader: Reader,
}

impl Ledger {
    /// Opens the ledger file, making it and its folder if they are missing, brings its schema up to date, adds what a dead daemon
    /// left in the spool, and closes as `unknown` what it left open. Needs a tokio runtime, which the writer task then lives on.
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
        let lock = Arc::new(store::claim(path)?);
        let (db, applied) = store::writer(path, options).await?;
        let state = Arc::new(State::default());
        state.applied.store(applied, Ordering::Release);
        let (mut spool, left) = Spool::open(path, Arc::clone(&lock), Arc::clone(&state.applied))?;
        let live = Arc::new(Live::default());
        let commits = live.metrics.commits.clone();
        let mut writer = Writer::new(db, lock, Arc::clone(&state), commits);
        writer.recover(left).await?;
        spool
            .clear()
            .map_err(|error| LedgerError::Spool(Arc::new(error)))?;
        let (queue, writes) = Queue::new(spool, state);
        #[expect(
            clippy::disallowed_methods,
            reason = "the writer outlives every task that waits for it, and ends with the last handle"
        )]
        tokio::spawn(writer.run(writes));
        Ok(Self {
            reader: Reader::behind(path, queue.clone()),
            queue,
            ids: Arc::default(),
            live,
        })
    }

    /// Opens a session; it is on record when this returns.
    ///
    /// # Errors
    /// It could not be written; the connection has to be refused.
    pub async fn session(&self, start: SessionStart) -> Result<SessionEntry, LedgerError> {
        let room = self.queue.room().await?;
        let (id, now, slot) = (self.new_id()?, Time::now(), self.queue.reserve()?);
        let open = Open::new(id, now, start.clone());
        let opened = Step::SessionOpened(id, now, Box::new(start));
        self.queue.put(opened, Some(room))?;
        self.live.opened(&open);
        Ok(SessionEntry {
            id,
            ledger: self.clone(),
            slot: Some(slot),
            open,
        })
    }

    /// Waits until everything submitted so far is in the store, dropped entries included.
    ///
    /// # Errors
    /// Something could not be written yet.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        self.queue.flush().await
    }

    /// Whether the last write failed. The writer tries again, and the first write that succeeds ends this.
    pub fn is_broken(&self) -> bool {
        self.queue.state.broken.load().is_some()
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
        self.queue.taken()
    }

    /// The reading side.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) fn new_id(&self) -> Result<Id, LedgerError> {
        self.ids.next()
    }

    pub(super) fn put(&self, step: Step) -> Result<(), LedgerError> {
        self.queue.put(step, None)
    }

    pub(super) async fn submit(&self, op: Op) -> Result<(), LedgerError> {
        self.queue.submit(op).await
    }

    pub(crate) async fn asked(&self, asked: super::Asked) -> Result<(), LedgerError> {
        self.queue.submit(Op::Asked(Box::new(asked))).await
    }

    pub(crate) async fn linked(&self, exchange: Id, approval: Id) -> Result<(), LedgerError> {
        self.queue.submit(Op::Linked(exchange, approval)).await
    }

    pub(crate) async fn answered(&self, answered: super::Answered) -> Result<(), LedgerError> {
        self.queue.submit(Op::Answered(Box::new(answered))).await
    }

    pub(crate) async fn used(&self, approval: Id) -> Result<(), LedgerError> {
        self.queue.submit(Op::Used(approval)).await
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

    /// Adds what the TLS handshake told. It is on record before any exchange that is opened afterwards.
    ///
    /// # Errors
    /// It could not be written.
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
        self.ledger.queue.put(Step::Tls(self.id, tls), None)
    }

    /// Opens an exchange; it is on record, with its decision, when this returns.
    ///
    /// # Errors
    /// It could not be written; the request has to be refused.
    pub async fn exchange(&self, start: ExchangeStart) -> Result<ExchangeEntry, LedgerError> {
        let queue = &self.ledger.queue;
        let room = queue.room().await?;
        let (id, slot) = (self.ledger.new_id()?, queue.reserve()?);
        let (findings, protocol) = (start.findings.clone(), start.protocol.clone());
        let counted = self.ledger.live.exchange(&self.open, &start);
        // Log lines of this request carry its name from here on.
        tracing::Span::current().record("exchange", tracing::field::display(id));
        let opened = Step::ExchangeOpened(id, self.id, Time::now(), Box::new(start));
        queue.put(opened, Some(room))?;
        counted.begun(protocol);
        Ok(ExchangeEntry {
            id,
            ledger: self.ledger.clone(),
            slot: Some(slot),
            counted,
            findings,
            reserved: None,
            request: Transcript::default(),
            response: Transcript::default(),
        })
    }

    /// Ends the session, as dropping it does.
    pub fn close(self) {}
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let ended = Step::SessionEnded(self.id, Time::now());
            self.ledger.queue.end(slot, ended);
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
    /// Nanodollars it may cost.
    reserved: Option<u64>,
    request: Transcript,
    response: Transcript,
}

impl ExchangeEntry {
    /// Its name, which refusals show.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Records the decision that follows an `Ask`; it is on record when this returns.
    ///
    /// # Errors
    /// It could not be written; the request has to be refused.
    pub async fn decided(&self, decided: Decided) -> Result<(), LedgerError> {
        let decision = decided.decision;
        let room = self.ledger.queue.room().await?;
        let decided = Step::Decided(self.id, Box::new(decided));
        self.ledger.queue.put(decided, Some(room))?;
        self.counted.decided(decision);
        Ok(())
    }

    /// Records what it may cost at most, in nanodollars; it is on record when this returns.
    ///
    /// # Errors
    /// It could not be written; the request has to be refused.
    pub async fn reserved(&mut self, cost: u64) -> Result<(), LedgerError> {
        let room = self.ledger.queue.room().await?;
        let reserved = Step::Reserved(self.id, cost);
        self.ledger.queue.put(reserved, Some(room))?;
        self.reserved = Some(cost);
        Ok(())
    }

    /// Records anew what it may cost at most, in nanodollars, while it is under way; it is on record when this returns.
    ///
    /// # Errors
    /// It could not be written; nothing more may be spent.
    pub fn reserved_now(&mut self, cost: u64) -> Result<(), LedgerError> {
        self.ledger.queue.put(Step::Reserved(self.id, cost), None)?;
        self.reserved = Some(cost);
        Ok(())
    }

    /// Adds findings to those that it began with.
    pub fn found(&mut self, more: &[Finding]) {
        add(&mut self.findings, more);
    }

    /// Adds to the request's transcript: decoded and masked by the caller, kept up to 1 MiB.
    pub fn request(&mut self, chunk: &[u8]) {
        self.request.push(chunk);
    }

    /// Adds to the answer's transcript: decoded and masked by the caller, kept up to 1 MiB.
    pub fn response(&mut self, chunk: &[u8]) {
        self.response.push(chunk);
    }

    /// Records how it ended; it is on record when this returns.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn close(mut self, closed: Closed) -> Result<(), LedgerError> {
        self.end(closed);
        Ok(())
    }

    /// Records how it ended where nothing can be waited for, such as in a drop.
    pub fn end(&mut self, closed: Closed) {
        let Some(slot) = self.slot.take() else { return };
        let cost = closed.cost.or(self.reserved);
        self.counted.ended(closed.outcome, cost);
        let mut findings = std::mem::take(&mut self.findings);
        add(&mut findings, &closed.findings);
        let end = Step::ExchangeClosed(Box::new(End {
            id: self.id,
            closed,
            findings,
            ms: u64::try_from(self.counted.elapsed().as_millis()).unwrap_or(u64::MAX),
            request: std::mem::take(&mut self.request).finish(),
            response: std::mem::take(&mut self.response).finish(),
        }));
        self.ledger.queue.end(slot, end);
    }
}

/// Adds findings, each detector's once.
fn add(findings: &mut Vec<Finding>, more: &[Finding]) {
    for found in more {
        let same =
            |known: &&mut Finding| known.detector == found.detector && known.class == found.class;
        match findings.iter_mut().find(same) {
            Some(known) => known.count += found.count,
            None => findings.push(found.clone()),
        }
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
            cost: None,
        };
        self.end(aborted);
    }
}
