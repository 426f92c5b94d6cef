//! HTTP/2 by the letter (RFC 9113, RFC 7541), as h2spec checks servers: frames that nobody may send end the connection or the stream with the
//! right error, reach no upstream, and a stream's error leaves the others alone.

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::fixture::{Proxy, SOON};

mod cases;

use cases::{
    ACK, END_HEADERS, END_STREAM, Expect, GOAWAY, HEADERS, PING, PROTOCOL, RST_STREAM, SETTINGS,
    block, cases, frame,
};

#[tokio::test]
async fn frames_that_nobody_may_send_end_what_they_belong_to() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    let authority = format!("files:{}", proxy.tls_origin().port());
    let mut wrong = Vec::new();
    for (name, frames, expect) in cases(&authority) {
        let mut peer = Peer::open(&proxy).await?;
        // The gateway may close before it has read everything.
        drop(peer.stream.write_all(&frames).await);
        if expect == Expect::Ignored {
            drop(peer.stream.write_all(&frame(PING, 0, 0, LAST)).await);
        }
        let outcome = peer.outcome(1).await.context(name)?;
        let right = match (expect, &outcome) {
            (Expect::Connection(codes), Outcome::Ended(Some(code))) => {
                codes.contains(code) || *code == PROTOCOL
            }
            (Expect::Connection(_), Outcome::Ended(None)) => true,
            // The library ends the connection where a header cannot even be a header, which section 5.4.2 allows.
            (Expect::Stream(code), Outcome::Reset(found) | Outcome::Ended(Some(found))) => {
                *found == code
            }
            (Expect::Stream(_), Outcome::Refused) => true,
            (Expect::Ignored, Outcome::Quiet) => true,
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: expected {expect:?}, got {outcome:?}"));
            continue;
        }
        assert_eq!(
            proxy.upstream.take().len(),
            0,
            "{name} reached the upstream"
        );
        if !matches!(outcome, Outcome::Ended(_)) {
            peer.request(101, &authority).await.context(name)?;
            proxy.upstream.take();
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

/// What the gateway did.
#[derive(Debug)]
enum Outcome {
    Ended(Option<u32>),
    Reset(u32),
    Refused,
    Quiet,
}

/// A client that writes what it likes.
struct Peer {
    stream: TlsStream<TcpStream>,
}

impl Peer {
    /// A connection behind the preface and our SETTINGS.
    async fn open(proxy: &Proxy) -> anyhow::Result<Self> {
        let mut stream = proxy.tls(proxy.tls_origin(), "files", "h2").await?;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let settings = frame(SETTINGS, 0, 0, &[]);
        stream
            .write_all(&[&preface[..], &settings].concat())
            .await?;
        Ok(Self { stream })
    }

    /// Reads frames until the connection or the stream has ended, or the [`LAST`] PING comes back.
    async fn outcome(&mut self, stream: u32) -> anyhow::Result<Outcome> {
        loop {
            let Some((kind, flags, id, payload)) = self.next().await? else {
                return Ok(Outcome::Ended(None));
            };
            match kind {
                GOAWAY => return Ok(Outcome::Ended(payload.get(4..8).map(number))),
                RST_STREAM if id == stream => {
                    return Ok(Outcome::Reset(
                        payload.get(..4).map(number).context("a short reset")?,
                    ));
                }
                // Status 400, from the static table.
                HEADERS if id == stream => {
                    assert_eq!(payload.first(), Some(&0x8c), "an answer other than 400");
                    return Ok(Outcome::Refused);
                }
                PING if flags & ACK != 0 && payload == LAST => return Ok(Outcome::Quiet),
                _ => {}
            }
        }
    }

    /// A request that must be answered: the connection serves.
    async fn request(&mut self, id: u32, authority: &str) -> anyhow::Result<()> {
        let head = block(authority, &[]);
        self.stream
            .write_all(&frame(HEADERS, END_STREAM | END_HEADERS, id, &head))
            .await?;
        while let Some((kind, _, stream, payload)) = self.next().await? {
            if kind == HEADERS && stream == id {
                // Status 200, from the static table.
                anyhow::ensure!(
                    payload.first() == Some(&0x88),
                    "the next request was not answered with 200"
                );
                return Ok(());
            }
        }
        bail!("the connection ended before the next request was answered")
    }

    /// A frame: type, flags, stream, payload. `None` where the connection ended, in whatever way.
    async fn next(&mut self) -> anyhow::Result<Option<(u8, u8, u32, Vec<u8>)>> {
        let mut head = [0; 9];
        if timeout(SOON, self.stream.read_exact(&mut head))
            .await?
            .is_err()
        {
            return Ok(None);
        }
        let mut payload = vec![0; number(&[&[0], &head[..3]].concat()) as usize];
        if timeout(SOON, self.stream.read_exact(&mut payload))
            .await?
            .is_err()
        {
            return Ok(None);
        }
        Ok(Some((head[3], head[4], number(&head[5..]), payload)))
    }
}

/// What a PING says behind which nothing is to come.
const LAST: &[u8] = b"the last";

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}
