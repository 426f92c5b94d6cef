//! An approval is for one request at one place, and for nothing that looks like it.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::{client::Client, fixture::Proxy};

const POLICIES: &str = r#"
@id("ask")
@approvers("operators")
forbid (principal, action == Action::"http.write", resource == Service::"files")
unless { context.approvals.contains("operators") };
"#;

#[tokio::test]
async fn a_header_that_will_be_taken_out_was_not_approved() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy
        .client(proxy.tls_origin(), "files", "http/1.1")
        .await?;
    let place = format!("files:{}", proxy.tls_origin().port());
    left_approved(&proxy, &mut client, &place).await?;
    let mut client = proxy
        .client(proxy.tls_origin(), "files", "http/1.1")
        .await?;
    let told = [("connection", "x-dry-run"), ("x-dry-run", "true")];
    assert_eq!(ask(&mut client, &place, &told).await?, 403);
    assert_eq!(
        ask(&mut client, &place, &[("x-dry-run", "true")]).await?,
        200
    );
    Ok(())
}

#[tokio::test]
async fn another_port_of_the_service_was_not_approved() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy
        .client(proxy.tls_origin(), "files", "http/1.1")
        .await?;
    let place = format!("files:{}", proxy.tls_origin().port());
    left_approved(&proxy, &mut client, &place).await?;
    let other = proxy.upstream.tls[1];
    let mut client = proxy.client(other, "files", "http/1.1").await?;
    let told = [("x-dry-run", "true")];
    let place = format!("files:{}", other.port());
    assert_eq!(ask(&mut client, &place, &told).await?, 403);
    Ok(())
}

/// Leaves an approval behind that no request has taken.
async fn left_approved(proxy: &Proxy, client: &mut Client, place: &str) -> anyhow::Result<()> {
    assert_eq!(ask(client, place, &[("x-dry-run", "true")]).await?, 403);
    proxy.approve().await
}

async fn ask(
    client: &mut Client,
    place: &str,
    headers: &[(&'static str, &'static str)],
) -> anyhow::Result<u16> {
    let mut request = client.request("POST", place, "/echo", "x")?;
    let told = headers
        .iter()
        .copied()
        // A client that does not wait.
        .chain([("x-stainless-timeout", "1.1")]);
    for (name, value) in told {
        request.headers_mut().insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    let (status, _) = timeout(Duration::from_secs(5), client.send(request)).await??;
    Ok(status)
}
