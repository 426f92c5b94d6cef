//! A model call that streams is kept alive while a person decides; whatever is decided, its stream says so.

use anyhow::{Context, ensure};
use http_body_util::BodyExt;
use hyper::{body::Incoming, header::HeaderValue};
use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL, Options, Upstream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    client::{Client, direct},
    fixture::{Proxy, SOON},
};

const POLICIES: &str = r#"
@id("reviewed")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "reviewed" };

@id("review")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "reviewed" }
unless { context.approvals.contains("oncall") };
"#;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// The read timeout of these clients; they are held for longer.
const IMPATIENT: &str = "1.2";

#[tokio::test]
async fn a_held_stream_is_kept_alive_and_then_carries_the_answer() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (round, (version, path)) in [("http/1.1", CHAT), ("h2", CHAT), ("h2", MESSAGES)]
        .into_iter()
        .enumerate()
    {
        // Without Tollgate, the control run: the provider's own events.
        let upstream = Upstream::start(&Options {
            plain: vec![([127, 0, 0, 1], 0).into()],
            ..Options::default()
        })?;
        let control = said(&direct(&upstream, path, prompt("say leak", true)).await?);
        ensure!(control.contains(LEAKED_EMAIL), "{control}");

        let mut client = proxy.client(proxy.tls_origin(), OPENAI, version).await?;
        let mut held = Held::start(&proxy, &mut client, path, "say leak").await?;
        let (id, approval) = held.beats(3).await?;
        assert_eq!(
            proxy.upstream.received().len(),
            round,
            "sent before it was approved"
        );
        assert_eq!(proxy.questions(1).await?[0]["id"], approval);
        proxy.approve().await?;
        let answer = held.rest().await?;
        // Masked, as it would be without a person.
        let masked = control
            .replace(LEAKED_EMAIL, "[REDACTED:email]")
            .replace(LEAKED_CARD, "[REDACTED:credit-card]");
        assert_eq!(said(&answer), masked, "{answer}");

        let exchange = proxy.ended(round + 1).await?.pop().context("no exchange")?;
        assert_eq!(exchange["id"], id, "{exchange:#}");
        assert_eq!(exchange["decision"], "permit", "{exchange:#}");
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
        assert_eq!(exchange["approval"]["id"], approval, "{exchange:#}");
        assert!(exchange["findings"].to_string().contains("email"));
        assert!(exchange["usage"]["output"].as_u64() > Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn a_denied_stream_ends_with_the_familys_error_and_identical_ones_are_refused_at_once()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (path, start) in [(CHAT, "data: "), (MESSAGES, "event: error\ndata: ")] {
        let mut client = proxy.client(proxy.tls_origin(), OPENAI, "h2").await?;
        let mut held = Held::start(&proxy, &mut client, path, "hello").await?;
        let (id, approval) = held.beats(1).await?;
        proxy.deny("not today").await?;
        let event = held.rest().await?;
        let data = event.trim_end().rsplit_once("data: ").context("no event")?;
        assert!(event.starts_with(start), "{event}");
        let error: Value = serde_json::from_str(data.1)?;
        let message = error["error"]["message"].as_str().context("no message")?;
        assert_eq!(error["error"]["type"], "permission_error");
        for part in ["somebody denied it: not today", &approval, &id] {
            assert!(message.contains(part), "{part}: {message}");
        }

        let seen = proxy.exchanges().await?.len();
        // The retry of a library: no second question, the same approval, and a status, for nobody is waited for.
        let request = call(&client, &proxy, path, "hello", true)?;
        let (status, body) = client.send(request).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("not today") && body.contains(&approval));
        let exchanges = proxy.ended(seen + 1).await?;
        for exchange in &exchanges[seen - 1..] {
            assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
            assert_eq!(exchange["decision"], "deny", "{exchange:#}");
            assert_eq!(exchange["approval"]["id"], approval, "{exchange:#}");
        }
        assert_eq!(exchanges[seen - 1]["id"], id);
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn an_upstreams_refusal_is_told_inside_the_stream() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "http/1.1").await?;
    let body = json!({"model": "reviewed", "messages": [], "stream": true}).to_string();
    let mut request = client.request("POST", &authority(&proxy), CHAT, body)?;
    impatient(request.headers_mut());
    let mut held = Held::of(client.start(request).await?)?;
    held.beats(1).await?;
    proxy.approve().await?;
    let event = held.rest().await?;
    assert!(event.starts_with("data: {\"error\":"), "{event}");
    assert!(
        event.contains("400 Bad Request: model and messages are required"),
        "{event}"
    );
    let exchange = proxy.ended(1).await?.pop().context("no exchange")?;
    assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    assert_eq!(exchange["status"], 400, "{exchange:#}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_is_held_leaves_its_question_to_the_retry()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), OPENAI, version).await?;
        let mut held = Held::start(&proxy, &mut client, CHAT, version).await?;
        let (_, approval) = held.beats(1).await?;
        let seen = proxy.exchanges().await?.len();
        drop((held, client));
        let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
        assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
        assert_eq!(proxy.questions(1).await?[0]["id"], approval);
        proxy.approve().await?;

        // Nobody is waited for, so the answer has the provider's own head.
        let mut client = proxy.client(proxy.tls_origin(), OPENAI, version).await?;
        let request = call(&client, &proxy, CHAT, version, true)?;
        let answer = client.start(request).await?;
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("x-tollgate-id").is_none());
        let events = answer.into_body().collect().await?.to_bytes();
        assert!(events.starts_with(b"data: ") && events.ends_with(b"data: [DONE]\n\n"));
        let exchange = proxy.ended(seen + 1).await?.pop().context("no exchange")?;
        assert_eq!(exchange["approval"]["id"], approval, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_stream_is_held_without_a_head() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "http/1.1").await?;
    let request = call(&client, &proxy, CHAT, "hello", false)?;
    let (status, body) = client.send(request).await?;
    assert_eq!(status, 403);
    assert!(String::from_utf8_lossy(&body).contains("approval_pending"));

    // HTTP/1.0 cannot be told from one that broke off.
    let mut stream = proxy.tls(proxy.tls_origin(), OPENAI, "http/1.1").await?;
    let body = prompt("hello", true);
    let host = authority(&proxy);
    let request = format!(
        "POST {CHAT} HTTP/1.0\r\nhost: {host}\r\nx-stainless-read-timeout: {IMPATIENT}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.0 403"), "{answer}");
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_quick_answer_has_a_status() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "h2").await?;
    let mut request = call(&client, &proxy, CHAT, "hello", true)?;
    request.headers_mut().remove("x-stainless-read-timeout");
    let (answer, denied) = tokio::join!(client.send(request), proxy.deny("no"));
    denied?;
    assert_eq!(answer?.0, 403);
    Ok(())
}

#[tokio::test]
async fn what_waits_is_decided_again_when_the_policies_change() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let (permit, ask) = POLICIES.split_once("\n\n").context("two policies")?;
    for (n, (policies, decision)) in [(permit, "permit"), (ask, "deny")].into_iter().enumerate() {
        proxy.govern(POLICIES)?;
        let mut client = proxy.client(proxy.tls_origin(), OPENAI, "h2").await?;
        let mut held = Held::start(&proxy, &mut client, CHAT, decision).await?;
        let (_, approval) = held.beats(1).await?;
        // A change that does not concern it leaves it as it is, under the same question.
        proxy.govern(&POLICIES.replace("principal, action ==", "principal , action =="))?;
        assert_eq!(held.beats(2).await?.1, approval);
        assert_eq!(proxy.upstream.received().len(), 0);
        proxy.govern(policies)?;
        let answer = held.rest().await?;
        assert_eq!(answer.ends_with("data: [DONE]\n\n"), decision == "permit");
        assert_eq!(
            proxy.upstream.take().len(),
            usize::from(decision == "permit")
        );
        let exchange = proxy.ended(n + 1).await?.pop().context("no exchange")?;
        assert_eq!(exchange["decision"], decision, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_and_leaves_the_question_open() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut client = proxy.client(proxy.tls_origin(), OPENAI, "h2").await?;
    let mut held = Held::start(&proxy, &mut client, CHAT, "hello").await?;
    let (id, approval) = held.beats(1).await?;
    let gateway = &proxy.gateway;
    let (event, ()) = tokio::join!(held.rest(), gateway.drain.run(&gateway.tasks, SOON));
    let event = event?;
    let told = format!("approval {approval} stays open for the same request");
    assert!(event.contains(&told) && event.contains(&id), "{event}");
    assert_eq!(proxy.questions(1).await?[0]["id"], approval);
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "aborted");
    Ok(())
}

const OPENAI: &str = "api.openai.com";

/// An answer whose head came before it was decided.
struct Held {
    body: Incoming,
    id: String,
}

impl Held {
    async fn start(
        proxy: &Proxy,
        client: &mut Client,
        path: &str,
        text: &str,
    ) -> anyhow::Result<Self> {
        let request = call(client, proxy, path, text, true)?;
        Self::of(timeout(SOON, client.start(request)).await??)
    }

    fn of(answer: hyper::Response<Incoming>) -> anyhow::Result<Self> {
        assert_eq!(answer.status(), 200);
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
        let id = headers["x-tollgate-id"].to_str()?.to_owned();
        Ok(Self {
            body: answer.into_body(),
            id,
        })
    }

    /// Reads so many comments that name the question; the ids of the exchange and of the question.
    async fn beats(&mut self, count: usize) -> anyhow::Result<(String, String)> {
        let (mut approval, mut named) = (String::new(), 0);
        while named < count {
            let frame = timeout(SOON, self.body.frame()).await?.context("ended")??;
            let comment = String::from_utf8(frame.into_data().unwrap_or_default().to_vec())?;
            // While it is decided again there is no question for a moment.
            if comment == ": waiting for the answer\n\n" {
                continue;
            }
            named += 1;
            let id = comment.strip_prefix(": waiting for approval ");
            approval = id.context(comment.clone())?.trim_end().to_owned();
            assert!(comment.ends_with("\n\n"));
        }
        Ok((self.id.clone(), approval))
    }

    /// What comes after the comments.
    async fn rest(self) -> anyhow::Result<String> {
        let rest = timeout(SOON, self.body.collect()).await??.to_bytes();
        let text = String::from_utf8(rest.to_vec())?;
        let comments = text.split_inclusive("\n\n");
        Ok(comments
            .skip_while(|event| event.starts_with(':'))
            .collect())
    }
}

fn call(
    client: &Client,
    proxy: &Proxy,
    path: &str,
    text: &str,
    stream: bool,
) -> anyhow::Result<hyper::Request<http_body_util::Full<bytes::Bytes>>> {
    let mut request = client.request("POST", &authority(proxy), path, prompt(text, stream))?;
    impatient(request.headers_mut());
    Ok(request)
}

fn impatient(headers: &mut hyper::HeaderMap) {
    headers.insert(
        "x-stainless-read-timeout",
        HeaderValue::from_static(IMPATIENT),
    );
}

fn prompt(text: &str, stream: bool) -> String {
    json!({
        "model": "reviewed", "stream": stream, "max_tokens": 100, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": text}],
    })
    .to_string()
}

fn authority(proxy: &Proxy) -> String {
    format!("{OPENAI}:{}", proxy.tls_origin().port())
}

/// What the events say, joined.
fn said(events: &str) -> String {
    let data = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let texts = data.filter_map(|data| {
        let event: Value = serde_json::from_str(data).ok()?;
        let text = event
            .pointer("/choices/0/delta/content")
            .or(event.pointer("/delta/text"));
        Some(text?.as_str()?.to_owned())
    });
    texts.collect()
}
