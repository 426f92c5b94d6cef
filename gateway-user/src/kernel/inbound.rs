//! Connections from outside to workloads' servers: which endpoints are answered, and what begins and ends there.
//!
//! In: endpoints that policy permits. Out: admitted flows as they begin and end. Invariants: what is not listed is not answered; without a daemon, or
//! without room for the report, nothing new is admitted. A flow goes on without a daemon; its end is then told to the next one.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use gateway_common::{
    inbound::{Offer, Report, kind},
    names,
};
use tokio::io::unix::AsyncFd;

use super::{
    Kernel, KernelError,
    maps::{Ring, failed, insert_new, optional, take},
    taken,
};
use serde::{Deserialize, Serialize};

use crate::sys;

/// An admitted flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrant {
    /// Cookie of the accepted socket: names the flow.
    pub cookie: u64,
    /// Cookie of the network namespace it is in.
    pub netns: u64,
    /// The workload that serves.
    pub workload: u32,
    /// The workload's side.
    pub local: SocketAddr,
    /// The other side.
    pub peer: SocketAddr,
    /// The thread group that listens.
    pub tgid: u32,
    /// When that thread group started, since boot.
    pub start: Duration,
    /// What happened.
    pub event: Entry,
}

/// What happened to an [`Entrant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// It began.
    Opened,
    /// It ended.
    Closed {
        /// Bytes that came from the peer.
        received: u64,
        /// Bytes that the peer has acknowledged.
        sent: u64,
    },
}

/// The stream of admitted flows. There is one reader.
pub struct Entries {
    ring: Ring,
    ready: AsyncFd<OwnedFd>,
}

impl Entries {
    /// The next beginning or end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> io::Result<Entrant> {
        loop {
            while let Some(item) = self.ring.next() {
                if let Some(entrant) = parse(&item) {
                    return Ok(entrant);
                }
            }
            self.ready.readable().await?.clear_ready();
        }
    }
}

impl Kernel {
    /// Answers connections from outside to these endpoints of a workload, at most `limit` at a time, and to no others. What is open to
    /// another one is cut off.
    pub fn offer(
        &self,
        workload: u32,
        endpoints: &[SocketAddr],
        limit: u32,
    ) -> Result<(), KernelError> {
        self.state().maps.offers.set(workload, endpoints, limit)
    }

    /// Number of flows from outside that a workload holds.
    pub fn entrants(&self, workload: u32) -> Result<u64, KernelError> {
        self.state().maps.offers.entrants(workload)
    }

    /// The stream of flows from outside, once. Needs a running tokio runtime.
    pub fn entries(&self) -> Result<Entries, KernelError> {
        let ring = taken(&self.entries)?;
        let stream = |ring: Ring| -> io::Result<Entries> {
            let ready = sys::ready::readable(ring.as_fd().try_clone_to_owned()?)?;
            Ok(Entries { ring, ready })
        };
        stream(ring).map_err(|source| KernelError::Host {
            what: "the ring of flows from outside",
            source,
        })
    }
}

/// The maps of what is answered.
pub(super) struct Offers {
    offers: HashMap<MapData, [u8; 24], u32>,
    entrants: HashMap<MapData, u32, u64>,
}

impl Offers {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            offers: take(ebpf, names::OFFERS)?,
            entrants: take(ebpf, names::ENTRANTS)?,
        })
    }

    fn set(
        &mut self,
        workload: u32,
        endpoints: &[SocketAddr],
        limit: u32,
    ) -> Result<(), KernelError> {
        // An entry that exists counts flows that exist.
        insert_new(&mut self.entrants, workload, 0, names::ENTRANTS)?;
        let wanted: Vec<[u8; 24]> = endpoints
            .iter()
            .map(|endpoint| {
                let endpoint = (*endpoint).into();
                Offer { workload, endpoint }.to_bytes()
            })
            .collect();
        for key in &wanted {
            self.offers
                .insert(key, limit, 0)
                .map_err(failed(names::OFFERS))?;
        }
        let mut stale = Vec::new();
        for key in self.offers.keys() {
            let key = key.map_err(failed(names::OFFERS))?;
            if Offer::from_bytes(&key).workload == workload && !wanted.contains(&key) {
                stale.push(key);
            }
        }
        for key in stale {
            optional(self.offers.remove(&key), names::OFFERS)?;
        }
        Ok(())
    }

    /// Answers nothing of a workload that is forgotten.
    pub(super) fn forget(&mut self, workload: u32) -> Result<(), KernelError> {
        self.set(workload, &[], 0)?;
        optional(self.entrants.remove(&workload), names::ENTRANTS).map(drop)
    }

    fn entrants(&self, workload: u32) -> Result<u64, KernelError> {
        Ok(optional(self.entrants.get(&workload, 0), names::ENTRANTS)?.unwrap_or(0))
    }
}

/// A record of another size or kind is from nobody we know.
fn parse(bytes: &[u8]) -> Option<Entrant> {
    let report = Report::from_bytes(bytes.try_into().ok()?);
    let event = match report.kind {
        kind::OPENED => Entry::Opened,
        kind::CLOSED => Entry::Closed {
            received: report.received,
            sent: report.sent,
        },
        _ => return None,
    };
    Some(Entrant {
        cookie: report.cookie,
        netns: report.netns,
        workload: report.workload,
        local: report.local.socket_addr(),
        peer: report.peer.socket_addr(),
        tgid: report.tgid,
        start: Duration::from_nanos(report.start),
        event,
    })
}
