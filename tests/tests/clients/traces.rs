//! What was said to a model leaves a second time, with its trace: the libraries' own formats are masked like the call.

use serde_json::json;
use tests::upstream::{LEAKED_EMAIL, Received};

use crate::world::{FILES, Script, World};

const EMAIL: &str = "[REDACTED:email]";

#[test]
fn traces_are_masked_in_the_formats_of_their_libraries() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::traces()?;
    let url = format!("https://{FILES}");
    for (client, path) in [("langsmith", "/runs/multipart"), ("otlp", "/v1/traces")] {
        let text = format!("tell {LEAKED_EMAIL}");
        let calls = [json!({"client": client, "url": url, "text": text})];
        world.untagged(&script, &calls)?;
        let control = said(&world.upstream.take(), path)?;
        assert!(
            control.contains(LEAKED_EMAIL),
            "the control run failed: {control}"
        );

        let seen = world.daemon.exchanges()?.len();
        world.tagged(&script, &calls)?;
        let received = world.upstream.take();
        let masked = said(&received, path)?;
        assert!(!masked.contains(LEAKED_EMAIL), "{client}: {masked}");
        let times = control.matches(LEAKED_EMAIL).count();
        assert_eq!(masked.matches(EMAIL).count(), times, "{client}: {masked}");
        for request in received.iter().filter(|request| request.path == path) {
            in_order(client, request)?;
        }
        let exchanges = world.daemon.ended_after(seen, 1)?;
        let sent: Vec<_> = exchanges
            .iter()
            .filter(|exchange| exchange["path"] == path)
            .collect();
        assert!(!sent.is_empty());
        for exchange in sent {
            assert_eq!(exchange["obligations"], json!(["mask:pii"]), "{exchange:#}");
            assert_eq!(exchange["findings"][0]["detector"], "email", "{exchange:#}");
        }
    }
    Ok(())
}

/// The bodies that came to a path, decoded, one after the other.
fn said(received: &[Received], path: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    for request in received.iter().filter(|request| request.path == path) {
        let body = match request.header("content-encoding") {
            Some("zstd") => zstd::decode_all(&request.body[..])?,
            Some("gzip") => {
                let mut plain = Vec::new();
                std::io::copy(
                    &mut flate2::read::GzDecoder::new(&request.body[..]),
                    &mut plain,
                )?;
                plain
            }
            other => {
                anyhow::ensure!(other.is_none(), "{other:?}");
                request.body.clone()
            }
        };
        out.push_str(&String::from_utf8_lossy(&body));
    }
    Ok(out)
}

/// A changed body is what its format wants: lengths of parts are right, and documents are documents.
fn in_order(client: &str, request: &Received) -> anyhow::Result<()> {
    if client != "langsmith" {
        return Ok(());
    }
    let text = request.text();
    for part in text.split("\r\nContent-Length: ").skip(1) {
        let (head, rest) = part.split_once("\r\n\r\n").unwrap_or_default();
        let length = head.lines().next().unwrap_or_default();
        let content = rest.get(..length.parse()?).unwrap_or_default();
        serde_json::from_str::<serde_json::Value>(content)?;
    }
    Ok(())
}
