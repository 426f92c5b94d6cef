//! A local upstream: the APIs of OpenAI, Anthropic, Gemini, Ollama, Cohere, Bedrock, Mistral, Groq and OpenRouter over TLS (HTTP/1.1 and HTTP/2) and in the clear, and a TCP echo.
//!
//! In: addresses to listen on and the names of its certificate. Out: where it listens, the CA to trust, and every request it
//! received, for assertions. Answers are functions of the prompt, equal from run to run, so that what a client sees with and without
//! the gateway can be compared. It runs on threads of its own, so tests may be blocking or asynchronous.

mod anthropic;
mod authority;
mod bedrock;
mod cohere;
mod compatible;
mod completions;
mod connected;
mod embeddings;
mod gemini;
mod mistral;
mod model;
mod ollama;
mod openai;
mod pieces;
mod providers;
mod realtime;
mod responses;
mod serve;
mod websocket;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tokio::runtime::Runtime;

pub use authority::Authority;
pub use compatible::CHARGED;
pub use model::{LEAKED_CARD, LEAKED_EMAIL};
pub use realtime::SOUND;
pub use websocket::OLD;

/// Where to listen, and as whom. Port 0 means any.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses that speak TLS, with HTTP/2 and HTTP/1.1 by ALPN.
    pub tls: Vec<SocketAddr>,
    /// Addresses that speak HTTP/1.1 in the clear.
    pub plain: Vec<SocketAddr>,
    /// Addresses that send back every byte.
    pub echo: Vec<SocketAddr>,
    /// DNS names and addresses in the certificate.
    pub names: Vec<String>,
    /// Pause before each piece of a streamed answer, so that each piece travels alone.
    pub pace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: Vec::new(),
            plain: Vec::new(),
            echo: Vec::new(),
            names: Vec::new(),
            pace: Duration::from_millis(1),
        }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The server name of the TLS handshake; none in the clear.
    pub sni: Option<String>,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Received {
    /// What a client said in a WebSocket that was opened at `target`.
    fn said(target: &str, body: Vec<u8>) -> Self {
        Self {
            method: "talk".to_owned(),
            path: target.to_owned(),
            version: String::new(),
            sni: None,
            headers: Vec::new(),
            body,
        }
    }

    /// The first header field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the server's connections share.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    received: Vec<Received>,
    connections: usize,
}

/// A running upstream; it stops when this is dropped.
pub struct Upstream {
    /// Where it speaks TLS, in the order of the options.
    pub tls: Vec<SocketAddr>,
    /// Where it speaks HTTP in the clear.
    pub plain: Vec<SocketAddr>,
    /// Where it echoes.
    pub echo: Vec<SocketAddr>,
    /// Who signed its certificate.
    pub authority: Authority,
    journal: Journal,
    runtime: Option<Runtime>,
}

impl Upstream {
    /// Binds every address, then serves in the background. An address that cannot be bound is an error that names it.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let acceptor = authority.acceptor(&options.names)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let journal = Journal::default();
        let site = serve::Site {
            journal: journal.clone(),
            pace: options.pace,
        };
        let (tls, plain, echo) = (
            bind(&options.tls)?,
            bind(&options.plain)?,
            bind(&options.echo)?,
        );
        let bound = (addresses(&tls)?, addresses(&plain)?, addresses(&echo)?);
        for listener in tls {
            runtime.spawn(serve::tls(listener, acceptor.clone(), site.clone()));
        }
        for listener in plain {
            runtime.spawn(serve::plain(listener, site.clone()));
        }
        for listener in echo {
            runtime.spawn(serve::echo(listener, journal.clone()));
        }
        Ok(Self {
            tls: bound.0,
            plain: bound.1,
            echo: bound.2,
            authority,
            journal,
            runtime: Some(runtime),
        })
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.journal.with(|entries| entries.received.clone())
    }

    /// Every request since the last call of this.
    pub fn take(&self) -> Vec<Received> {
        self.journal
            .with(|entries| std::mem::take(&mut entries.received))
    }

    /// TCP connections accepted so far, those that never sent a request included.
    pub fn connections(&self) -> usize {
        self.journal.with(|entries| entries.connections)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads would panic in an asynchronous test.
            runtime.shutdown_background();
        }
    }
}

impl Journal {
    fn with<T>(&self, act: impl FnOnce(&mut Entries) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn connected(&self) {
        self.with(|entries| entries.connections += 1);
    }

    pub(crate) fn received(&self, request: Received) {
        self.with(|entries| entries.received.push(request));
    }
}

fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let bind = |address: &SocketAddr| -> anyhow::Result<TcpListener> {
        let listener = TcpListener::bind(address)
            .with_context(|| format!("the upstream cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    addresses.iter().map(bind).collect()
}

fn addresses(listeners: &[TcpListener]) -> anyhow::Result<Vec<SocketAddr>> {
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?))
        .collect()
}
