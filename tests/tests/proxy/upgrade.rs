//! Requests that want another protocol or a tunnel, and get neither; WebSockets of observed workloads, which get everything.

use gateway_user::config::Mode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    fixture::Proxy,
    socket::{WAYS, frame, open},
};

#[tokio::test]
async fn other_upgrades_mean_nothing() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let host = format!("files:{}", proxy.tls_origin().port());
    for upgrade in [
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings",
        "Upgrade: something/1\r\nConnection: Upgrade",
        "Upgrade: websocket\r\nConnection: keep-alive",
    ] {
        let mut stream = proxy.tls(proxy.tls_origin(), "files", "http/1.1").await?;
        let request = format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n\r\n");
        // A second request: it is still HTTP/1.1.
        let last = format!("GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all((request + &last).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
        let received = proxy.upstream.take();
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(received[0].header(name), None, "{received:#?}");
        }
        let connection = received[0].header("connection").unwrap_or_default();
        assert!(
            !connection.to_ascii_lowercase().contains("upgrade"),
            "{connection}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_tunnel_through_a_proxy_is_refused_and_nothing_behind_it_is_read() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let host = format!("files:{}", proxy.tls_origin().port());
    let behind = format!("GET /hello HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let request =
        format!("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n{behind}");
    let mut stream = proxy.tls(proxy.tls_origin(), "files", "http/1.1").await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(answer.contains("CONNECT opens a tunnel"), "{answer}");

    let mut stream = proxy.dial(proxy.upstream.plain[0]).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");

    let mut client = proxy.client(proxy.tls_origin(), "files", "h2").await?;
    let mut request = client.request("CONNECT", &host, "", "")?;
    *request.uri_mut() = "evil.example:443".parse()?;
    assert_eq!(client.send(request).await?.0, 403);

    assert_eq!(proxy.upstream.connections(), 0);
    for exchange in proxy.ended(3).await? {
        assert_eq!(exchange["method"], "CONNECT");
        assert_eq!(exchange["path"], "evil.example:443");
        assert_eq!(exchange["decision"], "deny");
        assert_eq!(exchange["outcome"], "refused");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_observed_workload_sends_need_not_be_frames_until_it_is_enforced()
-> anyhow::Result<()> {
    let permitted = r#"
@id("sockets") permit (principal, action == Action::"http.websocket", resource);
@id("no-pii") forbid (principal, action, resource) when { context.findings.contains("pii") };
"#;
    let proxy = Proxy::governed_by(permitted).await?;
    for way in WAYS {
        proxy.switch(Mode::Observe)?;
        let mut judged = open(&proxy, *way, "/socket").await?;
        let mut blind = open(&proxy, *way, "/socket").await?;
        for (socket, first) in [(&mut judged, 0x81), (&mut blind, 0xb1)] {
            socket.send(&frame(first, b"bob@corp.com")).await?;
            let came = socket.frame().await?;
            let came = came.map(|frame| (frame.first, frame.payload));
            assert_eq!(came, Some((first, b"bob@corp.com".to_vec())));
        }
        proxy.switch(Mode::Enforce)?;
        assert_eq!(judged.close().await?.0, 1008);
        assert!(blind.frame().await?.is_none_or(|frame| frame.first == 0x88));
    }
    for exchange in proxy.ended(2 * WAYS.len()).await? {
        assert_eq!(exchange["would"], "permit", "{exchange:#}");
        assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
    }
    Ok(())
}
