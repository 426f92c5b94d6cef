//! Questions and answers between processes of the gateway: a few sockets, each with one question at a time.
//!
//! In: messages as bytes, each behind its length. Out: the answer, or an error for good: a socket that failed may have half an answer in it.
//! Buffers are wiped when they are dropped, for some carry secrets.

use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;

use super::passing;

/// A message with what came along.
pub type Passed = (Zeroizing<Vec<u8>>, Option<OwnedFd>);

/// The side that asks. Blocks for as long as an answer takes: some tens of microseconds.
pub struct Sockets {
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    sockets: Vec<UnixStream>,
    /// The other side has very likely ended.
    broken: bool,
}

impl Sockets {
    /// Asks over these.
    ///
    /// # Errors
    /// They are no sockets.
    pub fn new(sockets: Vec<OwnedFd>) -> io::Result<Self> {
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

    /// Sends a message and waits for its answer.
    ///
    /// # Errors
    /// The other side is gone; so it is for every question from here on.
    pub fn ask(&self, message: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        self.ask_for(message, read)
    }

    /// The same where a descriptor may come with the answer.
    ///
    /// # Errors
    /// As [`Sockets::ask`].
    pub fn ask_passed(&self, message: &[u8]) -> io::Result<Passed> {
        self.ask_for(message, read_passed)
    }

    fn ask_for<T>(
        &self,
        message: &[u8],
        hear: impl FnOnce(&mut UnixStream) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let mut stream = self.take()?;
        let answered = write(&mut stream, message).and_then(|()| hear(&mut stream));
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match answered {
            Ok(Some(answer)) => {
                idle.sockets.push(stream);
                self.returned.notify_one();
                Ok(answer)
            }
            other => {
                idle.broken = true;
                self.returned.notify_all();
                Err(other
                    .err()
                    .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            }
        }
    }

    fn take(&self) -> io::Result<UnixStream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if idle.broken {
                return Err(io::ErrorKind::BrokenPipe.into());
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

/// Pairs of sockets for one side and the other.
///
/// # Errors
/// The system has none.
pub fn pairs(count: usize) -> io::Result<(Vec<OwnedFd>, Vec<OwnedFd>)> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (own, other) = UnixStream::pair()?;
        ours.push(own.into());
        others.push(other.into());
    }
    Ok((ours, others))
}

/// Writes one message.
///
/// # Errors
/// It is too long, or the other side is gone.
pub fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&framed(message)?)
}

/// Writes one message with a descriptor.
///
/// # Errors
/// As [`write`].
pub fn write_passed(
    stream: &mut UnixStream,
    message: &[u8],
    passed: BorrowedFd<'_>,
) -> io::Result<()> {
    let whole = framed(message)?;
    let sent = passing::send(stream, &whole, passed)?;
    stream.write_all(&whole[sent..])
}

fn framed(message: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut whole = Zeroizing::new(Vec::with_capacity(message.len() + 4));
    whole.extend_from_slice(&length.to_le_bytes());
    whole.extend_from_slice(message);
    Ok(whole)
}

/// Reads one message, and the descriptor that came with its first byte.
fn read_passed(stream: &mut UnixStream) -> io::Result<Option<Passed>> {
    let mut length = [0; 4];
    let (got, passed) = passing::receive(stream, &mut length)?;
    if got == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[got..])?;
    Ok(Some((body(stream, length, MAX_MESSAGE)?, passed)))
}

/// Reads one message; `None` when the other end has closed between messages.
///
/// # Errors
/// It is too long, or breaks off.
pub fn read(stream: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    read_at_most(stream, MAX_MESSAGE)
}

/// Reads one message of at most this many bytes.
///
/// # Errors
/// As [`read`].
pub fn read_at_most(stream: &mut impl Read, most: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 4];
    match stream.read(&mut length)? {
        0 => return Ok(None),
        got => stream.read_exact(&mut length[got..])?,
    }
    body(stream, length, most).map(Some)
}

fn body(stream: &mut impl Read, length: [u8; 4], most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Long for a disk that is busy. Who does not answer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// A set of policies, or hundreds of credentials of the longest kind; more is a mistake.
const MAX_MESSAGE: usize = 16 << 20;
