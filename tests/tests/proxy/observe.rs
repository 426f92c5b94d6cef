//! Observed workloads: everything passes as it came, and the record says what would have been. The same, enforced, is refused.

use gateway_user::config::Mode;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    client::Client,
    fixture::{Proxy, SECRET, SOON},
};

const POLICIES: &str = r#"
@id("held") permit (principal, action in Action::"http", resource == Service::"held");
@id("ask") @approvers("operators")
forbid (principal, action == Action::"http.write", resource == Service::"files")
unless { context.path == "/hello" || context.approvals.contains("operators") };
"#;

const CARD: &str = "card 4111 1111 1111 1111";

fn prompt(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": CARD}]}).to_string()
}

#[tokio::test]
async fn what_would_be_refused_masked_or_held_passes_and_is_on_record() -> anyhow::Result<()> {
    let twice = r#"{"model": "gpt-5-mini", "model": "x", "messages": []}"#;
    // Where to, path, body; status when enforced; what would be decided, and an obligation or reason.
    let cases = [
        (
            "api.openai.com",
            "/v1/chat/completions",
            prompt("gpt-5-mini"),
            200,
            "permit",
            "mask:pii",
        ),
        (
            "api.openai.com",
            "/v1/chat/completions",
            prompt("gpt-5"),
            403,
            "deny",
            "no policy permits model",
        ),
        (
            "api.openai.com",
            "/v1/chat/completions",
            twice.to_owned(),
            400,
            "deny",
            "model",
        ),
        (
            "files",
            "/echo",
            CARD.to_owned(),
            403,
            "ask",
            "approval:operators",
        ),
        (
            "files",
            "/hello",
            CARD.to_owned(),
            403,
            "deny",
            "no policy permits it",
        ),
        (
            "files",
            "/a/../echo",
            CARD.to_owned(),
            400,
            "deny",
            "dot segments",
        ),
        (
            "files",
            "/echo?large",
            "x".repeat(33 << 20),
            413,
            "deny",
            "larger than",
        ),
    ];
    for (mode, version) in [
        (Mode::Enforce, "http/1.1"),
        (Mode::Observe, "http/1.1"),
        (Mode::Observe, "h2"),
    ] {
        let proxy = Proxy::governed_by(POLICIES).await?;
        proxy.switch(mode)?;
        let origin = proxy.tls_origin();
        for (number, (name, path, body, enforced, would, because)) in cases.iter().enumerate() {
            let mut client = proxy.client(origin, name, version).await?;
            let host = format!("{name}:{}", origin.port());
            let mut request = client.request("POST", &host, path, body.clone())?;
            // A client that does not wait.
            let told = hyper::header::HeaderValue::from_static("1.1");
            request.headers_mut().insert("x-stainless-timeout", told);
            request
                .headers_mut()
                .insert("accept-encoding", "gzip".parse()?);
            let (status, answer) = timeout(SOON, client.send(request)).await??;
            let received = proxy.upstream.take();
            let exchanges = proxy.ended(number + 1).await?;
            let exchange = &exchanges[number];
            if mode == Mode::Enforce {
                assert_eq!(status, *enforced, "{path}: {answer:?}");
                assert!(exchange["would"].is_null(), "{exchange:#}");
                assert!(
                    received
                        .iter()
                        .all(|request| request.body != body.as_bytes())
                );
                continue;
            }
            assert_eq!(
                (received.len(), &received[0].path[..]),
                (1, *path),
                "{path} {status}"
            );
            assert!(
                received[0].body == body.as_bytes(),
                "{path}: the body was changed"
            );
            assert_eq!(received[0].header("accept-encoding"), Some("gzip"));
            assert_eq!(
                (
                    &exchange["decision"],
                    &exchange["would"],
                    &exchange["outcome"]
                ),
                (&json!("permit"), &json!(would), &json!("completed")),
                "{exchange:#}"
            );
            let said = format!("{} {}", exchange["obligations"], exchange["reason"]);
            assert!(said.contains(because), "{said}");
        }
        // The record is masked all the same.
        for exchange in proxy.exchanges().await? {
            assert!(!proxy.transcript(&exchange).await?.contains("4111"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_held_credential_is_the_one_thing_that_is_changed() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    proxy.switch(Mode::Observe)?;
    let host = format!("held:{}", proxy.tls_origin().port());
    let mut client = proxy.client(proxy.tls_origin(), "held", "http/1.1").await?;
    let mut request = client.request("POST", &host, "/echo", SECRET)?;
    request
        .headers_mut()
        .insert("authorization", "Bearer mine".parse()?);
    let (status, echo) = client.send(request).await?;
    assert_eq!(status, 200);
    assert!(!String::from_utf8_lossy(&echo).contains(SECRET));
    let sent = format!("Bearer {SECRET}");
    assert_eq!(
        proxy.upstream.take()[0].header("authorization"),
        Some(sent.as_str())
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_distrusts_the_ca_is_passed_on_unopened_the_next_time() -> anyhow::Result<()>
{
    for mode in [Mode::Enforce, Mode::Observe] {
        let proxy = Proxy::start().await?;
        proxy.switch(mode)?;
        let (origin, own) = (
            proxy.tls_origin(),
            proxy.upstream.authority.pem().to_owned(),
        );
        let trusted = [own.as_str()];
        let connect = || proxy.tls_trusting(origin, "files", "http/1.1", &trusted);
        assert!(connect().await.is_err(), "our leaf is not trusted");
        let Ok(stream) = connect().await else {
            assert_eq!((mode, proxy.upstream.connections()), (Mode::Enforce, 0));
            continue;
        };
        assert_eq!(mode, Mode::Observe);
        let mut client = Client::over(TokioIo::new(stream), "http/1.1").await?;
        let host = format!("files:{}", origin.port());
        let request = client.request("DELETE", &host, "/echo", "x")?;
        assert_eq!(client.send(request).await?.0, 200);
        drop(client);
        let exchanges = proxy.ended(1).await?;
        let exchange = &exchanges[0];
        assert_eq!(
            (
                &exchange["protocol"],
                &exchange["action"],
                &exchange["service"],
                &exchange["would"]
            ),
            (
                &json!("tls"),
                &json!("connect"),
                &json!("files"),
                &json!("deny")
            ),
            "{exchange:#}"
        );
        let reason = exchange["reason"].as_str().unwrap_or_default();
        assert!(
            reason.starts_with("not inspected: ") && reason.contains("CA"),
            "{reason}"
        );
        // Another name is opened as ever.
        let mut client = proxy.client(origin, "held", "http/1.1").await?;
        let request = client.request("GET", &format!("held:{}", origin.port()), "/hello", "")?;
        assert_eq!(client.send(request).await?.0, 200);
    }
    Ok(())
}

#[tokio::test]
async fn an_upstream_that_cannot_be_proven_is_passed_on_unopened_the_next_time()
-> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    proxy.switch(Mode::Observe)?;
    // No service lists this name, and its CA is nobody's but the client's own.
    let (origin, theirs) = (
        proxy.impostor.tls[0],
        proxy.impostor.authority.pem().to_owned(),
    );
    let ours = proxy.authority()?;
    let trusted = [theirs.as_str(), &ours];
    let connect = || proxy.tls_trusting(origin, "other", "http/1.1", &trusted);
    let host = format!("other:{}", origin.port());
    let mut client = Client::over(TokioIo::new(connect().await?), "http/1.1").await?;
    let request = client.request("GET", &host, "/hello", "")?;
    assert!(
        client.send(request).await.is_err(),
        "as an upstream that hangs up"
    );
    assert!(proxy.impostor.take().is_empty());
    let mut client = Client::over(TokioIo::new(connect().await?), "http/1.1").await?;
    let request = client.request("GET", &host, "/hello", "")?;
    assert_eq!(client.send(request).await?.0, 200);
    drop(client);
    let exchanges = proxy.ended(2).await?;
    assert_eq!(
        (
            &exchanges[0]["outcome"],
            &exchanges[1]["outcome"],
            &exchanges[1]["protocol"]
        ),
        (&json!("failed"), &json!("completed"), &json!("tls"))
    );
    Ok(())
}

#[tokio::test]
async fn names_that_prove_nothing_and_bytes_that_nobody_reads_pass_to_the_address()
-> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    proxy.switch(Mode::Observe)?;
    // A name that does not resolve to the address; two Hosts; no HTTP, the second time; no protocol at all.
    let plain = proxy.upstream.plain[0];
    let get =
        |host: &str| format!("GET /hello HTTP/1.1\r\n{host}Connection: close\r\n\r\n").into_bytes();
    let mut tried = vec![
        (plain, get("Host: nobody.invalid\r\n"), "HTTP/1.1 200"),
        (
            plain,
            get("Host: localhost\r\nHost: nobody.invalid\r\n"),
            "HTTP/1.1 200",
        ),
    ];
    let echo = proxy.upstream.echo[0];
    tried.push((
        echo,
        b"GET / HTTP/1.1\r\nbroken\x01 header\r\n\r\n".to_vec(),
        "HTTP/1.1 400",
    ));
    tried.push((
        echo,
        b"GET / HTTP/1.1\r\nbroken\x01 header\r\n\r\n".to_vec(),
        "GET / HTTP/1.1\r\nbroken\x01",
    ));
    tried.push((
        echo,
        b"\x16\x03\x01\x00\x05\x01nonsense".to_vec(),
        "\x16\x03\x01\x00\x05\x01nonsense",
    ));
    tried.push((echo, b"\x00\x01 hello".to_vec(), "\x00\x01 hello"));
    let mut port = echo;
    port.set_port(1);
    tried.push((port, b"\x00\x01 nobody listens".to_vec(), ""));
    for (origin, sent, expected) in tried {
        let mut stream = proxy.dial(origin).await?;
        stream.write_all(&sent).await?;
        if !expected.starts_with("HTTP") {
            stream.shutdown().await?;
        }
        let mut got = Vec::new();
        // A reset is an end too.
        drop(timeout(SOON, stream.read_to_end(&mut got)).await?);
        let got = String::from_utf8_lossy(&got);
        assert!(
            got.starts_with(expected) && got.is_empty() == expected.is_empty(),
            "{:?}: {got:?}",
            String::from_utf8_lossy(&sent)
        );
    }
    let mut exchanges = proxy.ended(7).await?;
    // What the HTTP library itself refuses has failed once by then.
    assert_eq!(exchanges.remove(2)["outcome"], "refused");
    let told = |exchange: &Value| {
        format!(
            "{} {} {}",
            exchange["protocol"], exchange["service"], exchange["would"]
        )
    };
    let address = |port: u16| format!("\"127.0.0.1:{port}\"");
    assert_eq!(
        told(&exchanges[0]),
        format!("\"http/1.1\" {} \"deny\"", address(plain.port()))
    );
    assert!(
        exchanges[1]["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("exactly one Host")
    );
    assert_eq!(told(&exchanges[2]), "\"opaque\" \"bytes\" \"permit\"");
    assert!(
        exchanges[2]["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("not HTTP/1")
    );
    assert!(
        exchanges[3]["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("no TLS")
    );
    assert_eq!(exchanges[5]["outcome"], "failed");
    Ok(())
}

#[tokio::test]
async fn a_workload_that_is_enforced_again_keeps_no_tunnel_that_policy_forbids()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    proxy.switch(Mode::Observe)?;
    proxy.govern(r#"@id("nothing") permit (principal, action in Action::"http", resource);"#)?;
    let mut stream = proxy.dial(proxy.upstream.echo[0]).await?;
    stream.write_all(b"\x00 one").await?;
    let mut got = [0; 5];
    timeout(SOON, stream.read_exact(&mut got)).await??;
    // Policies that change do not end it.
    proxy.govern(r#"@id("less") permit (principal, action == Action::"http.read", resource);"#)?;
    stream.write_all(b"\x00 two").await?;
    timeout(SOON, stream.read_exact(&mut got)).await??;
    proxy.switch(Mode::Enforce)?;
    let mut rest = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut rest)).await?);
    assert!(rest.is_empty());
    let exchanges = proxy.ended(1).await?;
    assert_eq!(
        (&exchanges[0]["outcome"], &exchanges[0]["reason"]),
        (
            &json!("aborted"),
            &json!("policy changed: no policy permits it")
        )
    );
    Ok(())
}
