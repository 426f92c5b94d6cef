//! Questions and answers over a real ledger. Time stands still in these tests and moves only when one says so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test awaits or abandons its tasks itself"
)]

use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::advance;

use super::*;
use crate::record::{Decision, ExchangeEntry, ExchangeStart, Process, SessionEntry, SessionStart};

mod answers;
mod limits;

/// A ledger, its questions, and a clock that stands still.
struct Desk {
    approvals: Approvals,
    session: SessionEntry,
    ledger: Ledger,
    path: std::path::PathBuf,
    _folder: TempDir,
    /// Paused time jumps ahead when the runtime has nothing to do, and waiting for SQLite looks like that. A blocking task
    /// that never ends keeps it from jumping; dropping this ends the task.
    _brake: std::sync::mpsc::Sender<()>,
}

impl Desk {
    async fn open() -> Self {
        let (brake, released) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || released.recv());
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("ledger.db");
        let ledger = Ledger::open(&path).await.unwrap();
        let session = ledger.session(session_start()).await.unwrap();
        Self {
            approvals: Approvals::new(ledger.clone()),
            session,
            ledger,
            path,
            _folder: folder,
            _brake: brake,
        }
    }

    async fn exchange(&self) -> ExchangeEntry {
        self.session.exchange(exchange_start()).await.unwrap()
    }

    /// Holds a request in a task of its own, and returns when it waits or is answered.
    async fn hold(&self, pending: Pending) -> (ExchangeEntry, JoinHandle<Verdict>) {
        let exchange = self.exchange().await;
        let pending = Pending {
            exchange: exchange.id(),
            ..pending
        };
        let approvals = self.approvals.clone();
        let held = tokio::spawn(async move { approvals.hold(pending, HOLD).await });
        while !held.is_finished() && !self.is_asked(&exchange).await {
            settle().await;
        }
        (exchange, held)
    }

    async fn is_asked(&self, exchange: &ExchangeEntry) -> bool {
        let waiting = self.approvals.list().await.unwrap();
        waiting
            .iter()
            .any(|w| w.exchange == exchange.id() && w.held)
    }

    async fn asked(&self, exchange: &ExchangeEntry) {
        while !self.is_asked(exchange).await {
            settle().await;
        }
    }

    async fn recorded(&self, exchange: &ExchangeEntry) -> crate::record::Approval {
        let id = exchange.id().to_string();
        let replay = self.ledger.reader().session_of(&id).await.unwrap();
        let mut exchanges = replay.session.exchanges.into_iter();
        let found = exchanges.find(|found| found.id == exchange.id()).unwrap();
        found.approval.unwrap()
    }

    async fn sql(&self, statement: &'static str) {
        use sqlx::ConnectOptions;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.path);
        let mut db = options.foreign_keys(false).connect().await.unwrap();
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }
}

/// Lets every task run that can run.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn request(n: u8) -> Pending {
    Pending {
        exchange: "0000000000000000".parse().unwrap(),
        identity: "research-agent".into(),
        requester_uid: 1000,
        destination: "api.internal:443".into(),
        action: "http.write".into(),
        summary: "POST /orders".into(),
        digest: [n; 32],
        asks: vec![Ask {
            policy: "writes".into(),
            approvers: vec!["dba".into()],
            people: 1,
            within: Duration::from_secs(600),
            message: None,
        }],
        policy_version: "v1".into(),
    }
}

fn granted() -> Verdict {
    Verdict::Granted {
        by: "root".into(),
        approvals: ["dba".to_owned()].into(),
    }
}

fn admin() -> Approver {
    Approver {
        name: "root".into(),
        uid: 0,
    }
}

fn session_start() -> SessionStart {
    SessionStart {
        identity: "research-agent".into(),
        workload: "/agents/research".into(),
        mode: "enforce".into(),
        process: Process {
            pid: 1,
            start: Time::from_unix_ms(0),
            exe: "/usr/bin/python3".into(),
            argv: Vec::new(),
            cgroup: "/agents/research".into(),
        },
        containment: "hooks".into(),
        origin: "127.0.0.2:443".parse().unwrap(),
        name: None,
    }
}

fn exchange_start() -> ExchangeStart {
    ExchangeStart {
        protocol: "h2".into(),
        action: "http.write".into(),
        service: "internal".into(),
        method: None,
        path: None,
        model: None,
        stream: None,
        decision: Decision::Ask,
        would: None,
        policies: vec!["writes".into()],
        obligations: Vec::new(),
        findings: Vec::new(),
        reason: None,
        policy_version: "v1".into(),
        query: serde_json::Value::Null,
    }
}

const HOLD: Duration = Duration::from_secs(50);
