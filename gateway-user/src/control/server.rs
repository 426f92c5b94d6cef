//! The daemon's side of the control socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{MAX_REQUEST, Reply, Request};

/// Who is on the other end, by the kernel's word (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its user id.
    pub uid: u32,
    /// Its process id.
    pub pid: u32,
}

/// The answer to a request.
pub struct Answer<H> {
    /// What the client gets.
    pub items: Vec<Value>,
    /// Dropped when the client closes the connection.
    pub held: Option<H>,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What lasts as long as the client stays.
    type Held: Send;

    /// Whether the peer may ask at all; asked as soon as it has connected.
    fn admit(&self, peer: Peer) -> impl Future<Output = Result<(), (u8, String)>> + Send;

    /// The answer, or an exit code with a message.
    fn handle(
        &self,
        request: Request,
        peer: Peer,
    ) -> impl Future<Output = Result<Answer<Self::Held>, (u8, String)>> + Send;
}

/// Serves the control socket at `path` until the returned future is dropped.
///
/// # Errors
/// The socket cannot be made, or accepting fails for good.
pub async fn serve<H: Handler>(path: &Path, handler: Arc<H>) -> io::Result<()> {
    // The daemon's lock is held, so a socket that is there belongs to a dead one.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while connections.try_join_next().is_some() {}
        let handler = Arc::clone(&handler);
        connections.spawn(async move {
            if let Err(error) = answer(stream, &*handler).await {
                tracing::debug!(%error, "control connection ended early");
            }
        });
    }
}

async fn answer<H: Handler>(stream: UnixStream, handler: &H) -> io::Result<()> {
    let credentials = stream.peer_cred()?;
    // A peer without a pid lives in another pid namespace.
    let pid = credentials
        .pid()
        .and_then(|pid| u32::try_from(pid).ok())
        .unwrap_or_default();
    let peer = Peer {
        uid: credentials.uid(),
        pid,
    };
    let admitted = match peer.uid {
        0 => handler.admit(peer).await,
        _ => Err((
            5,
            "only root may use the control socket: try again with sudo".to_owned(),
        )),
    };
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut bounded = BufReader::new(read.take(MAX_REQUEST));
    timeout(REQUEST_DEADLINE, bounded.read_until(b'\n', &mut line)).await??;
    let request = serde_json::from_slice(&line)
        .map_err(|error| (2, format!("the request was not understood: {error}")));
    let answered = match admitted.and(request) {
        Ok(request) => handler.handle(request, peer).await,
        Err(refused) => Err(refused),
    };
    let (replies, held) = match answered {
        Ok(answer) => (
            answer
                .items
                .into_iter()
                .map(Reply::Item)
                .chain([Reply::Done])
                .collect(),
            answer.held,
        ),
        Err((code, message)) => (vec![Reply::Error { code, message }], None),
    };
    for reply in replies {
        let mut line = serde_json::to_vec(&reply)?;
        line.push(b'\n');
        write.write_all(&line).await?;
    }
    if held.is_some() {
        // The client says nothing more; the end of its stream is the end of what is held.
        let _ = bounded.read_until(b'\n', &mut Vec::new()).await;
    }
    drop(held);
    write.shutdown().await
}

/// A request is one line, written at once.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
