//! An upstream whose answers a test writes itself, over TLS in both versions of HTTP.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    header::HeaderValue,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tests::upstream::Authority;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinSet,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Answer = UnsyncBoxBody<Bytes, Failure>;

/// The service's name, and the name of its certificate.
pub(crate) const SITE: &str = "site";
/// The name it has besides, of a provider that says what it charges.
pub(crate) const ROUTER: &str = "openrouter.ai";
/// Another, whose chats refuse what they do not know.
pub(crate) const MISTRAL: &str = "api.mistral.ai";

/// A running upstream; it ends with the test.
pub(crate) struct Site {
    pub(crate) origin: SocketAddr,
    /// Tells every HTTP/2 connection to say goodbye.
    pub(crate) goodbye: Arc<Notify>,
    /// How many connections came.
    pub(crate) connections: Arc<AtomicUsize>,
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start<A>(
        answer: impl Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        A: Future<Output = Response<Answer>> + Send + 'static,
    {
        let authority = Authority::new()?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
        let acceptor = authority.acceptor(&[SITE, ROUTER, MISTRAL].map(str::to_owned))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = listener.local_addr()?;
        let (goodbye, connected) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (leaving, count) = (Arc::clone(&goodbye), Arc::clone(&connected));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                let leaving = Arc::clone(&leaving);
                count.fetch_add(1, Ordering::Relaxed);
                connections.spawn(async move {
                    drop(stream.set_nodelay(true));
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(|request| {
                        let answered = answer(request);
                        async move { Ok::<_, Infallible>(answered.await) }
                    });
                    let io = TokioIo::new(stream);
                    // Errors are hang-ups, which tests provoke.
                    if http2 {
                        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let mut serving = pin!(server.serve_connection(io, service));
                        tokio::select! {
                            served = &mut serving => return drop(served),
                            () = leaving.notified() => serving.as_mut().graceful_shutdown(),
                        }
                        drop(serving.await);
                    } else {
                        let server = hyper::server::conn::http1::Builder::new();
                        drop(server.serve_connection(io, service).await);
                    }
                });
            }
        });
        Ok(Self {
            origin,
            goodbye,
            connections: connected,
            folder,
            _serving: serving,
        })
    }

    /// The service, for the configuration; `credential` is the header value it holds.
    pub(crate) fn service(&self, credential: Option<&str>) -> anyhow::Result<String> {
        let held = match credential {
            None => String::new(),
            Some(secret) => {
                let file = self.folder.path().join("secret");
                std::fs::write(&file, secret)?;
                format!("credential = {{ header = \"x-api-key\", file = {file:?} }}\n")
            }
        };
        let (port, ca) = (self.origin.port(), self.folder.path().join("ca.pem"));
        Ok(format!(
            "\n[[service]]\nname = \"{SITE}\"\nhosts = [\"{SITE}:{port}\"]\nca = {ca:?}\n{held}"
        ))
    }

    /// What a request to it names.
    pub(crate) fn authority(&self) -> String {
        format!("{SITE}:{}", self.origin.port())
    }
}

/// An answer of one piece.
pub(crate) fn whole(
    status: u16,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
) -> Response<Answer> {
    let body = Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync();
    answer(status, headers, body)
}

/// An answer of any body.
pub(crate) fn answer(
    status: u16,
    headers: &[(&'static str, &str)],
    body: Answer,
) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("?"));
        response.headers_mut().append(*name, value);
    }
    response
}

/// A body of whatever is sent, as it is sent; dropping the sender ends it.
pub(crate) fn channel(mut from: mpsc::Receiver<Result<Frame<Bytes>, Failure>>) -> Answer {
    Frames(Box::new(move |context| from.poll_recv(context))).boxed_unsync()
}

type Next = dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> + Send;

struct Frames(Box<Next>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        (self.0)(context)
    }
}
