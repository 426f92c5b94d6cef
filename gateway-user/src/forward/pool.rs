//! Upstream connections of one agent connection: nothing is shared between agents, so order, authentication and limits of the
//! upstream stay what the agent would have seen.

use std::sync::{Mutex, PoisonError};

use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::settings::{Extended, Watched};
use super::{Connected, Destination, ForwardError, connect};
use crate::policy::Permit;
use crate::tasks::Tasks;
use crate::tls::alert_in;

/// The body of a forwarded request.
pub type Outgoing = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, hyper::Error>;

/// The upstream connections of one agent connection.
pub struct Pool {
    tasks: Tasks,
    /// What the agent itself speaks; the upstream is offered nothing newer.
    newest: Version,
    open: Mutex<Open>,
}

/// Connections that may take another request.
#[derive(Default)]
struct Open {
    http1: Vec<(String, http1::SendRequest<Outgoing>)>,
    http2: Vec<(String, http2::SendRequest<Outgoing>, Extended)>,
}

enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>, Extended),
}

impl Pool {
    /// No connection yet; `newest` is the version the agent speaks.
    #[must_use]
    pub fn new(tasks: Tasks, newest: Version) -> Self {
        Self {
            tasks,
            newest,
            open: Mutex::default(),
        }
    }

    /// Sends one permitted request. An idle connection that the upstream has closed meanwhile is replaced once, and only when
    /// the request has not left.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn send(
        &self,
        permit: Permit,
        destination: &Destination,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, ForwardError> {
        if permit.query().service == destination.service
            && let Some(sender) = self.idle(&destination.host)
        {
            match self.try_send(destination, sender, request).await {
                Ok(response) => return ordinary(response),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(failed(destination, error)),
            }
        }
        let sender = self.open(&permit, destination, self.newest).await?;
        match self.try_send(destination, sender, request).await {
            Ok(response) => ordinary(response),
            Err((error, _)) => Err(failed(destination, error)),
        }
    }

    /// Sends a permitted handshake of a WebSocket, which `write` writes for the version that the upstream can take it in: the
    /// agent's own if it can, else HTTP/1.1, as clients without the gateway do. That version comes with the response.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub async fn upgrade(
        &self,
        permit: &Permit,
        destination: &Destination,
        write: impl Fn(Version) -> Request<Outgoing>,
    ) -> Result<(Version, Response<Incoming>), ForwardError> {
        let (sender, version) = self.upgradable(permit, destination).await?;
        let sent = self.try_send(destination, sender, write(version)).await;
        sent.map(|response| (version, response))
            .map_err(|(error, _)| failed(destination, error))
    }

    async fn upgradable(
        &self,
        permit: &Permit,
        destination: &Destination,
    ) -> Result<(Sender, Version), ForwardError> {
        if self.newest >= Version::HTTP_2 {
            let permitted = permit.query().service == destination.service;
            let idle = permitted.then(|| self.idle(&destination.host)).flatten();
            let sender = match idle {
                Some(sender @ Sender::Http2(..)) => sender,
                _ => self.open(permit, destination, self.newest).await?,
            };
            let extended = match &sender {
                Sender::Http1(_) => return Ok((sender, Version::HTTP_11)),
                Sender::Http2(_, extended) => extended.clone(),
            };
            if extended.enabled().await {
                return Ok((sender, Version::HTTP_2));
            }
        }
        let sender = self.open(permit, destination, Version::HTTP_11).await?;
        Ok((sender, Version::HTTP_11))
    }

    fn idle(&self, host: &str) -> Option<Sender> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.http1.retain(|(_, sender)| !sender.is_closed());
        open.http2.retain(|(_, sender, _)| !sender.is_closed());
        if let Some((_, sender, extended)) = open.http2.iter().find(|(name, ..)| name == host) {
            return Some(Sender::Http2(sender.clone(), extended.clone()));
        }
        let index = open
            .http1
            .iter()
            .position(|(name, sender)| name == host && sender.is_ready())?;
        Some(Sender::Http1(open.http1.swap_remove(index).1))
    }

    async fn open(
        &self,
        permit: &Permit,
        destination: &Destination,
        newest: Version,
    ) -> Result<Sender, ForwardError> {
        let alpn: &[&[u8]] = if newest >= Version::HTTP_2 {
            &[b"h2", b"http/1.1"]
        } else {
            &[b"http/1.1"]
        };
        match connect(permit, destination, alpn).await? {
            // Without TLS there is no negotiation: the agent's own choice is repeated.
            Connected::Plain(stream) if newest >= Version::HTTP_2 => {
                self.http2(destination, stream).await
            }
            Connected::Plain(stream) => self.http1(stream).await,
            Connected::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.http2(destination, stream).await
            }
            Connected::Tls(stream) => self.http1(stream).await,
        }
    }

    async fn http1<S>(&self, stream: S) -> Result<Sender, ForwardError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream))
            .await?;
        self.drive(connection.with_upgrades());
        Ok(Sender::Http1(sender))
    }

    async fn http2<S>(&self, destination: &Destination, stream: S) -> Result<Sender, ForwardError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = http2::Builder::new(self.tasks.clone());
        let (stream, extended) = Watched::new(stream);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        self.drive(connection);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = (destination.host.clone(), sender.clone(), extended.clone());
        open.http2.push(opened);
        Ok(Sender::Http2(sender, extended))
    }

    /// Moves the bytes of a connection until it ends.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
    }

    /// On failure gives the request back if no byte of it left.
    async fn try_send(
        &self,
        destination: &Destination,
        sender: Sender,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unsent> {
        match sender {
            Sender::Http2(mut sender, _) => {
                for_http2(destination, &mut request);
                sender.try_send_request(request).await.map_err(unsent)
            }
            Sender::Http1(mut sender) => {
                for_http1(&mut request);
                let response = sender.try_send_request(request).await.map_err(unsent)?;
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.http1.push((destination.host.clone(), sender));
                Ok(response)
            }
        }
    }
}

fn failed(destination: &Destination, error: hyper::Error) -> ForwardError {
    match alert_in(&error) {
        Some(alert) => ForwardError::Alert {
            host: destination.host.clone(),
            alert,
        },
        None => error.into(),
    }
}

/// An error, and the request if no byte of it left.
type Unsent = (hyper::Error, Option<Request<Outgoing>>);

fn unsent(mut error: TrySendError<Request<Outgoing>>) -> Unsent {
    let request = error.take_message();
    (error.into_error(), request)
}

/// Behind a switch nobody asked for, bytes would pass that nobody has decided on.
fn ordinary(response: Response<Incoming>) -> Result<Response<Incoming>, ForwardError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::Switched);
    }
    Ok(response)
}

/// HTTP/1 has an origin-form target and Host (RFC 9112, 3.2.1).
fn for_http1(request: &mut Request<Outgoing>) {
    let uri = std::mem::take(request.uri_mut());
    if !request.headers().contains_key(HOST)
        && let Some(host) = uri
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    {
        request.headers_mut().insert(HOST, host);
    }
    let target = uri.path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.version_mut() = Version::HTTP_11;
}

/// HTTP/2 has `:scheme` and `:authority` in place of Host (RFC 9113, 8.3.1).
fn for_http2(destination: &Destination, request: &mut Request<Outgoing>) {
    let host = request.headers_mut().remove(HOST);
    let uri = std::mem::take(request.uri_mut());
    let mut parts = uri.into_parts();
    if let Some(authority) = host.and_then(|host| host.to_str().ok()?.parse().ok()) {
        parts.authority = Some(authority);
    }
    let scheme = if destination.tls.is_some() {
        http::uri::Scheme::HTTPS
    } else {
        http::uri::Scheme::HTTP
    };
    parts.scheme = parts.authority.is_some().then_some(scheme);
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
}

/// As hyper's default for servers; more is not seen in practice.
const MAX_HEADERS: usize = 256;
