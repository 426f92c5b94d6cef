//! What is not permitted raises the library's own exception after one request, never reaches the upstream, and is on record.

use serde_json::{Value, json};
use tests::harness::{WAIT, finish};

use crate::calls::{HTTP, NODE_HTTP, chats, embedded, is_refusal, measured, provider, texts};
use crate::world::{FILES, FORBIDDEN, IDENTITY, Script, World, text};

/// The example key of the provider's documentation.
const KEY: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

#[test]
fn a_model_that_is_not_permitted() -> anyhow::Result<()> {
    refused_chat("gpt-5", "hello", "no policy permits model \"gpt-5\"", &[])
}

#[test]
fn a_model_for_vectors_or_for_counting_that_is_not_permitted() -> anyhow::Result<()> {
    let reason = "no policy permits model \"gpt-5\"";
    let calls = measured(Some("gpt-5"), "hello");
    let world = World::new()?;
    all_refused(&world, &Script::python()?, &calls, reason, &[])?;
    let calls = embedded(Some("gpt-5"), "hello");
    all_refused(&world, &Script::families()?, &calls, reason, &[])
}

#[test]
fn a_prompt_that_contains_a_secret() -> anyhow::Result<()> {
    refused_chat(
        "",
        &format!("use the key {KEY} to log in"),
        "policy \"no-secrets\" forbids it",
        &["no-secrets"],
    )
}

/// Calls every chat client in every way; `model` replaces the permitted one unless it is empty.
fn refused_chat(model: &str, prompt: &str, reason: &str, policies: &[&str]) -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in chats()? {
        let used = |permitted| if model.is_empty() { permitted } else { model };
        let calls: Vec<Value> = clients
            .iter()
            .flat_map(|(client, permitted)| texts(client, used(permitted), prompt))
            .collect();
        all_refused(&world, &script, &calls, reason, policies)?;
    }
    Ok(())
}

fn all_refused(
    world: &World,
    script: &Script,
    calls: &[Value],
    reason: &str,
    policies: &[&str],
) -> anyhow::Result<()> {
    let seen = world.daemon.exchanges()?.len();
    let control = world.untagged(script, calls)?;
    assert!(
        control.iter().all(|result| result["error"].is_null()),
        "the control run failed: {control:#?}"
    );
    world.upstream.take();
    let connections = world.upstream.connections();
    let results = world.tagged(script, calls)?;
    for (call, result) in calls.iter().zip(&results) {
        assert!(
            is_refusal(call, result, false),
            "{call}: {result:#}\n{}",
            world.daemon.log()
        );
        let service = provider(text(call, "client"));
        let message = text(result, "message");
        assert!(
            message.contains(&format!(
                "Tollgate refused {} on {service} for {IDENTITY}: ",
                action(text(call, "client"))
            )),
            "{message}"
        );
        assert!(message.replace('\\', "").contains(reason), "{message}");
    }
    assert_eq!(world.upstream.take().len(), 0);
    assert_eq!(
        world.upstream.connections(),
        connections,
        "the upstream was dialled without a permit"
    );
    let exchanges = world.daemon.ended_after(seen, calls.len())?;
    assert_eq!(
        exchanges.len(),
        calls.len(),
        "a client tried again: {exchanges:#?}"
    );
    for exchange in &exchanges {
        assert_eq!(exchange["decision"], "deny", "{exchange:#}");
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
        assert_eq!(exchange["status"], 403, "{exchange:#}");
        assert_eq!(exchange["policies"], json!(policies), "{exchange:#}");
    }
    Ok(())
}

fn action(client: &str) -> &'static str {
    match client {
        "openai-embeddings"
        | "langchain-embeddings"
        | "google-measured"
        | "ollama-embed"
        | "cohere-measured"
        | "boto3-guardrail" => "llm.embed",
        "anthropic-count" | "boto3-count" | "boto3-count-own" => "llm.count",
        _ => "llm.generate",
    }
}

#[test]
fn a_host_that_no_service_lists_and_a_write_that_no_policy_permits() -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in [(Script::python()?, HTTP), (Script::node()?, NODE_HTTP)] {
        refused_http(&world, &script, clients)?;
    }
    Ok(())
}

fn refused_http(world: &World, script: &Script, clients: &[&str]) -> anyhow::Result<()> {
    let seen = world.daemon.exchanges()?.len();
    let calls: Vec<Value> = clients
        .iter()
        .flat_map(|client| {
            [
                json!({"client": client, "method": "GET", "url": format!("https://{FORBIDDEN}/hello")}),
                json!({"client": client, "method": "POST", "url": format!("https://{FILES}/echo"), "json": {"a": 1}}),
            ]
        })
        .collect();
    let control = world.untagged(script, &calls)?;
    assert!(
        control.iter().all(|result| result["status"] == 200),
        "the control run failed: {control:#?}"
    );
    let connections = world.upstream.connections();
    let results = world.tagged(script, &calls)?;
    for (call, result) in calls.iter().zip(&results) {
        assert_eq!(
            result["status"],
            403,
            "{call}: {result:#}\n{}",
            world.daemon.log()
        );
        // axios raises its own error, which has the answer.
        let told = format!("{}{}", text(result, "body"), text(result, "message"));
        assert!(told.contains("Tollgate refused http."), "{result:#}");
    }
    assert_eq!(
        world.upstream.connections(),
        connections,
        "the upstream was dialled without a permit"
    );
    let exchanges = world.daemon.ended_after(seen, calls.len())?;
    let services: Vec<&str> = exchanges
        .iter()
        .map(|exchange| text(exchange, "service"))
        .collect();
    let forbidden = format!("{FORBIDDEN}:443");
    assert_eq!(
        services,
        [forbidden.as_str(), "files"].repeat(clients.len())
    );
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange["outcome"] == "refused"),
        "{exchanges:#?}"
    );
    Ok(())
}

#[test]
fn curl_reads_the_refusal() -> anyhow::Result<()> {
    let world = World::new()?;
    let url = format!("https://{FORBIDDEN}/hello");
    for version in ["--http1.1", "--http2"] {
        let arguments = ["-sS", version, "-w", "\n%{http_code}", &url];
        let control = finish(world.daemon.untagged("curl").args(arguments), "", WAIT)?.success()?;
        assert!(control.ends_with("\n200"), "{control}");
        let printed = finish(
            world.daemon.tagged(IDENTITY, "curl").args(arguments),
            "",
            WAIT,
        )?
        .success()?;
        assert!(
            printed.contains("Tollgate refused http.read") && printed.ends_with("\n403"),
            "{printed}"
        );
    }
    Ok(())
}
