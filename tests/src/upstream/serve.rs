//! Connections of the upstream: accept, read the request whole, note it, answer.

use std::{convert::Infallible, net::TcpListener, time::Duration};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode, Uri, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{io::AsyncRead, io::AsyncWrite, net::TcpStream, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Journal, Received, anthropic, openai, pieces::Pieces, providers, websocket};

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) journal: Journal,
    pub(super) pace: Duration,
}

/// Serves TLS until the runtime ends.
pub(super) async fn tls(listener: TcpListener, acceptor: TlsAcceptor, site: Site) {
    let journal = site.journal.clone();
    accept(listener, &journal, move |stream| {
        let (acceptor, site) = (acceptor.clone(), site.clone());
        async move {
            // A client that gives up during the handshake is not the upstream's to report.
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            http(stream, http2, sni, site).await;
        }
    })
    .await;
}

/// Serves HTTP/1.1 in the clear until the runtime ends.
pub(super) async fn plain(listener: TcpListener, site: Site) {
    let journal = site.journal.clone();
    accept(listener, &journal, move |stream| {
        http(stream, false, None, site.clone())
    })
    .await;
}

/// Sends back every byte until the runtime ends.
pub(super) async fn echo(listener: TcpListener, journal: Journal) {
    accept(listener, &journal, |mut stream| async move {
        let (mut from, mut to) = stream.split();
        drop(tokio::io::copy(&mut from, &mut to).await);
    })
    .await;
}

async fn accept<F>(listener: TcpListener, journal: &Journal, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        journal.connected();
        // Each event of a stream leaves at once, as it does from the providers.
        drop(stream.set_nodelay(true));
        connections.spawn(serve(stream));
        while connections.try_join_next().is_some() {}
    }
}

async fn http<Io>(io: Io, http2: bool, sni: Option<String>, site: Site)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let old = sni.as_deref() == Some(websocket::OLD);
    let service = service_fn(move |request| exchange(request, sni.clone(), site.clone()));
    let io = TokioIo::new(io);
    // Errors are hang-ups of the client, which tests provoke.
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        if !old {
            builder.enable_connect_protocol();
        }
        drop(builder.serve_connection(io, service).await);
    } else {
        drop(
            hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .serve_connection(io, service)
                .with_upgrades()
                .await,
        );
    }
}

async fn exchange(
    mut request: Request<Incoming>,
    sni: Option<String>,
    site: Site,
) -> Result<Response<Pieces>, Infallible> {
    let opened = websocket::open(&mut request, &site.journal);
    let (head, body) = request.into_parts();
    let Ok(body) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
    else {
        return Ok(json(
            StatusCode::BAD_REQUEST,
            &openai::error("the body ended early"),
        ));
    };
    let received = Received {
        method: head.method.to_string(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string),
        version: format!("{:?}", head.version),
        sni,
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_vec(),
    };
    let anthropic = received.header("anthropic-version").is_some();
    let name = received.sni.clone();
    site.journal.received(received);
    if let Some(opened) = opened {
        return Ok(opened);
    }
    Ok(answer(
        &head.method,
        &head.uri,
        anthropic,
        name.as_deref(),
        &body,
        site.pace,
    ))
}

fn answer(
    method: &Method,
    uri: &Uri,
    anthropic: bool,
    name: Option<&str>,
    body: &Bytes,
    pace: Duration,
) -> Response<Pieces> {
    if let Some(answer) = providers::answer(method, uri, anthropic, name, body, pace) {
        return answer;
    }
    let path = uri.path();
    match (method.as_str(), path) {
        ("POST", "/reviewed") => respond(StatusCode::OK, "text/plain", Pieces::whole("reviewed\n")),
        ("GET", "/hello") => respond(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            Pieces::whole("hello\n"),
        ),
        (_, "/echo") => respond(
            StatusCode::OK,
            "application/octet-stream",
            Pieces::whole(body.clone()),
        ),
        (_, "/compressed") => {
            let mut answer = respond(
                StatusCode::OK,
                "application/octet-stream",
                Pieces::whole(body.clone()),
            );
            let coding = hyper::header::HeaderValue::from_static("compress");
            answer
                .headers_mut()
                .insert(hyper::header::CONTENT_ENCODING, coding);
            answer
        }
        (_, "/trailer") => respond(
            StatusCode::OK,
            "text/plain",
            Pieces::with_trailer("x-echo", body),
        ),
        (_, "/broken") => respond(StatusCode::OK, "text/plain", Pieces::broken(body.clone())),
        _ => {
            let message = format!("unknown request: {method} {path}");
            json(
                StatusCode::NOT_FOUND,
                &if anthropic {
                    anthropic::error(&message)
                } else {
                    openai::error(&message)
                },
            )
        }
    }
}

pub(super) fn json(status: StatusCode, body: &Value) -> Response<Pieces> {
    respond(status, "application/json", Pieces::whole(body.to_string()))
}

pub(super) fn stream(events: Vec<Bytes>, pace: Duration) -> Response<Pieces> {
    streamed("text/event-stream; charset=utf-8", events, pace)
}

pub(super) fn streamed(
    content_type: &'static str,
    pieces: Vec<Bytes>,
    pace: Duration,
) -> Response<Pieces> {
    respond(StatusCode::OK, content_type, Pieces::stream(pieces, pace))
}

fn respond(status: StatusCode, content_type: &'static str, body: Pieces) -> Response<Pieces> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    response
}
