//! The end of the daemon as clients see it: a request that is on its way is answered, and told to be the last.

use std::time::Duration;

use hyper::header::CONNECTION;
use tokio::time::timeout;

use crate::fixture::{Proxy, SOON};

#[tokio::test]
async fn a_request_that_comes_as_the_drain_begins_is_answered_as_the_last() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let origin = proxy.tls_origin();
    let host = format!("files:{}", origin.port());
    let mut used = proxy.client(origin, "files", "http/1.1").await?;
    let request = used.request("GET", &host, "/hello", "")?;
    assert!(
        used.start(request)
            .await?
            .headers()
            .get(CONNECTION)
            .is_none()
    );
    let mut fresh = proxy.client(origin, "files", "http/1.1").await?;
    let mut streams = proxy.client(origin, "files", "h2").await?;
    let mut draining = tokio::task::JoinSet::new();
    draining.spawn(proxy.drained());
    while !proxy.drains() {
        tokio::task::yield_now().await;
    }
    for client in [&mut used, &mut fresh] {
        let request = client.request("GET", &host, "/hello", "")?;
        let response = timeout(SOON, client.start(request)).await??;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONNECTION], "close");
    }
    let request = streams.request("GET", &host, "/hello", "")?;
    assert_eq!(streams.send(request).await?.0, 200);
    let took = timeout(SOON, draining.join_all()).await?[0];
    assert!(
        took < Duration::from_secs(4),
        "the drain waited for its deadline: {took:?}"
    );
    Ok(())
}
