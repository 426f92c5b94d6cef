//! The ledger as its callers see it: what is committed when, what survives what, who may open it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::*;

#[tokio::test]
async fn a_session_prints_the_agreed_fields() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    session
        .set_tls(Some("api.openai.com"), Some("h2"), Some("api.openai.com"))
        .unwrap();
    let mut exchange = session.exchange(exchange_start()).await.unwrap();
    exchange.request(b"{\"model\":\"gpt-5-mini\"}");
    exchange.response(b"hel");
    exchange.response(b"lo");
    let (id, exchange_id) = (session.id(), exchange.id());
    exchange.close(closed(Outcome::Completed)).await.unwrap();

    let open = ledger.reader().sessions(&all()).await.unwrap();
    assert_eq!(open[0].ended, None);
    session.close();
    ledger.flush().await.unwrap();

    let sessions = ledger.reader().sessions(&all()).await.unwrap();
    let printed = serde_json::to_value(&sessions[0]).unwrap();
    let exchange = &sessions[0].exchanges[0];
    assert_eq!(
        printed,
        json!({
            "id": id, "started": sessions[0].started, "ended": sessions[0].ended.unwrap(),
            "identity": "research-agent", "workload": "/agents/research", "mode": "enforce",
            "process": { "pid": 4711, "start": "2026-11-20T11:39:28.007Z", "exe": "/usr/bin/python3.13",
                         "argv": ["python", "agent.py"], "cgroup": "/agents/research" },
            "containment": "hooks", "origin": "127.0.0.2:443", "name": "api.openai.com", "sni": "api.openai.com",
            "alpn": "h2",
            "exchanges": [{
                "id": exchange_id, "at": exchange.at, "protocol": "h2", "action": "llm.generate", "service": "openai",
                "method": "POST", "path": "/v1/chat/completions", "model": "gpt-5-mini", "stream": true,
                "decision": "permit", "would": null, "policies": ["chat"], "obligations": ["mask:pii"],
                "findings": [{ "detector": "email", "class": "pii", "count": 3 },
                             { "detector": "credit-card", "class": "pii", "count": 1 }],
                "approval": null, "status": 200, "usage": { "input": 12, "output": 3 }, "outcome": "completed",
                "reason": null, "ms": exchange.ms.unwrap(), "policy_version": "v1",
            }],
        })
    );

    let replay = ledger
        .reader()
        .session_of(&exchange_id.to_string())
        .await
        .unwrap();
    assert_eq!(replay.focus, Some(exchange_id));
    let said = &replay.session.exchanges[0];
    assert_eq!(
        said.request.as_ref().unwrap().text,
        "{\"model\":\"gpt-5-mini\"}"
    );
    assert_eq!(said.response.as_ref().unwrap().text, "hello");
    let explained = ledger
        .reader()
        .explained(&exchange_id.to_string())
        .await
        .unwrap();
    assert_eq!(explained.query, json!({ "action": "llm.generate" }));

    let text = serde_json::to_string(&replay).unwrap();
    assert_eq!(serde_json::from_str::<Replay>(&text).unwrap(), replay);
}

#[tokio::test]
async fn the_decision_is_on_disk_before_the_caller_goes_on() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let start = ExchangeStart {
        decision: Decision::Ask,
        ..exchange_start()
    };
    let exchange = session.exchange(start).await.unwrap();
    let mut other = connect(&path).await;
    assert_eq!(word(&mut other, "decision").await, "ask");
    exchange
        .decided(Decided {
            decision: Decision::Deny,
            policies: vec!["writes-need-dba".into()],
            obligations: Vec::new(),
            reason: Some("denied by root".into()),
        })
        .await
        .unwrap();
    assert_eq!(word(&mut other, "decision").await, "deny");
    assert_eq!(word(&mut other, "reason").await, "denied by root");
    exchange.close(closed(Outcome::Refused)).await.unwrap();
    assert_eq!(word(&mut other, "outcome").await, "refused");
    assert_eq!(word(&mut other, "reason").await, "denied by root");
}

#[tokio::test]
async fn a_dropped_exchange_is_aborted_once_with_what_was_said() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let mut exchange = session.exchange(exchange_start()).await.unwrap();
    exchange.response(b"so far");
    drop(exchange);
    drop(session);
    ledger.flush().await.unwrap();
    let replay = only(&ledger).await;
    assert!(replay.session.ended.is_some());
    let exchange = &replay.session.exchanges[0];
    assert_eq!(exchange.outcome, Some(Outcome::Aborted));
    assert_eq!(exchange.response.as_ref().unwrap().text, "so far");
}

#[tokio::test]
async fn two_hundred_at_a_time_each_end_once() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let ledger = ledger.clone();
        tasks.spawn(async move {
            let session = ledger.session(session_start()).await.unwrap();
            let mut exchange = session.exchange(exchange_start()).await.unwrap();
            exchange.request(format!("request {n}").as_bytes());
            match n % 2 {
                0 => exchange.close(closed(Outcome::Completed)).await.unwrap(),
                _ => drop(exchange),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    ledger.flush().await.unwrap();
    let sessions = ledger.reader().sessions(&all()).await.unwrap();
    assert_eq!(sessions.len(), 200);
    let ended = |outcome| {
        let exchanges = sessions.iter().flat_map(|session| &session.exchanges);
        exchanges.filter(|e| e.outcome == Some(outcome)).count()
    };
    assert_eq!(
        (ended(Outcome::Completed), ended(Outcome::Aborted)),
        (100, 100)
    );
    assert!(sessions.is_sorted_by_key(|session| session.id));
}

#[tokio::test]
async fn an_abandoned_open_is_closed_too() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    {
        // The write is queued at the first poll; then the client hangs up.
        let mut opening = Box::pin(session.exchange(exchange_start()));
        assert!(futures_poll(&mut opening).await.is_none());
    }
    ledger.flush().await.unwrap();
    let replay = only(&ledger).await;
    assert_eq!(replay.session.exchanges[0].outcome, Some(Outcome::Aborted));
}

#[test]
fn a_killed_daemon_leaves_no_open_entry() {
    let (_folder, path) = place();
    let (mut acknowledged, mut closed_before) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (report, reports) = std::sync::mpsc::channel();
        runtime.block_on(async {
            let ledger = open_when_free(&path).await;
            for _ in 0..20 {
                let (ledger, report) = (ledger.clone(), report.clone());
                tokio::spawn(async move {
                    let session = ledger.session(session_start()).await.unwrap();
                    loop {
                        let exchange = session.exchange(exchange_start()).await.unwrap();
                        let id = exchange.id();
                        report.send((id, false)).unwrap();
                        exchange.close(closed(Outcome::Completed)).await.unwrap();
                        report.send((id, true)).unwrap();
                    }
                });
            }
            tokio::time::sleep(Duration::from_millis(3 * round)).await;
        });
        // The runtime goes away in the middle of whatever the writer is doing.
        runtime.shutdown_background();
        drop(report);
        for (id, ended) in reports {
            match ended {
                false => acknowledged.push(id),
                true => closed_before.push(id),
            }
        }
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = open_when_free(&path).await;
        let sessions = ledger.reader().sessions(&all()).await.unwrap();
        assert!(sessions.iter().all(|session| session.ended.is_some()));
        let ended: std::collections::HashMap<Id, Outcome> = sessions
            .iter()
            .flat_map(|session| &session.exchanges)
            .map(|exchange| (exchange.id, exchange.outcome.unwrap()))
            .collect();
        assert!(!acknowledged.is_empty());
        for id in &acknowledged {
            assert!(ended.contains_key(id), "{id} was acknowledged and is gone");
        }
        for id in &closed_before {
            assert_eq!(ended[id], Outcome::Completed, "{id} was closed and is not");
        }
    });
}

#[tokio::test]
async fn what_a_dead_daemon_left_open_is_unknown() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let exchange = session.exchange(exchange_start()).await.unwrap();
    let copy = path.with_file_name("copy.db");
    // A copy of the files is what a kill leaves behind.
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    let reopened = Ledger::open(&copy).await.unwrap();
    let replay = only(&reopened).await;
    assert_eq!(replay.session.id, session.id());
    assert!(replay.session.ended.is_some());
    let recorded = &replay.session.exchanges[0];
    assert_eq!(recorded.id, exchange.id());
    assert_eq!(recorded.decision, Decision::Permit);
    assert_eq!(recorded.outcome, Some(Outcome::Unknown));
    assert_eq!(
        recorded.reason.as_deref(),
        Some("the daemon stopped before it ended")
    );
}

#[tokio::test]
async fn a_full_disk_fails_closed_and_recovers() {
    let (_folder, path) = place();
    let options = store::writer_options(&path).pragma("max_page_count", "120");
    let ledger = Ledger::open_with(&path, options).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let survivor = session.exchange(exchange_start()).await.unwrap();
    let survivor_id = survivor.id();
    let mut filler = session.exchange(exchange_start()).await.unwrap();
    filler.request(&noise(200_000));
    filler.close(closed(Outcome::Completed)).await.unwrap();

    let mut written = 0;
    let error = loop {
        match session.exchange(exchange_start()).await {
            Ok(exchange) => {
                written += 1;
                exchange.close(closed(Outcome::Completed)).await.unwrap();
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, LedgerError::Write(_)), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert!(ledger.is_broken());
    assert!(written > 0);

    // The answer is too big for what is left: the outcome is reported as unwritten, and kept.
    let mut late = survivor;
    late.response(&noise(50_000));
    assert!(late.close(closed(Outcome::Completed)).await.is_err());
    assert!(matches!(ledger.flush().await, Err(LedgerError::Behind(1))));

    let mut other = connect(&path).await;
    sqlx::query("DELETE FROM body")
        .execute(&mut other)
        .await
        .unwrap();
    let start = Instant::now();
    while ledger.flush().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!ledger.is_broken());
    session.exchange(exchange_start()).await.unwrap();
    let replay = ledger
        .reader()
        .session_of(&survivor_id.to_string())
        .await
        .unwrap();
    assert_eq!(
        replay.session.exchanges[0].outcome,
        Some(Outcome::Completed)
    );
    assert_eq!(
        replay.session.exchanges[0].response.as_ref().unwrap().bytes,
        50_000
    );
}

#[tokio::test]
async fn one_process_writes_and_nobody_else_reads() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let _session = ledger.session(session_start()).await.unwrap();
    assert!(matches!(
        Ledger::open(&path).await,
        Err(LedgerError::InUse { .. })
    ));
    let folder = path.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
        files += 1;
    }
    assert_eq!(files, 4, "ledger, lock, -wal, -shm");
    // Reading needs no lock.
    let beside = Reader::open(&path).sessions(&all()).await.unwrap();
    assert_eq!(beside.len(), 1);
}

#[tokio::test]
async fn a_folder_that_others_write_is_refused() {
    let (_folder, path) = place();
    let folder = path.parent().unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Exposed { mode: 0o777, .. }));
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let (_folder, path) = place();
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::set_permissions(
        path.parent().unwrap(),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    let error = Ledger::open(&path).await.unwrap_err();
    assert!(matches!(error, LedgerError::Open { .. }), "{error}");
}

#[tokio::test]
async fn prefixes_find_one_session_or_say_why_not() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let one = ledger.session(session_start()).await.unwrap();
    let first = one.exchange(exchange_start()).await.unwrap();
    let _second = one.exchange(exchange_start()).await.unwrap();
    let reader = ledger.reader();

    // Session and exchanges share their beginning, but all of it leads to one session.
    let short = &one.id().to_string()[..6];
    let replay = reader.session_of(short).await.unwrap();
    assert_eq!((replay.session.id, replay.focus), (one.id(), None));
    let replay = reader.session_of(&first.id().to_string()).await.unwrap();
    assert_eq!(replay.focus, Some(first.id()));
    assert!(matches!(
        reader.explained(short).await,
        Err(LookupError::Ambiguous { .. })
    ));

    let two = ledger.session(session_start()).await.unwrap();
    match reader.session_of(short).await {
        Err(LookupError::Ambiguous { ids, .. }) => assert_eq!(ids, [one.id(), two.id()]),
        other => panic!("{other:?}"),
    }
    let absent = reader.session_of("ZZZZZZ").await;
    assert!(matches!(absent, Err(LookupError::NotFound(_))));
    let absent = reader.session_of("01").await;
    assert!(matches!(absent, Err(LookupError::Short(_))));
}

#[tokio::test]
async fn lists_are_filtered() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..6 {
        let start = SessionStart {
            identity: format!("agent-{}", n % 2),
            ..session_start()
        };
        let session = ledger.session(start).await.unwrap();
        let decision = if n == 3 {
            Decision::Deny
        } else {
            Decision::Permit
        };
        let start = ExchangeStart {
            decision,
            ..exchange_start()
        };
        session.exchange(start).await.unwrap();
        ids.push(session.id());
        if n == 5 {
            std::mem::forget(session);
        }
    }
    ledger.flush().await.unwrap();
    let list = async |filter: Filter| -> Vec<Id> {
        let sessions = ledger.reader().sessions(&filter).await.unwrap();
        sessions.iter().map(|session| session.id).collect()
    };
    assert_eq!(list(all()).await, ids);
    assert_eq!(list(Filter { limit: 2, ..all() }).await, ids[4..]);
    let of_one = Filter {
        identity: Some("agent-1".into()),
        ..all()
    };
    assert_eq!(list(of_one).await, [ids[1], ids[3], ids[5]]);
    assert_eq!(
        list(Filter {
            open: true,
            ..all()
        })
        .await,
        [ids[5]]
    );
    let denied = Filter {
        decision: Some(Decision::Deny),
        ..all()
    };
    assert_eq!(list(denied).await, [ids[3]]);
}

/// `cargo test -p gateway-user --release record::tests::measure -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a check"]
async fn measure() {
    let (_folder, path) = place();
    let ledger = Ledger::open(&path).await.unwrap();
    let session = ledger.session(session_start()).await.unwrap();
    let mut alone = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        let exchange = session.exchange(exchange_start()).await.unwrap();
        alone.push(start.elapsed());
        exchange.close(closed(Outcome::Completed)).await.unwrap();
    }
    alone.sort();
    println!("idle commit: p50 {:?}, p99 {:?}", alone[1000], alone[1980]);
    for tasks in [50, 200, 1000] {
        let each = 20_000 / tasks;
        let start = Instant::now();
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let ledger = ledger.clone();
            set.spawn(async move {
                let session = ledger.session(session_start()).await.unwrap();
                let mut slowest = Duration::ZERO;
                for _ in 0..each {
                    let opened = Instant::now();
                    let mut exchange = session.exchange(exchange_start()).await.unwrap();
                    slowest = slowest.max(opened.elapsed());
                    exchange.request(&[b'q'; 2000]);
                    exchange.response(&[b'a'; 2000]);
                    exchange.close(closed(Outcome::Completed)).await.unwrap();
                }
                slowest
            });
        }
        let slowest = set.join_all().await.into_iter().max().unwrap();
        let rate = f64::from(tasks * each) / start.elapsed().as_secs_f64();
        println!(
            "{tasks} at a time: {rate:.0} exchanges/s ({:.0} rows/s), slowest open {slowest:?}",
            rate * 4.0
        );
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state").join("ledger.db");
    (folder, path)
}

fn session_start() -> SessionStart {
    SessionStart {
        identity: "research-agent".into(),
        workload: "/agents/research".into(),
        mode: "enforce".into(),
        process: Process {
            pid: 4711,
            start: "2026-11-20T11:39:28.007Z".parse().unwrap(),
            exe: "/usr/bin/python3.13".into(),
            argv: vec!["python".into(), "agent.py".into()],
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
        action: "llm.generate".into(),
        service: "openai".into(),
        method: Some("POST".into()),
        path: Some("/v1/chat/completions".into()),
        model: Some("gpt-5-mini".into()),
        stream: Some(true),
        decision: Decision::Permit,
        would: None,
        policies: vec!["chat".into()],
        obligations: vec!["mask:pii".into()],
        findings: vec![finding("email", 2)],
        reason: None,
        policy_version: "v1".into(),
        query: json!({ "action": "llm.generate" }),
    }
}

fn closed(outcome: Outcome) -> Closed {
    Closed {
        outcome,
        status: Some(200),
        usage: Some(Usage {
            input: Some(12),
            output: Some(3),
        }),
        findings: vec![finding("email", 1), finding("credit-card", 1)],
        reason: None,
    }
}

fn finding(detector: &str, count: u64) -> Finding {
    Finding {
        detector: detector.into(),
        class: "pii".into(),
        count,
    }
}

fn all() -> Filter {
    Filter {
        limit: 1_000_000,
        identity: None,
        open: false,
        decision: None,
    }
}

async fn only(ledger: &Ledger) -> Replay {
    let sessions = ledger.reader().sessions(&all()).await.unwrap();
    assert_eq!(sessions.len(), 1);
    let id = sessions[0].id.to_string();
    ledger.reader().session_of(&id).await.unwrap()
}

async fn connect(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

async fn word(db: &mut SqliteConnection, column: &'static str) -> String {
    let query = format!("SELECT {column} FROM exchange");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .fetch_one(db)
        .await
        .unwrap()
}

/// After a runtime is gone its connection may live a moment longer in SQLite's own thread.
async fn open_when_free(path: &Path) -> Ledger {
    let start = Instant::now();
    loop {
        match Ledger::open(path).await {
            Ok(ledger) => return ledger,
            Err(LedgerError::InUse { .. }) if start.elapsed() < Duration::from_secs(5) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
