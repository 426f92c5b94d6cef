//! Request smuggling: whatever a client writes, the upstream reads exactly the requests that were decided on, each with one framing.

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::{
    fixture::{Proxy, SOON},
    setup::Setup,
    wire::{Said, Wire},
};

mod downgraded;
mod lines;

use downgraded::{DOWNGRADED, PSEUDO};
use lines::TABLE;

const POLICIES: &str = r#"
@id("wire")
permit (principal, action in Action::"http", resource)
when { [Service::"wire", Service::"wire-plain"].contains(resource) && context.path != "/admin" };
"#;
const LAST: &str = "/last";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

type Fields = Vec<(String, String)>;

/// What has to come of the bytes: the paths and bodies that arrive, in order; all else is refused and on record as that.
type Arrives = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn what_reaches_the_upstream_has_one_framing() -> anyhow::Result<()> {
    let wire = Wire::start(ANSWER).await?;
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: wire.services(),
        ..Setup::default()
    })
    .await?;
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (name, bytes, arrives) in TABLE {
        let host = format!("wire:{}", wire.tls.port());
        let stream = proxy.tls(wire.tls, "wire", "http/1.1").await?;
        talk(stream, bytes, &host).await.context(*name)?;
        wrong.extend(check(&proxy, &wire, name, arrives, &mut seen).await?);
        let host = format!("localhost:{}", wire.plain.port());
        let stream = proxy.dial(wire.plain).await?;
        talk(stream, bytes, &host).await.context(*name)?;
        wrong.extend(check(&proxy, &wire, name, arrives, &mut seen).await?);
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_http2_request_becomes_one_http1_request_or_none() -> anyhow::Result<()> {
    let wire = Wire::start(ANSWER).await?;
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: wire.services(),
        ..Setup::default()
    })
    .await?;
    let authority = format!("wire:{}", wire.tls.port());
    let right = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/a"),
        (":authority", &authority),
    ];
    let mut cases: Vec<(&str, Fields, &str, Arrives)> = Vec::new();
    for (name, fields, body, arrives) in DOWNGRADED {
        let fields = right.iter().chain(*fields);
        let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        cases.push((name, fields.collect(), body, arrives));
    }
    for (name, field, value) in PSEUDO {
        let value = value.replace("AUTHORITY", &authority);
        let other = |(name, right): &(&str, &str)| {
            let value = if name == field {
                value.clone()
            } else {
                (*right).to_owned()
            };
            ((*name).to_owned(), value)
        };
        cases.push((name, right.iter().map(other).collect(), "", &[]));
    }
    let mut wrong = Vec::new();
    for (name, fields, body, arrives) in &cases {
        let mut stream = proxy.tls(wire.tls, "wire", "h2").await?;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, b""));
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        let ends = u8::from(body.is_empty());
        bytes.extend(frame(1, 4 | ends, 1, &block));
        if !body.is_empty() {
            bytes.extend(frame(0, 1, 1, body.as_bytes()));
        }
        // A GOAWAY of the client, so that the gateway ends the connection when it is done.
        bytes.extend(frame(7, 0, 0, &[0; 8]));
        drop(stream.write_all(&bytes).await);
        let mut answer = Vec::new();
        drop(timeout(SOON, stream.read_to_end(&mut answer)).await?);
        let heard = wire.take()?;
        if brief(&heard) != owned(arrives) {
            wrong.push(format!("{name}: {heard:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Whatever arrived was permitted and is on record, and nothing else is.
    let arrived = cases
        .iter()
        .map(|(.., arrives)| arrives.len())
        .sum::<usize>();
    let exchanges = proxy.ended(arrived).await?;
    let completed = exchanges
        .iter()
        .filter(|exchange| exchange["outcome"] == "completed");
    assert_eq!(completed.count(), arrived, "{exchanges:#?}");
    Ok(())
}

/// Writes the bytes and a last request, which is served if everybody agrees where the bytes end, then reads until the connection ends.
async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    bytes: &str,
    host: &str,
) -> anyhow::Result<()> {
    let last = format!("GET {LAST} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let bytes = bytes.replace("HOST", host) + &last;
    // The gateway may close before it has read everything.
    drop(stream.write_all(bytes.as_bytes()).await);
    let mut answer = Vec::new();
    drop(timeout(SOON, stream.read_to_end(&mut answer)).await?);
    Ok(())
}

/// Compares what arrived with what should, and both with the record.
async fn check(
    proxy: &Proxy,
    wire: &Wire,
    name: &str,
    arrives: Arrives,
    seen: &mut usize,
) -> anyhow::Result<Option<String>> {
    let mut heard = wire.take()?;
    let exchanges = proxy.ended(*seen + 1).await.context(name.to_owned())?;
    let mut new = exchanges[*seen..].to_vec();
    *seen = exchanges.len();
    heard.retain(|said| !said.head[0].contains(LAST));
    new.retain(|exchange| exchange["path"] != LAST);
    let paths = |outcome: &str| -> Vec<&Value> {
        let those = new.iter().filter(|exchange| exchange["outcome"] == outcome);
        those.map(|exchange| &exchange["path"]).collect()
    };
    let decided: Vec<Value> = arrives
        .iter()
        .map(|(path, _)| path.replace("//", "/").into())
        .collect();
    let ended = paths("completed").len() + paths("refused").len() + paths("aborted").len();
    let right = brief(&heard) == owned(arrives)
        && paths("completed").into_iter().eq(&decided)
        && ended == new.len()
        && (!arrives.is_empty() || ended > 0);
    Ok((!right).then(|| format!("{name}: the upstream heard {heard:?}, the record has {new:#?}")))
}

fn brief(heard: &[Said]) -> Vec<(String, String)> {
    let one = |said: &Said| {
        let target = said.head[0]
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        (target, String::from_utf8_lossy(&said.body).into_owned())
    };
    heard.iter().map(one).collect()
}

fn owned(arrives: Arrives) -> Vec<(String, String)> {
    arrives
        .iter()
        .map(|(path, body)| ((*path).to_owned(), (*body).to_owned()))
        .collect()
}

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field of HPACK without indexing; both parts are shorter than 127 bytes.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(126)], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}
