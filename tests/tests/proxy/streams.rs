//! Streams of HTTP/2, as gRPC uses them: both ways at once, statuses, resets, goodbyes, and readers that stop.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::{Frame, Incoming},
    header::{HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

use crate::{
    client::streaming,
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, Answer, SITE, Site},
};

const POLICIES: &str = r#"
@id("all")
permit (principal, action in Action::"http", resource == Service::"site")
when { context.path != "/test.Admin/Drop" };
"#;

#[tokio::test]
async fn a_refused_call_gets_a_status_that_is_final() -> anyhow::Result<()> {
    let site = Site::start(|_| async { site::whole(200, &[("grpc-status", "0")], "") }).await?;
    let proxy = governed(&site).await?;
    let (mut sender, _connection) = streaming(proxy.tls(site.origin, SITE, "h2").await?).await?;
    for (path, status) in [("/test.Echo/Unary", "0"), ("/test.Admin/Drop", "7")] {
        let answer = timeout(SOON, sender.send_request(call(&site, path, empty())?)).await??;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], status);
        if status == "7" {
            let message = answer.headers()["grpc-message"].to_str()?.to_owned();
            assert!(
                message.contains("refused http.write on site for research-agent"),
                "{message}"
            );
            assert!(answer.headers().contains_key("x-tollgate-id"));
        }
        assert_eq!(answer.into_body().collect().await?.to_bytes(), "");
    }
    let exchanges = proxy.ended(2).await?;
    assert_eq!(exchanges[1]["outcome"], "refused");
    Ok(())
}

#[tokio::test]
async fn both_sides_talk_at_once_and_the_status_comes_last() -> anyhow::Result<()> {
    // Answers each message as it comes, then with a status.
    let site = Site::start(|request: Request<Incoming>| async move {
        let (frames, from) = mpsc::channel(1);
        let mut body = request.into_body();
        let mut echoing = tokio::task::JoinSet::new();
        echoing.spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    drop(frames.send(Ok(Frame::data(data))).await);
                }
            }
            let mut status = HeaderMap::new();
            status.insert("grpc-status", HeaderValue::from_static("5"));
            drop(frames.send(Ok(Frame::trailers(status))).await);
        });
        echoing.detach_all();
        site::answer(
            200,
            &[("content-type", "application/grpc")],
            site::channel(from),
        )
    })
    .await?;
    let proxy = governed(&site).await?;
    let (mut sender, _connection) = streaming(proxy.tls(site.origin, SITE, "h2").await?).await?;
    let (frames, from) = mpsc::channel(1);
    let request = call(&site, "/test.Echo/Stream", site::channel(from))?;
    // The head of the answer comes before any message.
    let mut body = timeout(SOON, sender.send_request(request))
        .await??
        .into_body();
    for message in ["one", "two", "three"] {
        frames.send(Ok(Frame::data(Bytes::from(message)))).await?;
        let frame = timeout(SOON, body.frame()).await?.unwrap()?;
        assert_eq!(frame.into_data().unwrap(), message);
    }
    drop(frames);
    let rest = timeout(SOON, body.collect()).await??;
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "5");
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "completed");
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_upstream() -> anyhow::Result<()> {
    let (told, cancelled) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let site = Site::start(move |_| {
        let told = told.lock().unwrap().take();
        async move {
            let (frames, from) = mpsc::channel(1);
            let mut waiting = tokio::task::JoinSet::new();
            waiting.spawn(async move {
                frames.closed().await;
                if let Some(told) = told {
                    assert!(told.send(()).is_ok());
                }
            });
            waiting.detach_all();
            site::answer(200, &[], site::channel(from))
        }
    })
    .await?;
    let proxy = governed(&site).await?;
    let (mut sender, _connection) = streaming(proxy.tls(site.origin, SITE, "h2").await?).await?;
    let answer = timeout(
        SOON,
        sender.send_request(call(&site, "/test.Echo/Wait", empty())?),
    )
    .await??;
    drop(answer);
    timeout(SOON, cancelled).await??;
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "aborted");
    Ok(())
}

#[tokio::test]
async fn a_reset_of_the_upstream_arrives_as_the_same_reset() -> anyhow::Result<()> {
    let site = Site::start(|_| async {
        let (frames, from) = mpsc::channel(2);
        drop(frames.try_send(Ok(Frame::data(Bytes::from("half")))));
        let reason = h2::Error::from(h2::Reason::ENHANCE_YOUR_CALM);
        drop(frames.try_send(Err(reason.into())));
        site::answer(200, &[], site::channel(from))
    })
    .await?;
    let proxy = governed(&site).await?;
    let (mut sender, _connection) = streaming(proxy.tls(site.origin, SITE, "h2").await?).await?;
    let answer = timeout(
        SOON,
        sender.send_request(call(&site, "/test.Echo/Half", empty())?),
    )
    .await?;
    // The reset may overtake the head.
    let error = match answer {
        Ok(answer) => timeout(SOON, answer.into_body().collect())
            .await?
            .unwrap_err(),
        Err(error) => error,
    };
    let reset = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    let reason = reset.and_then(h2::Error::reason);
    assert_eq!(reason, Some(h2::Reason::ENHANCE_YOUR_CALM), "{error:?}");
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "failed");
    Ok(())
}

#[tokio::test]
async fn a_goodbye_of_the_upstream_ends_no_stream_and_refuses_no_request() -> anyhow::Result<()> {
    let (frames, from) = mpsc::channel(1);
    let from = Arc::new(Mutex::new(Some(from)));
    let site = Site::start(move |request: Request<Incoming>| {
        let from = from
            .lock()
            .unwrap()
            .take_if(|_| request.uri().path() == "/long");
        async move {
            match from {
                Some(from) => site::answer(200, &[], site::channel(from)),
                None => site::whole(200, &[], "short"),
            }
        }
    })
    .await?;
    let proxy = governed(&site).await?;
    let (mut sender, _connection) = streaming(proxy.tls(site.origin, SITE, "h2").await?).await?;
    let long = timeout(SOON, sender.send_request(call(&site, "/long", empty())?)).await??;
    site.goodbye.notify_waiters();
    let started = Instant::now();
    let mut count = 1;
    while site.connections.load(Ordering::Relaxed) < 2 {
        let short = timeout(SOON, sender.send_request(call(&site, "/short", empty())?)).await??;
        assert_eq!(short.into_body().collect().await?.to_bytes(), "short");
        count += 1;
        assert!(started.elapsed() < SOON, "the old connection is still used");
    }
    frames
        .send(Ok(Frame::data(Bytes::from("to its end"))))
        .await?;
    drop(frames);
    let got = timeout(SOON, long.into_body().collect()).await??.to_bytes();
    assert_eq!(got, "to its end");
    for exchange in proxy.ended(count).await? {
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reader_that_stops_stops_the_upstream() -> anyhow::Result<()> {
    const PIECE: usize = 64 * 1024;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let site = Site::start(move |_| {
        let counted = Arc::clone(&counted);
        async move {
            let (frames, from) = mpsc::channel(1);
            let mut sending = tokio::task::JoinSet::new();
            sending.spawn(async move {
                let piece = Bytes::from(vec![b'x'; PIECE]);
                while frames.send(Ok(Frame::data(piece.clone()))).await.is_ok() {
                    counted.fetch_add(PIECE as u64, Ordering::Relaxed);
                }
            });
            sending.detach_all();
            site::answer(200, &[], site::channel(from))
        }
    })
    .await?;
    let proxy = governed(&site).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(site.origin, SITE, version).await?;
        let request = client.request("GET", &site.authority(), "/endless", "")?;
        let before = sent.load(Ordering::Relaxed);
        let mut body = timeout(SOON, client.start(request)).await??.into_body();
        let stalled = timeout(SOON, stalls(&sent)).await? - before;
        assert!(
            stalled < 24 << 20,
            "{version}: {stalled} bytes went to a reader that does not read"
        );
        // Much more than all buffers between them.
        let mut read = 0;
        while read < stalled + (4 << 20) {
            let frame = timeout(SOON, body.frame()).await?.unwrap()?;
            read += frame.into_data().unwrap().len() as u64;
        }
    }
    Ok(())
}

/// How much has been sent when nothing more is.
async fn stalls(sent: &AtomicU64) -> u64 {
    let mut last = 0;
    loop {
        sleep(Duration::from_millis(300)).await;
        let now = sent.load(Ordering::Relaxed);
        if now > 0 && now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_reached_with_a_permit_and_not_without() -> anyhow::Result<()>
{
    const PERMIT: &str = r#"
@id("mail")
permit (principal, action == Action::"connect", resource == Service::"mail");
"#;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = listener.local_addr()?;
    let accepted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&accepted);
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            drop(stream.write_all(b"220 mail ESMTP\r\n").await);
            let mut hello = [0; 6];
            if stream.read_exact(&mut hello).await.is_ok() && &hello == b"HELO\r\n" {
                drop(stream.write_all(b"250 mail\r\n").await);
            }
        }
    });
    let services = format!(
        "\n[[service]]\nname = \"mail\"\nhosts = [\"tcp://localhost:{}\"]\n",
        origin.port()
    );
    for policies in [PERMIT, ""] {
        let proxy = Proxy::with(Setup {
            policies: policies.to_owned(),
            services: services.clone(),
            ..Setup::default()
        })
        .await?;
        let before = accepted.load(Ordering::Relaxed);
        let mut stream = proxy.dial(origin).await?;
        let mut banner = [0; 16];
        let got = timeout(SOON, stream.read_exact(&mut banner)).await?;
        let exchange;
        if policies.is_empty() {
            assert!(got.is_err(), "a banner without a permit");
            assert_eq!(accepted.load(Ordering::Relaxed), before);
            exchange = proxy.ended(1).await?.remove(0);
            assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
        } else {
            assert_eq!(&banner, b"220 mail ESMTP\r\n");
            stream.write_all(b"HELO\r\n").await?;
            let mut rest = Vec::new();
            timeout(SOON, stream.read_to_end(&mut rest)).await??;
            assert_eq!(rest, b"250 mail\r\n");
            drop(stream);
            exchange = proxy.ended(1).await?.remove(0);
            assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
        }
        assert_eq!(
            (&exchange["action"], &exchange["service"]),
            (&"connect".into(), &"mail".into())
        );
    }
    Ok(())
}

fn call(site: &Site, path: &str, body: Answer) -> anyhow::Result<Request<Answer>> {
    Ok(Request::post(format!("https://{}{path}", site.authority()))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(body)?)
}

fn empty() -> Answer {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

async fn governed(site: &Site) -> anyhow::Result<Proxy> {
    Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await
}
