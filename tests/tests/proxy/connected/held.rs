//! An answer for which a person is asked: its message waits as a request over HTTP does, and so does what comes behind it.

use anyhow::Context;
use serde_json::{Value, json};

use super::{ANSWERS, create, open, weather};
use crate::{
    fixture::Proxy,
    realtime::{CALLS, Talk, WAYS},
    socket::frame,
};

const ASKED: &str = r#"
@id("asked")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "gpt-5-mini" }
unless { context.approvals.contains("oncall") };
"#;

fn mini(prompt: &str) -> Value {
    create(prompt, json!({"model": "gpt-5-mini", "stream_id": "mini"}))
}

/// What the upstream was asked, in its order.
fn asked(proxy: &Proxy) -> Vec<String> {
    let sent = proxy.upstream.take().into_iter();
    let talks = sent.filter(|received| received.method == "talk");
    talks.map(|received| received.text().to_string()).collect()
}

/// The error that stands in the place of an answer.
async fn denied(talk: &mut Talk) -> anyhow::Result<Value> {
    loop {
        let event = talk.hear().await?.context("the connection was closed")?;
        if event["type"] == "error" {
            return Ok(event);
        }
    }
}

#[tokio::test]
async fn a_message_waits_for_a_person_and_what_comes_behind_it_waits_too() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[ANSWERS, ASKED].concat()).await?;
    for (way, approved) in [
        (WAYS[0], true),
        (WAYS[1], true),
        (WAYS[0], false),
        (WAYS[1], false),
    ] {
        let mut talk = open(&proxy, way).await?;
        talk.say(&mini(&format!("the first, {approved} {}", way.0)))
            .await?;
        let question = proxy.questions(1).await?.remove(0);
        assert_eq!(
            (&question["summary"], &question["action"]),
            (
                &json!("GET /v1/responses gpt-5-mini"),
                &json!("llm.generate")
            )
        );
        talk.say(&create("the second", json!({}))).await?;
        talk.socket.send(&frame(0x89, b"there?")).await?;
        let pong = talk.socket.frame().await?.context("no pong")?;
        assert_eq!((pong.first, &*pong.payload), (0x8a, &b"there?"[..]));
        assert_eq!(asked(&proxy), [""; 0]);
        if approved {
            proxy.approve().await?;
            let first = talk.until("response.completed").await?;
            assert_eq!(first["stream_id"], "mini");
        } else {
            proxy.deny("not today").await?;
            let error = denied(&mut talk).await?;
            assert_eq!(
                (&error["status"], &error["stream_id"]),
                (&json!(403), &json!("mini"))
            );
            let message = error["error"]["message"].as_str().unwrap_or_default();
            assert!(
                message.contains("somebody denied it: not today"),
                "{message}"
            );
        }
        // The connection stays.
        let second = talk.until("response.completed").await?;
        assert_eq!(second["stream_id"], Value::Null);
        talk.say(&create("the third", json!({}))).await?;
        talk.until("response.completed").await?;
        talk.bye().await?;
        let heard: Vec<bool> = asked(&proxy)
            .iter()
            .map(|asked| asked.contains("the first"))
            .collect();
        let expected: &[bool] = match approved {
            true => &[true, false, false],
            false => &[false, false],
        };
        assert_eq!(heard, expected);
    }
    let exchanges = proxy.ended(4 * WAYS.len() * 2).await?;
    for exchange in exchanges
        .iter()
        .filter(|found| found["model"] == "gpt-5-mini")
    {
        let (state, end) = match exchange["approval"]["state"] == "approved" {
            true => ("approved", ("permit", "completed")),
            false => ("denied", ("deny", "refused")),
        };
        assert_eq!(exchange["approval"]["state"], state, "{exchange:#}");
        assert_eq!(exchange["decision"], end.0, "{exchange:#}");
        assert_eq!(exchange["outcome"], end.1, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_nobody_answers_is_refused_in_time() -> anyhow::Result<()> {
    let soon = ASKED.replace("10m", "1s");
    let proxy = Proxy::governed_by(&[ANSWERS, &soon].concat()).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&mini("hello")).await?;
    let error = denied(&mut talk).await?;
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("nobody in oncall answered in time"),
        "{message}"
    );
    talk.say(&create("hello", json!({}))).await?;
    talk.until("response.completed").await?;
    Ok(())
}

#[tokio::test]
async fn an_approval_counts_for_one_message_and_waits_for_the_same_in_the_next_connection()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[ANSWERS, ASKED].concat()).await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&mini("hello")).await?;
    proxy.questions(1).await?;
    talk.bye().await?;
    proxy.ended(2).await?;
    proxy.approve().await?;
    let mut talk = open(&proxy, WAYS[0]).await?;
    talk.say(&mini("hello")).await?;
    talk.until("response.completed").await?;
    talk.say(&mini("hello")).await?;
    assert_eq!(proxy.questions(1).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_no_longer_permitted_ends_the_conversation() -> anyhow::Result<()> {
    let forbidden = |model: &str| {
        format!(
            "@id(\"{model}-no-more\") forbid (principal, action == Action::\"llm.generate\", resource) when {{ context.model == \"{model}\" }};"
        )
    };
    let before = [ANSWERS, CALLS].concat();
    let proxy = Proxy::governed_by(&before).await?;
    for way in WAYS {
        proxy.govern(&before)?;
        let mut talk = open(&proxy, way).await?;
        talk.say(&create("hello", json!({"model": "gpt-5-mini"})))
            .await?;
        talk.until("response.completed").await?;
        // Its call waits for a person.
        talk.say(&weather("Paris")).await?;
        proxy.questions(1).await?;
        // What is over does not matter any more.
        proxy.govern(&[&before, &*forbidden("gpt-5-mini")].concat())?;
        talk.socket.send(&frame(0x89, b"there?")).await?;
        while talk.socket.frame().await?.context("no pong")?.first != 0x8a {}
        proxy.govern(&[&before, &*forbidden("gpt-5")].concat())?;
        let (message, code) = talk.refused().await?;
        assert!(
            message.contains("policy changed: gpt-5-no-more"),
            "{message}"
        );
        assert_eq!(code, 1008);
    }
    let exchanges = proxy.ended(4 * WAYS.len()).await?;
    let outcome = |model: &str, action: &str| {
        let of = exchanges.iter();
        let of = of.filter(|found| found["model"] == model && found["action"] == action);
        Vec::from_iter(of.map(|found| found["outcome"].clone()))
    };
    let both = |outcome: &str| vec![json!(outcome); WAYS.len()];
    assert_eq!(outcome("gpt-5-mini", "llm.generate"), both("completed"));
    assert_eq!(outcome("gpt-5", "llm.generate"), both("aborted"));
    assert_eq!(outcome("", "llm.generate"), both("aborted"));
    Ok(())
}
