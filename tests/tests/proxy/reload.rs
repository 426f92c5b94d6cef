//! Policies that change while something passes: what they no longer permit ends, and nothing else.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::fixture::{Proxy, SOON};

const BYTES: &str = r#"
@id("bytes") permit (principal, action == Action::"connect", resource == Service::"bytes");
"#;
const FORBIDDEN: &str = r#"
@id("closed-now") forbid (principal, action, resource);
"#;
const CHAT: &str = r#"
@id("chat") permit (principal, action == Action::"llm.generate", resource == Service::"openai");
"#;
const MASKED: &str = r#"
@id("mask-pii") @mask("pii")
forbid (principal, action, resource) unless { context.masked.contains("pii") };
"#;
const ASKED: &str = r#"
@id("ask-first") @approvers("operators")
forbid (principal, action, resource) unless { context.approvals.contains("operators") };
"#;

/// Some bytes there and back.
async fn echoes(stream: &mut TcpStream) -> anyhow::Result<()> {
    stream.write_all(b"\x00 hello").await?;
    let mut got = [0; 7];
    timeout(SOON, stream.read_exact(&mut got)).await??;
    assert_eq!(&got, b"\x00 hello");
    Ok(())
}

#[tokio::test]
async fn a_tunnel_ends_when_the_policies_no_longer_permit_it() -> anyhow::Result<()> {
    for (change, determining) in [
        (CHAT.to_owned(), "no policy permits it"),
        ([BYTES, FORBIDDEN].concat(), "closed-now"),
        ([BYTES, MASKED].concat(), "mask-pii"),
        ([BYTES, ASKED].concat(), "ask-first"),
    ] {
        let proxy = Proxy::start().await?;
        let mut stream = proxy.dial(proxy.upstream.echo[0]).await?;
        echoes(&mut stream).await?;
        // A change that does not concern it.
        proxy.govern(&[BYTES, CHAT].concat())?;
        echoes(&mut stream).await?;
        proxy.govern(&change)?;
        let mut got = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut got)).await?;
        assert!(ended.is_err() && got.is_empty(), "{ended:?} {got:?}");
        let exchanges = proxy.ended(1).await?;
        assert_eq!(
            (&exchanges[0]["outcome"], &exchanges[0]["reason"]),
            (
                &json!("aborted"),
                &json!(format!("policy changed: {determining}"))
            )
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_under_way_ends_when_the_policies_no_longer_permit_it() -> anyhow::Result<()> {
    for version in ["http/1.1", "h2"] {
        for (before, told) in [(CHAT.to_owned(), false), ([CHAT, MASKED].concat(), true)] {
            let proxy = Proxy::paced(Duration::from_millis(50)).await?;
            proxy.govern(&before)?;
            let (text, broke) = streamed(&proxy, version, &[&before, BYTES].concat()).await?;
            assert!(text.ends_with("data: [DONE]\n\n") && !broke, "{text}");
            let (text, broke) = streamed(&proxy, version, &[CHAT, FORBIDDEN].concat()).await?;
            assert!(
                text.starts_with("data: {") && !text.contains("[DONE]"),
                "{text}"
            );
            // Where the gateway passes whole events it can tell; else the body breaks.
            assert_eq!(text.contains("policy changed: closed-now"), told, "{text}");
            assert_eq!(broke, !told, "{text}");
            let exchanges = proxy.ended(2).await?;
            assert_eq!(exchanges[0]["outcome"], "completed");
            assert_eq!(
                (&exchanges[1]["outcome"], &exchanges[1]["reason"]),
                (&json!("aborted"), &json!("policy changed: closed-now"))
            );
        }
    }
    Ok(())
}

/// A streamed answer during which the policies change; and whether it broke off.
async fn streamed(proxy: &Proxy, version: &str, change: &str) -> anyhow::Result<(String, bool)> {
    let origin = proxy.tls_origin();
    let mut client = proxy.client(origin, "api.openai.com", version).await?;
    let prompt: Value = json!({"model": "gpt-5", "stream": true, "messages": [{"role": "user", "content": "a text of some pieces"}]});
    let host = format!("api.openai.com:{}", origin.port());
    let request = client.request("POST", &host, "/v1/chat/completions", prompt.to_string())?;
    let mut body = client.start(request).await?.into_body();
    let (mut text, mut changed) = (String::new(), false);
    while let Some(frame) = timeout(SOON, body.frame()).await? {
        match frame {
            Ok(frame) => text += std::str::from_utf8(&frame.into_data().unwrap_or_default())?,
            Err(_) => return Ok((text, true)),
        }
        if !changed {
            proxy.govern(change)?;
            changed = true;
        }
    }
    Ok((text, false))
}

#[tokio::test]
async fn a_request_that_waits_for_its_answer_ends_too() -> anyhow::Result<()> {
    // The upstream reads the whole body before it answers, and the body never ends.
    let writes = r#"@id("writes") permit (principal, action in Action::"http", resource == Service::"plain");"#;
    let proxy = Proxy::governed_by(writes).await?;
    let origin = proxy.upstream.plain[0];
    let mut stream = proxy.dial(origin).await?;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: 10\r\n\r\nhalf",
        origin.port()
    );
    stream.write_all(head.as_bytes()).await?;
    while proxy.upstream.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.govern(&[writes, FORBIDDEN].concat())?;
    let mut got = vec![0; 4096];
    let length = timeout(SOON, stream.read(&mut got)).await??;
    let answer = String::from_utf8_lossy(&got[..length]);
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("policy changed: closed-now"),
        "{answer}"
    );
    assert!(proxy.upstream.take().is_empty());
    let exchanges = proxy.ended(1).await?;
    assert_eq!(exchanges[0]["outcome"], "aborted");
    Ok(())
}

const DETECTORS: &str = r#"
[[detector]]
id = "employee-id"
class = "internal"
regex = '\bEMP-[0-9]{6}\b'
examples = ["EMP-004217"]
"#;
const OWN: &str = r#"
@id("chat") permit (principal, action == Action::"llm.generate", resource == Service::"openai");
@id("mask-internal") @mask("internal")
forbid (principal, action in Action::"llm", resource) unless { context.masked.contains("internal") };
@id("no-mail") forbid (principal, action in Action::"llm", resource) when { context.findings.contains("email") };
"#;

#[tokio::test]
async fn detectors_come_into_force_with_the_policies_that_name_them() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let (origin, said) = (proxy.tls_origin(), "badge EMP-004217 of the visitor");
    let prompt = json!({"model": "gpt-5-mini", "stream": true, "messages": [{"role": "user", "content": said}]});
    let host = format!("api.openai.com:{}", origin.port());
    let file = proxy.policies.join("detectors.toml");
    for (own, expected) in [
        (false, said.to_owned()),
        (true, said.replace("EMP-004217", "[REDACTED:employee-id]")),
    ] {
        if own {
            std::fs::write(&file, DETECTORS)?;
            proxy.govern(OWN)?;
        }
        let mut client = proxy.client(origin, "api.openai.com", "http/1.1").await?;
        let request = client.request("POST", &host, "/v1/chat/completions", prompt.to_string())?;
        assert_eq!(client.send(request).await?.0, 200);
        let received = proxy.upstream.take();
        assert!(
            received[0].text().contains(&expected),
            "{}",
            received[0].text()
        );
    }
    let exchanges = proxy.ended(2).await?;
    assert_eq!(exchanges[1]["obligations"], json!(["mask:internal"]));
    assert!(
        exchanges[1]["findings"].to_string().contains("employee-id"),
        "{:#}",
        exchanges[1]
    );
    assert!(
        !proxy
            .transcript(&exchanges[1])
            .await?
            .contains("EMP-004217")
    );
    // A set that names what no detector is does not load.
    std::fs::remove_file(&file)?;
    let loaded = proxy.govern(OWN).map_err(|error| error.to_string());
    let told = |error: &String| error.contains("there are pii, secrets");
    assert!(loaded.as_ref().is_err_and(told), "{loaded:?}");
    Ok(())
}
