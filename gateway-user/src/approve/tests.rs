//! Questions and answers over a real ledger. Time stands still in these tests and moves only when one says so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::advance;

use super::*;
use crate::record::{Decision, ExchangeEntry, ExchangeStart, Process, SessionEntry, SessionStart};

#[tokio::test(start_paused = true)]
async fn an_approval_releases_the_request_after_it_is_recorded() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let waiting = desk.approvals.list().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].held);
    assert_eq!(waiting[0].exchange, exchange.id());
    assert_eq!(waiting[0].left_ms, 600_000);
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Pending);

    // Named by the exchange's id, as the refusal shows it.
    let id = exchange.id().to_string();
    let reason = Some("change 42".to_owned());
    let question = desk.approvals.approve(&id, admin(), reason).await.unwrap();
    let recorded = desk.recorded(&exchange).await;
    assert_eq!(recorded.id, question);
    assert_eq!(recorded.state, ApprovalState::Approved);
    assert_eq!(recorded.by.as_deref(), Some("root"));
    assert_eq!(recorded.reason.as_deref(), Some("change 42"));
    assert_eq!(held.await.unwrap(), granted());
    assert!(desk.approvals.list().await.unwrap().is_empty());

    // The grant is used up.
    let (_exchange, again) = desk.hold(request(1)).await;
    assert!(!again.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_remembered_until_the_deadline() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let id = exchange.id().to_string();
    let reason = Some("not today".to_owned());
    desk.approvals.deny(&id, admin(), reason).await.unwrap();
    let verdict = held.await.unwrap();
    let no = Verdict::Denied {
        by: "root".into(),
        reason: "not today".into(),
    };
    assert_eq!(verdict, no);
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Denied);

    let mut other_uid = request(1);
    other_uid.requester_uid = 1001;
    let (_exchange, again) = desk.hold(other_uid).await;
    assert_eq!(again.await.unwrap(), no);
    let (_exchange, other) = desk.hold(request(2)).await;
    assert!(!other.is_finished());

    advance(Duration::from_secs(600)).await;
    let (_exchange, later) = desk.hold(request(1)).await;
    assert!(!later.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_identical_retry_passes_once_after_a_late_approval() {
    let desk = Desk::open().await;
    let (first, held) = desk.hold(request(1)).await;
    advance(HOLD).await;
    let Verdict::StillPending { id } = held.await.unwrap() else {
        panic!("the hold is over")
    };
    assert!(!desk.approvals.list().await.unwrap()[0].held);

    let id = id.to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(desk.recorded(&first).await.state, ApprovalState::Approved);
    for changed in [
        Pending {
            digest: [9; 32],
            ..request(1)
        },
        Pending {
            identity: "other".into(),
            ..request(1)
        },
        Pending {
            destination: "db.internal:443".into(),
            ..request(1)
        },
        Pending {
            action: "http.read".into(),
            ..request(1)
        },
        Pending {
            policy_version: "v2".into(),
            ..request(1)
        },
        Pending {
            requester_uid: 1001,
            ..request(1)
        },
    ] {
        let (_exchange, held) = desk.hold(changed).await;
        assert!(!held.is_finished());
    }
    let (retry, held) = desk.hold(request(1)).await;
    assert_eq!(held.await.unwrap(), granted());
    assert_eq!(desk.recorded(&retry).await.id.to_string(), id);
    let (_exchange, held) = desk.hold(request(1)).await;
    assert!(!held.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_its_deadline() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    advance(HOLD).await;
    assert!(matches!(held.await.unwrap(), Verdict::StillPending { .. }));
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    advance(Duration::from_secs(600) - HOLD).await;
    let (_exchange, late) = desk.hold(request(1)).await;
    assert!(!late.is_finished());
}

#[tokio::test(start_paused = true)]
async fn nobody_answering_is_a_refusal_on_record() {
    let desk = Desk::open().await;
    let mut short = request(1);
    short.asks[0].within = Duration::from_secs(5);
    let (exchange, held) = desk.hold(short).await;
    advance(Duration::from_millis(4999)).await;
    settle().await;
    assert!(!held.is_finished());
    advance(Duration::from_millis(1)).await;
    assert_eq!(held.await.unwrap(), Verdict::Expired);
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Expired);
    let id = exchange.id().to_string();
    let late = desk.approvals.approve(&id, admin(), None).await;
    assert!(matches!(late, Err(ApproveError::NotWaiting(_))));
}

#[tokio::test(start_paused = true)]
async fn the_requester_cannot_approve_but_may_withdraw() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    let requester = Approver {
        name: "agent".into(),
        uid: 1000,
    };
    let id = exchange.id().to_string();
    let own = desk.approvals.approve(&id, requester.clone(), None).await;
    assert!(matches!(own, Err(ApproveError::OwnRequest { uid: 1000 })));
    assert_eq!(desk.recorded(&exchange).await.state, ApprovalState::Pending);
    desk.approvals.deny(&id, requester, None).await.unwrap();
    assert!(matches!(held.await.unwrap(), Verdict::Denied { .. }));
}

#[tokio::test(start_paused = true)]
async fn two_identical_requests_are_two_questions() {
    let desk = Desk::open().await;
    let (one, held_one) = desk.hold(request(1)).await;
    let (_two, held_two) = desk.hold(request(1)).await;
    assert_eq!(desk.approvals.list().await.unwrap().len(), 2);
    let id = one.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(held_one.await.unwrap(), granted());
    settle().await;
    assert!(!held_two.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_leaves_its_question_to_the_retry() {
    let desk = Desk::open().await;
    let (_one, held) = desk.hold(request(1)).await;
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    let (two, held) = desk.hold(request(1)).await;
    let waiting = desk.approvals.list().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].exchange, two.id());
    let id = waiting[0].id.to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    assert_eq!(held.await.unwrap(), granted());
}

#[tokio::test(start_paused = true)]
async fn a_grant_lost_on_its_way_is_still_there() {
    let desk = Desk::open().await;
    let (exchange, _entry) = (desk.exchange().await, ());
    let pending = Pending {
        exchange: exchange.id(),
        ..request(1)
    };
    let mut hold = Box::pin(desk.approvals.hold(pending, HOLD));
    tokio::select! {
        biased;
        _ = &mut hold => panic!("nobody has answered"),
        () = desk.asked(&exchange) => {}
    }
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    // The verdict is in the channel, and the client is gone before it is read.
    drop(hold);
    let (_exchange, retry) = desk.hold(request(1)).await;
    assert_eq!(retry.await.unwrap(), granted());
}

#[tokio::test(start_paused = true)]
async fn every_ask_is_granted_by_one_approval_of_the_admin() {
    let desk = Desk::open().await;
    let mut two = request(1);
    two.asks.push(Ask {
        policy: "cost".into(),
        approvers: vec!["finance".into(), "heads".into()],
        ..two.asks[0].clone()
    });
    let (exchange, held) = desk.hold(two).await;
    let id = exchange.id().to_string();
    desk.approvals.approve(&id, admin(), None).await.unwrap();
    let Verdict::Granted { approvals, .. } = held.await.unwrap() else {
        panic!("granted")
    };
    assert!(approvals.iter().eq(["dba", "finance", "heads"]));
}

#[tokio::test(start_paused = true)]
async fn what_one_admin_cannot_grant_is_denied_at_once() {
    let desk = Desk::open().await;
    let mut people = request(1);
    people.asks[0].people = 2;
    let mut nobody = request(1);
    nobody.asks[0].approvers.clear();
    let nothing = Pending {
        asks: Vec::new(),
        ..request(1)
    };
    for (impossible, why) in [
        (
            people,
            "policy \"writes\" wants 2 people, and the local admin is one",
        ),
        (nobody, "policy \"writes\" names no approver"),
        (nothing, "nothing says who may approve it"),
    ] {
        let (_exchange, held) = desk.hold(impossible).await;
        assert_eq!(held.await.unwrap(), denied(why.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_number_of_questions_is_bounded() {
    let desk = Desk::open().await;
    let exchange = desk.exchange().await.id();
    let mut held = Vec::new();
    for n in 0..1000_u32 {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&n.to_be_bytes());
        let approvals = desk.approvals.clone();
        let pending = Pending {
            exchange,
            digest,
            identity: format!("agent-{}", n / 100),
            ..request(1)
        };
        held.push(tokio::spawn(
            async move { approvals.hold(pending, HOLD).await },
        ));
    }
    while desk.approvals.list().await.unwrap().len() < 1000 {
        settle().await;
    }
    let (_exchange, full) = desk.hold(request(1)).await;
    let verdict = full.await.unwrap();
    assert_eq!(
        verdict,
        denied("too many requests wait for approval".into())
    );

    // With room in general, one identity still has its own limit.
    let waiting = desk.approvals.list().await.unwrap();
    let id = waiting[999].id.to_string();
    desk.approvals.deny(&id, admin(), None).await.unwrap();
    let crowd = Pending {
        identity: "agent-0".into(),
        ..request(1)
    };
    let (_exchange, full) = desk.hold(crowd).await;
    let why = "too many requests of agent-0 wait for approval";
    assert_eq!(full.await.unwrap(), denied(why.into()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_recorded_does_not_count() {
    let desk = Desk::open().await;
    let (exchange, held) = desk.hold(request(1)).await;
    // The row is gone, so the answer has nothing to be written to.
    desk.sql("UPDATE exchange SET approval = NULL").await;
    desk.sql("DELETE FROM approval").await;
    let id = exchange.id().to_string();
    let failed = desk.approvals.approve(&id, admin(), None).await;
    assert!(matches!(failed, Err(ApproveError::Ledger(_))));
    settle().await;
    assert!(!held.is_finished());
    assert_eq!(desk.approvals.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_in_the_ledger_is_denied() {
    let desk = Desk::open().await;
    let absent: Id = "01JD7K00000000AA".parse().unwrap();
    let pending = Pending {
        exchange: absent,
        ..request(1)
    };
    let verdict = desk.approvals.hold(pending, HOLD).await;
    assert!(matches!(verdict, Verdict::Denied { by, .. } if by == "tollgate"));
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_is_checked() {
    let desk = Desk::open().await;
    let (_one, _held_one) = desk.hold(request(1)).await;
    let (_two, _held_two) = desk.hold(request(2)).await;
    let short = &desk.approvals.list().await.unwrap()[0].id.to_string()[..6];
    let answer = async |id: &str| desk.approvals.approve(id, admin(), None).await;
    assert!(matches!(
        answer(short).await,
        Err(ApproveError::Lookup(LookupError::Ambiguous { .. }))
    ));
    assert!(matches!(
        answer("nonsense!").await,
        Err(ApproveError::Lookup(LookupError::NotAnId(_)))
    ));
    assert!(matches!(
        answer("ZZZZZZ").await,
        Err(ApproveError::NotWaiting(_))
    ));
}

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
