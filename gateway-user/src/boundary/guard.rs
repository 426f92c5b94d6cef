//! The guard's side: answers what the proxy asks, and tells it what to do.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use serde_json::Value;

use super::{Ask, BoundaryError, Done, Hello, MAX_ORDER, Reply, Tell, parse};
use crate::sys::{exchange, part};

/// Answers questions.
pub trait Answering: Send + Sync + 'static {
    /// The answer, and the descriptor that goes with it. May block.
    fn answer(&self, ask: Ask) -> (Reply, Option<OwnedFd>);
}

/// Answers on these sockets, one thread each, until the proxy is gone. What is no question ends its socket, and so the proxy.
///
/// # Errors
/// No threads can be started.
pub fn answer_all(sockets: Vec<OwnedFd>, answering: &Arc<impl Answering>) -> io::Result<()> {
    for socket in sockets {
        let answering = Arc::clone(answering);
        std::thread::Builder::new()
            .name("answering".to_owned())
            .spawn(move || answer_one(UnixStream::from(socket), &*answering))?;
    }
    Ok(())
}

fn answer_one(mut stream: UnixStream, answering: &impl Answering) {
    while let Ok(Some(bytes)) = exchange::read_at_most(&mut stream, MAX_ASK) {
        let Ok(ask) = parse(&bytes) else {
            tracing::error!("the proxy asked what is no question");
            return;
        };
        let (reply, passed) = answering.answer(ask);
        let reply = serde_json::to_vec(&reply).map_err(io::Error::from);
        let written = reply.and_then(|reply| match passed {
            Some(passed) => exchange::write_passed(&mut stream, &reply, passed.as_fd()),
            None => exchange::write(&mut stream, &reply),
        });
        if written.is_err() {
            return;
        }
    }
}

/// The proxy, to be told things.
pub struct Proxy {
    socket: Mutex<OwnedFd>,
}

impl Proxy {
    /// Tells over this socket.
    ///
    /// # Errors
    /// It is no socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let patience = TimeVal::new(PATIENCE.as_secs().cast_signed(), 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
        setsockopt(&socket, sockopt::SendTimeout, &patience)?;
        Ok(Self {
            socket: Mutex::new(socket),
        })
    }

    /// Has it start; blocks until it has, or could not.
    ///
    /// # Errors
    /// It is gone.
    pub fn start(&self, tell: &Tell, descriptors: &[OwnedFd]) -> Result<Hello, BoundaryError> {
        let bytes = self.exchange(tell, descriptors)?;
        serde_json::from_slice(&bytes).map_err(|_| BoundaryError::Garbled { whom: "proxy" })
    }

    /// Tells it something; blocks until it has been done, and returns what came of it.
    ///
    /// # Errors
    /// It could not do that, or is gone.
    pub fn tell(&self, tell: &Tell, descriptors: &[OwnedFd]) -> Result<Value, BoundaryError> {
        let bytes = self.exchange(tell, descriptors)?;
        let done: Done =
            serde_json::from_slice(&bytes).map_err(|_| BoundaryError::Garbled { whom: "proxy" })?;
        done.map_err(|why| BoundaryError::Refused { why })
    }

    fn exchange(&self, tell: &Tell, descriptors: &[OwnedFd]) -> Result<Vec<u8>, BoundaryError> {
        let gone = |source| BoundaryError::Gone {
            whom: "proxy",
            source,
        };
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = serde_json::to_vec(tell).map_err(|error| gone(error.into()))?;
        part::send(&*socket, &bytes, descriptors).map_err(gone)?;
        let mut answer = vec![0; MAX_ORDER];
        let (length, _) = part::receive(&*socket, &mut answer).map_err(gone)?;
        if length == 0 {
            return Err(gone(io::ErrorKind::UnexpectedEof.into()));
        }
        answer.truncate(length);
        Ok(answer)
    }
}

/// A question is some numbers.
const MAX_ASK: usize = 4096;
/// A start opens a ledger, which may have much to recover.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    struct Counting;

    impl Answering for Counting {
        fn answer(&self, ask: Ask) -> (Reply, Option<OwnedFd>) {
            match ask {
                Ask::Counters => (Reply::Counters(vec![("udp".to_owned(), 3)]), None),
                _ => (Reply::Refused("no".to_owned()), None),
            }
        }
    }

    #[test]
    fn only_what_is_in_the_set_is_answered() {
        let ask = |bytes: &[u8]| {
            let (mut own, other) = UnixStream::pair().unwrap();
            answer_all(vec![other.into()], &Arc::new(Counting)).unwrap();
            exchange::write(&mut own, bytes).unwrap();
            // What ends with bytes unread is reset.
            exchange::read(&mut own).ok().flatten()
        };
        let answer = ask(&serde_json::to_vec(&Ask::Counters).unwrap()).unwrap();
        assert_eq!(&*answer, br#"{"counters":[["udp",3]]}"#);
        let long = vec![b' '; MAX_ASK + 1];
        for hostile in [
            &b"\"down\""[..],
            br#"{"untag":{"path":"/agents"}}"#,
            br#"{"claim":{"cookie":1,"more":2}}"#,
            br#"{"claim":{"cookie":-1}}"#,
            br#"{"fill":{"service":"held"}}"#,
            b"",
            &long,
        ] {
            assert!(
                ask(hostile).is_none(),
                "{}",
                String::from_utf8_lossy(hostile)
            );
        }
    }
}
