//! Money: what calls cost is on record, budgets hold whatever runs at once, rates are told as such.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use gateway_user::{record::Time, telemetry::Reading};
use http_body_util::BodyExt;
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    client::Client,
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, Answer, SITE, Site},
};

const POLICIES: &str = r#"
@id("models")
permit (principal, action in Action::"llm", resource == Service::"site");
@id("speech")
permit (principal, action == Action::"http.write", resource == Service::"openai");
"#;

pub(super) const DOLLAR: &str =
    "\n[[budget]]\nname = \"agents\"\ngroup = \"agents\"\nusd = 1\nper = \"day\"\n";

/// What the site says it read and wrote for each call; at gpt-5-mini's price of 0.25 and 2 dollars a million, 0.00225 dollars.
pub(super) const COUNTS: &str =
    r#"{"prompt_tokens":1000,"completion_tokens":1000,"total_tokens":2000}"#;
pub(super) const COST: f64 = 0.00225;

/// A model that answers in one piece, or in a stream with its counts where they are asked for.
pub(super) async fn model(request: Request<Incoming>) -> Response<Answer> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let call: Value = serde_json::from_slice(&body).unwrap();
    if call["stream"] != true {
        let answer = format!(
            r#"{{"model":"gpt-5-mini","choices":[{{"index":0,"message":{{"content":"hi"}}}}],"usage":{COUNTS}}}"#
        );
        return site::whole(200, &[("content-type", "application/json")], answer);
    }
    let words = call["messages"][0]["content"].as_str().unwrap().to_owned();
    let counts = call["stream_options"]["include_usage"] == true;
    let (frames, from) = mpsc::channel(1);
    let chunks = move |word: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n")
    };
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        for word in words.split(' ') {
            // Whoever hangs up wants no more.
            if frames
                .send(Ok(Frame::data(Bytes::from(chunks(word)))))
                .await
                .is_err()
            {
                return;
            }
        }
        let end = if counts {
            format!("data: {{\"choices\":[],\"usage\":{COUNTS}}}\n\ndata: [DONE]\n\n")
        } else {
            "data: [DONE]\n\n".to_owned()
        };
        drop(frames.send(Ok(Frame::data(Bytes::from(end)))).await);
    });
    sending.detach_all();
    site::answer(
        200,
        &[("content-type", "text/event-stream")],
        site::channel(from),
    )
}

pub(super) async fn governed(site: &Site, limits: &str) -> anyhow::Result<Proxy> {
    Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(None)? + limits,
        ..Setup::default()
    })
    .await
}

pub(super) fn call(
    client: &Client,
    site: &Site,
    body: &Value,
) -> anyhow::Result<Request<http_body_util::Full<Bytes>>> {
    client.request(
        "POST",
        &site.authority(),
        "/v1/chat/completions",
        body.to_string(),
    )
}

pub(super) fn question(extra: Value) -> Value {
    let mut body = json!({"model": "gpt-5-mini", "max_tokens": 1000, "messages": [{"role": "user", "content": "some words"}]});
    body.as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    body
}

/// Dollars, as the ledger would give them to the next daemon, and as the budget knows them.
pub(super) async fn spent(proxy: &Proxy) -> anyhow::Result<(f64, f64)> {
    let days = proxy
        .ledger()
        .reader()
        .spent_by_day(Time::now().month_began())
        .await?;
    let recorded: u64 = days.iter().map(|day| day.cost).sum();
    let accounts = proxy.gateway.spend.book.accounts(Time::now());
    Ok((recorded as f64 / 1e9, accounts[0].spent as f64 / 1e9))
}

pub(super) fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[tokio::test]
async fn a_thousand_calls_at_once_end_within_a_budget_of_a_dollar() -> anyhow::Result<()> {
    const CONNECTIONS: usize = 10;
    let site = Site::start(model).await?;
    let proxy = governed(&site, DOLLAR).await?;
    let mut calls = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let client = proxy.client(site.origin, SITE, "h2").await?;
        for _ in 0..1000 / CONNECTIONS {
            let mut client = client.another()?;
            let request = call(&client, &site, &question(json!({})))?;
            calls.spawn(async move { client.send(request).await });
        }
    }
    let (mut passed, mut refused) = (0, 0);
    while let Some(answer) = timeout(2 * SOON, calls.join_next()).await? {
        let (status, body) = answer??;
        let body: Value = serde_json::from_slice(&body)?;
        match status {
            200 => passed += 1,
            _ => {
                assert_eq!(
                    (status, &body["error"]["code"]),
                    (403, &json!("budget_exceeded")),
                    "{body}"
                );
                let message = body["error"]["message"].as_str().unwrap();
                assert!(message.contains("budget \"agents\" has"), "{message}");
                refused += 1;
            }
        }
    }
    assert_eq!(passed + refused, 1000);
    let (recorded, booked) = spent(&proxy).await?;
    assert!(
        near(recorded, f64::from(passed) * COST) && near(booked, recorded),
        "{recorded} {booked} {passed}"
    );
    assert!((0.9..=1.0).contains(&recorded), "{recorded}");
    let metrics = proxy.ledger().metrics().text(&Reading::default());
    let counted = metrics.lines().find_map(|line| {
        line.strip_prefix("tollgate_spend_usd_total{identity=\"research-agent\",service=\"site\"} ")
    });
    assert!(
        (counted.unwrap().parse::<f64>()? - recorded).abs() < 1e-6,
        "{metrics}"
    );
    let exchanges = proxy.ended(1000).await?;
    let charged = exchanges
        .iter()
        .filter(|exchange| exchange["cost_usd"] == json!(COST));
    assert_eq!(charged.count(), passed as usize);
    Ok(())
}

#[tokio::test]
async fn a_stream_tells_its_counts_to_the_gateway_and_to_a_client_that_asked() -> anyhow::Result<()>
{
    let site = Site::start(model).await?;
    for (limits, asks, told) in [
        (DOLLAR, false, false),
        (DOLLAR, true, true),
        ("", false, false),
    ] {
        let proxy = governed(&site, limits).await?;
        let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
        let mut body = question(json!({"stream": true}));
        if asks {
            body["stream_options"] = json!({"include_usage": true});
        }
        let (status, answer) = client.send(call(&client, &site, &body)?).await?;
        let answer = String::from_utf8(answer.to_vec())?;
        assert_eq!(status, 200, "{answer}");
        assert!(
            answer.contains("\"some\"")
                && answer.contains("\"words\"")
                && answer.ends_with("data: [DONE]\n\n"),
            "{answer}"
        );
        assert_eq!(answer.contains("prompt_tokens"), told, "{answer}");
        let exchange = proxy.ended(1).await?.remove(0);
        let counted = !limits.is_empty();
        assert_eq!(
            exchange["usage"]["output"] == json!(1000),
            counted,
            "{exchange:#}"
        );
        assert_eq!(exchange["cost_usd"] == json!(COST), counted, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_past_what_is_reserved_ends_with_an_error_and_is_spent_whole() -> anyhow::Result<()>
{
    let site = Site::start(model).await?;
    let proxy = governed(&site, DOLLAR).await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let long = vec!["word".repeat(100); 50].join(" ");
    let body = question(json!({
        "stream": true, "max_tokens": 10, "messages": [{"role": "user", "content": long}],
    }));
    let (status, answer) = client.send(call(&client, &site, &body)?).await?;
    let answer = String::from_utf8(answer.to_vec())?;
    let events: Vec<&str> = answer.split_terminator("\n\n").collect();
    assert_eq!(status, 200);
    assert!(events.len() < 10, "{answer}");
    let (error, before) = events.split_last().unwrap();
    let error: Value = serde_json::from_str(error.trim_start_matches("data: "))?;
    assert_eq!(error["error"]["code"], "budget_exceeded", "{answer}");
    for event in before {
        serde_json::from_str::<Value>(event.trim_start_matches("data: "))?;
    }
    let exchange = proxy.ended(1).await?.remove(0);
    assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
    let (recorded, booked) = spent(&proxy).await?;
    assert!(
        recorded > 0.0 && near(recorded, booked),
        "{recorded} {booked}"
    );
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_has_spent_what_was_reserved() -> anyhow::Result<()> {
    let site = Site::start(model).await?;
    let proxy = governed(&site, DOLLAR).await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let endless = vec!["word"; 200_000].join(" ");
    let body =
        question(json!({"stream": true, "messages": [{"role": "user", "content": endless}]}));
    let mut answer = timeout(SOON, client.start(call(&client, &site, &body)?)).await??;
    timeout(SOON, answer.body_mut().frame()).await?.unwrap()?;
    let account = proxy.gateway.spend.book.accounts(Time::now()).remove(0);
    assert!(account.spent == 0 && account.reserved > 0, "{account:?}");
    drop((answer, client));
    proxy.ended(1).await?;
    let after = proxy.gateway.spend.book.accounts(Time::now()).remove(0);
    assert_eq!((after.spent, after.reserved), (account.reserved, 0));
    let (recorded, booked) = spent(&proxy).await?;
    assert!(near(recorded, booked), "{recorded} {booked}");
    Ok(())
}

#[tokio::test]
async fn what_nobody_can_price_is_refused_under_a_budget_unless_it_allows_it() -> anyhow::Result<()>
{
    let site = Site::start(model).await?;
    let open = DOLLAR.replace("usd = 1\n", "usd = 1\nallow_uncounted = true\n");
    for (limits, passes) in [(DOLLAR, false), (open.as_str(), true), ("", true)] {
        let proxy = governed(&site, limits).await?;
        let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
        let body = question(json!({"model": "house-model"}));
        let (status, answer) = client.send(call(&client, &site, &body)?).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status == 200, passes, "{answer}");
        assert_eq!(
            answer.contains("no price is known of model \\\"house-model\\\" at site"),
            !passes,
            "{answer}"
        );

        let mut client = proxy
            .client(proxy.tls_origin(), "api.openai.com", "http/1.1")
            .await?;
        let host = format!("api.openai.com:{}", proxy.tls_origin().port());
        let request = client.request("POST", &host, "/v1/audio/speech", "{}")?;
        let (status, answer) = client.send(request).await?;
        assert_eq!(status != 403, passes, "{answer:?}");
        let exchange = proxy.ended(2).await?.remove(1);
        assert_eq!(exchange["outcome"] == "refused", !passes, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_at_bedrock_is_charged_by_the_model_that_its_path_names() -> anyhow::Result<()> {
    let converse = |_| async {
        let answer = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"usage":{"inputTokens":1000,"outputTokens":1000,"totalTokens":2000}}"#;
        site::whole(200, &[("content-type", "application/json")], answer)
    };
    let site = Site::start(converse).await?;
    let proxy = governed(&site, DOLLAR).await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}],"inferenceConfig":{"maxTokens":1000}}"#;
    let profile = "us.anthropic.claude-haiku-4-5-20251001-v1%3A0";
    for (model, status, cost) in [
        // 1.1 and 5.5 dollars a million.
        (profile, 200, json!(0.0066)),
        ("us.house.model-v1%3A0", 403, Value::Null),
    ] {
        let path = format!("/model/{model}/converse");
        let request = client.request("POST", &site.authority(), &path, body)?;
        let (answered, answer) = client.send(request).await?;
        assert_eq!(answered, status, "{answer:?}");
        let exchange = proxy.ended(1).await?.pop().unwrap();
        if status == 200 {
            assert_eq!(exchange["cost_usd"], cost, "{exchange:#}");
        } else {
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.contains("no price is known"), "{answer}");
        }
    }
    let (recorded, booked) = spent(&proxy).await?;
    assert!(near(recorded, 0.0066) && near(booked, recorded));
    Ok(())
}

#[tokio::test]
async fn policies_see_what_was_spent() -> anyhow::Result<()> {
    let site = Site::start(model).await?;
    let policies = r#"
@id("cheap")
permit (principal, action == Action::"llm.generate", resource == Service::"site")
when { context.spent_today_cents < 1 && context.spent_month_cents < 1 };
"#;
    let proxy = Proxy::with(Setup {
        policies: policies.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(
            client
                .send(call(&client, &site, &question(json!({})))?)
                .await?
                .0,
        );
    }
    // 0.225 cents each: the fifth comes to more than one.
    assert_eq!(statuses, [200, 200, 200, 200, 200, 403]);
    Ok(())
}

#[tokio::test]
async fn more_requests_than_a_rate_are_told_when_to_come_again() -> anyhow::Result<()> {
    let site = Site::start(model).await?;
    let rate = "\n[[rate]]\nservice = \"site\"\nrequests = 2\nper = \"hour\"\n";
    let proxy = governed(&site, rate).await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    for nth in 0..4 {
        let answer = client
            .start(call(&client, &site, &question(json!({})))?)
            .await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        if nth < 2 {
            assert_eq!(head.status, 200);
            continue;
        }
        assert_eq!(head.status, 429, "{body:?}");
        let seconds: u64 = head.headers["retry-after"].to_str()?.parse()?;
        assert!((1700..=1800).contains(&seconds), "{seconds}");
        let body: Value = serde_json::from_slice(&body)?;
        assert_eq!(body["error"]["code"], "rate_limited", "{body}");
    }
    let exchanges = proxy.ended(4).await?;
    let outcomes: Vec<&Value> = exchanges
        .iter()
        .map(|exchange| &exchange["outcome"])
        .collect();
    assert_eq!(outcomes, ["completed", "completed", "refused", "refused"]);
    Ok(())
}
