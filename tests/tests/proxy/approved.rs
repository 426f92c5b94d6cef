//! An approval is for one request at one place, and for nothing that looks like it.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::header::{HeaderName, HeaderValue};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

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

#[tokio::test]
async fn a_thousand_requests_are_each_held_and_each_get_their_own_answer() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let place = format!("files:{}", proxy.tls_origin().port());
    let mut running = JoinSet::new();
    for connection in 0..10 {
        let client = proxy.client(proxy.tls_origin(), "files", "h2").await?;
        for stream in 0..100 {
            let mut client = client.another()?;
            let said = format!("{connection} {stream}");
            let request = client.request("POST", &place, "/echo", said.clone())?;
            running.spawn(async move {
                let answer = client.start(request).await?;
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await?.to_bytes();
                anyhow::Ok((said, status, String::from_utf8(body.to_vec())?))
            });
        }
    }
    let waiting = proxy.questions(1000).await?;
    assert_eq!(proxy.upstream.received().len(), 0);
    let listed = Instant::now();
    assert_eq!(proxy.questions(1000).await?.len(), 1000);
    assert!(listed.elapsed() < Duration::from_secs(4), "listing is slow");
    for (n, question) in waiting.iter().step_by(10).enumerate() {
        match n % 2 {
            0 => proxy.answer(Some(question), None).await?,
            _ => proxy.answer(Some(question), Some("no")).await?,
        }
    }
    let mut counts = [0; 3];
    while let Some(done) = running.join_next().await {
        let (said, status, body) = done??;
        let kind = match status {
            200 => 0,
            _ if body.contains("somebody denied it: no") => 1,
            _ => 2,
        };
        assert!(kind > 0 || body == said, "{said}: {body}");
        assert!(kind == 0 || status == 403, "{said}: {body}");
        counts[kind] += 1;
        if counts.iter().sum::<i32>() == 100 {
            // The others are decided by policies that ask nobody.
            proxy.govern("")?;
        }
    }
    assert_eq!(counts, [50, 50, 900]);
    assert_eq!(proxy.upstream.take().len(), 50);
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
