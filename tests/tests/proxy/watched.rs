//! What people and Prometheus see of connections: counts, the list of open sessions, its changes, log lines.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use gateway_user::{
    record::{Change, Event},
    telemetry::Reading,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast::Receiver,
    time::timeout,
};

use crate::fixture::{Proxy, SOON};

#[tokio::test]
async fn every_exchange_is_counted_once_by_how_it_was_decided_and_ended() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let origin = proxy.tls_origin();
    for version in ["http/1.1", "h2"] {
        let mut files = proxy.client(origin, "files", version).await?;
        let host = format!("files:{}", origin.port());
        for _ in 0..2 {
            let request = files.request("GET", &host, "/hello", "")?;
            assert_eq!(files.send(request).await?.0, 200);
        }
        let request = files.request("DELETE", &host, "/hello", "")?;
        assert_eq!(files.send(request).await?.0, 403);
        // A destination that no service lists.
        let mut other = proxy.client(origin, "other.test", version).await?;
        let request = other.request("GET", &format!("other.test:{}", origin.port()), "/", "")?;
        assert_eq!(other.send(request).await?.0, 403);
    }
    proxy.ended(8).await?;
    let text = proxy.ledger().metrics().text(&Reading::default());
    let exchanges = |service: &str, action: &str, decision: &str, outcome: &str| {
        format!(
            "tollgate_exchanges_total{{identity=\"research-agent\",service=\"{service}\",action=\"{action}\",decision=\"{decision}\",outcome=\"{outcome}\"}}"
        )
    };
    for (series, count) in [
        (exchanges("files", "http.read", "permit", "completed"), 4),
        (exchanges("files", "http.write", "deny", "refused"), 2),
        (exchanges("unlisted", "http.read", "deny", "refused"), 2),
        ("tollgate_sessions_total".to_owned(), 4),
        ("tollgate_decision_seconds_count".to_owned(), 8),
    ] {
        let line = format!("{series} {count}");
        assert!(
            text.lines().any(|found| found == line),
            "no `{line}` in\n{text}"
        );
    }
    assert!(
        !text.contains("other.test"),
        "an agent chose a label:\n{text}"
    );
    Ok(())
}

#[tokio::test]
async fn an_open_session_is_listed_with_its_bytes_until_it_ends() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let mut changes = proxy.ledger().changes();
    assert!(proxy.ledger().flows().is_empty());
    let mut stream = proxy.dial(proxy.upstream.echo[0]).await?;
    stream.write_all(b"hello").await?;
    let mut got = [0; 5];
    timeout(SOON, stream.read_exact(&mut got)).await??;
    let flows = proxy.ledger().flows();
    let [flow] = flows.as_slice() else {
        anyhow::bail!("{flows:?}")
    };
    assert_eq!(flow.protocol.as_deref(), Some("opaque"));
    assert_eq!((flow.exchanges, flow.under_way), (1, 1));
    assert_eq!((flow.bytes_in, flow.bytes_out), (5, 5));
    assert_eq!(flow.process.pid, std::process::id());
    drop(stream);
    for event in [Event::Open, Event::Exchange, Event::Closed] {
        let change = next(&mut changes).await?;
        assert_eq!((change.event, change.flow.id), (event, flow.id));
        if event == Event::Closed {
            assert_eq!((change.flow.under_way, change.flow.bytes_in), (0, 5));
        }
    }
    assert!(proxy.ledger().flows().is_empty());
    // What has ended is still counted.
    assert_eq!(proxy.ledger().totals(), (0, (5, 5)));
    Ok(())
}

#[tokio::test]
async fn log_lines_carry_the_session_and_the_exchange() -> anyhow::Result<()> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer({
            let lines = lines.clone();
            move || lines.clone()
        })
        .finish();
    // It hears the other tests of this process too; ids tell them apart.
    tracing::subscriber::set_global_default(subscriber)?;
    let proxy = Proxy::start().await?;
    for version in ["http/1.1", "h2"] {
        let mut client = proxy.client(proxy.tls_origin(), "files", version).await?;
        let host = format!("files:{}", proxy.tls_origin().port());
        let request = client.request("DELETE", &host, "/a", "")?;
        assert_eq!(client.send(request).await?.0, 403);
    }
    let exchanges = proxy.ended(2).await?;
    for exchange in exchanges {
        let id = exchange["id"].as_str().unwrap_or_default();
        let line = lines.containing(&format!("Id {id}"))?;
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        let told = |field: &str| spans.iter().rev().find_map(|span| span[field].as_str());
        assert_eq!(told("exchange"), Some(id), "{line}");
        assert_eq!(told("identity"), Some("research-agent"), "{line}");
        let session = told("session").unwrap_or_default();
        let replay = proxy.ledger().reader().session_of(id).await?;
        assert_eq!(session, replay.session.id.to_string(), "{line}");
    }
    Ok(())
}

async fn next(changes: &mut Receiver<Change>) -> anyhow::Result<Change> {
    Ok(timeout(SOON, changes.recv()).await??)
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn containing(&self, text: &str) -> anyhow::Result<Value> {
        let bytes = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let logged = String::from_utf8(bytes)?;
        let line = logged.lines().find(|line| line.contains(text));
        let line = line.ok_or_else(|| anyhow::anyhow!("nothing logged about {text}:\n{logged}"))?;
        Ok(serde_json::from_str(line)?)
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
