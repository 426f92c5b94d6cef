//! Values that go where they did not come from, whatever part of a request carries them, and masks of a request's head.

use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::{
    client::{Client, direct},
    fixture::Proxy,
    socket::{Frame, ask, frame},
};

const POLICIES: &str = r#"
@id("http")
permit (principal, action in Action::"http", resource);

@id("chat")
permit (principal, action == Action::"llm.generate", resource == Service::"openai");

@id("secrets-stay") @message("it came from elsewhere")
forbid (principal, action in [Action::"http", Action::"llm"], resource)
when { context.moved.contains("secrets") };
"#;
const KEY: &str = "sk-proj-Zk3vT9qLw2Xr8Yb5Nc7Md1Pf4Gh6Js0Ae";

/// Over TLS to a name, or in the clear to service "plain".
async fn send(
    proxy: &Proxy,
    name: Option<&str>,
    (method, path): (&str, &str),
    header: Option<(&'static str, &str)>,
    body: String,
) -> anyhow::Result<(u16, String)> {
    let (mut client, host) = match name {
        Some(name) => {
            let origin = proxy.tls_origin();
            let client = proxy.client(origin, name, "http/1.1").await?;
            (client, format!("{name}:{}", origin.port()))
        }
        None => {
            let origin = proxy.upstream.plain[0];
            let stream = proxy.dial(origin).await?;
            let client = Client::over(TokioIo::new(stream), "http/1.1").await?;
            (client, format!("localhost:{}", origin.port()))
        }
    };
    let mut request = client.request(method, &host, path, body)?;
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value.parse()?);
    }
    let (status, answer) = client.send(request).await?;
    Ok((status, String::from_utf8(answer.to_vec())?))
}

fn call(prompt: &str, stream: bool) -> String {
    json!({"model": "gpt-5-mini", "stream": stream, "messages": [{"role": "user", "content": prompt}]})
        .to_string()
}

#[tokio::test]
async fn a_secret_goes_nowhere_but_where_it_came_from() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    proxy.govern(POLICIES)?;
    let note = format!("the key is {KEY}.");
    let control = direct(&proxy.upstream, "/echo", note.clone()).await?;
    assert_eq!(control, note);

    // What an agent has by itself came from nowhere: it may go there, and comes back from there.
    let (files, plain) = (Some("files"), None);
    let (status, _) = send(&proxy, plain, ("POST", "/echo"), None, KEY.to_owned() + "X").await?;
    assert_eq!(status, 200);
    let answer = send(&proxy, files, ("POST", "/echo"), None, note.clone()).await?;
    assert_eq!(answer, (200, note.clone()));
    proxy.upstream.take();

    // From now on it is at home there, and nowhere else.
    let query = format!("/hello?q={KEY}");
    let header = Some(("x-note", KEY));
    for (path, method, header, body) in [
        ("/echo", "POST", None, note.clone()),
        (
            "/echo",
            "POST",
            None,
            json!({"args": json!({"k": KEY}).to_string()}).to_string(),
        ),
        (query.as_str(), "GET", None, String::new()),
        ("/hello", "GET", header, String::new()),
    ] {
        let (status, answer) = send(&proxy, plain, (method, path), header, body).await?;
        assert_eq!(status, 403, "{method} {path}: {answer}");
        assert!(answer.contains("it came from elsewhere"), "{answer}");
    }
    let openai = Some("api.openai.com");
    let chat = ("POST", "/v1/chat/completions");
    let (status, answer) = send(&proxy, openai, chat, None, call(&note, true)).await?;
    assert_eq!(status, 403, "{answer}");
    assert!(proxy.upstream.take().is_empty());
    let exchange = proxy.exchanges().await?.pop().unwrap_or_default();
    let found = json!([{"detector": "openai-key", "class": "secrets", "count": 1}]);
    assert_eq!(
        (
            &exchange["outcome"],
            &exchange["policies"],
            &exchange["findings"]
        ),
        (&json!("refused"), &json!(["secrets-stay"]), &found)
    );
    for (method, path) in [("POST", "/echo"), ("GET", query.as_str())] {
        let (status, answer) = send(&proxy, files, (method, path), header, note.clone()).await?;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(proxy.upstream.take().remove(0).path, path);
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_brings_what_it_has_however_it_is_framed() -> anyhow::Result<()> {
    let key = |number: u32| format!("{KEY}{number}");
    for (number, stream) in [(1, true), (2, false)] {
        let proxy = Proxy::start().await?;
        proxy.govern(POLICIES)?;
        let chat = ("POST", "/v1/chat/completions");
        let prompt = call(&format!("my key is {}", key(number)), stream);
        let openai = Some("api.openai.com");
        let (status, answer) = send(&proxy, openai, chat, None, prompt).await?;
        assert_eq!(status, 200, "{answer}");
        let (status, _) = send(&proxy, None, ("POST", "/echo"), None, key(number)).await?;
        assert_eq!(status, 403, "stream: {stream}");
        let (status, _) = send(&proxy, None, ("POST", "/echo"), None, key(3)).await?;
        assert_eq!(status, 200);
    }

    // Messages of a WebSocket, there and back.
    let proxy = Proxy::start().await?;
    proxy.govern(POLICIES)?;
    let way = ("http/1.1", "files");
    let mut socket = ask(&proxy, way, "/socket", &[]).await?.socket;
    let says = format!("my key is {}", key(4));
    socket.send(&frame(0x81, says.as_bytes())).await?;
    let payload = says.clone().into_bytes();
    assert_eq!(
        socket.frame().await?,
        Some(Frame {
            first: 0x81,
            payload
        })
    );
    let (status, _) = send(&proxy, None, ("POST", "/echo"), None, key(4)).await?;
    assert_eq!(status, 403);
    let answer = send(&proxy, None, ("POST", "/echo"), None, key(5)).await?;
    assert_eq!(answer, (200, key(5)));
    socket.send(&frame(0x81, key(5).as_bytes())).await?;
    let last = socket.frame().await?.unwrap_or_else(|| panic!("no frame"));
    assert_eq!(last.first, 0x88, "{last:?}");
    assert_eq!(last.payload[..2], 1008_u16.to_be_bytes());
    Ok(())
}

const MASKS: &str = r#"
@id("http")
permit (principal, action in Action::"http", resource);

@id("people-stay") @mask("pii")
forbid (principal, action in Action::"http", resource)
unless { context.masked.contains("pii") };
"#;

#[tokio::test]
async fn path_query_and_headers_are_masked_as_bodies_are() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let path = "/people/anna.smith%40corp.com?card=4111+1111+1111+1111&a=%7e";
    let note = Some(("x-note", "ask anna.smith@corp.com"));
    for (policies, arrives, says) in [
        (
            MASKS,
            "/people/%5BREDACTED%3Aemail%5D?card=%5BREDACTED%3Acredit-card%5D&a=%7e",
            "ask [REDACTED:email]",
        ),
        (POLICIES, path, "ask anna.smith@corp.com"),
    ] {
        proxy.govern(policies)?;
        send(&proxy, Some("files"), ("GET", path), note, String::new()).await?;
        let received = proxy.upstream.take().remove(0);
        assert_eq!(received.path, arrives);
        assert_eq!(received.header("x-note"), Some(says));
    }
    let exchange: Value = proxy.exchanges().await?.pop().unwrap_or_default();
    assert_eq!(
        exchange["findings"],
        json!([
            {"detector": "credit-card", "class": "pii", "count": 1},
            {"detector": "email", "class": "pii", "count": 2},
        ])
    );
    // The record has no more than the upstream got.
    assert_eq!(exchange["path"], "/people/%5BREDACTED%3Aemail%5D");
    assert!(!exchange.to_string().contains("anna"), "{exchange}");
    Ok(())
}
