//! The ledger as its callers see it: what is committed when, what survives what, who may open it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tasks belong to a runtime that is killed on purpose"
)]

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::*;

mod entries;
mod lookup;
mod survival;

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
        direction: Direction::Outbound,
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
        cost: None,
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

/// What a kill at this moment would leave behind: a copy of the files, in a folder of their own.
fn killed(path: &Path) -> (TempDir, PathBuf) {
    let (folder, copy) = place();
    let to = copy.parent().unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        // SQLite makes the index of its log anew; a copy taken while it changes would be neither the old nor the new one.
        if !file.path().to_string_lossy().ends_with("-shm") {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    (folder, copy)
}
