//! A name counts only when it is proven, and every name of a request must be the same.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::fixture::{Proxy, SOON};

#[tokio::test]
async fn a_certificate_for_another_name_proves_nothing() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    for version in ["http/1.1", "h2"] {
        let origin = proxy.impostor.tls[0];
        let mut client = proxy.client(origin, "impostor", version).await?;
        let (status, body) = client
            .send(client.request("GET", &format!("impostor:{}", origin.port()), "/hello", "")?)
            .await?;
        assert_eq!(status, 502, "{}", String::from_utf8_lossy(&body));
    }
    assert_eq!(
        proxy.impostor.received().len(),
        0,
        "something was sent before the name was proven"
    );
    for exchange in proxy.ended(2).await? {
        assert_eq!(
            (&exchange["decision"], &exchange["outcome"]),
            (&json!("permit"), &json!("failed")),
            "{exchange:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_not_the_tls_name_is_refused() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let port = proxy.tls_origin().port();
    for version in ["http/1.1", "h2"] {
        for host in [
            format!("api.openai.com:{port}"),
            "files:1".to_owned(),
            format!("files.:{port}x"),
        ] {
            let mut client = proxy.client(proxy.tls_origin(), "files", version).await?;
            let Ok(request) = client.request("GET", &host, "/hello", "") else {
                continue;
            };
            let (status, body) = client.send(request).await?;
            assert!(
                (400..500).contains(&status),
                "{version} {host}: {status} {}",
                String::from_utf8_lossy(&body)
            );
        }
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    assert!(
        proxy
            .exchanges()
            .await?
            .iter()
            .all(|exchange| exchange["outcome"] == "refused")
    );
    Ok(())
}

#[tokio::test]
async fn a_plain_name_that_does_not_resolve_to_the_address_is_refused() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    // The name of the service, at the address of another.
    let mut origin = proxy.upstream.plain[0];
    origin.set_ip([127, 9, 9, 9].into());
    let mut stream = proxy.dial(origin).await?;
    let request = format!(
        "GET /hello HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        origin.port()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await??;
    assert!(
        answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
        "{answer}"
    );
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn the_address_of_a_metadata_service_is_reached_only_where_policy_names_it()
-> anyhow::Result<()> {
    const ALL: &str = "@id(\"all\") permit (principal, action, resource);";
    // Without an interface the kernel dials nothing there.
    const NAMED: &str = "fe80::1:80";
    let named = format!(
        "{ALL}\n@id(\"named\") permit (principal, action, resource == Service::\"{NAMED}\");"
    );
    for (policies, host, refused) in [
        (ALL, "169.254.169.254", true),
        (ALL, "[::ffff:169.254.169.254]", true),
        (ALL, "[fe80::1]", true),
        (&named, "[fe80::1]", false),
    ] {
        let proxy = Proxy::governed_by(policies).await?;
        let mut stream = proxy.dial(format!("{host}:80").parse()?).await?;
        let request = format!("GET /latest HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await??;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        let exchange = proxy.ended(1).await?.remove(0);
        let reason = exchange["reason"].as_str().unwrap_or_default();
        assert_eq!(reason.contains("metadata"), refused, "{host}: {exchange:#}");
    }
    Ok(())
}
