//! The daemon's side of the control socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Passed, Reply, Request, passed};
use crate::record::Change;

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
    /// Sent as they come, after the items, until the client closes the connection.
    pub changes: Option<broadcast::Receiver<Change>>,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What lasts as long as the client stays.
    type Held: Send;

    /// Whether the peer may ask at all; asked as soon as it has connected.
    fn admit(&self, peer: Peer) -> impl Future<Output = Result<(), (u8, String)>> + Send;

    /// Whether another process answers this.
    fn is_elsewhere(&self, _request: &Request) -> bool {
        false
    }

    /// Has another process answer on this connection.
    fn hand_over(&self, _request: Request, _peer: Peer, _connection: OwnedFd) {}

    /// The answer, or an exit code with a message.
    fn handle(
        &self,
        request: Request,
        peer: Peer,
        passed: Passed,
    ) -> impl Future<Output = Result<Answer<Self::Held>, (u8, String)>> + Send;
}

/// Answers a request in its turn, which somebody else has read from this connection, after looking at who asks.
///
/// # Errors
/// The connection is gone.
pub async fn respond<H: Handler>(
    stream: UnixStream,
    handler: &H,
    request: Request,
    peer: Peer,
) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let answered = handler.handle(request, peer, None).await;
    reply(answered, BufReader::new(read), write).await
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
    // Taken before the peer is looked at, so that what was seen under its number was the peer.
    let present = Presence::of(&stream);
    let admitted = match peer.uid {
        0 => handler.admit(peer).await.and_then(|()| present.check()),
        _ => Err((
            5,
            "only root may use the control socket: try again with sudo".to_owned(),
        )),
    };
    let (line, passed) = timeout(REQUEST_DEADLINE, passed::line(&stream)).await??;
    let (read, write) = stream.into_split();
    // The client says nothing more.
    let bounded = BufReader::new(read.take(1));
    let request = serde_json::from_slice(&line)
        .map_err(|error| (2, format!("the request was not understood: {error}")));
    let answered = match admitted.and(request) {
        Ok(request) if handler.is_elsewhere(&request) => {
            let read = bounded.into_inner().into_inner();
            let whole = read.reunite(write).map_err(io::Error::other)?;
            handler.hand_over(request, peer, whole.into_std()?.into());
            return Ok(());
        }
        Ok(request) => handler.handle(request, peer, passed).await,
        Err(refused) => Err(refused),
    };
    reply(answered, bounded, write).await
}

async fn reply<H: Send>(
    answered: Result<Answer<H>, (u8, String)>,
    mut read: impl AsyncBufRead + Unpin,
    mut write: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (replies, held, changes) = match answered {
        Ok(answer) => {
            let end = answer.changes.is_none().then_some(Reply::Done);
            let items = answer.items.into_iter().map(Reply::Item);
            (items.chain(end).collect(), answer.held, answer.changes)
        }
        Err((code, message)) => (vec![Reply::Error { code, message }], None, None),
    };
    for reply in replies {
        say(&mut write, &reply).await?;
    }
    if let Some(changes) = changes {
        return relay(changes, &mut read, &mut write).await;
    }
    if held.is_some() {
        // The end of its stream is the end of what is held.
        let _ = read.read_until(b'\n', &mut Vec::new()).await;
    }
    drop(held);
    write.shutdown().await
}

/// Sends changes until the client leaves; one that reads too slowly is told how many it missed.
async fn relay(
    mut changes: broadcast::Receiver<Change>,
    read: &mut (impl AsyncBufRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut nothing = Vec::new();
    let mut left = pin!(read.read_until(b'\n', &mut nothing));
    loop {
        let item = tokio::select! {
            _ = &mut left => return Ok(()),
            change = changes.recv() => match change {
                Ok(change) => serde_json::to_value(change)?,
                Err(RecvError::Lagged(missed)) => json!({"missed": missed}),
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        say(write, &Reply::Item(item)).await?;
    }
}

async fn say(write: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// The process that connected, held fast: its number may be another's once it has ended.
enum Presence {
    /// It is known by more than its number.
    Known(OwnedFd),
    /// The kernel is older than 6.5; the number has to do.
    Number,
    /// It had ended by the time it was asked for.
    Gone,
}

impl Presence {
    fn of(stream: &UnixStream) -> Self {
        match getsockopt(stream, sockopt::PeerPidfd) {
            Ok(process) => Self::Known(process),
            Err(Errno::ENOPROTOOPT) => Self::Number,
            Err(_) => Self::Gone,
        }
    }

    /// A peer that has ended may have been anybody, and whoever holds its socket now as well.
    fn check(&self) -> Result<(), (u8, String)> {
        let ended = match self {
            // Readable once the process has ended (pidfd_open(2)).
            Self::Known(process) => {
                poll(
                    &mut [PollFd::new(process.as_fd(), PollFlags::POLLIN)],
                    PollTimeout::ZERO,
                ) != Ok(0)
            }
            Self::Number => false,
            Self::Gone => true,
        };
        if ended {
            return Err((5, "the process that connected has ended".to_owned()));
        }
        Ok(())
    }
}

/// A request is one line, written at once.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::record::Event;

    #[tokio::test]
    async fn who_is_too_slow_is_told_and_who_leaves_ends_it() {
        let changes = broadcast::Sender::new(2);
        let receiver = changes.subscribe();
        for pid in 1..=5 {
            changes.send(change(pid)).unwrap();
        }
        let (own, other) = tokio::io::duplex(4096);
        let (read, mut write) = tokio::io::split(own);
        let relaying = tokio::task::JoinSet::from_iter([async move {
            relay(receiver, &mut BufReader::new(read), &mut write).await
        }]);
        let mut told = BufReader::new(other).lines();
        let mut line = async || -> Value {
            let text = told.next_line().await.unwrap().unwrap();
            serde_json::from_str::<Value>(&text).unwrap()["item"].take()
        };
        assert_eq!(line().await, json!({"missed": 3}));
        for pid in [4, 5] {
            let told = line().await;
            assert_eq!(
                (&told["event"], &told["process"]["pid"]),
                (&json!("closed"), &json!(pid))
            );
        }
        drop(told);
        assert!(relaying.join_all().await[0].is_ok());
    }

    fn change(pid: u32) -> Change {
        let flow = json!({
            "id": "01JD7K0000000001", "started": "2026-11-20T11:39:28.000Z", "identity": "a", "workload": "w", "mode": "enforce",
            "process": {"pid": pid, "start": "2026-11-20T11:00:00.000Z", "exe": "/x", "argv": [], "cgroup": "/a"},
            "containment": "hooks", "origin": "127.0.0.2:443", "name": null, "protocol": null, "exchanges": 0, "under_way": 0,
            "bytes_in": 0, "bytes_out": 0, "ms": 0,
        });
        Change {
            event: Event::Closed,
            flow: serde_json::from_value(flow).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_peer_counts_only_while_it_runs() {
        let (own, _other) = UnixStream::pair().unwrap();
        assert_eq!(Presence::of(&own).check(), Ok(()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        let process = crate::sys::launch::pidfd(pid).unwrap();
        child.wait().unwrap();
        assert!(Presence::Known(process).check().is_err());
        assert!(Presence::Gone.check().is_err());
    }
}
