//! What is permitted returns what it returns without Tollgate, reaches the upstream unchanged, and is on record.

use serde_json::{Value, json};
use tests::{
    harness::{WAIT, finish},
    upstream::{CHARGED, Received},
};

use crate::calls::{
    CHAT, FAMILIES, HTTP, NODE_CHAT, NODE_HTTP, asynchronous_ways, embedded, measured, texts, ways,
};
use crate::world::{FILES, IDENTITY, Script, World, text};

const PROMPT: &str = "what is the weather in Paris?";

#[test]
fn python_clients_get_what_they_get_without_tollgate() -> anyhow::Result<()> {
    let chat = CHAT
        .iter()
        .flat_map(|(client, model)| ways(client, model, PROMPT));
    let models = ["openai-models", "anthropic-models"]
        .into_iter()
        .flat_map(|client| {
            [false, true].map(|asynchronous| {
            json!({"client": client, "model": "gpt-5-mini", "async": asynchronous})
        })
        });
    let calls: Vec<Value> = chat
        .chain(measured(None, PROMPT))
        .chain(models)
        .chain(HTTP.iter().flat_map(|client| reads(client)))
        .collect();
    same_as_without_tollgate(&Script::python()?, &calls)
}

#[test]
fn clients_of_gemini_ollama_and_bedrock_get_what_they_get_without_tollgate() -> anyhow::Result<()> {
    let chat = FAMILIES
        .iter()
        .flat_map(|(client, model)| ways(client, model, PROMPT));
    let of_mistral = [
        ("mistral-fim", "codestral-latest"),
        ("mistral-agent", "ag_0123456789"),
    ];
    let of_mistral = of_mistral
        .iter()
        .flat_map(|(client, model)| texts(client, model, PROMPT));
    let calls: Vec<Value> = chat
        .chain(of_mistral)
        .chain(embedded(None, PROMPT))
        .collect();
    same_as_without_tollgate(&Script::families()?, &calls)
}

#[test]
fn node_clients_get_what_they_get_without_tollgate() -> anyhow::Result<()> {
    let chat = NODE_CHAT
        .iter()
        .flat_map(|(client, model)| asynchronous_ways(client, model, PROMPT));
    let calls: Vec<Value> = chat
        .chain(NODE_HTTP.iter().flat_map(|client| reads(client)))
        .collect();
    same_as_without_tollgate(&Script::node()?, &calls)
}

/// Every call returns the same under Tollgate, sends the same, and is on record.
fn same_as_without_tollgate(script: &Script, calls: &[Value]) -> anyhow::Result<()> {
    let world = World::new()?;
    let control = world.untagged(script, calls)?;
    assert!(
        control.iter().all(|result| result["error"].is_null()),
        "the control run failed: {control:#?}"
    );
    let sent_without = world.upstream.take();
    let results = world.tagged(script, calls)?;
    for ((call, result), expected) in calls.iter().zip(&results).zip(&control) {
        assert_eq!(result, expected, "{call}\n{}", world.daemon.log());
    }
    let sent = world.upstream.take();
    assert_eq!(
        sent.iter().map(end_to_end).collect::<Vec<_>>(),
        sent_without.iter().map(end_to_end).collect::<Vec<_>>()
    );
    recorded(&world.daemon.ended_after(0, sent.len())?, &sent);
    Ok(())
}

/// Reading from two hosts, twice each, so that a kept connection is used again.
fn reads(client: &str) -> Vec<Value> {
    let files = format!("https://{FILES}/hello");
    ["https://api.openai.com/v1/models", &files]
        .into_iter()
        .flat_map(|url| {
            [client == "httpx" || client == "httpx2", false].map(|asynchronous| {
                json!({"client": client, "method": "GET", "url": url, "async": asynchronous})
            })
        })
        .collect()
}

#[test]
fn curl_gets_what_it_gets_without_tollgate() -> anyhow::Result<()> {
    let world = World::new()?;
    let url = format!("https://{FILES}/hello");
    let models = "https://api.openai.com/v1/models";
    let shown = "%{http_code} HTTP/%{http_version}\n";
    for (version, shown_version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        // Two on one connection.
        let arguments = ["-sS", version, "-w", shown, &url, models];
        let control = finish(world.daemon.untagged("curl").args(arguments), "", WAIT)?.success()?;
        assert!(
            control.contains(&format!("200 {shown_version}")),
            "{control}"
        );
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let printed = finish(
            world.daemon.tagged(IDENTITY, "curl").args(arguments),
            "",
            WAIT,
        )?
        .success()?;
        assert_eq!(printed, control, "{}", world.daemon.log());
        recorded(&world.daemon.ended_after(seen, 2)?, &world.upstream.take());
    }
    Ok(())
}

#[test]
fn parallel_requests_are_each_on_record() -> anyhow::Result<()> {
    let world = World::new()?;
    let urls: Vec<String> = (0..20)
        .map(|number| format!("https://{FILES}/hello?number={number}"))
        .collect();
    for version in ["--http1.1", "--http2"] {
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let mut command = world.daemon.tagged(IDENTITY, "curl");
        command.args(["-sS", version, "--parallel"]).args(&urls);
        assert_eq!(
            finish(&command, "", WAIT)?.success()?,
            "hello\n".repeat(urls.len())
        );
        let exchanges = world.daemon.ended_after(seen, urls.len())?;
        assert_eq!(exchanges.len(), urls.len());
        assert!(
            exchanges
                .iter()
                .all(|exchange| exchange["outcome"] == "completed"),
            "{exchanges:#?}"
        );
        assert_eq!(world.upstream.take().len(), urls.len());
    }
    Ok(())
}

/// What a gateway must not change: everything but fields of one hop and the encodings a response mask can edit.
fn end_to_end(request: &Received) -> (String, String, Vec<(String, String)>, String) {
    const OF_ONE_HOP: &[&str] = &[
        "connection",
        "keep-alive",
        "te",
        "transfer-encoding",
        "accept-encoding",
        // New with each request.
        "amz-sdk-invocation-id",
    ];
    let mut headers = request.headers.clone();
    headers.retain(|(name, _)| !OF_ONE_HOP.contains(&name.as_str()));
    headers.sort();
    (
        request.method.clone(),
        request.path.clone(),
        headers,
        request.text(),
    )
}

/// Each request that arrived is one exchange, in order, that was permitted and completed, with what it asked for.
fn recorded(exchanges: &[Value], sent: &[Received]) {
    assert_eq!(exchanges.len(), sent.len(), "{exchanges:#?}");
    for (exchange, request) in exchanges.iter().zip(sent) {
        assert_eq!(exchange["identity"], IDENTITY);
        assert_eq!(exchange["decision"], "permit", "{exchange:#}");
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
        assert_eq!(exchange["status"], 200, "{exchange:#}");
        assert_eq!(exchange["method"], request.method, "{exchange:#}");
        assert_eq!(
            Some(text(exchange, "path")),
            request.path.split('?').next(),
            "{exchange:#}"
        );
        assert!(
            exchange["policies"]
                .as_array()
                .is_some_and(|policies| !policies.is_empty()),
            "{exchange:#}"
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let path = request.path.as_str();
        assert_eq!(exchange["action"], action(path), "{exchange:#}");
        if body["model"].is_string() {
            assert_eq!(exchange["model"], body["model"]);
            assert_eq!(exchange["stream"], body["stream"] == true, "{exchange:#}");
            let read = exchange["usage"]["input"].as_u64() > Some(0);
            let made = exchange["usage"]["output"].as_u64() > Some(0);
            match path {
                "/v1/messages/count_tokens" => assert!(exchange["usage"].is_null(), "{exchange:#}"),
                "/v1/embeddings" | "/api/embed" | "/v2/embed" => assert!(read, "{exchange:#}"),
                // Searches are counted, which are no tokens.
                "/v2/rerank" => assert!(exchange["usage"].is_null(), "{exchange:#}"),
                // A stream of completions says its usage only if it is asked to, at OpenAI.
                _ if !COUNTING.contains(&text(exchange, "service"))
                    && path.ends_with("completions")
                    && body["stream"] == true
                    && body["stream_options"].is_null() => {}
                _ => assert!(read && made, "{exchange:#}"),
            }
        }
        match text(exchange, "service") {
            // An agent's model is the provider's to know.
            _ if !body["agent_id"].is_null() => {}
            "openrouter" => assert_eq!(exchange["cost_usd"], CHARGED, "{exchange:#}"),
            service if COUNTING.contains(&service) => {
                assert!(exchange["cost_usd"].as_f64() > Some(0.0), "{exchange:#}");
            }
            _ => {}
        }
    }
}

/// Providers whose streams end with their counts, whatever is asked.
const COUNTING: &[&str] = &["mistral", "groq", "openrouter"];

fn action(path: &str) -> &'static str {
    match path {
        "/v1/embeddings" => "llm.embed",
        "/v1/messages/count_tokens" => "llm.count",
        path if path.starts_with("/v1/models") && !path.contains(':') => "llm.read",
        "/api/embed" | "/v2/embed" | "/v2/rerank" => "llm.embed",
        path if path.starts_with("/guardrail/") => "llm.embed",
        path if path.contains(":embedContent") || path.contains(":batchEmbed") => "llm.embed",
        path if path.ends_with(":countTokens") || path.ends_with("/count-tokens") => "llm.count",
        path if ["/v1", "/v2/chat", "/openai/", "/api/", "/model/"]
            .iter()
            .any(|begin| path.starts_with(begin)) =>
        {
            "llm.generate"
        }
        _ => "http.read",
    }
}
