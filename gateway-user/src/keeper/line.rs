//! The way to the vault: a call where it is in this process, a message where it is in one of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::vault::{Reply, Request, Vault};
use super::{KeeperError, wire};

/// Asks the vault, wherever it is.
#[derive(Clone)]
pub(super) enum Line {
    /// In this process.
    Here(Arc<Vault>),
    /// In another.
    There(Arc<Sockets>),
}

impl Line {
    /// Blocks for as long as an answer takes: some tens of microseconds, as the files that the vault looks at do.
    pub(super) fn ask(&self, request: Request) -> Result<Reply, KeeperError> {
        match self {
            Self::Here(vault) => vault.ask(request),
            Self::There(sockets) => sockets.ask(&request),
        }
    }
}

/// Sockets to the keeper's process. Each carries one question at a time.
pub(super) struct Sockets {
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    sockets: Vec<UnixStream>,
    /// One that failed may have half an answer in it, and the keeper has very likely ended.
    broken: bool,
}

impl Sockets {
    pub(super) fn new(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(|socket| {
            let stream = UnixStream::from(socket);
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        Ok(Self {
            idle: Mutex::new(Idle {
                sockets: sockets.collect::<io::Result<_>>()?,
                broken: false,
            }),
            returned: Condvar::new(),
        })
    }

    fn ask(&self, request: &Request) -> Result<Reply, KeeperError> {
        self.exchange(&wire::request(request))
    }

    /// Sends a message and waits for its answer.
    pub(super) fn exchange(&self, message: &wire::Packed) -> Result<Reply, KeeperError> {
        let mut stream = self.take()?;
        let answered = wire::write(&mut stream, message).and_then(|()| wire::read(&mut stream));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match answered {
            Ok(Some(bytes)) => {
                idle.sockets.push(stream);
                bytes
            }
            Ok(None) | Err(_) => {
                idle.broken = true;
                self.returned.notify_all();
                return Err(KeeperError::Gone);
            }
        };
        drop(idle);
        self.returned.notify_one();
        wire::parse_reply(&bytes)
    }

    fn take(&self) -> Result<UnixStream, KeeperError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if idle.broken {
                return Err(KeeperError::Gone);
            }
            if let Some(stream) = idle.sockets.pop() {
                return Ok(stream);
            }
            idle = self
                .returned
                .wait(idle)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Long for a disk that is busy. A keeper that does not answer is as good as none.
const PATIENCE: Duration = Duration::from_secs(10);
