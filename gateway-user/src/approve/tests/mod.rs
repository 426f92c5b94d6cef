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
use crate::record::{
    Decision, Direction, ExchangeEntry, ExchangeStart, Process, SessionEntry, SessionStart,
};

mod answers;
mod limits;
mod many;
mod restart;

/// A ledger, its questions, and a clock that stands still.
struct Desk {
    approvals: Approvals,
    session: SessionEntry,
    ledger: Ledger,
    folder: TempDir,
    /// Paused time jumps ahead when the runtime has nothing to do, and waiting for SQLite looks like that. A blocking task
    /// that never ends keeps it from jumping; dropping this ends the task.
    _brake: std::sync::mpsc::Sender<()>,
}

impl Desk {
    async fn open() -> Self {
        Self::of(TempDir::new().unwrap()).await
    }

    /// The next daemon on what the first has on disk by now, as if that had been killed.
    async fn restarted(&self) -> Self {
        let folder = TempDir::new().unwrap();
        for file in [FILE.to_owned(), format!("{FILE}-wal")] {
            std::fs::copy(self.folder.path().join(&file), folder.path().join(file)).unwrap();
        }
        Self::of(folder).await
    }

    async fn of(folder: TempDir) -> Self {
        let (brake, released) = std::sync::mpsc::channel();
        tokio::task::spawn_blocking(move || released.recv());
        let ledger = Ledger::open(&folder.path().join(FILE)).await.unwrap();
        Self {
            approvals: Approvals::open(ledger.clone()).await.unwrap(),
            session: ledger.session(session_start()).await.unwrap(),
            ledger,
            folder,
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
        let held = tokio::spawn(async move { approvals.hold(pending, HOLD, |_| ()).await });
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

    /// How often the approval that this exchange asked for was used, by the ledger.
    async fn used(&self, exchange: &str) -> u32 {
        let asked = sqlx::query_scalar("SELECT used FROM approval WHERE exchange = ?");
        asked
            .bind(exchange)
            .fetch_one(&mut self.db().await)
            .await
            .unwrap()
    }

    async fn sql(&self, statement: &'static str) {
        let statement = sqlx::query(statement);
        statement.execute(&mut self.db().await).await.unwrap();
    }

    async fn db(&self) -> sqlx::SqliteConnection {
        use sqlx::ConnectOptions;
        let path = self.folder.path().join(FILE);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        options.foreign_keys(false).connect().await.unwrap()
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
        direction: Direction::Outbound,
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
const FILE: &str = "ledger.db";
