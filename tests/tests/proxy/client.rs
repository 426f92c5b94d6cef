//! An HTTP client of either version.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::upstream::Upstream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};

use crate::{
    fixture::{Proxy, SOON},
    site::Answer,
};

/// An HTTP/2 connection whose requests have bodies of any kind; it is driven by the second part.
pub(crate) async fn streaming<S>(
    io: S,
) -> anyhow::Result<(conn::http2::SendRequest<Answer>, JoinSet<()>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, running) = conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
    let mut connection = JoinSet::new();
    connection.spawn(async { drop(running.await) });
    Ok((sender, connection))
}

/// Straight to the upstream, the control run: what it answers. It is not among what the upstream has received.
pub(crate) async fn direct(
    upstream: &Upstream,
    path: &str,
    body: String,
) -> anyhow::Result<String> {
    Ok(String::from_utf8(
        direct_bytes(upstream, path, body).await?.to_vec(),
    )?)
}

/// The same, of what is no text.
pub(crate) async fn direct_bytes(
    upstream: &Upstream,
    path: &str,
    body: String,
) -> anyhow::Result<Bytes> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the control run goes straight to the upstream"
    )]
    let stream = tokio::net::TcpStream::connect(upstream.plain[0]).await?;
    let mut client = Client::over(TokioIo::new(stream), "http/1.1").await?;
    let request = client.request("POST", "localhost", path, body)?;
    let (status, answer) = client.send(request).await?;
    upstream.take();
    ensure!(status == 200, "the control run failed");
    Ok(answer)
}

/// The next piece of an answer.
pub(crate) async fn read_frame(answer: &mut Incoming) -> anyhow::Result<Bytes> {
    let frame = timeout(SOON, answer.frame()).await?.context("it ended")??;
    Ok(frame.into_data().unwrap_or_default())
}

/// By way of the gateway to its provider: status, head and text.
pub(crate) async fn governed(
    proxy: &Proxy,
    version: &str,
    path: &str,
    body: String,
) -> anyhow::Result<(u16, HeaderMap, String)> {
    let (origin, name) = (proxy.tls_origin(), "api.openai.com");
    let mut client = proxy.client(origin, name, version).await?;
    let host = format!("{name}:{}", origin.port());
    let request = client.request("POST", &host, path, body)?;
    let answer = timeout(SOON, client.start(request)).await??;
    let (head, body) = answer.into_parts();
    let body = timeout(SOON, body.collect()).await??.to_bytes();
    Ok((
        head.status.as_u16(),
        head.headers,
        String::from_utf8(body.to_vec())?,
    ))
}

/// A client's HTTP connection; dropping it hangs up.
pub(crate) struct Client {
    sender: Sender,
    connection: Arc<JoinSet<()>>,
}

enum Sender {
    Http1(conn::http1::SendRequest<Full<Bytes>>),
    Http2(conn::http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Speaks HTTP on an open stream.
    pub(crate) async fn over<S>(io: TokioIo<S>, version: &str) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut connection = JoinSet::new();
        let sender = if version == "h2" {
            let (sender, running) = conn::http2::handshake(TokioExecutor::new(), io).await?;
            connection.spawn(async { drop(running.await) });
            Sender::Http2(sender)
        } else {
            let (sender, running) = conn::http1::handshake(io).await?;
            connection.spawn(async { drop(running.await) });
            Sender::Http1(sender)
        };
        Ok(Self {
            sender,
            connection: Arc::new(connection),
        })
    }

    /// Another handle of an HTTP/2 connection, for parallel streams.
    pub(crate) fn another(&self) -> anyhow::Result<Self> {
        match &self.sender {
            Sender::Http1(_) => bail!("HTTP/1.1 has one request at a time"),
            Sender::Http2(sender) => Ok(Self {
                sender: Sender::Http2(sender.clone()),
                connection: Arc::clone(&self.connection),
            }),
        }
    }

    /// A request in the form this version wants it.
    pub(crate) fn request(
        &self,
        method: &str,
        host: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let builder = match self.sender {
            Sender::Http1(_) => Request::builder().uri(path).header("host", host),
            Sender::Http2(_) => Request::builder().uri(format!("https://{host}{path}")),
        };
        Ok(builder.method(method).body(Full::new(body.into()))?)
    }

    /// Sends a request; the body of the answer may still be on its way.
    pub(crate) async fn start(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Incoming>> {
        Ok(match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        })
    }

    /// Sends a request and reads the answer whole: status and body.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(u16, Bytes)> {
        let response = timeout(SOON, self.start(request)).await??;
        let status = response.status().as_u16();
        Ok((
            status,
            timeout(SOON, response.into_body().collect())
                .await??
                .to_bytes(),
        ))
    }
}
