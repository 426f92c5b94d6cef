//! A request that needs approval waits with its connection open, and goes on, is refused, or can be repeated after the approval.

use std::thread;

use serde_json::{Value, json};

use crate::world::{IDENTITY, Script, World, text};

#[test]
fn an_approved_request_goes_on() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    for call in held_calls() {
        let control = world.untagged(&script, std::slice::from_ref(&call))?;
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let results = thread::scope(|scope| {
            let running = scope.spawn(|| world.tagged(&script, std::slice::from_ref(&call)));
            let approval = world.daemon.approval()?;
            assert_eq!(
                approval.fields["identity"], IDENTITY,
                "{:#}",
                approval.fields
            );
            assert_eq!(
                world.upstream.received().len(),
                0,
                "sent before it was approved"
            );
            world
                .daemon
                .run(&["approve", &approval.id, "--reason", "seen"])?
                .success()?;
            running
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        assert_eq!(results, control, "{call}\n{}", world.daemon.log());
        assert_eq!(world.upstream.take().len(), 1);
        let exchanges = world.daemon.ended_after(seen, 1)?;
        assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
        assert_eq!(exchanges[0]["decision"], "permit", "{:#}", exchanges[0]);
        assert_eq!(exchanges[0]["outcome"], "completed", "{:#}", exchanges[0]);
        assert!(!exchanges[0]["approval"].is_null(), "{:#}", exchanges[0]);
        assert_eq!(world.daemon.approvals()?.len(), 0);
    }
    Ok(())
}

#[test]
fn a_denied_request_raises_the_librarys_exception() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    let call = &held_calls()[0];
    let results = thread::scope(|scope| {
        let running = scope.spawn(|| world.tagged(&script, std::slice::from_ref(call)));
        let approval = world.daemon.approval()?;
        world
            .daemon
            .run(&["deny", &approval.id, "--reason", "not today"])?
            .success()?;
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    assert_eq!(
        results[0]["error"], "PermissionDeniedError",
        "{:#}",
        results[0]
    );
    assert!(
        text(&results[0], "message").contains("not today"),
        "{:#}",
        results[0]
    );
    let exchanges = world.daemon.ended_after(0, 1)?;
    assert_eq!(
        (exchanges.len(), &exchanges[0]["outcome"]),
        (1, &json!("refused")),
        "{exchanges:#?}"
    );
    assert_eq!(world.upstream.received().len(), 0);
    Ok(())
}

#[test]
fn after_the_clients_time_is_up_the_identical_request_passes_once_approved() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    let mut call = held_calls()[0].clone();
    call["timeout"] = json!(4);
    let results = world.tagged(&script, std::slice::from_ref(&call))?;
    assert_eq!(
        results[0]["error"],
        "PermissionDeniedError",
        "{:#}\n{}",
        results[0],
        world.daemon.log()
    );
    assert!(
        text(&results[0], "message").contains("approv"),
        "{:#}",
        results[0]
    );
    assert_eq!(world.daemon.exchanges()?.len(), 1, "the client tried again");
    let approval = world.daemon.approval()?;
    world.daemon.run(&["approve", &approval.id])?.success()?;
    let results = world.tagged(&script, std::slice::from_ref(&call))?;
    assert_eq!(
        text(&results[0], "text"),
        "You said: hello",
        "{:#}\n{}",
        results[0],
        world.daemon.log()
    );
    assert_eq!(world.upstream.take().len(), 1);
    Ok(())
}

fn held_calls() -> Vec<Value> {
    [("openai", "gpt-5-review", false), ("anthropic", "claude-review", true), ("langchain-openai", "gpt-5-review", true)]
        .into_iter()
        .map(|(client, model, stream)| json!({"client": client, "model": model, "prompt": "hello", "stream": stream}))
        .collect()
}
