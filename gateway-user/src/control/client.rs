//! The command line's side of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Reply, Request};
use crate::sys::passing;

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ClientError {
    #[error("no daemon answers at {}: start it with `sudo tollgate up`", path.display())]
    NoDaemon { path: PathBuf },
    #[error("{} may be used by root only: try again with sudo", path.display())]
    Privilege { path: PathBuf },
    #[error("the control socket failed: {0}")]
    Io(#[from] io::Error),
    #[error("the daemon's answer was not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{message}")]
    Refused { code: u8, message: String },
}

/// Sends `request` and returns the items of the answer.
///
/// # Errors
/// [`ClientError`]; a refusal by the daemon carries its exit code.
pub fn call(socket: &Path, request: &Request) -> Result<Vec<Value>, ClientError> {
    call_within(socket, request, None)
}

/// As [`call`], but gives up when the daemon stays silent for `deadline`.
///
/// # Errors
/// As [`call`].
pub fn call_within(
    socket: &Path,
    request: &Request,
    deadline: Option<Duration>,
) -> Result<Vec<Value>, ClientError> {
    ask(socket, request, deadline, None).map(|(items, _)| items)
}

/// As [`call`], with a descriptor, and keeps the connection: what the daemon holds for this request it holds until the stream is dropped.
///
/// # Errors
/// As [`call`].
pub fn call_held(
    socket: &Path,
    request: &Request,
    passed: Option<BorrowedFd<'_>>,
) -> Result<(Vec<Value>, UnixStream), ClientError> {
    ask(socket, request, None, passed)
}

/// As [`call_within`], with a descriptor.
///
/// # Errors
/// As [`call`].
pub fn call_passing(
    socket: &Path,
    request: &Request,
    passed: BorrowedFd<'_>,
    deadline: Duration,
) -> Result<Vec<Value>, ClientError> {
    ask(socket, request, Some(deadline), Some(passed)).map(|(items, _)| items)
}

/// Sends `request` and hands over items as they come, until the daemon ends.
///
/// # Errors
/// As [`call`], and whatever `each` fails with.
pub fn follow(
    socket: &Path,
    request: &Request,
    mut each: impl FnMut(Value) -> io::Result<()>,
) -> Result<(), ClientError> {
    let stream = send(socket, request, None, None)?;
    for line in BufReader::new(&stream).lines() {
        match serde_json::from_str(&line?)? {
            Reply::Item(item) => each(item)?,
            Reply::Error { code, message } => return Err(ClientError::Refused { code, message }),
            Reply::Done => break,
        }
    }
    Ok(())
}

fn ask(
    socket: &Path,
    request: &Request,
    deadline: Option<Duration>,
    passed: Option<BorrowedFd<'_>>,
) -> Result<(Vec<Value>, UnixStream), ClientError> {
    let stream = send(socket, request, deadline, passed)?;
    let mut items = Vec::new();
    for line in BufReader::new(&stream).lines() {
        match serde_json::from_str(&line?)? {
            Reply::Item(item) => items.push(item),
            Reply::Error { code, message } => return Err(ClientError::Refused { code, message }),
            Reply::Done => return Ok((items, stream)),
        }
    }
    // Without `Done` the daemon died while answering.
    Err(ClientError::NoDaemon {
        path: socket.to_owned(),
    })
}

fn send(
    socket: &Path,
    request: &Request,
    deadline: Option<Duration>,
    passed: Option<BorrowedFd<'_>>,
) -> Result<UnixStream, ClientError> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon {
            path: socket.to_owned(),
        },
        io::ErrorKind::PermissionDenied => ClientError::Privilege {
            path: socket.to_owned(),
        },
        _ => ClientError::Io(error),
    })?;
    stream.set_read_timeout(deadline)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let sent = match passed {
        Some(descriptor) => passing::send(&stream, &line, descriptor)?,
        None => 0,
    };
    stream.write_all(&line[sent..])?;
    Ok(stream)
}
