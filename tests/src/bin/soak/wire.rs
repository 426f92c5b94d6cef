//! Watches an interface for packets to addresses that nobody governed may reach: a packet is a violation, whatever it carries.

use std::{
    io::Read,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};

/// A watcher; it ends with this.
pub(crate) struct Wire {
    seen: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    watching: Option<JoinHandle<()>>,
}

impl Wire {
    /// Watches every interface of the calling thread's network namespace.
    pub(crate) fn new(forbidden: Vec<IpAddr>) -> anyhow::Result<Self> {
        let every = Protocol::from(i32::from(u16::to_be(ETH_P_ALL)));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(every))
            .context("cannot look at packets")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        // A packet that finds no room would not be seen.
        socket.set_recv_buffer_size(8 << 20)?;
        let (seen, over) = <(Arc<Mutex<Vec<String>>>, Arc<AtomicBool>)>::default();
        let (noted, ended) = (Arc::clone(&seen), Arc::clone(&over));
        let watching = thread::spawn(move || {
            let mut packet = [0; 2048];
            while !ended.load(Ordering::Relaxed) {
                let Ok(length) = (&socket).read(&mut packet) else {
                    continue;
                };
                if let Some((to, what)) = destination(&packet[..length])
                    && forbidden.contains(&to)
                {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.push(format!(
                        "{what} to {to}: {:02x?}",
                        &packet[..length.min(64)]
                    ));
                }
            }
        });
        Ok(Self {
            seen,
            over,
            watching: Some(watching),
        })
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(watching) = self.watching.take() {
            let _ = watching.join();
        }
    }
}

/// Destination and protocol of a packet.
fn destination(packet: &[u8]) -> Option<(IpAddr, String)> {
    match packet.first()? >> 4 {
        4 => {
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            Some((to.into(), format!("IPv4 protocol {}", packet[9])))
        }
        6 => {
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            // Neighbour discovery is the host's own.
            (packet[6] != ICMPV6).then(|| (to.into(), format!("IPv6 header {}", packet[6])))
        }
        _ => None,
    }
}

const ETH_P_ALL: u16 = 3;
const ICMPV6: u8 = 58;
