//! A refusal inside a stream, whose head has gone out: the library raises its own exception, after one request.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use tests::harness::WAIT;

use crate::calls::{CHAT, FAMILIES, chats, is_refusal, texts};
use crate::world::{Script, World, text};

/// Longer than a refusal that still has a status is waited for, and than httpx waits for a silent server unless it is told to.
const HEAD_IS_OUT: Duration = Duration::from_secs(6);

/// The ways of a client that stream from the model. LangGraph's own streams are of its states; the model it asks for a whole answer.
fn streams(client: &str, model: &str, prompt: &str) -> Vec<Value> {
    let streams = |call: &Value| call["stream"] == true && call["client"] != "langgraph";
    texts(client, model, prompt)
        .into_iter()
        .filter(streams)
        .collect()
}

/// A model of the same provider that waits for a person.
fn reviewed(model: &str) -> &'static str {
    match model.split('-').next() {
        Some("gpt") => "gpt-5-review",
        Some("gemini") => "gemini-review",
        Some("claude") => "claude-review",
        Some("command") => "command-review",
        Some("mistral") => "mistral-review",
        Some("openai/gpt") => "openai/gpt-5-review",
        _ => "llama-review",
    }
}

#[test]
fn a_stream_that_cannot_be_masked_ends_with_the_librarys_exception() -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in chats()? {
        let calls: Vec<Value> = clients
            .iter()
            .flat_map(|(client, model)| streams(client, model, "please say it twice"))
            .collect();
        let control = world.untagged(&script, &calls)?;
        for result in &control {
            let said = "You said: please say it twice";
            assert_eq!(
                text(result, "text"),
                said,
                "the control run failed: {result:#}"
            );
        }
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let results = world.tagged(&script, &calls)?;
        let exchanges = world.daemon.ended_after(seen, calls.len())?;
        assert_eq!(
            exchanges.len(),
            calls.len(),
            "a client tried again: {exchanges:#?}"
        );
        assert_eq!(world.upstream.take().len(), calls.len());
        for ((call, result), exchange) in calls.iter().zip(&results).zip(&exchanges) {
            assert!(
                is_refusal(call, result, true),
                "{call}: {result:#}\n{}",
                world.daemon.log()
            );
            let message = text(result, "message");
            let id = text(exchange, "id");
            assert!(
                message.contains("Tollgate withheld the rest of the answer"),
                "{message}"
            );
            assert!(
                message.contains(&format!("tollgate replay {id}")),
                "{message}"
            );
            assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
            assert!(
                text(exchange, "reason").contains("\"twice\" twice"),
                "{exchange:#}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_stream_that_a_person_denies_ends_with_the_librarys_exception() -> anyhow::Result<()> {
    denied(&Script::python_at_once()?, CHAT)?;
    denied(&Script::families_at_once()?, FAMILIES)
}

fn denied(script: &Script, clients: &[(&str, &str)]) -> anyhow::Result<()> {
    let world = World::new()?;
    let mut calls: Vec<Value> = clients
        .iter()
        .flat_map(|(client, model)| streams(client, reviewed(model), "hello"))
        .collect();
    // A denial answers every identical request.
    for (nth, call) in calls.iter_mut().enumerate() {
        call["prompt"] = json!(format!("hello {nth}"));
    }
    let results = thread::scope(|scope| -> anyhow::Result<Vec<Value>> {
        let running = scope.spawn(|| world.tagged(script, &calls));
        let started = std::time::Instant::now();
        while world.daemon.approvals()?.len() < calls.len() {
            anyhow::ensure!(started.elapsed() < WAIT, "{}", world.daemon.log());
            thread::sleep(Duration::from_millis(200));
        }
        thread::sleep(HEAD_IS_OUT);
        for approval in world.daemon.approvals()? {
            let denied = ["deny", approval.id.as_str(), "--reason", "not today"];
            world.daemon.run(&denied)?.success()?;
        }
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    for (call, result) in calls.iter().zip(&results) {
        assert!(
            is_refusal(call, result, true),
            "{call}: {result:#}\n{}",
            world.daemon.log()
        );
        assert!(
            text(result, "message").contains("not today"),
            "{call}: {result:#}"
        );
    }
    let exchanges = world.daemon.ended_after(0, calls.len())?;
    assert_eq!(
        exchanges.len(),
        calls.len(),
        "a client tried again: {exchanges:#?}"
    );
    for exchange in &exchanges {
        let id = text(exchange, "id");
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
        let told =
            |result: &&Value| text(result, "message").contains(&format!("tollgate replay {id}"));
        assert_eq!(results.iter().filter(told).count(), 1, "{id}: {results:#?}");
    }
    assert_eq!(world.upstream.received().len(), 0);
    Ok(())
}
