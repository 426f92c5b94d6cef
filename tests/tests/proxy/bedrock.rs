//! Amazon Bedrock: masked, calls decided, refused in the service's own words, held for a person, counted; and signed requests.

mod ways;

use anyhow::{Context, ensure};
use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL};
use tokio::time::timeout;

use self::ways::{
    Claude, ClaudeStream, Converse, ConverseStream, WAYS, exception, governed, messages,
};
use crate::client::{direct_bytes, read_frame};
use crate::fixture::{AMAZON, Proxy, SOON};

const POLICIES: &str = r#"
@id("amazon")
permit (principal, action in Action::"llm", resource == Service::"amazon")
unless { context has model && context.model == "other" };

@id("review")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "reviewed" }
unless { context.approvals.contains("oncall") };
"#;

const CALLS: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"amazon")
when { context.tool == "shell" };

@id("no-rm")
@message("nothing is removed")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("rm") };
"#;

#[tokio::test]
async fn prompts_and_answers_are_masked_and_counted_in_every_format() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for way in WAYS {
        let (path, body) = (
            way.path(way.model()),
            way.body("leak for bob@example.com", None),
        );
        let control = way.documents(&direct_bytes(&proxy.upstream, &path, body.clone()).await?)?;
        let plain = way.said(&control);
        ensure!(plain.contains(LEAKED_CARD), "{plain}");
        for version in ["http/1.1", "h2"] {
            let answer = governed(&proxy, version, &path, body.clone(), &[]).await?;
            assert_eq!(answer.status, 200, "{way:?}: {:?}", answer.body);
            let documents = way.documents(&answer.body)?;
            assert_eq!(documents.len(), control.len(), "{way:?}");
            let masked = plain
                .replace(LEAKED_EMAIL, "[REDACTED:email]")
                .replace(LEAKED_CARD, "[REDACTED:credit-card]");
            assert_eq!(way.said(&documents), masked, "{way:?}");
            let sent = proxy.upstream.take().pop().context("not sent")?.text();
            assert!(sent.contains("leak for [REDACTED:email]"), "{sent}");
            seen += 1;
            let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
            assert_eq!(exchange["action"], "llm.generate", "{exchange:#}");
            let protocol = match way {
                Converse | ConverseStream => "bedrock-converse",
                _ => "bedrock-invoke",
            };
            assert_eq!(exchange["protocol"], protocol, "{exchange:#}");
            assert_eq!(exchange["model"], way.model(), "{exchange:#}");
            assert_eq!(exchange["stream"], way.streams(), "{exchange:#}");
            assert_eq!(
                exchange["usage"],
                json!({"input": 3, "output": 15}),
                "{way:?}"
            );
            let transcript = proxy.transcript(&exchange).await?;
            assert!(transcript.contains("The card on file is [REDACTED:credit-card]"));
        }
    }
    for (path, body, action) in [
        (
            "/model/amazon.titan-embed-text-v2%3A0/invoke",
            json!({"inputText": "for bob@example.com"}),
            "llm.embed",
        ),
        (
            "/model/amazon.nova-lite-v1%3A0/count-tokens",
            json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "for bob@example.com"}]}]}}}),
            "llm.count",
        ),
    ] {
        let answer = governed(&proxy, "h2", path, body.to_string(), &[]).await?;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        let sent = proxy.upstream.take().pop().context("not sent")?.text();
        assert!(sent.contains("for [REDACTED:email]"), "{path}: {sent}");
        seen += 1;
        let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
        assert_eq!(exchange["action"], action, "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_no_change_passes_byte_for_byte() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in WAYS {
        let (path, body) = (way.path(way.model()), way.body("hello", None));
        let control = direct_bytes(&proxy.upstream, &path, body.clone()).await?;
        let answer = governed(&proxy, "http/1.1", &path, body.clone(), &[]).await?;
        assert_eq!((answer.status, &answer.body), (200, &control), "{way:?}");
        assert_eq!(
            proxy.upstream.take().pop().context("not sent")?.text(),
            body
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_ends_a_stream_in_an_exception() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in WAYS.into_iter().filter(|way| way.streams()) {
        let (path, body) = (way.path(way.model()), way.body("say it twice", None));
        let answer = governed(&proxy, "http/1.1", &path, body, &[]).await?;
        assert_eq!(answer.status, 200, "{way:?}");
        let (before, said) = exception(&answer.body)?;
        assert!(said.contains("withheld the rest of the answer"), "{said}");
        assert!(!messages(&before)?.is_empty(), "{way:?}");
        let exchange = proxy.ended(1).await?.pop().context("no exchange")?;
        assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_permitted_call_arrives_byte_for_byte_and_a_refused_one_never() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[POLICIES, CALLS].concat()).await?;
    let mut seen = 0;
    for way in [Converse, ConverseStream, Claude, ClaudeStream] {
        let path = way.path(way.model());
        for (tool, word, permitted) in [
            ("shell", "ls", true),
            ("shell", "rm", false),
            ("deploy", "ls", false),
        ] {
            let body = way.body(&format!("now {word}"), Some(tool));
            let control = direct_bytes(&proxy.upstream, &path, body.clone()).await?;
            let answer = governed(&proxy, "http/1.1", &path, body, &[]).await?;
            let exchanges = proxy.ended(seen + 2).await?.split_off(seen);
            seen += 2;
            let (record, call) = (&exchanges[0], &exchanges[1]);
            assert_eq!(call["action"], "llm.tool_call", "{call:#}");
            if permitted {
                assert_eq!((answer.status, &answer.body), (200, &control), "{way:?}");
                assert_eq!(call["decision"], "permit", "{call:#}");
                assert_eq!(record["outcome"], "completed", "{record:#}");
                continue;
            }
            assert_eq!(call["decision"], "deny", "{call:#}");
            assert_eq!(record["outcome"], "refused", "{record:#}");
            let reason = match tool {
                "shell" => "policy \"no-rm\" forbids it: nothing is removed",
                _ => "no policy permits a call of tool \"deploy\"",
            };
            let id = call["id"].as_str().context("no id")?;
            if !way.streams() {
                assert_eq!(answer.status, 403);
                assert_eq!(answer.headers["x-amzn-errortype"], "AccessDeniedException");
                let document: Value = serde_json::from_slice(&answer.body)?;
                let said = document["message"].as_str().context("no message")?;
                assert!(said.contains(reason) && said.contains(id), "{said}");
                continue;
            }
            assert_eq!(answer.status, 200);
            let (before, said) = exception(&answer.body)?;
            assert!(said.contains(reason) && said.contains(id), "{said}");
            let before = json!(
                messages(&before)?
                    .into_iter()
                    .map(|(_, data)| data)
                    .collect::<Vec<_>>()
            )
            .to_string();
            let expected = match way {
                ConverseStream => "Let me see.",
                _ => "message_start",
            };
            assert!(before.contains(expected), "{before}");
            assert!(
                !before.contains(tool) && !before.contains("command"),
                "{before}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_the_services_own_exception() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in WAYS {
        let answer = governed(
            &proxy,
            "http/1.1",
            &way.path("other"),
            way.body("hello", None),
            &[],
        )
        .await?;
        assert_eq!(answer.status, 403, "{way:?}");
        assert_eq!(answer.headers["x-amzn-errortype"], "AccessDeniedException");
        let document: Value = serde_json::from_slice(&answer.body)?;
        let said = document["message"].as_str().context("no message")?;
        assert!(
            said.starts_with("Tollgate refused llm.generate on amazon"),
            "{said}"
        );
        assert!(said.contains(answer.headers["x-tollgate-id"].to_str()?));
        assert_eq!(
            answer.headers["x-amzn-requestid"],
            answer.headers["x-tollgate-id"]
        );
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_model_is_named_by_its_arn_where_amazon_is_and_nowhere_else() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/converse";
    let answer = governed(&proxy, "h2", path, Converse.body("hello", None), &[]).await?;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let exchange = proxy.ended(1).await?.pop().context("no exchange")?;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0";
    assert_eq!(exchange["model"], arn, "{exchange:#}");
    assert_eq!(proxy.upstream.take().pop().context("not sent")?.path, path);
    let hiding = path.replace("%2Fus.", "%2F..%2F");
    let answer = governed(&proxy, "h2", &hiding, Converse.body("hello", None), &[]).await?;
    assert_eq!(answer.status, 400, "{:?}", answer.body);
    let (status, _, _) =
        crate::client::governed(&proxy, "h2", path, Converse.body("hello", None)).await?;
    assert_eq!(status, 400);
    assert_eq!(proxy.upstream.take().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_guardrail_is_named_by_its_arn_as_well() -> anyhow::Result<()> {
    const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr0123456789";
    let policy = format!(
        "@id(\"judges\")\npermit (principal, action == Action::\"llm.embed\", resource)\nwhen {{ context.model == \"{ARN}\" }};"
    );
    let proxy = Proxy::governed_by(&policy).await?;
    let text = json!([{"text": {"text": format!("tell {LEAKED_EMAIL}")}}]);
    let body = json!({"source": "INPUT", "content": text}).to_string();
    for (name, status) in [("gr0123456789", 200), ("gr9876543210", 403)] {
        let arn = ARN.replace("gr0123456789", name);
        let arn = arn.replace(':', "%3A").replace('/', "%2F");
        let path = format!("/guardrail/{arn}/version/1/apply");
        let answer = governed(&proxy, "http/1.1", &path, body.clone(), &[]).await?;
        assert_eq!(answer.status, status, "{:?}", answer.body);
        let sent = proxy.upstream.take();
        assert_eq!(sent.len(), usize::from(status == 200));
        for sent in sent {
            assert_eq!(sent.path, path);
            assert!(
                sent.text().contains("tell [REDACTED:email]"),
                "{}",
                sent.text()
            );
        }
    }
    let exchange = proxy.ended(2).await?.remove(0);
    assert_eq!(
        (&exchange["model"], &exchange["protocol"]),
        (&json!(ARN), &json!("bedrock-converse"))
    );
    Ok(())
}

#[tokio::test]
async fn a_held_stream_gets_messages_that_say_nothing() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in [ConverseStream, ClaudeStream] {
        let (path, body) = (way.path("reviewed"), way.body("hello", None));
        let control = direct_bytes(&proxy.upstream, &path, body.clone()).await?;
        for denied in [None, Some("not today")] {
            let origin = proxy.tls_origin();
            let mut client = proxy.client(origin, AMAZON, "http/1.1").await?;
            let host = format!("{AMAZON}:{}", origin.port());
            let mut request = client.request("POST", &host, &path, body.clone())?;
            let patience = HeaderValue::from_static("1.2");
            request
                .headers_mut()
                .insert("x-stainless-read-timeout", patience);
            let answer = timeout(SOON, client.start(request)).await??;
            assert_eq!(
                answer.headers()["content-type"],
                "application/vnd.amazon.eventstream"
            );
            let mut answer = answer.into_body();
            let beat = read_frame(&mut answer).await?;
            assert_eq!(
                messages(&beat)?,
                [("waiting".to_owned(), json!({"waiting": {}}))]
            );
            proxy
                .answer(proxy.questions(1).await?.last(), denied)
                .await?;
            let mut rest = timeout(SOON, answer.collect()).await??.to_bytes();
            while rest.starts_with(&beat) {
                rest = rest.slice(beat.len()..);
            }
            match denied {
                Some(reason) => assert!(exception(&rest)?.1.contains(reason)),
                None => assert_eq!(rest, control, "{way:?}"),
            }
        }
    }
    Ok(())
}

/// As an agent signs its requests; nobody here verifies that.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=accept-encoding;content-type;host;x-amz-date, Signature=0123456789abcdef";

#[tokio::test]
async fn a_signed_request_passes_as_it_is_or_not_at_all() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let signed = [
        ("authorization", SIGNED),
        ("accept-encoding", "gzip"),
        ("x-amz-date", "20260101T000000Z"),
    ];
    let mut seen = 0;
    for way in WAYS {
        let (path, body) = (way.path(way.model()), way.body("hello", None));
        let control = direct_bytes(&proxy.upstream, &path, body.clone()).await?;
        let answer = governed(&proxy, "http/1.1", &path, body.clone(), &signed).await?;
        assert_eq!((answer.status, &answer.body), (200, &control), "{way:?}");
        let sent = proxy.upstream.take().pop().context("not sent")?;
        assert_eq!(sent.text(), body);
        for (name, value) in signed {
            assert_eq!(sent.header(name), Some(value), "{way:?}");
        }
        let masked = way.body("for bob@example.com", None);
        let answer = governed(&proxy, "http/1.1", &path, masked.clone(), &signed).await?;
        assert_eq!(answer.status, 403, "{way:?}");
        assert_eq!(answer.headers["x-amzn-errortype"], "AccessDeniedException");
        assert!(String::from_utf8_lossy(&answer.body).contains("AWS signature"));
        assert_eq!(proxy.upstream.take().len(), 0, "{way:?}");
        seen += 2;
        let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
        // A key signs nothing.
        let key = [("authorization", "Bearer ABSKexample")];
        let answer = governed(&proxy, "http/1.1", &path, masked, &key).await?;
        assert_eq!(answer.status, 200, "{way:?}");
        let sent = proxy.upstream.take().pop().context("not sent")?;
        assert!(sent.text().contains("for [REDACTED:email]"));
        assert_eq!(sent.header("authorization"), Some("Bearer ABSKexample"));
        seen += 1;
    }
    Ok(())
}
