//! Refusals, new tagged cgroups and programs that begin as they happen.
//!
//! In: the kernel's rings. Out: typed records, in order. A full ring loses the record, never the refusal; how many were lost stands in the
//! counter `event-lost`. A lost arrival is found again by whoever looks at the tags.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use gateway_common::{event::Event, verdict::Reason};
use tokio::io::unix::AsyncFd;

use super::{Kernel, KernelError, maps::Ring, taken};
use crate::sys;

/// Something the hooks refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When, since boot.
    pub at: Duration,
    /// Why.
    pub reason: Reason,
    /// The workload, where one is known.
    pub workload: Option<u32>,
    /// The thread group.
    pub tgid: u32,
    /// The effective user.
    pub uid: u32,
    /// Cgroup of the task.
    pub cgroup: u64,
    /// The name the task gave itself: for display, never for a decision.
    pub comm: String,
    /// Where it wanted to go.
    pub destination: Option<SocketAddr>,
    /// Protocol number of the socket.
    pub protocol: u32,
}

/// The stream of refusals. There is one reader.
pub struct Refusals {
    ring: Ring,
    ready: AsyncFd<OwnedFd>,
}

impl Refusals {
    /// Needs a running tokio runtime.
    pub(super) fn new(ring: Ring) -> io::Result<Self> {
        let ready = sys::ready::readable(ring.as_fd().try_clone_to_owned()?)?;
        Ok(Self { ring, ready })
    }

    /// The next refusal. Dropping the future loses nothing.
    pub async fn next(&mut self) -> io::Result<Refusal> {
        loop {
            while let Some(item) = self.ring.next() {
                if let Some(refusal) = parse(&item) {
                    return Ok(refusal);
                }
            }
            self.ready.readable().await?.clear_ready();
        }
    }
}

/// Tells that the kernel has tagged new cgroups. There is one reader.
pub struct Arrivals {
    ring: Ring,
    ready: AsyncFd<OwnedFd>,
}

impl Arrivals {
    /// Needs a running tokio runtime.
    pub(super) fn new(ring: Ring) -> io::Result<Self> {
        let ready = sys::ready::readable(ring.as_fd().try_clone_to_owned()?)?;
        Ok(Self { ring, ready })
    }

    /// Waits until there is at least one that was not told of yet.
    pub async fn next(&mut self) -> io::Result<()> {
        loop {
            // Which ones does not matter: their tags say what is missing.
            let mut came = false;
            while self.ring.next().is_some() {
                came = true;
            }
            if came {
                return Ok(());
            }
            self.ready.readable().await?.clear_ready();
        }
    }
}

/// Tells in which workloads programs have begun. There is one reader.
pub struct Beginnings {
    ring: Ring,
    ready: AsyncFd<OwnedFd>,
}

impl Beginnings {
    /// Needs a running tokio runtime.
    pub(super) fn new(ring: Ring) -> io::Result<Self> {
        let ready = sys::ready::readable(ring.as_fd().try_clone_to_owned()?)?;
        Ok(Self { ring, ready })
    }

    /// The workloads of those that were not told of yet, at least one.
    pub async fn next(&mut self) -> io::Result<BTreeSet<u32>> {
        loop {
            let mut begun = BTreeSet::new();
            while let Some(item) = self.ring.next() {
                begun.extend(<[u8; 4]>::try_from(&*item).map(u32::from_ne_bytes));
            }
            if !begun.is_empty() {
                return Ok(begun);
            }
            self.ready.readable().await?.clear_ready();
        }
    }
}

impl Kernel {
    /// The stream of refusals, once. Needs a running tokio runtime.
    pub fn events(&self) -> Result<Refusals, KernelError> {
        Refusals::new(taken(&self.events)?).map_err(|source| KernelError::Host {
            what: "the ring of refusals",
            source,
        })
    }

    /// Tells when the kernel has tagged a new cgroup, once. Needs a running tokio runtime.
    pub fn arrivals(&self) -> Result<Arrivals, KernelError> {
        Arrivals::new(taken(&self.arrivals)?).map_err(|source| KernelError::Host {
            what: "the ring of new cgroups",
            source,
        })
    }

    /// Tells in which workloads programs have begun, once. Needs a running tokio runtime.
    pub fn beginnings(&self) -> Result<Beginnings, KernelError> {
        Beginnings::new(taken(&self.beginnings)?).map_err(|source| KernelError::Host {
            what: "the ring of programs",
            source,
        })
    }
}

/// A record of another size or reason is from nobody we know.
fn parse(bytes: &[u8]) -> Option<Refusal> {
    let event = Event::from_bytes(bytes.try_into().ok()?);
    let end = event
        .comm
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(event.comm.len());
    Some(Refusal {
        at: Duration::from_nanos(event.at),
        reason: Reason::from_code(event.reason)?,
        workload: (event.workload != 0).then_some(event.workload),
        tgid: event.tgid,
        uid: event.uid,
        cgroup: event.cgroup,
        comm: String::from_utf8_lossy(&event.comm[..end]).into_owned(),
        destination: event
            .destination
            .exists()
            .then(|| event.destination.socket_addr()),
        protocol: event.protocol,
    })
}
