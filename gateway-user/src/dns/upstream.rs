//! Asking the operator's resolvers.
//!
//! In: a question that was decided. Out: the first useful answer. Each try has a fresh socket, so a fresh port, and a fresh id from the
//! system's randomness; an answer counts only from the resolver's own address, with that id and the very question. An answer that was cut is
//! asked for again over TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{timeout, timeout_at};

use super::message::Question;
use super::transport::framed;
use crate::config::Resolver;

/// Who is asked.
#[derive(Debug)]
pub struct Resolvers {
    configured: Resolver,
    host: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

/// Nobody answered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum UpstreamError {
    #[error("no resolver: name one in [dns] resolvers, or in /etc/resolv.conf")]
    None,
    #[error("resolver {resolver}: {source}")]
    Io {
        resolver: SocketAddr,
        source: io::Error,
    },
    #[error("resolver {0} did not answer in time")]
    Late(SocketAddr),
    #[error("resolver {0} answered another question")]
    Other(SocketAddr),
    #[error("the question cannot be written")]
    Unwritable,
}

impl Resolvers {
    pub(super) fn new(configured: Resolver) -> Self {
        Self {
            configured,
            host: Mutex::new(None),
        }
    }

    /// The resolvers to ask now, in order.
    #[must_use]
    pub fn listed(&self) -> Vec<SocketAddr> {
        let Resolver::Host = &self.configured else {
            return self.configured.read();
        };
        let mut known = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((read, listed)) if read.elapsed() < KEPT => listed.clone(),
            _ => {
                let listed = self.configured.read();
                *known = Some((Instant::now(), listed.clone()));
                listed
            }
        }
    }

    /// Asks one resolver after the other, twice over, until one has an answer.
    ///
    /// # Errors
    /// [`UpstreamError`] of the last one, when none has answered at all.
    pub async fn ask(&self, question: &Question) -> Result<Message, UpstreamError> {
        let end = tokio::time::Instant::now() + DEADLINE;
        let listed = self.listed();
        let mut last = Err(UpstreamError::None);
        for resolver in listed.iter().chain(&listed).copied() {
            if tokio::time::Instant::now() >= end {
                break;
            }
            let asking = timeout(PATIENCE, ask(question, resolver));
            match timeout_at(end, asking).await {
                Ok(Ok(Ok(message))) if is_useful(&message) => return Ok(message),
                // A failure that a resolver tells is better than none; another one may do better.
                Ok(Ok(Ok(message))) => last = Ok(message),
                Ok(Ok(Err(error))) if last.is_err() => last = Err(error),
                Ok(Err(_)) | Err(_) if last.is_err() => last = Err(UpstreamError::Late(resolver)),
                _ => {}
            }
        }
        last
    }
}

fn is_useful(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}

async fn ask(question: &Question, resolver: SocketAddr) -> Result<Message, UpstreamError> {
    let failed = |source| UpstreamError::Io { resolver, source };
    let id = random().map_err(failed)?;
    let bytes = question.onward(id).to_vec();
    let bytes = bytes.map_err(|_| UpstreamError::Unwritable)?;
    let any = match resolver {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    // Connected: the kernel drops what comes from elsewhere, and tells when nobody listens.
    socket.connect(resolver).await.map_err(failed)?;
    socket.send(&bytes).await.map_err(failed)?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        // What does not belong to the question is not from the resolver, whatever its address says.
        let Some(message) = belonging(question, id, &buffer[..length]) else {
            continue;
        };
        if message.metadata.truncation {
            return by_tcp(question, resolver, id, &bytes).await;
        }
        return Ok(message);
    }
}

async fn by_tcp(
    question: &Question,
    resolver: SocketAddr,
    id: u16,
    bytes: &[u8],
) -> Result<Message, UpstreamError> {
    let failed = |source| UpstreamError::Io { resolver, source };
    #[expect(
        clippy::disallowed_methods,
        reason = "the question was decided, and goes to the operator's resolver alone"
    )]
    let connecting = TcpStream::connect(resolver);
    let mut stream = connecting.await.map_err(failed)?;
    stream.write_all(&framed(bytes)).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    belonging(question, id, &answer).ok_or(UpstreamError::Other(resolver))
}

/// The answer to this very question, with this id; nothing for what is another message.
#[must_use]
pub fn belonging(question: &Question, id: u16, bytes: &[u8]) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let metadata = &message.metadata;
    let [query] = message.queries.as_slice() else {
        return None;
    };
    let asked = question.query();
    let same = metadata.id == id
        && metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && query.query_type == asked.query_type
        && query.query_class == asked.query_class
        && query.name.eq_ignore_root(&asked.name);
    same.then_some(message)
}

fn random() -> io::Result<u16> {
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(u16::from_be_bytes(id))
}

/// A resolver that has not answered by now is asked last.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Clients ask again after five seconds (resolv.conf(5), `timeout`).
const DEADLINE: Duration = Duration::from_millis(4500);
/// Laptops change networks.
const KEPT: Duration = Duration::from_secs(5);
/// No datagram is larger.
const LARGEST: usize = 65_535;
