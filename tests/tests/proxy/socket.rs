//! A WebSocket client that writes and reads frames by hand, over either version of HTTP.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Request, client::conn::http2, ext::Protocol};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};

use crate::fixture::{Proxy, SOON};

/// The ways to open one: how the agent speaks, and under which name the upstream answers.
pub(crate) const WAYS: &[(&str, &str)] = &[("http/1.1", "files"), ("h2", "files"), ("h2", "old")];

/// What a handshake came to.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) socket: Socket,
}

/// An open connection; frames if the handshake was accepted.
pub(crate) struct Socket {
    io: Box<dyn Io>,
    _connection: Arc<JoinSet<()>>,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A frame as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Asks for a WebSocket; `extra` are more header lines.
pub(crate) async fn ask(
    proxy: &Proxy,
    (version, name): (&str, &str),
    path: &str,
    extra: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let origin = proxy.tls_origin();
    let io = proxy.tls(origin, name, version).await?;
    let host = format!("{name}:{}", origin.port());
    let asking = async {
        match version {
            "h2" => over_http2(io, &host, path, extra).await,
            _ => over_http1(io, &host, path, extra).await,
        }
    };
    timeout(SOON, asking).await?
}

async fn over_http1(
    mut io: impl Io + 'static,
    host: &str,
    path: &str,
    extra: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in extra {
        request += &format!("{name}: {value}\r\n");
    }
    io.write_all((request + "\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let status = lines.next().context("no status")?;
    let status = status.split(' ').nth(1).context("no status")?.parse()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Ok(Answer {
        status,
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        socket: Socket {
            io: Box::new(io),
            _connection: Arc::default(),
        },
    })
}

async fn over_http2(
    io: impl Io + 'static,
    host: &str,
    path: &str,
    extra: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    let mut running = JoinSet::new();
    running.spawn(async { drop(connection.await) });
    let mut request = Request::builder()
        .method("CONNECT")
        .uri(format!("https://{host}{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    for (name, value) in extra {
        request = request.header(*name, *value);
    }
    let mut answer = sender
        .send_request(request.body(Empty::<Bytes>::new())?)
        .await?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    let headers = headers.collect();
    let io: Box<dyn Io> = if status == 200 {
        let upgraded = hyper::upgrade::on(&mut answer).await?;
        Box::new(TokioIo::new(upgraded))
    } else {
        Box::new(tokio::io::empty())
    };
    Ok(Answer {
        status,
        headers,
        socket: Socket {
            io,
            _connection: Arc::new(running),
        },
    })
}

/// Opens a WebSocket.
pub(crate) async fn open(proxy: &Proxy, way: (&str, &str), path: &str) -> anyhow::Result<Socket> {
    let answer = ask(proxy, way, path, &[]).await?;
    let expected = if way.0 == "h2" { 200 } else { 101 };
    ensure!(answer.status == expected, "{way:?}: {}", answer.status);
    Ok(answer.socket)
}

/// A frame of a client as it goes out.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..65536 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(KEY);
    let masked = payload.iter().zip(KEY.iter().cycle());
    out.extend(masked.map(|(byte, key)| byte ^ key));
    out
}

impl Socket {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.io.write_all(bytes).await?;
        Ok(self.io.flush().await?)
    }

    /// The next frame; `None` when the connection is over.
    pub(crate) async fn frame(&mut self) -> anyhow::Result<Option<Frame>> {
        let reading = async {
            let Ok(first) = self.io.read_u8().await else {
                return Ok(None);
            };
            let length = match self.io.read_u8().await? {
                126 => u64::from(self.io.read_u16().await?),
                127 => self.io.read_u64().await?,
                short @ 0..126 => u64::from(short),
                _ => anyhow::bail!("a server's frame is masked"),
            };
            let mut payload = vec![0; length as usize];
            self.io.read_exact(&mut payload).await?;
            Ok(Some(Frame { first, payload }))
        };
        timeout(SOON, reading).await?
    }

    /// The code and reason of the close frame that comes next.
    pub(crate) async fn close(&mut self) -> anyhow::Result<(u16, String)> {
        let frame = self.frame().await?.context("no close frame")?;
        ensure!(frame.first == 0x88, "{frame:x?}");
        let (code, reason) = frame.payload.split_first_chunk().context("no code")?;
        Ok((
            u16::from_be_bytes(*code),
            String::from_utf8(reason.to_vec())?,
        ))
    }
}
