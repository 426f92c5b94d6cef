//! The sessions that are open now, for people who watch and for the metrics. The rows have the whole story; this has the present.
//!
//! In: what happens to entries, from `entry`. Out: a list ([`Flow`]), a stream of changes, counts. Invariants: a session is
//! listed from its committed row until its entry ends; a watcher that is too slow is told how much it missed and holds nobody up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::bill::usd;
use super::id::Id;
use super::time::Time;
use super::types::{Decision, Direction, ExchangeStart, Outcome, Process, SessionStart};
use crate::telemetry::{self, Metrics, Traffic};

/// What is open, and what is counted.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) metrics: Metrics,
    open: Mutex<HashMap<Id, Arc<Open>>>,
    /// What sessions carried that have ended.
    ended: Traffic,
    changes: broadcast::Sender<Change>,
}

/// An open session.
#[derive(Debug)]
pub(super) struct Open {
    id: Id,
    started: Time,
    began: Instant,
    start: SessionStart,
    name: OnceLock<String>,
    /// Of the latest exchange.
    protocol: ArcSwapOption<String>,
    exchanges: AtomicU64,
    under_way: AtomicU64,
    pub(super) traffic: Arc<Traffic>,
}

/// An open session as `flows --json` prints it. Fields that a session also has mean the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "SessionStart documents the fields of the same name"
)]
pub struct Flow {
    pub id: Id,
    pub started: Time,
    pub identity: String,
    pub workload: String,
    pub mode: String,
    pub process: Process,
    pub containment: String,
    #[serde(default = "Direction::unsaid")]
    pub direction: Direction,
    pub origin: String,
    pub name: Option<String>,
    /// What the latest exchange spoke; absent before the first.
    pub protocol: Option<String>,
    /// Exchanges so far.
    pub exchanges: u64,
    /// Of these, how many have not ended: they wait, stream or are tunnels.
    pub under_way: u64,
    /// From the agent, TLS included.
    pub bytes_in: u64,
    /// To the agent, TLS included.
    pub bytes_out: u64,
    /// Milliseconds since it was opened.
    pub ms: u64,
}

/// What happened to an open session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It was open when somebody began to watch, or has been opened.
    Open,
    /// An exchange began.
    Exchange,
    /// It ended.
    Closed,
}

/// A line of `flows --follow --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    pub event: Event,
    /// The session after it.
    #[serde(flatten)]
    pub flow: Flow,
}

/// How an exchange will be counted.
#[derive(Debug)]
pub(super) struct Counted {
    live: Arc<Live>,
    open: Arc<Open>,
    service: String,
    action: String,
    began: Instant,
    first: Decision,
    /// What people said, where it was asked.
    last: OnceLock<Decision>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            metrics: Metrics::default(),
            open: Mutex::default(),
            ended: Traffic::default(),
            changes: broadcast::Sender::new(BEHIND),
        }
    }
}

impl Live {
    /// The session's row is committed.
    pub(super) fn opened(&self, open: &Arc<Open>) {
        self.metrics.session();
        self.table().insert(open.id, Arc::clone(open));
        self.tell(Event::Open, open);
    }

    /// The session ends. One that never was in the ledger is in no list either.
    pub(super) fn closed(&self, open: &Open) {
        if self.table().remove(&open.id).is_some() {
            self.ended.add(open.traffic.bytes());
            self.tell(Event::Closed, open);
        }
    }

    /// An exchange is about to be recorded.
    pub(super) fn exchange(self: &Arc<Self>, open: &Arc<Open>, start: &ExchangeStart) -> Counted {
        open.under_way.fetch_add(1, Ordering::Relaxed);
        Counted {
            live: Arc::clone(self),
            open: Arc::clone(open),
            service: start.service.clone(),
            action: start.action.clone(),
            began: Instant::now(),
            first: start.decision,
            last: OnceLock::new(),
        }
    }

    /// What is open, oldest first.
    pub(super) fn flows(&self) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.table().values().map(|open| open.flow()).collect();
        flows.sort_by_key(|flow| flow.id);
        flows
    }

    /// What happens from now on.
    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// How many sessions are open, and bytes read and written since the start.
    pub(super) fn totals(&self) -> (usize, (u64, u64)) {
        let open = self.table();
        let sum = open.values().map(|open| open.traffic.bytes());
        let bytes = sum.fold(self.ended.bytes(), |(read, written), (more, out)| {
            (read + more, written + out)
        });
        (open.len(), bytes)
    }

    fn tell(&self, event: Event, open: &Open) {
        if self.changes.receiver_count() > 0 {
            // Without a receiver by now, there is nobody to tell.
            let _ = self.changes.send(Change {
                event,
                flow: open.flow(),
            });
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Id, Arc<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    pub(super) fn new(id: Id, started: Time, start: SessionStart) -> Arc<Self> {
        Arc::new(Self {
            id,
            started,
            began: Instant::now(),
            start,
            name: OnceLock::new(),
            protocol: ArcSwapOption::default(),
            exchanges: AtomicU64::default(),
            under_way: AtomicU64::default(),
            traffic: Arc::default(),
        })
    }

    pub(super) fn named(&self, name: &str) {
        self.name.get_or_init(|| name.to_owned());
    }

    fn flow(&self) -> Flow {
        let (bytes_in, bytes_out) = self.traffic.bytes();
        let start = self.start.clone();
        Flow {
            id: self.id,
            started: self.started,
            identity: start.identity,
            workload: start.workload,
            mode: start.mode,
            process: start.process,
            containment: start.containment,
            direction: start.direction,
            origin: start.origin.to_string(),
            name: self.name.get().cloned().or(start.name),
            protocol: self.protocol.load().as_deref().cloned(),
            exchanges: self.exchanges.load(Ordering::Relaxed),
            under_way: self.under_way.load(Ordering::Relaxed),
            bytes_in,
            bytes_out,
            ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Counted {
    /// The exchange's row is committed.
    pub(super) fn begun(&self, protocol: String) {
        self.open.exchanges.fetch_add(1, Ordering::Relaxed);
        self.open.protocol.store(Some(Arc::new(protocol)));
        self.live.tell(Event::Exchange, &self.open);
    }

    /// People have answered, or nobody did in time.
    pub(super) fn decided(&self, decision: Decision) {
        if self.first == Decision::Ask && self.last.set(decision).is_ok() {
            self.live.metrics.held.observe(self.began.elapsed());
        }
    }

    /// The exchange has ended, and cost so many nanodollars. One that was asked about and never decided waited until now.
    pub(super) fn ended(&self, outcome: Outcome, cost: Option<u64>) {
        self.decided(Decision::Ask);
        self.live.metrics.exchange(telemetry::Exchange {
            identity: self.open.start.identity.clone(),
            service: self.service.clone(),
            action: self.action.clone(),
            decision: self.last.get().unwrap_or(&self.first).as_str(),
            outcome: outcome.as_str(),
        });
        if let Some(cost) = cost {
            let payer = telemetry::Payer {
                identity: self.open.start.identity.clone(),
                service: self.service.clone(),
            };
            self.live.metrics.spent(payer, usd(cost));
        }
    }

    /// How long it has lasted.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Changes that a watcher may be behind: a second of a busy host.
const BEHIND: usize = 4096;
