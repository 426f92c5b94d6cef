//! Masks of answers whose headers do not tell what they are, or tell it in other words.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    Request,
    body::{Frame, Incoming},
};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    fixture::{Proxy, SOON},
    setup::Setup,
    site::{self, SITE, Site},
};

const POLICIES: &str = r#"
@id("models")
permit (principal, action in Action::"llm", resource == Service::"site");
@id("site-http")
permit (principal, action in Action::"http", resource == Service::"site");
@id("mask-models") @mask("pii")
forbid (principal, action in Action::"llm", resource == Service::"site")
unless { context.masked.contains("pii") };
@id("mask-http") @mask("pii")
forbid (principal, action in Action::"http", resource == Service::"site")
unless { context.masked.contains("pii") };
"#;

/// What the model says under each type, in the form that the path asks for.
async fn answered(
    path: &str,
    kind: Option<&'static str>,
    body: Vec<u8>,
) -> anyhow::Result<Vec<u8>> {
    let site = Site::start(move |request: Request<Incoming>| {
        let body = body.clone();
        async move {
            let headers: Vec<_> = kind
                .map(|kind| ("content-type", kind))
                .into_iter()
                .collect();
            drop(request.into_body().collect().await);
            site::whole(200, &headers, Bytes::from(body))
        }
    })
    .await?;
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let call = json!({"model": "m", "stream": true, "max_tokens": 9, "messages": messages, "contents": [{"parts": [{"text": "hello"}]}]});
    let request = client.request("POST", &site.authority(), path, call.to_string())?;
    let (status, said) = client.send(request).await?;
    assert_eq!(status, 200, "{kind:?} {said:?}");
    Ok(said.to_vec())
}

const CHAT: &str = "/v1/chat/completions";

fn events() -> String {
    let events = ["card 4111 1111", " 1111 1111 ok"].map(|piece| {
        let choice = json!({"index": 0, "delta": {"content": piece}, "finish_reason": null});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    });
    events.concat() + "data: [DONE]\n\n"
}

#[tokio::test]
async fn a_stream_is_masked_as_one_whatever_it_is_called() -> anyhow::Result<()> {
    let stream = events();
    let lines = "{\"model\":\"m\",\"message\":{\"content\":\"card 4111 1111\"},\"done\":false}\n{\"model\":\"m\",\"message\":{\"content\":\" 1111 1111 ok\"},\"done\":true}\n";
    let array = "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"card 4111 1111\"}]}}]},{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" 1111 1111 ok\"}]}}]}]";
    let document = "{\"choices\":[{\"message\":{\"content\":\"ask \\u0062ob\\u0040corp.com of 4111 1111 1111 1111\"}}]}";
    let google = "/v1beta/models/gemini-3:streamGenerateContent";
    for (path, body, kinds) in [
        (
            CHAT,
            stream.as_str(),
            &[
                Some("text/event-stream"),
                Some("Text/Event-Stream ;charset=UTF-8"),
                Some("text/plain"),
                Some("application/octet-stream"),
                None,
            ][..],
        ),
        (
            CHAT,
            &(": hello\n\n".to_owned() + &stream),
            &[Some("text/plain")],
        ),
        (
            CHAT,
            &("\u{feff}\n".to_owned() + &stream),
            &[Some("text/plain")],
        ),
        (
            "/api/chat",
            lines,
            &[
                Some("text/plain"),
                Some("application/ndjson"),
                Some("Application/X-NDJSON"),
                None,
            ],
        ),
        (
            google,
            array,
            &[Some("text/plain"), Some("Application/JSON"), None],
        ),
        (
            CHAT,
            document,
            &[Some("text/plain"), Some("text/event-stream"), None],
        ),
    ] {
        for kind in kinds {
            let said = answered(path, *kind, body.as_bytes().to_vec()).await?;
            let said = String::from_utf8(said)?;
            assert!(said.contains("[REDACTED:credit-card]"), "{kind:?} {said}");
            assert!(!said.contains("1111"), "{kind:?} {said}");
            assert!(
                !said.contains("corp.com") && !said.contains("u0040"),
                "{kind:?} {said}"
            );
        }
    }
    Ok(())
}

/// Sends each piece of an answer when the agent has got what it says of the one before it.
async fn flows(path: &str, kind: Option<&'static str>, pieces: &[[&str; 2]]) -> anyhow::Result<()> {
    let (frames, from) = mpsc::channel(1);
    let from = Arc::new(Mutex::new(Some(from)));
    let site = Site::start(move |request: Request<Incoming>| {
        let from = from.lock().map(|mut from| from.take()).unwrap_or_default();
        async move {
            drop(request.into_body().collect().await);
            let headers: Vec<_> = kind
                .map(|kind| ("content-type", kind))
                .into_iter()
                .collect();
            match from {
                Some(from) => site::answer(200, &headers, site::channel(from)),
                None => site::whole(500, &[], ""),
            }
        }
    })
    .await?;
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: site.service(None)?,
        ..Setup::default()
    })
    .await?;
    let mut client = proxy.client(site.origin, SITE, "http/1.1").await?;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let call = json!({"model": "m", "stream": true, "messages": messages, "contents": [{"parts": [{"text": "hello"}]}]});
    let request = client.request("POST", &site.authority(), path, call.to_string())?;
    // Of these nothing can leave, also no head: they may still become several things.
    let quiet = pieces.iter().take_while(|[_, says]| says.is_empty());
    let (first, rest) = pieces.split_at(quiet.count() + 1);
    let send = |piece: &str| frames.send(Ok(Frame::data(Bytes::from(piece.to_owned()))));
    let begin = async {
        for [piece, _] in first {
            send(piece).await?;
        }
        anyhow::Ok(())
    };
    let (answer, begun) = tokio::join!(timeout(SOON, client.start(request)), begin);
    begun?;
    let mut body = answer??.into_body();
    let (mut pieces, mut got) = (rest.iter(), String::new());
    let mut expected: String = first.iter().map(|[_, says]| *says).collect();
    loop {
        while got != expected {
            assert!(expected.starts_with(&got), "{kind:?} {got}");
            let frame = timeout(SOON, body.frame()).await;
            let frame = frame.with_context(|| format!("{kind:?} waits behind {got:?}"))?;
            let data = frame.context("it ends")??.into_data();
            got += std::str::from_utf8(&data.unwrap_or_default())?;
        }
        let Some([piece, more]) = pieces.next() else {
            break;
        };
        send(piece).await?;
        expected += more;
    }
    drop(frames);
    assert!(body.collect().await?.to_bytes().is_empty());
    let exchange = proxy.ended(1).await?.remove(0);
    let found = &exchange["findings"][0]["detector"];
    assert_eq!(found, "credit-card", "{exchange:#}");
    Ok(())
}

#[tokio::test]
async fn a_stream_leaves_masked_as_it_comes_whatever_it_is_called() -> anyhow::Result<()> {
    let event = |says: &str| {
        let choice = json!({"index": 0, "delta": {"content": says}, "finish_reason": null});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let (first, held, rest) = (
        event("Hello. "),
        event("card 4111 1111"),
        event(" 1111 1111. "),
    );
    let left = [event("card [REDACTED:credit-card]"), event(". ")].concat();
    let events = [[&*first, &*first], [&*held, ""], [&*rest, &*left]];
    let line = |says: &str, done: bool| {
        let message = json!({"content": says});
        format!(
            "{}\n",
            json!({"model": "m", "message": message, "done": done})
        )
    };
    let lines = [
        line("Hello. ", false),
        line("it is 4111 1111 1111 1111. ", false),
    ];
    let masked = line("it is [REDACTED:credit-card]. ", false);
    // The first waits for the second: one alone may be a document.
    let lines = [
        [&*lines[0], ""],
        [&*lines[1], &*(lines[0].clone() + &masked)],
    ];
    let logs = [
        ["{\"a\":\"one\"}\n", ""],
        [
            "{\"a\":\"4111111111111111\"}\n",
            "{\"a\":\"one\"}\n{\"a\":\"[REDACTED:credit-card]\"}\n",
        ],
        ["{\"a\":2}\n", "{\"a\":2}\n"],
    ];
    let text = [
        ["Hello. Card 4111 1111", "Hello. Card "],
        [" 1111 1111, and ", "[REDACTED:credit-card], and "],
        ["more. ", "more. "],
    ];
    for kind in [None, Some("text/plain"), Some("application/octet-stream")] {
        flows(CHAT, kind, &events).await?;
        flows("/api/chat", kind, &lines).await?;
        flows("/logs", kind, &logs).await?;
        flows("/table", kind, &text).await?;
    }
    flows("/logs", Some("application/x-ndjson"), &logs).await?;
    flows("/page", Some("text/html"), &text).await?;
    flows(CHAT, Some("text/html"), &text).await?;
    Ok(())
}

#[tokio::test]
async fn text_in_utf_16_is_masked_and_stays_in_it() -> anyhow::Result<()> {
    let coded =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let (says, leaves) = (
        "\u{feff}name,card\nAnn\u{e4},4111 1111 1111 1111\n",
        "\u{feff}name,card\nAnn\u{e4},[REDACTED:credit-card]\n",
    );
    for kind in [
        "text/csv; charset=utf-16",
        "text/csv; Charset=\"UTF-16LE\"",
        "text/csv",
    ] {
        let said = answered("/table", Some(kind), coded(says)).await?;
        assert_eq!(said, coded(leaves), "{kind}");
    }
    Ok(())
}
