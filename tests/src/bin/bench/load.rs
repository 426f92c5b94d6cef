//! The load generator: a closed loop over a few connections, on one thread.
//!
//! In: where to connect, what to ask for, how long; the CA to trust in `SSL_CERT_FILE`, as any client. Out: one line of JSON. It writes
//! its requests as prepared bytes and reads no more of an answer than where it ends, so that it takes little of the machine it shares
//! with what it measures. Anything but a whole answer with status 200 is an error.

use std::{
    fs,
    io::Read,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// 1 KiB over connections that are kept.
    Small,
    /// 64 KiB over connections that are kept.
    Large,
    /// 1 KiB over a new connection each, with a full handshake.
    New,
    /// A streamed chat completion; what counts is its first event.
    Stream,
    /// One request on each connection, which then idles until the input ends.
    Idle,
}

/// One run.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The name in TLS and `Host`.
    #[arg(long)]
    pub(crate) name: String,
    #[arg(long, value_enum)]
    pub(crate) what: What,
    #[arg(long)]
    pub(crate) connections: usize,
    #[arg(long)]
    pub(crate) milliseconds: u64,
}

/// Runs the load and prints the result.
pub(crate) fn run(load: &Load) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    if load.what == What::Idle {
        return runtime.block_on(idle(load));
    }
    let (mut times, seconds) = runtime.block_on(all(load))?;
    times.sort_unstable();
    ensure!(!times.is_empty(), "no request ended in time");
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!(
        "{}",
        json!({"requests": times.len(), "seconds": seconds, "p50": at(50), "p99": at(99)})
    );
    Ok(())
}

async fn all(load: &Load) -> anyhow::Result<(Vec<Duration>, f64)> {
    let connector = connector()?;
    let started = Instant::now();
    let warm = started + WARM_UP;
    let until = warm + Duration::from_millis(load.milliseconds);
    let mut workers = JoinSet::new();
    for _ in 0..load.connections {
        let worker = Worker::new(load, connector.clone())?;
        workers.spawn(worker.run(warm, until));
    }
    let mut times = Vec::new();
    while let Some(done) = workers.join_next().await {
        times.extend(done??);
    }
    Ok((times, warm.elapsed().as_secs_f64()))
}

/// Opens all connections, says so, and holds them.
async fn idle(load: &Load) -> anyhow::Result<()> {
    let mut worker = Worker::new(load, connector()?)?;
    let mut kept = Vec::new();
    for _ in 0..load.connections {
        let mut stream = worker.connect().await?;
        stream.write_all(&worker.request).await?;
        worker.answer(&mut stream).await?;
        kept.push(stream);
    }
    println!("{}", json!({"connections": kept.len()}));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// One connection at a time.
struct Worker {
    connector: TlsConnector,
    address: SocketAddr,
    name: ServerName<'static>,
    request: Vec<u8>,
    what: What,
    buffer: Vec<u8>,
}

impl Worker {
    fn new(load: &Load, connector: TlsConnector) -> anyhow::Result<Self> {
        let host = &load.name;
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let request = match load.what {
            What::Small | What::New | What::Idle => get("/1k"),
            What::Large => get("/64k"),
            What::Stream => format!(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{CHAT}",
                CHAT.len()
            ),
        };
        Ok(Self {
            connector,
            address: load.address,
            name: ServerName::try_from(host.clone())?,
            request: request.into_bytes(),
            what: load.what,
            buffer: vec![0; 128 * 1024],
        })
    }

    async fn run(mut self, warm: Instant, until: Instant) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut kept = None;
        loop {
            let started = Instant::now();
            if started >= until {
                return Ok(times);
            }
            let mut stream = match kept.take() {
                Some(stream) => stream,
                None => self.connect().await.context("connecting")?,
            };
            stream.write_all(&self.request).await?;
            stream.flush().await?;
            let first = self.answer(&mut stream).await?;
            let ended = match self.what {
                What::Stream => first,
                _ => Instant::now(),
            };
            if started >= warm {
                times.push(ended - started);
            }
            if self.what != What::New {
                kept = Some(stream);
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        #[expect(clippy::disallowed_methods, reason = "this is the client")]
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(self.connector.connect(self.name.clone(), stream).await?)
    }

    /// Reads one answer to its end; returns when the first byte of its body came.
    async fn answer(&mut self, stream: &mut TlsStream<TcpStream>) -> anyhow::Result<Instant> {
        let mut filled = 0;
        let head = loop {
            filled += self.more(stream, filled).await?;
            let text = &self.buffer[..filled];
            if let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        ensure!(text.starts_with("http/1.1 200"), "the answer was {text}");
        let mut body = filled - head;
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        if let Some(length) = length {
            let length: usize = length.trim().parse()?;
            while body < length {
                body += self.more(stream, 0).await?;
            }
            ensure!(body == length, "more than one answer came");
            return Ok(Instant::now());
        }
        self.buffer.copy_within(head..filled, 0);
        while body == 0 {
            body += self.more(stream, 0).await?;
        }
        let first = Instant::now();
        while !self.buffer[..body].ends_with(b"\r\n0\r\n\r\n") {
            body += self.more(stream, body).await?;
        }
        Ok(first)
    }

    async fn more(
        &mut self,
        stream: &mut TlsStream<TcpStream>,
        at: usize,
    ) -> anyhow::Result<usize> {
        match stream.read(&mut self.buffer[at..]).await? {
            0 => bail!("the answer broke off"),
            read => Ok(read),
        }
    }
}

fn connector() -> anyhow::Result<TlsConnector> {
    let file = std::env::var("SSL_CERT_FILE").context("SSL_CERT_FILE names no CA")?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&fs::read(&file)?) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every handshake is a full one, to every contender.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Connections, caches and clocks settle before anything counts.
pub(crate) const WARM_UP: Duration = Duration::from_millis(300);

const CHAT: &str = r#"{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"Say hello to the people of the harbour."}]}"#;
