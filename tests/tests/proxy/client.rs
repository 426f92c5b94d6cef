//! An HTTP client of either version.

use std::sync::Arc;

use anyhow::bail;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};

use crate::{fixture::SOON, site::Answer};

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
