//! Content codings: decided on what a body says, passed on as it came; answers readable whatever the upstream insists on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use flate2::Compression;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Frame, Incoming},
    header::HeaderValue,
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    fixture::{Proxy, SECRET, SOON},
    setup::Setup,
    site::{self, SITE, Site},
};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];
const CHAT: &str = "/v1/chat/completions";
const POLICIES: &str = r#"
@id("site-chat")
permit (principal, action == Action::"llm.generate", resource == Service::"site")
when { context.model == "gpt-5-mini" };

@id("site-http")
permit (principal, action in Action::"http", resource == Service::"site");
"#;

type Seen = Arc<Mutex<Vec<(Option<String>, Bytes)>>>;

#[tokio::test]
async fn a_coded_request_is_decided_by_what_it_says_and_passes_as_it_came() -> anyhow::Result<()> {
    let (seen, site) = noting().await?;
    let proxy = governed(&site, None).await?;
    for version in ["http/1.1", "h2"] {
        for coding in CODINGS {
            let mut client = proxy.client(site.origin, SITE, version).await?;
            for (model, text, status) in [
                ("gpt-5", "hi", 403),
                ("gpt-5-mini", "hi", 200),
                ("gpt-5-mini", "card 4111 1111 1111 1111", 200),
            ] {
                let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
                let sent = coded(coding, body.to_string().as_bytes())?;
                let mut request = client.request("POST", &site.authority(), CHAT, sent.clone())?;
                let name = HeaderValue::from_static(coding);
                request.headers_mut().insert("content-encoding", name);
                let (got, said) = client.send(request).await?;
                assert_eq!(got, status, "{version} {coding}: {said:?}");
                let Some((kept, received)) = seen.lock().unwrap().pop() else {
                    assert_eq!(status, 403, "nothing arrived");
                    continue;
                };
                if text == "hi" {
                    assert_eq!(kept.as_deref(), Some(coding));
                    assert!(received == sent, "{coding}: other bytes arrived");
                } else {
                    assert_eq!(kept, None, "{coding}");
                    let received = String::from_utf8_lossy(&received);
                    assert!(
                        received.contains("[REDACTED:") && !received.contains("4111"),
                        "{received}"
                    );
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn coded_requests_that_cannot_be_read_are_refused() -> anyhow::Result<()> {
    let (seen, site) = noting().await?;
    let proxy = governed(&site, None).await?;
    let body = json!({"model": "gpt-5-mini", "messages": []}).to_string();
    let gzip = coded("gzip", body.as_bytes())?;
    let zeros = vec![b' '; 4 << 20];
    let mut cases = vec![
        ("gzip", gzip[..gzip.len() - 3].to_vec(), 400),
        ("gzip", [&gzip[..], b"x"].concat(), 400),
        ("gzip", body.clone().into_bytes(), 400),
        ("gzip, gzip", coded("gzip", &gzip)?, 415),
        ("compress", body.clone().into_bytes(), 415),
    ];
    for coding in CODINGS {
        cases.push((coding, coded(coding, &zeros)?, 400));
    }
    let count = cases.len();
    let mut client = proxy.client(site.origin, SITE, "h2").await?;
    for (coding, sent, status) in cases {
        let mut request = client.request("POST", &site.authority(), CHAT, sent)?;
        let name = HeaderValue::from_static(coding);
        request.headers_mut().insert("content-encoding", name);
        let (got, said) = client.send(request).await?;
        assert_eq!(got, status, "{coding}: {}", String::from_utf8_lossy(&said));
    }
    assert!(seen.lock().unwrap().is_empty());
    for exchange in proxy.ended(count).await? {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_coded_answer_is_masked_scrubbed_and_sent_without_its_coding() -> anyhow::Result<()> {
    let said = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": format!("to bob@corp.com from {SECRET}")}}], "usage": {"prompt_tokens": 3, "completion_tokens": 5}});
    let text = said.to_string();
    let site = Site::start(move |request: Request<Incoming>| {
        let text = text.clone();
        async move {
            let asked = request.uri().query().unwrap_or("gzip").to_owned();
            let body = coded(&asked, text.as_bytes()).unwrap_or_default();
            let headers = [
                ("content-type", "application/json"),
                ("content-encoding", asked.as_str()),
                ("etag", "\"1\""),
            ];
            site::whole(200, &headers, body)
        }
    })
    .await?;
    let proxy = governed(&site, Some(SECRET)).await?;
    let mut count = 0;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(site.origin, SITE, version).await?;
        for coding in CODINGS {
            for (method, path, sent) in [
                (
                    "POST",
                    CHAT,
                    json!({"model": "gpt-5-mini", "messages": []}).to_string(),
                ),
                ("GET", "/file", String::new()),
            ] {
                let path = format!("{path}?{coding}");
                let answer = client
                    .start(client.request(method, &site.authority(), &path, sent)?)
                    .await?;
                assert_eq!(answer.status(), 200);
                assert!(!answer.headers().contains_key("content-encoding"));
                assert!(!answer.headers().contains_key("etag"));
                let got = timeout(SOON, answer.into_body().collect())
                    .await??
                    .to_bytes();
                let got = String::from_utf8_lossy(&got);
                assert!(
                    got.contains("[credential]") && !got.contains(SECRET),
                    "{coding}: {got}"
                );
                // Masks are for model calls in this suite.
                assert_eq!(
                    got.contains("[REDACTED:email]"),
                    method == "POST",
                    "{coding}: {got}"
                );
                count += 1;
            }
        }
    }
    let exchanges = proxy.ended(count).await?;
    for exchange in &exchanges {
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    let counted = exchanges
        .iter()
        .filter(|exchange| exchange["usage"]["output"] == 5);
    assert_eq!(counted.count(), count / 2, "{exchanges:#?}");
    Ok(())
}

#[tokio::test]
async fn a_coded_answer_that_breaks_off_does_not_end_well() -> anyhow::Result<()> {
    let site = Site::start(|_| async {
        let mut body = coded("gzip", b"a text that ends early").unwrap_or_default();
        body.truncate(body.len() - 4);
        site::whole(200, &[("content-encoding", "gzip")], body)
    })
    .await?;
    let proxy = governed(&site, Some(SECRET)).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(site.origin, SITE, version).await?;
        let answer = client
            .start(client.request("GET", &site.authority(), "/", "")?)
            .await?;
        assert!(timeout(SOON, answer.into_body().collect()).await?.is_err());
    }
    for exchange in proxy.ended(2).await? {
        assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn events_of_a_coded_stream_arrive_as_they_are_sent() -> anyhow::Result<()> {
    let (events, from) = mpsc::channel(1);
    let from = Arc::new(Mutex::new(Some(from)));
    let site = Site::start(move |_| {
        let from = from.lock().unwrap().take();
        async move {
            let headers = [
                ("content-type", "text/event-stream"),
                ("content-encoding", "gzip"),
            ];
            match from {
                Some(from) => site::answer(200, &headers, site::channel(from)),
                None => site::whole(500, &[], ""),
            }
        }
    })
    .await?;
    let proxy = governed(&site, Some(SECRET)).await?;
    let mut client = proxy.client(site.origin, SITE, "h2").await?;
    let request = client.request("GET", &site.authority(), "/events", "")?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    let mut body = None;
    for number in 0..3 {
        let event = format!("data: {number}\n\n");
        gzip.write_all(event.as_bytes())?;
        gzip.flush()?;
        events
            .send(Ok(Frame::data(std::mem::take(gzip.get_mut()).into())))
            .await?;
        if body.is_none() {
            body = Some(
                timeout(SOON, client.start(request.clone()))
                    .await??
                    .into_body(),
            );
        }
        let frame = timeout(SOON, body.as_mut().unwrap().frame())
            .await?
            .unwrap()?;
        assert_eq!(frame.into_data().unwrap(), event);
    }
    events.send(Ok(Frame::data(gzip.finish()?.into()))).await?;
    drop(events);
    let rest = timeout(SOON, body.unwrap().collect()).await??.to_bytes();
    assert_eq!(rest, "");
    Ok(())
}

/// A site that keeps the content coding and the body of every request.
async fn noting() -> anyhow::Result<(Seen, Site)> {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let site = Site::start(move |request: Request<Incoming>| {
        let kept = Arc::clone(&kept);
        async move {
            let coding = request.headers().get("content-encoding");
            let coding =
                coding.map(|coding| String::from_utf8_lossy(coding.as_bytes()).into_owned());
            let body = request
                .into_body()
                .collect()
                .await
                .map(|body| body.to_bytes());
            kept.lock()
                .unwrap()
                .push((coding, body.unwrap_or_default()));
            site::whole(200, &[("content-type", "application/json")], "{}")
        }
    })
    .await?;
    Ok((seen, site))
}

async fn governed(site: &Site, credential: Option<&str>) -> anyhow::Result<Proxy> {
    Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(credential)?,
        ..Setup::default()
    })
    .await
}

fn coded(coding: &str, text: &[u8]) -> std::io::Result<Vec<u8>> {
    match coding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            writer.write_all(text)?;
            writer.finish()
        }
        "deflate" => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            writer.write_all(text)?;
            writer.finish()
        }
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 20).write_all(text)?;
            Ok(out)
        }
        _ => zstd::encode_all(text, 3),
    }
}
