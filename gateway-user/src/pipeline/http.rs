//! Serves HTTP/1.1 and HTTP/2 on a connection that is open: each request is an exchange of its own.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Version, header};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument;

use super::linger::Lingering;
use super::{Connection, ConnectionError, exchange, observe, overload, unreadable};
use crate::forward::Pool;

/// What is known of an open connection.
#[derive(Clone, Debug)]
pub(super) struct Clear {
    /// The name TLS was opened for.
    pub(super) tls_name: Option<String>,
    /// The version the client speaks.
    pub(super) version: Version,
}

impl Clear {
    pub(super) fn plain(version: Version) -> Self {
        Self {
            tls_name: None,
            version,
        }
    }

    pub(super) fn tls(name: String, version: Version) -> Self {
        Self {
            tls_name: Some(name),
            version,
        }
    }

    /// What a ledger entry calls the protocol.
    pub(super) fn protocol(&self) -> &'static str {
        if self.version == Version::HTTP_2 {
            "h2"
        } else {
            "http/1.1"
        }
    }
}

/// Serves requests until the client leaves, or the drain begins and what is under way has ended.
pub(super) async fn serve<S>(
    connection: Arc<Connection>,
    stream: S,
    clear: Clear,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let tasks = connection.gateway.tasks.clone();
    let drain = connection.gateway.drain.clone();
    let version = clear.version;
    let pool = Pool::new(tasks.clone(), version);
    let context = Arc::new(exchange::Context {
        connection: Arc::clone(&connection),
        clear: clear.clone(),
        pool,
    });
    let leaving = drain.clone();
    let service = service_fn(move |request| {
        let span = tracing::info_span!("request", exchange = tracing::field::Empty);
        let handled = overload::handle(Arc::clone(&context), request).instrument(span);
        let leaving = leaving.clone();
        async move {
            let mut response = handled.await?;
            if leaving.has_begun() && version < Version::HTTP_2 {
                // So that the client sends no other here.
                let connection = response.headers_mut().entry(header::CONNECTION);
                connection.or_insert(HeaderValue::from_static("close"));
            }
            Ok::<_, exchange::Hangup>(response)
        }
    });
    if version == Version::HTTP_2 {
        let mut builder = hyper::server::conn::http2::Builder::new(tasks);
        builder
            .timer(TokioTimer::new())
            // What the upstream does not say is not said for it.
            .auto_date_header(false)
            .enable_connect_protocol()
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD);
        let io = TokioIo::new(stream);
        let mut serving = pin!(builder.serve_connection(io, service));
        let served = tokio::select! {
            served = &mut serving => served,
            () = drain.last_call() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        ended(&connection, &clear, served).await
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .header_read_timeout(IDLE)
            .preserve_header_case(true)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD as usize);
        let io = TokioIo::new(Lingering::new(stream));
        let mut serving = pin!(builder.serve_connection(io, service).with_upgrades());
        let served = tokio::select! {
            served = &mut serving => served,
            () = drain.last_call() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        ended(&connection, &clear, served).await
    }
}

/// What the library refuses by itself is on record too.
async fn ended(
    connection: &Connection,
    clear: &Clear,
    served: hyper::Result<()>,
) -> Result<(), ConnectionError> {
    let Err(error) = served else { return Ok(()) };
    if let Some((status, reason)) = malformed(&error) {
        observe::not_openable(connection, clear.tls_name.as_deref(), &reason);
        unreadable::unparsed(connection, clear, status, &reason).await?;
    }
    Err(error.into())
}

/// The status that the client was told, if any, and what is wrong with its bytes.
fn malformed(error: &hyper::Error) -> Option<(Option<u16>, String)> {
    if error.is_parse() {
        let status = if error.is_parse_too_large() { 431 } else { 400 };
        return Some((Some(status), format!("not HTTP/1: {error}")));
    }
    let frames = error.source()?.downcast_ref::<h2::Error>()?;
    (frames.is_library() && !frames.is_io()).then(|| (None, format!("not HTTP/2: {frames}")))
}

/// What nginx and Envoy allow by default.
const MAX_STREAMS: u32 = 128;
/// Headers of real clients stay below 16 KiB; cookies can be large.
const MAX_HEAD: u32 = 64 * 1024;
const MAX_HEADERS: usize = 256;
/// Covers a head that trickles and a kept-alive connection that idles; clients' pools give up earlier.
const IDLE: Duration = Duration::from_secs(600);
