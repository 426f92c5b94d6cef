//! What the account of an identity, its budgets and the ledger say that it spent: the same, and no more than the provider counted
//! where it did.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::Context;
use bytes::Bytes;
use gateway_user::record::Time;
use http_body_util::BodyExt;
use hyper::{
    Response,
    body::{Frame, Incoming},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    budget::{COST, COUNTS, DOLLAR, call, governed, model, near, question, spent},
    client::Client,
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, Answer, MISTRAL, ROUTER, SITE, Site},
};

/// A stream of which no more comes, and whose body does not end.
fn unending(events: &str) -> Response<Answer> {
    let (frames, from) = mpsc::channel(1);
    let events = Bytes::from(events.to_owned());
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        drop(frames.send(Ok(Frame::data(events))).await);
        frames.closed().await;
    });
    sending.detach_all();
    site::answer(
        200,
        &[("content-type", "text/event-stream")],
        site::channel(from),
    )
}

/// Reads a stream until that text has come, and leaves.
async fn left_at(
    proxy: &Proxy,
    client: Client,
    mut answer: Response<Incoming>,
    text: &str,
) -> anyhow::Result<Value> {
    let mut read = String::new();
    while !read.contains(text) {
        let frame = timeout(SOON, answer.body_mut().frame()).await;
        let frame = frame.with_context(|| format!("{text:?} never came, only {read:?}"))?;
        let frame = frame.unwrap()?;
        read += std::str::from_utf8(frame.data_ref().unwrap())?;
    }
    drop((answer, client));
    Ok(proxy.ended(1).await?.remove(0))
}

fn streaming() -> Value {
    question(json!({"stream": true, "stream_options": {"include_usage": true}}))
}

#[tokio::test]
async fn a_client_that_leaves_behind_the_end_of_a_stream_is_charged_what_was_counted()
-> anyhow::Result<()> {
    let counts = format!("data: {{\"choices\":[],\"usage\":{COUNTS}}}\n\n");
    let word = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    for (events, until, whole) in [
        (
            format!("{word}{counts}data: [DONE]\n\n"),
            "data: [DONE]\n\n",
            true,
        ),
        // It may go on behind counts, which are totals so far.
    ] {
        let site = Site::start(move |_| {
            let answer = unending(&events);
            async { answer }
        })
        .await?;
        let proxy = governed(&site, DOLLAR).await?;
        let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
        let request = call(&client, &site, &streaming())?;
        let answer = timeout(SOON, client.start(request)).await??;
        let account = proxy.gateway.spend.book.accounts(Time::now()).remove(0);
        let exchange = left_at(&proxy, client, answer, until).await?;
        let (recorded, booked) = spent(&proxy).await?;
        assert!(near(recorded, booked), "{recorded} {booked}");
        if whole {
            assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
            assert_eq!(exchange["usage"]["output"], 1000, "{exchange:#}");
            assert_eq!(exchange["cost_usd"], json!(COST), "{exchange:#}");
            assert!(near(booked, COST), "{booked}");
        } else {
            assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
            assert!(near(booked, account.reserved as f64 / 1e9), "{exchange:#}");
            assert!(booked > COST, "{booked}");
        }
    }
    Ok(())
}

const READING: &str = r#"
@id("cheap")
permit (principal, action == Action::"llm.generate", resource == Service::"site")
when { context.spent_today_cents < 100 };
"#;

/// Two streams that nobody asked for their counts: one to its end, one that its client leaves. What is on record, and in the account.
async fn unasked(policies: &str) -> anyhow::Result<(Vec<Value>, f64)> {
    let word = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n".repeat(100);
    let site = Site::start(move |request| {
        let left = request.headers().contains_key("x-left");
        let word = word.clone();
        async move {
            match left {
                true => unending(&word),
                false => model(request).await,
            }
        }
    })
    .await?;
    let proxy = Proxy::with(Setup {
        policies: policies.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let body = question(json!({"stream": true}));
    let (status, _) = client.send(call(&client, &site, &body)?).await?;
    assert_eq!(status, 200);
    let mut request = call(&client, &site, &body)?;
    request.headers_mut().insert("x-left", "1".parse()?);
    let answer = timeout(SOON, client.start(request)).await??;
    drop((answer, client));
    let exchanges = proxy.ended(2).await?;
    let (recorded, booked) = spent(&proxy).await?;
    assert!(near(recorded, booked), "{recorded} {booked}");
    Ok((exchanges, booked))
}

#[tokio::test]
async fn the_account_that_policies_read_is_what_the_next_daemon_adds_up() -> anyhow::Result<()> {
    let (exchanges, booked) = unasked(READING).await?;
    assert_eq!(exchanges[0]["cost_usd"], json!(COST), "{exchanges:#?}");
    let left = exchanges[1]["cost_usd"].as_f64().unwrap();
    assert!(left > 0.0 && near(booked, COST + left), "{exchanges:#?}");
    // Where nothing reads it, the stream is not asked, and nobody can say what it cost.
    let plain = READING.replace("when { context.spent_today_cents < 100 }", "");
    let (exchanges, booked) = unasked(&plain).await?;
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange["cost_usd"].is_null())
    );
    assert!(near(booked, 0.0), "{booked}");
    Ok(())
}

#[tokio::test]
async fn what_a_provider_says_that_it_charged_is_charged_without_a_price() -> anyhow::Result<()> {
    let site = Site::start(|_| async {
        let answer = r#"{"choices":[{"index":0,"message":{"content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.25}}"#;
        site::whole(200, &[("content-type", "application/json")], answer)
    })
    .await?;
    let policies = r#"@id("all") permit (principal, action in Action::"llm", resource);"#;
    let open = DOLLAR.replace("usd = 1\n", "usd = 1\nallow_uncounted = true\n");
    for limits in ["", open.as_str()] {
        let port = site.origin.port();
        let service = site.service(None)?;
        let service = service
            .replace(&format!("name = \"{SITE}\""), "name = \"openrouter\"")
            .replace(&format!("{SITE}:{port}"), &format!("{ROUTER}:{port}"));
        let proxy = Proxy::with(Setup {
            policies: policies.to_owned(),
            services: service + limits,
            ..Setup::default()
        })
        .await?;
        let mut client = proxy.client(site.origin, ROUTER, "http/1.1").await?;
        let request = client.request(
            "POST",
            &format!("{ROUTER}:{port}"),
            "/api/v1/chat/completions",
            question(json!({"model": "house/model"})).to_string(),
        )?;
        let (status, answer) = client.send(request).await?;
        assert_eq!(status, 200, "{answer:?}");
        let exchange = proxy.ended(1).await?.remove(0);
        assert_eq!(exchange["cost_usd"], json!(0.25), "{exchange:#}");
        let (recorded, booked) = spent(&proxy).await?;
        assert!(near(recorded, 0.25) && near(booked, 0.25), "{booked}");
        let own = proxy
            .gateway
            .spend
            .book
            .spent("research-agent", Time::now());
        assert_eq!(own, (250_000_000, 250_000_000), "{limits}");
    }
    Ok(())
}

#[tokio::test]
async fn mistral_is_asked_for_nothing_and_charged_by_what_its_last_chunk_counts()
-> anyhow::Result<()> {
    let site = Site::start(|request| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let call: Value = serde_json::from_slice(&body).unwrap();
        if call.get("stream_options").is_some() {
            return site::whole(422, &[("content-type", "application/json")], "{}");
        }
        let events = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hi\"}},\"finish_reason\":\"stop\"}}],\"usage\":{COUNTS}}}\n\ndata: [DONE]\n\n"
        );
        site::whole(200, &[("content-type", "text/event-stream")], events)
    })
    .await?;
    let port = site.origin.port();
    let service = site.service(None)?;
    let service = service
        .replace(&format!("name = \"{SITE}\""), "name = \"mistral\"")
        .replace(&format!("{SITE}:{port}"), &format!("{MISTRAL}:{port}"));
    let proxy = Proxy::with(Setup {
        policies: r#"@id("all") permit (principal, action in Action::"llm", resource);"#.to_owned(),
        services: service + DOLLAR,
        ..Setup::default()
    })
    .await?;
    let mut client = proxy.client(site.origin, MISTRAL, "http/1.1").await?;
    let request = client.request(
        "POST",
        &format!("{MISTRAL}:{port}"),
        "/v1/chat/completions",
        question(json!({"model": "mistral-small-latest", "stream": true})).to_string(),
    )?;
    let (status, answer) = client.send(request).await?;
    assert_eq!(status, 200, "{answer:?}");
    let exchange = proxy.ended(1).await?.remove(0);
    assert_eq!(exchange["usage"]["output"], 1000, "{exchange:#}");
    assert!(exchange["cost_usd"].as_f64() > Some(0.0), "{exchange:#}");
    Ok(())
}
