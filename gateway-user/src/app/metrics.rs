//! Metrics: what is read at each scrape, and the listener for Prometheus.
//!
//! In: the proxy. Out: the text, on the control socket and, where `[metrics] listen` says so, at `GET /metrics`. The listener
//! answers nothing else, reads a bounded head within a deadline, and serves few at once: it tells identities and services to
//! whoever can reach it, so it is off by default. A governed task cannot reach it unasked: loopback is governed like any other
//! destination. Fails at start when the address cannot be bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::UpError;
use super::proxy::Proxying;
use crate::listener;
use crate::telemetry::Reading;

impl Proxying {
    /// The text of a scrape.
    pub(super) async fn metrics(&self) -> String {
        let ledger = &self.gateway.ledger;
        let (open_sessions, bytes) = ledger.totals();
        let reading = Reading {
            uptime: self.began.elapsed(),
            open_sessions: open_sessions as u64,
            bytes,
            approvals_pending: self
                .gateway
                .approvals
                .list()
                .await
                .ok()
                .map(|list| list.len() as u64),
            policy_reloads: self.policies.state().reloads,
            ledger_slots: ledger.slots() as u64,
            ledger_broken: ledger.is_broken(),
            budgets: self.budgets_left(),
            kernel: self.guard.counters().unwrap_or_default(),
        };
        ledger.metrics().text(&reading)
    }
}

/// Binds the listener, which may need privilege.
pub(super) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, UpError> {
    listener::unaccepted(address).map_err(|source| UpError::Metrics { address, source })
}

/// Answers scrapes until it is dropped.
pub(super) async fn serve(listener: TcpListener, proxying: Arc<Proxying>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut scrapes = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        while scrapes.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let proxying = Arc::clone(&proxying);
                scrapes.spawn(async move {
                    let _ = timeout(DEADLINE, scrape(stream, proxying)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a scrape could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn scrape(stream: TcpStream, proxying: Arc<Proxying>) {
    let service = service_fn(move |request| {
        let proxying = Arc::clone(&proxying);
        async move { answer(&request, &proxying).await }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(DEADLINE)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a scrape ended early");
    }
}

async fn answer(
    request: &Request<Incoming>,
    proxying: &Proxying,
) -> Result<Response<Full<Bytes>>, http::Error> {
    let refused = |status| Response::builder().status(status).body(Full::default());
    if request.uri().path() != "/metrics" {
        return refused(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        return refused(StatusCode::METHOD_NOT_ALLOWED);
    }
    Response::builder()
        .header(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )
        .body(Full::from(proxying.metrics().await))
}

/// A scraper or two, and somebody with curl.
const AT_ONCE: usize = 8;
const DEADLINE: Duration = Duration::from_secs(5);
/// The least that hyper takes; a scrape has a few hundred bytes.
const MAX_HEAD: usize = 8192;
const PAUSE: Duration = Duration::from_millis(200);
