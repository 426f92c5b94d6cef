//! How messages travel: trailers, interim answers, old versions, answers without a body, refusals in the middle of an upload.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Frame, Incoming},
    header::{HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{
    client::streaming,
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, SITE, Site},
    wire::Wire,
};

const POLICIES: &str = r#"
@id("all")
permit (principal, action in Action::"http", resource)
when { [Service::"site", Service::"wire"].contains(resource) && context.path != "/admin" };
"#;
/// Has bodies of requests read whole.
const WHOLE: &str = r#"
@id("masked") @mask("pii")
forbid (principal, action == Action::"http.write", resource == Service::"site")
unless { context.masked.contains("pii") };
"#;

#[tokio::test]
async fn trailers_of_a_request_arrive_whether_its_body_is_read_or_not() -> anyhow::Result<()> {
    for policies in [POLICIES.to_owned(), POLICIES.to_owned() + WHOLE] {
        let site = Site::start(echoing).await?;
        let proxy = governed(&policies, site.service(None)?).await?;

        let tls = proxy.tls(site.origin, SITE, "h2").await?;
        let (mut sender, _connection) = streaming(tls).await?;
        let (frames, from) = mpsc::channel(4);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        trailers.insert("authorization", HeaderValue::from_static("mine"));
        trailers.insert(
            "x-note",
            HeaderValue::from_static("ask anna.smith@corp.com"),
        );
        frames
            .send(Ok(Frame::data(Bytes::from("some text"))))
            .await?;
        frames.send(Ok(Frame::trailers(trailers))).await?;
        drop(frames);
        let request = Request::post(format!("https://{}/t", site.authority()));
        let request = request.body(site::channel(from))?;
        let answer = timeout(SOON, sender.send_request(request)).await??;
        let got = timeout(SOON, answer.into_body().collect()).await??;
        assert_eq!(got.trailers().map(|trailers| trailers.len()), Some(2));
        assert_eq!(got.trailers().unwrap()["x-sum"], "7");
        let note = match policies.contains("@mask") {
            true => "ask [REDACTED:email]",
            false => "ask anna.smith@corp.com",
        };
        assert_eq!(got.trailers().unwrap()["x-note"], note);
        assert_eq!(got.to_bytes(), "some text");

        let mut stream = proxy.tls(site.origin, SITE, "http/1.1").await?;
        let request = format!(
            "POST /t HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nConnection: TE, close\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nsome text\r\n0\r\nX-Sum: 7\r\n\r\n",
            site.authority()
        );
        stream.write_all(request.as_bytes()).await?;
        let got = rest(&mut stream).await?.to_ascii_lowercase();
        // A text that is masked leaves in pieces.
        let got = got.replace("5\r\nsome \r\n4\r\ntext", "9\r\nsome text");
        assert!(got.contains("9\r\nsome text\r\n0\r\nx-sum: 7\r\n"), "{got}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_go_on_unless_it_is_refused() -> anyhow::Result<()> {
    let wire = Wire::start(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
    let proxy = governed(POLICIES, wire.services()).await?;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: wire:{}\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            wire.tls.port()
        )
    };
    let mut stream = proxy.tls(wire.tls, "wire", "http/1.1").await?;
    stream.write_all(head("/a").as_bytes()).await?;
    let mut told = [0; 25];
    timeout(SOON, stream.read_exact(&mut told)).await??;
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"abc").await?;
    let answer = rest(&mut stream).await?;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"),
        "{answer}"
    );
    let heard = wire.take()?;
    assert_eq!((heard.len(), heard[0].body.as_slice()), (1, &b"abc"[..]));
    assert!(heard[0].header("expect").is_empty(), "{heard:?}");

    let mut stream = proxy.tls(wire.tls, "wire", "http/1.1").await?;
    stream.write_all(head("/admin").as_bytes()).await?;
    let answer = rest(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(wire.take()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn interim_answers_and_other_ways_to_the_server_are_left_out() -> anyhow::Result<()> {
    let wire = Wire::start(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nAlt-Svc: h3=\":443\"\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok").await?;
    let proxy = governed(POLICIES, wire.services()).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(wire.tls, "wire", version).await?;
        let host = format!("wire:{}", wire.tls.port());
        let answer = client
            .start(client.request("GET", &host, "/a", "")?)
            .await?;
        assert_eq!(answer.status(), 200);
        assert!(!answer.headers().contains_key("alt-svc"));
        assert_eq!(answer.headers()["x-kept"], "1");
        assert_eq!(answer.into_body().collect().await?.to_bytes(), "ok");
    }
    Ok(())
}

#[tokio::test]
async fn old_clients_and_old_servers_are_served() -> anyhow::Result<()> {
    // Without a length, as chunks would be.
    let site = Site::start(|_| async {
        let (frames, from) = mpsc::channel(2);
        drop(frames.try_send(Ok(Frame::data(Bytes::from("some text")))));
        site::answer(200, &[], site::channel(from))
    })
    .await?;
    let proxy = governed(POLICIES, site.service(None)?).await?;
    let mut stream = proxy.tls(site.origin, SITE, "http/1.1").await?;
    let request = format!("GET /a HTTP/1.0\r\nHost: {}\r\n\r\n", site.authority());
    stream.write_all(request.as_bytes()).await?;
    let answer = rest(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(
        !answer.to_ascii_lowercase().contains("transfer-encoding"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nsome text"), "{answer}");

    let wire = Wire::start(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
    let proxy = governed(POLICIES, wire.services()).await?;
    let mut stream = proxy.tls(wire.tls, "wire", "http/1.1").await?;
    let request = |more: &str| {
        format!(
            "GET /a HTTP/1.1\r\nHost: wire:{}\r\n{more}\r\n",
            wire.tls.port()
        )
    };
    let both = request("") + &request("Connection: close\r\n");
    stream.write_all(both.as_bytes()).await?;
    let answer = rest(&mut stream).await?;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(wire.take()?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn answers_without_a_body_keep_their_headers() -> anyhow::Result<()> {
    let site = Site::start(|request: Request<Incoming>| async move {
        match request.uri().path() {
            "/204" => site::whole(204, &[("etag", "\"1\"")], ""),
            "/304" => site::whole(304, &[("etag", "\"1\"")], ""),
            _ if request.method() == "HEAD" => {
                site::whole(200, &[("etag", "\"1\""), ("content-length", "5")], "")
            }
            _ => site::whole(200, &[("etag", "\"1\"")], "hello"),
        }
    })
    .await?;
    let proxy = governed(POLICIES, site.service(None)?).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(site.origin, SITE, version).await?;
        for (method, path, status, length) in [
            ("HEAD", "/", 200, Some("5")),
            ("GET", "/204", 204, None),
            ("GET", "/304", 304, None),
            ("GET", "/", 200, Some("5")),
        ] {
            let answer = client
                .start(client.request(method, &site.authority(), path, "")?)
                .await?;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["etag"], "\"1\"");
            let told = answer
                .headers()
                .get("content-length")
                .map(|length| length.to_str().unwrap());
            assert_eq!(
                told.map(str::to_owned),
                length.map(str::to_owned),
                "{version} {method} {path}"
            );
            let body = answer.into_body().collect().await?.to_bytes();
            assert_eq!(
                body,
                if method == "GET" && status == 200 {
                    "hello"
                } else {
                    ""
                }
            );
        }
    }
    for exchange in proxy.ended(8).await? {
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(site.origin, SITE, version).await?;
        let refused = client.request("HEAD", &site.authority(), "/admin", "")?;
        assert_eq!(
            client.send(refused).await?,
            (403, Bytes::new()),
            "{version}"
        );
        let next = client.request("GET", &site.authority(), "/", "")?;
        assert_eq!(client.send(next).await?.0, 200, "{version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_an_upload_is_read() -> anyhow::Result<()> {
    let site = Site::start(echoing).await?;
    let proxy = governed(POLICIES, site.service(None)?).await?;
    for (path, length, status) in [
        ("/admin", 8 << 20, "403"),
        ("/v1/chat/completions", 33 << 20, "413"),
    ] {
        let mut stream = proxy.tls(site.origin, SITE, "http/1.1").await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
            site.authority()
        );
        stream.write_all(head.as_bytes()).await?;
        // As clients do that write everything before they read anything.
        stream.write_all(&vec![b'x'; length]).await?;
        let mut answer = [0; 12];
        timeout(SOON, stream.read_exact(&mut answer)).await??;
        assert_eq!(&answer[9..], status.as_bytes());
    }
    Ok(())
}

async fn echoing(request: Request<Incoming>) -> hyper::Response<site::Answer> {
    let body = request.into_body().map_err(Into::into).boxed_unsync();
    site::answer(200, &[("trailer", "x-sum")], body)
}

async fn governed(policies: &str, services: String) -> anyhow::Result<Proxy> {
    Proxy::with(Setup {
        policies: policies.to_owned(),
        services,
        ..Setup::default()
    })
    .await
}

async fn rest(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<String> {
    let mut got = Vec::new();
    timeout(SOON, stream.read_to_end(&mut got)).await??;
    Ok(String::from_utf8_lossy(&got).into_owned())
}
