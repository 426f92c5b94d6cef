//! HTTP in both versions: each request decided, recorded, carried unchanged, streamed as it comes.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    client::Client,
    fixture::{Proxy, SOON},
};

const OPENAI: &str = "api.openai.com";

#[tokio::test]
async fn a_permitted_request_is_carried_and_recorded() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), "files", version).await?;
        let host = format!("files:{}", proxy.tls_origin().port());
        assert_eq!(
            client
                .send(client.request("GET", &host, "/hello?a=1", "")?)
                .await?,
            (200, Bytes::from("hello\n"))
        );
        let received = proxy.upstream.take();
        assert_eq!(received.len(), 1);
        assert_eq!(
            (received[0].path.as_str(), received[0].sni.as_deref()),
            ("/hello?a=1", Some("files"))
        );
    }
    for exchange in proxy.ended(2).await? {
        assert_eq!(
            (
                &exchange["decision"],
                &exchange["outcome"],
                &exchange["status"],
                &exchange["path"],
                &exchange["policies"]
            ),
            (
                &json!("permit"),
                &json!("completed"),
                &json!(200),
                &json!("/hello"),
                &json!(["read"])
            ),
            "{exchange:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_body_arrives_byte_for_byte_both_ways() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let body: Vec<u8> = (0..5_000_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), "files", version).await?;
        let host = format!("files:{}", proxy.tls_origin().port());
        let (status, echoed) = client
            .send(client.request("POST", &host, "/echo", body.clone())?)
            .await?;
        assert_eq!(status, 200);
        assert!(
            echoed == body,
            "{} of {} bytes, or others",
            echoed.len(),
            body.len()
        );
    }
    Ok(())
}

#[tokio::test]
async fn each_request_of_a_connection_is_decided() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), OPENAI, version).await?;
        let mut statuses = Vec::new();
        for model in ["gpt-5-mini", "gpt-5", "gpt-5-mini"] {
            let (status, body) = chat(&proxy, &mut client, model, false).await?;
            if status == 403 {
                let error: Value = serde_json::from_slice(&body)?;
                let message = error["error"]["message"].as_str().unwrap_or_default();
                assert!(
                    message.contains("no policy permits model \"gpt-5\""),
                    "{error:#}"
                );
            }
            statuses.push(status);
        }
        assert_eq!(statuses, [200, 403, 200], "{version}");
        assert_eq!(proxy.upstream.take().len(), 2);
    }
    let outcomes: Vec<Value> = proxy
        .ended(6)
        .await?
        .into_iter()
        .map(|exchange| exchange["outcome"].clone())
        .collect();
    assert_eq!(
        outcomes,
        [
            "completed",
            "refused",
            "completed",
            "completed",
            "refused",
            "completed"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_are_each_decided_and_answered_in_order() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let mut stream = proxy.tls(proxy.tls_origin(), "files", "http/1.1").await?;
    let host = format!("files:{}", proxy.tls_origin().port());
    let request = |method: &str, path: &str, last: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{last}\r\n")
    };
    let all = [
        request("GET", "/hello", ""),
        request("DELETE", "/hello", ""),
        request("GET", "/hello", "Connection: close\r\n"),
    ];
    stream.write_all(all.concat().as_bytes()).await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await??;
    let statuses: Vec<&str> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answer[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["200", "403", "200"], "{answer}");
    assert_eq!(proxy.upstream.take().len(), 2);
    assert_eq!(proxy.ended(3).await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn parallel_streams_are_each_decided() -> anyhow::Result<()> {
    const EACH: usize = 16;
    let proxy = Proxy::start().await?;
    let first = proxy.client(proxy.tls_origin(), OPENAI, "h2").await?;
    let mut running = JoinSet::new();
    for number in 0..2 * EACH {
        let mut client = first.another()?;
        let model = if number % 2 == 0 {
            "gpt-5-mini"
        } else {
            "gpt-5"
        };
        let request = client.request(
            "POST",
            &authority(&proxy),
            "/v1/chat/completions",
            prompt(model, "hi", false),
        )?;
        running.spawn(async move { client.send(request).await.map(|(status, _)| status) });
    }
    let mut statuses: Vec<u16> = running
        .join_all()
        .await
        .into_iter()
        .collect::<anyhow::Result<_>>()?;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; EACH], vec![403; EACH]].concat());
    assert_eq!(proxy.upstream.take().len(), EACH);
    assert_eq!(proxy.ended(2 * EACH).await?.len(), 2 * EACH);
    Ok(())
}

#[tokio::test]
async fn a_stream_flows_as_it_comes() -> anyhow::Result<()> {
    let proxy = Proxy::paced(Duration::from_millis(100)).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "http/1.1").await?;
    let request = client.request(
        "POST",
        &authority(&proxy),
        "/v1/chat/completions",
        prompt("gpt-5-mini", "a longer text", true),
    )?;
    let started = Instant::now();
    let mut body = client.start(request).await?.into_body();
    let (mut first, mut text) = (None, String::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            first.get_or_insert_with(|| started.elapsed());
            text += std::str::from_utf8(&data)?;
        }
    }
    let first = first.unwrap_or_default();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(
        first < started.elapsed() / 2,
        "the first piece came after {first:?} of {:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_is_on_record() -> anyhow::Result<()> {
    let proxy = Proxy::paced(Duration::from_millis(50)).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "http/1.1").await?;
    let request = client.request(
        "POST",
        &authority(&proxy),
        "/v1/chat/completions",
        prompt("gpt-5-mini", "a long text of many pieces", true),
    )?;
    let mut body = client.start(request).await?.into_body();
    drop(body.frame().await);
    drop((body, client));
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "aborted");
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_on_record_as_that() -> anyhow::Result<()> {
    let policies = r#"@id("broken") permit (principal, action == Action::"http.write", resource == Service::"files");"#;
    let proxy = Proxy::governed_by(policies).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), "files", version).await?;
        let host = format!("files:{}", proxy.tls_origin().port());
        let request = client.request("POST", &host, "/broken", "half")?;
        let answer = client.start(request).await?;
        assert!(answer.into_body().collect().await.is_err(), "{version}");
    }
    for exchange in proxy.ended(2).await? {
        assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn plain_http_passes_when_the_name_resolves_to_the_address() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let origin = proxy.upstream.plain[0];
    let mut stream = proxy.dial(origin).await?;
    let request = format!(
        "GET /hello HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        origin.port()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await??;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello\n"),
        "{answer}"
    );
    Ok(())
}

async fn chat(
    proxy: &Proxy,
    client: &mut Client,
    model: &str,
    stream: bool,
) -> anyhow::Result<(u16, Bytes)> {
    let request = client.request(
        "POST",
        &authority(proxy),
        "/v1/chat/completions",
        prompt(model, "hi", stream),
    )?;
    client.send(request).await
}

fn authority(proxy: &Proxy) -> String {
    format!("{OPENAI}:{}", proxy.tls_origin().port())
}

fn prompt(model: &str, text: &str, stream: bool) -> String {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]})
        .to_string()
}
