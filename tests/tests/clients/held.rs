//! A request that needs approval waits with its connection open, and goes on, is refused, or can be repeated after the approval.

use std::{
    collections::HashMap,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::harness::{Approval, WAIT, finish};

use crate::world::{Conversation, FILES, IDENTITY, Script, World, text};

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
        // Somebody watches, and somebody who is asked too much denies all of it.
        let mut watching =
            Conversation::start(&mut world.daemon.tollgate(&["approvals", "--follow", "--json"]))?;
        let seen: Value = serde_json::from_str(&watching.ask()?)?;
        assert_eq!(seen["id"], world.daemon.approval()?.id);
        let deny = |identity| {
            let all = [
                "deny",
                "--all",
                "--identity",
                identity,
                "--reason",
                "not today",
            ];
            world.daemon.run(&all)?.success()
        };
        assert_eq!(deny("somebody-else")?, "Nothing waits for approval.\n");
        assert_eq!(deny(IDENTITY)?, format!("denied {}\n", text(&seen, "id")));
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

#[test]
fn a_stream_outlives_its_clients_timeout_while_a_person_decides() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut python = impatient(PYTHON, "hello", true);
    python.extend(impatient(RESPONSES, "hello", true));
    let runs = [
        (Script::python_at_once()?, python),
        (Script::node()?, impatient(NODE, "hello there", true)),
    ];
    let mut control = Vec::new();
    for (script, calls) in &runs {
        control.push(world.untagged(script, calls)?);
    }
    let count = world.upstream.take().len();
    let results = decided(&world, &runs, TIMEOUT * 3 / 2, |decided, id| {
        assert!(
            world.upstream.received().len() <= decided,
            "sent before it was approved"
        );
        world.daemon.run(&["approve", id])?.success()
    })?;
    assert_eq!(results, control, "{}", world.daemon.log());
    assert_eq!(world.upstream.take().len(), count);
    for exchange in world.daemon.ended_after(0, count)? {
        assert_eq!(exchange["decision"], "permit", "{exchange:#}");
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    Ok(())
}

/// Google's library takes comments for answers, Ollama's has lines and Amazon's messages: what keeps them waiting is what they read over.
#[test]
fn streams_of_gemini_ollama_and_bedrock_outlive_their_clients_timeout_too() -> anyhow::Result<()> {
    let world = World::new()?;
    let clients = [
        ("google-genai", "gemini-review"),
        ("ollama", "llama-review"),
        ("boto3-converse", "llama-review"),
        ("boto3-invoke", "llama-review"),
    ];
    let mut calls = impatient(&clients, "hello", true);
    for call in &mut calls {
        call["timeout"] = json!(LONGER_TIMEOUT.as_secs());
    }
    let script = Script::families_at_once()?;
    let control = world.untagged(&script, &calls)?;
    let count = world.upstream.take().len();
    let looks = LONGER_TIMEOUT * 3 / 2;
    let results = decided(&world, &[(script, calls)], looks, |_, id| {
        world.daemon.run(&["approve", id])?.success()
    })?;
    assert_eq!(results, [control], "{}", world.daemon.log());
    assert_eq!(world.upstream.take().len(), count);
    Ok(())
}

#[test]
fn the_same_request_made_anew_passes_once_after_its_approval_and_a_restart() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let post = |client: &str, kind: &str, value: Value| {
        json!({
            "client": client, "method": "POST", "url": format!("https://{FILES}/reviewed"), kind: value, "timeout": 1,
        })
    };
    let both = |client| {
        [
            post(client, "json", json!({"client": client})),
            post(client, "form", json!(client)),
        ]
    };
    let python = Script::python()?;
    let mut python_calls = impatient(PYTHON, "again", false);
    python_calls.extend(both("requests"));
    python_calls.extend(both("httpx"));
    let node = Script::node()?;
    let mut node_calls = impatient(NODE, "once more", false);
    node_calls.extend(both("fetch"));
    let curl = |mut command: Command| {
        command.args(["-sS", "-m", "1", "-F", "file=curl"]);
        command.arg(format!("https://{FILES}/reviewed"));
        finish(&command, "", WAIT)
    };
    let everything = |world: &World| {
        let (python, node) = thread::scope(|scope| {
            let python = scope.spawn(|| world.tagged(&python, &python_calls));
            let node = world.tagged(&node, &node_calls);
            let python = python
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (python, node)
        });
        let mut results = [python?, node?].concat();
        let curl = curl(world.daemon.tagged(IDENTITY, "curl"))?;
        results.push(
            json!({"error": (!curl.status.success()).then_some("curl"), "body": curl.stdout}),
        );
        anyhow::Ok(results)
    };

    let mut control = world.untagged(&python, &python_calls)?;
    control.extend(world.untagged(&node, &node_calls)?);
    let without = curl(world.daemon.untagged("curl"))?.success()?;
    control.push(json!({"error": null, "body": without}));
    world.upstream.take();

    // Nobody answers: libraries that tell their timeout are refused, the others give up.
    for (result, number) in everything(&world)?.iter().zip(0..) {
        assert!(result["error"].is_string(), "{number}: {result:#}");
        let refused = text(result, "error").contains("PermissionDenied");
        let told = text(result, "message").contains("waits for approval");
        assert_eq!(refused, told, "{result:#}");
    }
    let asked = world.daemon.approvals()?;
    assert_eq!(asked.len(), control.len(), "{asked:#?}");
    assert_eq!(world.upstream.received().len(), 0);

    let (before, after) = asked.split_at(asked.len() / 2);
    let approve = |world: &World, approvals: &[Approval]| {
        let ids = approvals.iter().map(|approval| approval.id.as_str());
        let command: Vec<&str> = ["approve"].into_iter().chain(ids).collect();
        world.daemon.run(&command)?.success()
    };
    approve(&world, before)?;
    world.daemon.crash()?;
    world.restart()?;
    let open = world.daemon.approvals()?;
    let id = |approval: &Approval| approval.id.clone();
    assert!(open.iter().map(id).eq(after.iter().map(id)), "{open:#?}");
    approve(&world, after)?;

    assert_eq!(everything(&world)?, control, "{}", world.daemon.log());
    assert_eq!(world.upstream.take().len(), control.len());
    assert_eq!(world.daemon.approvals()?.len(), 0);
    let third = world.tagged(&python, &both("requests"))?;
    assert!(third.iter().all(|result| result["error"] == "ReadTimeout"));
    assert_eq!(world.upstream.received().len(), 0);
    Ok(())
}

/// Runs scripts side by side, with a person who looks at each question so long before they decide. They get how many were decided, and
/// the question's id.
fn decided(
    world: &World,
    runs: &[(Script, Vec<Value>)],
    looks: Duration,
    decide: impl Fn(usize, &str) -> anyhow::Result<String>,
) -> anyhow::Result<Vec<Vec<Value>>> {
    thread::scope(|scope| {
        let runs: Vec<_> = runs
            .iter()
            .map(|(script, calls)| (scope.spawn(|| world.tagged(script, calls)), calls.len()))
            .collect();
        let count: usize = runs.iter().map(|(_, count)| count).sum();
        let (mut seen, mut decisions) = (HashMap::new(), 0);
        while decisions < count && runs.iter().any(|(run, _)| !run.is_finished()) {
            for approval in world.daemon.approvals()? {
                let since = seen.entry(approval.id.clone()).or_insert_with(Instant::now);
                if since.elapsed() >= looks {
                    decide(decisions, &approval.id)?;
                    decisions += 1;
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
        let results = runs.into_iter().map(|(run, _)| {
            run.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect()
    })
}

/// Chat calls that wait for approval, by clients that give up soon.
fn impatient(clients: &[(&str, &str)], prompt: &str, stream: bool) -> Vec<Value> {
    clients
        .iter()
        .map(|(client, model)| {
            json!({
                "client": client, "model": model, "prompt": prompt, "stream": stream, "timeout": TIMEOUT.as_secs(),
            })
        })
        .collect()
}

const PYTHON: &[(&str, &str)] = &[
    ("openai", "gpt-5-review"),
    ("anthropic", "claude-review"),
    ("langchain-openai", "gpt-5-review"),
    ("langchain-anthropic", "claude-review"),
];

/// Known by their own formats too.
const RESPONSES: &[(&str, &str)] = &[
    ("openai-responses", "gpt-5-review"),
    ("openai-completions", "gpt-5-review"),
];

/// LangChain's does not tell its timeout.
const NODE: &[(&str, &str)] = &[("openai", "gpt-5-review")];

const TIMEOUT: Duration = Duration::from_secs(2);
/// Of clients that do not tell it: longer than what is between two signs of life.
const LONGER_TIMEOUT: Duration = Duration::from_secs(8);

fn held_calls() -> Vec<Value> {
    [("openai", "gpt-5-review", false), ("anthropic", "claude-review", true), ("langchain-openai", "gpt-5-review", true)]
        .into_iter()
        .map(|(client, model, stream)| json!({"client": client, "model": model, "prompt": "hello", "stream": stream}))
        .collect()
}
