//! Every endpoint of a provider: refused in its envelope, decided by what it is, masked, with its text and its usage on record.

use http_body_util::BodyExt;
use hyper::header::HeaderMap;
use serde_json::{Value, json};

use crate::fixture::Proxy;

const OPENAI: &str = "api.openai.com";

/// Beside the suite's own, which permit one model for chat and mask what any action of `llm` carries.
const POLICIES: &str = r#"
@id("rest")
permit (principal, action in [Action::"llm.embed", Action::"llm.count"], resource == Service::"openai")
when { context.model == "embedder" };

@id("kept")
permit (principal, action == Action::"llm.read", resource == Service::"openai");

@id("rooms")
permit (principal, action == Action::"http.write", resource == Service::"files")
when { context.path like "/rooms/*" };
"#;

/// Endpoints with a body that policy forbids, their action and whose envelope they have.
const FORBIDDEN: [(&str, &str, &str, bool); 8] = [
    ("POST", "/v1/chat/completions", "llm.generate", false),
    ("POST", "/v1/completions", "llm.generate", false),
    ("POST", "/v1/responses", "llm.generate", false),
    ("POST", "/v1/responses/input_tokens", "llm.count", false),
    ("POST", "/v1/embeddings", "llm.embed", false),
    ("DELETE", "/v1/responses/resp_1", "llm.write", false),
    ("POST", "/v1/messages", "llm.generate", true),
    ("POST", "/v1/messages/count_tokens", "llm.count", true),
];

async fn send(
    proxy: &Proxy,
    name: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<(u16, HeaderMap, String)> {
    let mut client = proxy.client(proxy.tls_origin(), name, "http/1.1").await?;
    let host = format!("{name}:{}", proxy.tls_origin().port());
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = client
        .start(client.request(method, &host, path, body)?)
        .await?;
    let (head, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    Ok((head.status.as_u16(), head.headers, body))
}

#[tokio::test]
async fn every_endpoint_is_refused_in_its_providers_envelope() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (nth, (method, path, action, anthropic)) in FORBIDDEN.into_iter().enumerate() {
        let body = match method {
            "POST" => {
                json!({"model": "other", "messages": [], "input": "hi", "prompt": "hi", "stream": true})
            }
            _ => Value::Null,
        };
        let (status, headers, body) = send(&proxy, OPENAI, method, path, &body).await?;
        let exchanges = proxy.ended(nth + 1).await?;
        let exchange = &exchanges[nth];
        assert_eq!(status, 403, "{path}: {body}");
        assert_eq!(headers["x-should-retry"], "false");
        assert_eq!(exchange["action"], action, "{exchange:#}");
        for name in ["x-request-id", "request-id"] {
            assert_eq!(exchange["id"], headers[name].to_str()?, "{path}");
        }
        let envelope: Value = serde_json::from_str(&body)?;
        let message = envelope["error"]["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with(&format!("Tollgate refused {action} on openai")),
            "{body}"
        );
        assert_eq!(envelope["error"]["type"], "permission_error", "{body}");
        assert_eq!(envelope["type"] == "error", anthropic, "{path}: {body}");
        assert_eq!(exchange["decision"], "deny", "{exchange:#}");
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn what_is_said_and_used_is_on_record_for_every_endpoint() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let prompt = "leak for bob@example.com";
    let endpoints = [
        (
            "/v1/completions",
            json!({"model": "gpt-5-mini", "prompt": prompt, "stream_options": {"include_usage": true}}),
        ),
        (
            "/v1/responses",
            json!({"model": "gpt-5-mini", "input": prompt}),
        ),
    ];
    let mut count = 0;
    for (path, body) in endpoints {
        for stream in [false, true] {
            let mut body = body.clone();
            body["stream"] = json!(stream);
            let (status, _, answer) = send(&proxy, OPENAI, "POST", path, &body).await?;
            assert_eq!(status, 200, "{path}: {answer}");
            assert!(
                !answer.contains("4111") && answer.contains("[REDACTED:"),
                "{answer}"
            );
            count += 1;
            let exchange = proxy.ended(count).await?.remove(count - 1);
            assert_eq!(exchange["usage"]["input"], 3, "{exchange:#}");
            assert_eq!(exchange["usage"]["output"], 15, "{exchange:#}");
            assert_eq!(exchange["stream"], stream, "{exchange:#}");
            let transcript = proxy.transcript(&exchange).await?;
            assert!(
                transcript.contains("The card on file is [REDACTED:credit-card]"),
                "{transcript}"
            );
        }
    }
    let vectors = json!({"model": "embedder", "input": [prompt, "4111 1111 1111 1111"]});
    let (status, _, answer) = send(&proxy, OPENAI, "POST", "/v1/embeddings", &vectors).await?;
    assert_eq!(status, 200, "{answer}");
    let exchange = proxy.ended(count + 1).await?.remove(count);
    assert_eq!(
        exchange["usage"],
        json!({"input": 4, "output": null}),
        "{exchange:#}"
    );
    for request in proxy.upstream.received() {
        assert!(
            request.text().contains("leak for [REDACTED:email]"),
            "{}",
            request.text()
        );
        assert!(!request.text().contains("4111"), "{}", request.text());
    }
    let (status, _, kept) = send(
        &proxy,
        OPENAI,
        "GET",
        "/v1/responses/resp_0123456789",
        &Value::Null,
    )
    .await?;
    assert_eq!(status, 200, "{kept}");
    assert!(
        kept.contains("[REDACTED:credit-card]") && !kept.contains("4111"),
        "{kept}"
    );
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_sent_as_tokens_is_refused_where_it_must_be_read() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (path, body) in [
        (
            "/v1/embeddings",
            json!({"model": "embedder", "input": [[15339, 1917]]}),
        ),
        (
            "/v1/completions",
            json!({"model": "gpt-5-mini", "prompt": [15339, 1917]}),
        ),
    ] {
        let (status, _, answer) = send(&proxy, OPENAI, "POST", path, &body).await?;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains("send the text itself"), "{answer}");
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    for exchange in proxy.ended(2).await? {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn other_services_have_messages_and_responses_of_their_own() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (path, body, action) in [
        ("/rooms/7/messages", json!({"content": "hi"}), "http.write"),
        ("/rooms/7/responses", json!([1, 2]), "http.write"),
        (
            "/rooms/7/messages",
            json!({"model": "m", "messages": []}),
            "llm.generate",
        ),
        (
            "/rooms/7/responses",
            json!({"model": "m", "input": "hi"}),
            "llm.generate",
        ),
    ] {
        let seen = proxy.exchanges().await?.len();
        let (status, _, answer) = send(&proxy, "files", "POST", path, &body).await?;
        let exchange = proxy.ended(seen + 1).await?.remove(seen);
        assert_eq!(exchange["action"], action, "{exchange:#}");
        // The upstream knows no rooms.
        let expected = if action == "http.write" { 404 } else { 403 };
        assert_eq!(status, expected, "{path}: {answer}");
    }
    assert_eq!(proxy.upstream.received().len(), 2);
    Ok(())
}
