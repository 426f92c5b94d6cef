//! Questions that come as datagrams: who asks, and its session in the ledger.
//!
//! In: the UDP socket beside a workload's listener. Out: answers to where questions came from. Invariants: a datagram whose sender the kernel
//! part does not know is refused unread; one session for each process that asks, ended when it has asked nothing for a while. A flood takes
//! no more than the workload's own places.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::lookup::{self, Asker};
use super::{Gateway, session_start};
use crate::dns;
use crate::identity::{self, Unattributable};
use crate::kernel::{ClaimError, Containment, Question};
use crate::record::LedgerError;
use crate::sys::socket::netns_cookie;

/// Why a question is not answered. Logged.
#[derive(Debug, thiserror::Error)]
enum QuestionError {
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Attribute(#[from] Unattributable),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the answer cannot be sent: {0}")]
    Send(#[from] io::Error),
}

/// One socket that is asked.
struct Asked {
    gateway: Arc<Gateway>,
    socket: UdpSocket,
    netns: u64,
    listener: SocketAddr,
    containment: Containment,
    askers: Mutex<HashMap<Key, (Instant, Arc<Asker>)>>,
}

/// Process, its start, the identity it has now.
type Key = (u32, Duration, String);

/// Answers the questions of a workload, for good.
pub async fn questions(gateway: Arc<Gateway>, socket: UdpSocket, containment: Containment) {
    let (netns, listener) = match (netns_cookie(&socket), socket.local_addr()) {
        (Ok(netns), Ok(listener)) => (netns, listener),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "a workload's questions cannot be answered");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let asked = Arc::new(Asked {
        gateway,
        socket,
        netns,
        listener,
        containment,
        askers: Mutex::default(),
    });
    let mut buffer = [0; dns::DATAGRAM];
    let mut idle = interval(IDLE);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let received = tokio::select! {
            received = asked.socket.recv_from(&mut buffer) => received,
            _ = idle.tick() => {
                asked.end_idle();
                continue;
            }
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "a question could not be received");
                sleep(PAUSE).await;
                continue;
            }
        };
        let message = buffer[..length].to_vec();
        let place = Arc::clone(&places).try_acquire_owned();
        let (of, at) = (Arc::clone(&asked), client);
        match place {
            Ok(place) => asked.gateway.tasks.spawn(async move {
                if let Err(error) = of.answer(&message, at).await {
                    tracing::debug!(%error, client = %at, "a question is not answered");
                }
                drop(place);
            }),
            // The client asks again; until then others have been answered.
            Err(_) => {
                let _ = asked.refuse(&message, client).await;
            }
        }
    }
}

impl Asked {
    async fn answer(&self, message: &[u8], client: SocketAddr) -> Result<(), QuestionError> {
        let asker = match self.asker(client).await {
            Ok(asker) => asker,
            Err(error) => {
                self.gateway.ledger.metrics().unattributed();
                self.refuse(message, client).await?;
                return Err(error);
            }
        };
        let answer = match lookup::answer(&self.gateway, &asker, message).await {
            Ok(answer) => answer,
            Err(error) => {
                self.refuse(message, client).await?;
                return Err(error.into());
            }
        };
        let bytes = answer.datagram();
        if !bytes.is_empty() {
            self.socket.send_to(&bytes, client).await?;
        }
        Ok(())
    }

    /// Who asks, with its session.
    async fn asker(&self, client: SocketAddr) -> Result<Arc<Asker>, QuestionError> {
        let flow = self.gateway.flows.asker(&Question {
            netns: self.netns,
            client,
            listener: self.listener,
        })?;
        let caller = identity::attribute(&flow, &self.gateway.registry).await?;
        let key = (flow.tgid, flow.start, caller.identity.id.clone());
        if let Some(asker) = self.known(&key) {
            return Ok(asker);
        }
        let start = session_start(&self.gateway, &caller, flow.origin, self.containment);
        let session = self.gateway.ledger.session(start).await?;
        let asker = Arc::new(Asker::new(caller, session));
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        // Two questions of one process can come at a time; the first session stays.
        if let Some((_, first)) = askers.get(&key) {
            return Ok(Arc::clone(first));
        }
        if askers.len() >= MAX_ASKERS {
            let oldest = askers.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                askers.remove(&key);
            }
        }
        askers.insert(key, (Instant::now(), Arc::clone(&asker)));
        Ok(asker)
    }

    fn known(&self, key: &Key) -> Option<Arc<Asker>> {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, asker) = askers.get_mut(key)?;
        *used = Instant::now();
        Some(Arc::clone(asker))
    }

    fn end_idle(&self) {
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        askers.retain(|_, (used, _)| used.elapsed() < IDLE);
    }

    async fn refuse(&self, message: &[u8], client: SocketAddr) -> io::Result<()> {
        let told = match dns::read(message) {
            Ok(question) => {
                let refusal =
                    dns::Refusal::Refused("it cannot be attributed or recorded now".to_owned());
                dns::refuse(&question, &refusal).fitting(question.room)
            }
            Err(told) => told.unwrap_or_default(),
        };
        if !told.is_empty() {
            self.socket.send_to(&told, client).await?;
        }
        Ok(())
    }
}

/// Questions of one workload and family that wait for a resolver; with its deadline more than two hundred a second.
const MAX_UNDER_WAY: usize = 1024;
/// Processes of one workload that have a session for their questions.
const MAX_ASKERS: usize = 256;
/// After this much silence a process's session ends; the next question begins another.
const IDLE: Duration = Duration::from_secs(30);
/// Out of memory: what is under way has to end first.
const PAUSE: Duration = Duration::from_millis(50);
