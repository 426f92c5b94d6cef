//! Connections that nobody parses: one decision for the whole connection, then every byte, or none.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::fixture::{Proxy, SOON};

#[tokio::test]
async fn permitted_bytes_pass_both_ways_to_the_end() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let sent: Vec<u8> = (0..1_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let (mut from, mut to) = proxy.dial(proxy.upstream.echo[0]).await?.into_split();
    let mut got = Vec::new();
    let write = async {
        to.write_all(&sent).await?;
        // The end of one direction is not the end of the other.
        to.shutdown().await
    };
    let (written, read) = tokio::join!(write, timeout(SOON, from.read_to_end(&mut got)));
    written?;
    read??;
    assert!(
        got == sent,
        "{} of {} bytes, or others",
        got.len(),
        sent.len()
    );
    let exchanges = proxy.ended(1).await?;
    assert_eq!(
        (&exchanges[0]["action"], &exchanges[0]["outcome"]),
        (&json!("connect"), &json!("completed"))
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_waits_for_the_server_is_connected() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let mut stream = proxy.dial(proxy.upstream.echo[0]).await?;
    // Silence longer than the sniffer waits, then a first word.
    while proxy.exchanges().await?.is_empty() {
        sleep(Duration::from_millis(50)).await;
    }
    stream.write_all(b"hello").await?;
    let mut got = [0; 5];
    timeout(SOON, stream.read_exact(&mut got)).await??;
    assert_eq!(&got, b"hello");
    Ok(())
}

#[tokio::test]
async fn bytes_that_no_policy_permits_are_refused() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let mut origin = proxy.upstream.echo[0];
    origin.set_port(1);
    let mut stream = proxy.dial(origin).await?;
    stream.write_all(b"\x00\x01\x02 hello").await?;
    assert_eq!(rest(&mut stream).await?, b"");
    assert_eq!(proxy.upstream.connections(), 0);
    let exchanges = proxy.ended(1).await?;
    assert_eq!(
        (&exchanges[0]["service"], &exchanges[0]["outcome"]),
        (&json!("127.0.0.1:1"), &json!("refused"))
    );
    Ok(())
}

#[tokio::test]
async fn a_connection_that_was_not_redirected_is_closed_unread() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let mut stream = proxy.dial_unredirected().await?;
    drop(
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: files\r\n\r\n")
            .await,
    );
    assert_eq!(rest(&mut stream).await?, b"");
    assert_eq!(proxy.sessions().await?.len(), 0);
    Ok(())
}

/// What comes until the connection ends; a reset is an end too.
async fn rest(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut got = Vec::new();
    match timeout(SOON, stream.read_to_end(&mut got)).await? {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(got),
    }
}

#[tokio::test]
async fn bytes_that_policy_wants_masked_are_refused() -> anyhow::Result<()> {
    let masks = r#"
@id("mask-everywhere") @mask("pii")
forbid (principal, action, resource) unless { context.masked.contains("pii") };
"#;
    let proxy = Proxy::governed_by(masks).await?;
    let mut stream = proxy.dial(proxy.upstream.echo[0]).await?;
    stream.write_all(b"\x00 4111 1111 1111 1111").await?;
    let mut got = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut got)).await?);
    assert!(got.is_empty(), "{got:?}");
    assert_eq!(proxy.upstream.connections(), 0);
    let exchanges = proxy.ended(1).await?;
    assert_eq!(exchanges[0]["outcome"], "refused");
    Ok(())
}
