//! What is on disk when, and what the objects look like.

use serde_json::json;

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
            "containment": "hooks", "direction": "outbound", "origin": "127.0.0.2:443", "name": "api.openai.com", "sni": "api.openai.com",
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
    assert_eq!(explained.obligations, ["mask:pii"]);
    assert_eq!(
        (explained.outcome, explained.reason),
        (Some(Outcome::Completed), None)
    );
    assert_eq!(explained.response.unwrap().text, "hello");

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
    let left = async || {
        let (_folder, copy) = killed(&path);
        let replay = only(&Ledger::open(&copy).await.unwrap()).await;
        let exchange = &replay.session.exchanges[0];
        (exchange.decision, exchange.outcome, exchange.reason.clone())
    };
    let unknown = |decision, reason: &str| (decision, Some(Outcome::Unknown), Some(reason.into()));
    let stopped = "the daemon stopped before it ended";
    assert_eq!(left().await, unknown(Decision::Ask, stopped));
    exchange
        .decided(Decided {
            decision: Decision::Deny,
            policies: vec!["writes-need-dba".into()],
            obligations: Vec::new(),
            reason: Some("denied by root".into()),
        })
        .await
        .unwrap();
    assert_eq!(left().await, unknown(Decision::Deny, "denied by root"));
    exchange.close(closed(Outcome::Refused)).await.unwrap();
    let refused = Some(Outcome::Refused);
    let denied = (Decision::Deny, refused, Some("denied by root".into()));
    assert_eq!(left().await, denied);
    // And so it is once the store has caught up.
    ledger.flush().await.unwrap();
    assert_eq!(left().await, denied);
}

/// However the changes of an entry fall into batches, the row is the same.
#[tokio::test]
async fn rows_do_not_depend_on_batches() {
    let mut seen = Vec::new();
    for flushed in 0..32 {
        let (_folder, path) = place();
        let ledger = Ledger::open(&path).await.unwrap();
        let pause = async |step| {
            if flushed & (1 << step) != 0 {
                ledger.flush().await.unwrap();
            }
        };
        let session = ledger.session(session_start()).await.unwrap();
        pause(0).await;
        session.set_tls(Some("a"), None, Some("b")).unwrap();
        pause(1).await;
        session.set_tls(Some("a"), Some("h2"), None).unwrap();
        let start = ExchangeStart {
            decision: Decision::Ask,
            reason: Some("asked".into()),
            ..exchange_start()
        };
        let mut exchange = session.exchange(start).await.unwrap();
        exchange.request(b"said");
        pause(2).await;
        let decided = Decided {
            decision: Decision::Permit,
            policies: vec!["later".into()],
            obligations: Vec::new(),
            reason: None,
        };
        exchange.decided(decided).await.unwrap();
        pause(3).await;
        exchange.close(closed(Outcome::Completed)).await.unwrap();
        pause(4).await;
        drop(session);
        let replay = only(&ledger).await;
        assert!(replay.session.ended.is_some());
        let mut value = serde_json::to_value(&replay.session).unwrap();
        for field in ["id", "started", "ended"] {
            value[field] = json!(null);
        }
        for field in ["id", "at", "ms"] {
            value["exchanges"][0][field] = json!(null);
        }
        seen.push(value);
    }
    assert_eq!(seen[0]["name"], "b");
    assert_eq!(seen[0]["alpn"], "h2");
    assert_eq!(seen[0]["exchanges"][0]["decision"], "permit");
    assert_eq!(seen[0]["exchanges"][0]["reason"], json!(null));
    assert_eq!(seen[0]["exchanges"][0]["request"]["text"], "said");
    assert!(seen.iter().all(|value| *value == seen[0]), "{seen:#?}");
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
