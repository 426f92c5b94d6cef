//! A held credential reaches the upstream and nobody else, whatever the upstream does with it.

use http_body_util::BodyExt;
use hyper::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, RANGE};

use crate::fixture::{Proxy, SECRET};

const POLICIES: &str = r#"
@id("held")
permit (principal, action in Action::"http", resource == Service::"held");
"#;

#[tokio::test]
async fn echoes_are_taken_out_of_bodies_and_trailers() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let host = format!("held:{}", proxy.tls_origin().port());
    let mut client = proxy.client(proxy.tls_origin(), "held", "h2").await?;
    for path in ["/echo", "/trailer"] {
        let request = client.request("POST", &host, path, format!("Bearer {SECRET}"))?;
        let answer = client.start(request).await?;
        assert_eq!(answer.status(), 200);
        let answer = answer.into_body().collect().await?;
        let trailer = answer
            .trailers()
            .and_then(|trailers| trailers.get("x-echo"))
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let said = trailer.unwrap_or_default() + &String::from_utf8_lossy(&answer.to_bytes());
        assert!(
            said.starts_with("Bearer [credential]") && !said.contains(SECRET),
            "{path}: {said}"
        );
    }
    for received in proxy.upstream.take() {
        let sent = format!("Bearer {SECRET}");
        assert_eq!(received.header("authorization"), Some(sent.as_str()));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_asked_for_in_a_form_that_hides_an_echo() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let host = format!("held:{}", proxy.tls_origin().port());
    let mut client = proxy.client(proxy.tls_origin(), "held", "http/1.1").await?;
    let mut request = client.request("POST", &host, "/echo", "x")?;
    for (name, value) in [
        (ACCEPT_ENCODING, "gzip"),
        (RANGE, "bytes=0-3"),
        (AUTHORIZATION, "Bearer mine"),
    ] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    client.send(request).await?;
    let received = proxy.upstream.take();
    let header = |name| received[0].header(name);
    assert_eq!(
        (header("accept-encoding"), header("range")),
        (Some("identity"), None)
    );

    // An upstream that answers in a coding nobody understands is not passed on.
    let request = client.request("POST", &host, "/compressed", SECRET)?;
    let (status, body) = client.send(request).await?;
    assert_eq!(status, 502);
    assert!(!String::from_utf8_lossy(&body).contains(SECRET));
    let exchanges = proxy.ended(2).await?;
    assert_eq!(exchanges[1]["outcome"], "failed");
    Ok(())
}
