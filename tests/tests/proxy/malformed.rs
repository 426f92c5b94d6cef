//! Malformed input is refused: never a panic, never a hang, and nothing of it reaches the upstream.

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::fixture::{Proxy, SOON};

/// Requests that two parsers could read differently, or that are none. `HOST` stands for the right authority.
const REQUESTS: &[&str] = &[
    "GET /hello HTTP/1.1\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: HOST\r\nHost: other\r\n\r\n",
    "GET http://other/hello HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost : HOST\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: HOST\r\n folded: x\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\nxy",
    "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nxy\r\n0\r\n\r\n",
    "GET /he\u{0}llo HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "GET /hello HTTP/3.7\r\nHost: HOST\r\n\r\n",
    "CONNECT other:443 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u{0}\u{0}\u{0}garbage",
];

#[tokio::test]
async fn malformed_requests_are_refused_over_tls_and_in_the_clear() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    for request in REQUESTS {
        let origin = proxy.tls_origin();
        let stream = proxy.tls(origin, "files", "http/1.1").await?;
        refused(
            stream,
            &request.replace("HOST", &format!("files:{}", origin.port())),
        )
        .await?;
        let origin = proxy.upstream.plain[0];
        let stream = proxy.dial(origin).await?;
        refused(
            stream,
            &request.replace("HOST", &format!("localhost:{}", origin.port())),
        )
        .await?;
        let received = proxy.upstream.take();
        assert_eq!(
            received.len(),
            0,
            "{request:?} reached the upstream: {received:#?}"
        );
    }
    assert_eq!(proxy.sessions().await?.len(), 2 * REQUESTS.len());
    let exchanges = proxy.exchanges().await?;
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange["outcome"] != "completed"),
        "{exchanges:#?}"
    );
    // The gateway still serves.
    let mut client = proxy.client(proxy.tls_origin(), "files", "h2").await?;
    let host = format!("files:{}", proxy.tls_origin().port());
    assert_eq!(
        client
            .send(client.request("GET", &host, "/hello", "")?)
            .await?
            .0,
        200
    );
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_breaks_off_is_closed() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    // A record that promises a ClientHello of 512 bytes, broken off, and one that is garbage inside.
    let mut hello = vec![
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    hello.resize(5 + 512, 0xee);
    for end in (1..hello.len()).step_by(37).chain([hello.len()]) {
        let mut stream = proxy.dial(proxy.tls_origin()).await?;
        stream.write_all(&hello[..end]).await?;
        stream.shutdown().await?;
        closed(&mut stream).await?;
    }
    assert_eq!(proxy.upstream.connections(), 0);
    Ok(())
}

/// An answer of 4xx or 5xx, or none, and then the end; but no answer of another kind.
async fn refused(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> anyhow::Result<()> {
    // The gateway may close before it has read everything.
    drop(stream.write_all(request.as_bytes()).await);
    drop(stream.shutdown().await);
    let answer = closed(&mut stream).await?;
    let status = answer.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..1]);
    let http2 = answer.as_bytes().get(3) == Some(&4) || answer.as_bytes().get(3) == Some(&7);
    assert!(
        answer.is_empty() || matches!(status, Some("4" | "5")) || http2,
        "{request:?} got {answer:?}"
    );
    Ok(())
}

/// Everything until the connection ends, in whatever way.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<String> {
    let mut got = Vec::new();
    // A reset, or TLS without its goodbye, is an end too.
    drop(timeout(SOON, stream.read_to_end(&mut got)).await?);
    Ok(String::from_utf8_lossy(&got).into_owned())
}
