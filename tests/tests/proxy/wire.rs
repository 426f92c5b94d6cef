//! An HTTP/1.1 upstream that reads bytes by the letter and takes nothing that two servers could read differently.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tests::upstream::Authority;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

/// A request as its bytes said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The request line and the header fields.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<String>,
}

impl Said {
    /// The values of a header field.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let fields = self
            .head
            .iter()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        fields
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// The upstream: service "wire" over TLS, service "wire-plain" in the clear.
pub(crate) struct Wire {
    pub(crate) tls: SocketAddr,
    pub(crate) plain: SocketAddr,
    heard: Arc<Mutex<Vec<Result<Said, String>>>>,
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl Wire {
    /// Answers every request with these bytes.
    pub(crate) async fn start(answer: &'static [u8]) -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
        let acceptor = authority.acceptor(&["wire".to_owned()])?;
        let mut config = (**acceptor.config()).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (tls, plain) = (
            TcpListener::bind("127.0.0.1:0").await?,
            TcpListener::bind("127.0.0.1:0").await?,
        );
        let (tls_address, plain_address) = (tls.local_addr()?, plain.local_addr()?);
        let mut serving = JoinSet::new();
        let kept = Arc::clone(&heard);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = tls.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &kept, answer).await;
                    }
                });
            }
        });
        let kept = Arc::clone(&heard);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = plain.accept().await {
                let kept = Arc::clone(&kept);
                connections.spawn(async move { serve(stream, &kept, answer).await });
            }
        });
        Ok(Self {
            tls: tls_address,
            plain: plain_address,
            heard,
            folder,
            _serving: serving,
        })
    }

    pub(crate) fn services(&self) -> String {
        let ca = self.folder.path().join("ca.pem");
        format!(
            "\n[[service]]\nname = \"wire\"\nhosts = [\"wire:{}\"]\nca = {ca:?}\n\n[[service]]\nname = \"wire-plain\"\nhosts = [\"http://localhost:{}\"]\n",
            self.tls.port(),
            self.plain.port()
        )
    }

    /// The requests since the last time; what is none, is an error.
    pub(crate) fn take(&self) -> anyhow::Result<Vec<Said>> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        heard
            .into_iter()
            .map(|said| said.map_err(anyhow::Error::msg))
            .collect()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heard: &Mutex<Vec<Result<Said, String>>>,
    answer: &[u8],
) {
    let mut buffer = Vec::new();
    loop {
        let said = match read(&mut stream, &mut buffer).await {
            Ok(Some(said)) => Ok(said),
            Ok(None) => return,
            Err(error) => Err(format!("{error:#}")),
        };
        let broken = said.is_err();
        heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(said);
        if broken || stream.write_all(answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// One request; `None` at the end between two. A request that is cut off is no request, and no error.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> anyhow::Result<Option<Said>> {
    let Some(head) = until(stream, buffer, b"\r\n\r\n").await? else {
        return Ok(None);
    };
    let head = lines(&head)?;
    let mut said = Said {
        head,
        ..Said::default()
    };
    let line = said.head.first().context("no request line")?;
    ensure!(
        line.split(' ').count() == 3 && line.ends_with(" HTTP/1.1"),
        "request line {line:?}"
    );
    ensure!(said.header("host").len() == 1, "hosts: {:?}", said.head);
    let (lengths, codings) = (
        said.header("content-length"),
        said.header("transfer-encoding"),
    );
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => {}
        ([length], []) => {
            ensure!(
                length.bytes().all(|byte| byte.is_ascii_digit()),
                "length {length:?}"
            );
            let length: usize = length.parse()?;
            while buffer.len() < length {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            said.body = buffer.drain(..length).collect();
        }
        ([], ["chunked"]) => loop {
            let Some(size) = until(stream, buffer, b"\r\n").await? else {
                return Ok(None);
            };
            let text = String::from_utf8(size)?;
            ensure!(
                !text.is_empty()
                    && text.len() < 8
                    && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "chunk size {text:?}"
            );
            let size = usize::from_str_radix(&text, 16)?;
            if size == 0 {
                buffer.splice(..0, *b"\r\n");
                let Some(trailers) = until(stream, buffer, b"\r\n\r\n").await? else {
                    return Ok(None);
                };
                said.trailers = lines(trailers.strip_prefix(b"\r\n").unwrap_or_default())?;
                break;
            }
            while buffer.len() < size + 2 {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            said.body.extend(buffer.drain(..size));
            ensure!(buffer.drain(..2).eq(*b"\r\n"), "a chunk without its end");
        },
        _ => bail!("more than one framing: {:?}", said.head),
    }
    Ok(Some(said))
}

async fn until(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> anyhow::Result<Option<Vec<u8>>> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            let found = buffer.drain(..at).collect();
            buffer.drain(..end.len());
            return Ok(Some(found));
        }
        // A connection that is cut has no more requests, however that is told.
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return Ok(None);
        }
    }
}

/// Lines that end in CRLF, of visible characters, none of them folded; fields without a space before the colon.
fn lines(bytes: &[u8]) -> anyhow::Result<Vec<String>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    for line in &lines {
        ensure!(
            !line.contains(['\r', '\n', '\0']) && !line.starts_with([' ', '\t']),
            "line {line:?}"
        );
        let name = line.split_once(':').map_or("", |(name, _)| name);
        ensure!(
            line.contains("HTTP/1.1") || !name.ends_with([' ', '\t']),
            "field {line:?}"
        );
    }
    Ok(lines)
}
