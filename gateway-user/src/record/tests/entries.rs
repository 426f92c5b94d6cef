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
        assert!(poll_once(&mut opening).await.is_none());
    }
    ledger.flush().await.unwrap();
    let replay = only(&ledger).await;
    assert_eq!(replay.session.exchanges[0].outcome, Some(Outcome::Aborted));
}
