//! Listeners inside the network namespaces of workloads that have their own: connections there go to them, and are dialled from the host's.
//!
//! In: the namespaces of launches, and those in which processes of a tagged place were seen. Out: listeners there, for connections and questions, at the
//! workload's own addresses, then the kernel's leave to go to them; until both are there everything in that namespace is refused. It stays so when the
//! daemon ends, until the next one listens again. Who can act on its namespace's network (NET_ADMIN there) can keep the addresses or turn
//! packets elsewhere; then it is refused, or its packets are dropped on the way out. A namespace that nobody of the workload is seen in any more
//! is given up, since a listener would keep it alive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UdpSocket};

use super::front::Front;
use super::{UpError, systemd};
use crate::identity::Workload;
use crate::kernel::{Containment, Kernel};
use crate::listener::{Listeners, Pair};
use crate::sys::inherit::Kept;
use crate::sys::namespace;

/// What is served, and the namespaces in which processes were seen, by their name (`net:[123]`) and workload.
pub(super) struct Namespaces {
    kernel: Arc<Kernel>,
    gateway: Arc<Front>,
    seen: Mutex<BTreeMap<(PathBuf, u32), (Inside, Instant)>>,
    /// What an earlier daemon had in namespaces that nobody has been seen in yet, and since when it waits.
    kept: Mutex<(Kept, Instant)>,
}

/// A namespace that is served, until it is released.
pub(super) struct Inside {
    pub(super) workload: u32,
    pub(super) cookie: u64,
    pub(super) namespace: OwnedFd,
}

impl Namespaces {
    pub(super) fn new(kernel: Arc<Kernel>, gateway: Arc<Front>) -> Self {
        Self {
            kernel,
            gateway,
            seen: Mutex::default(),
            kept: Mutex::new((Kept::default(), Instant::now())),
        }
    }

    /// Listens in a namespace, with those sockets that an earlier daemon had there, and governs the workload in it. Blocks for a moment.
    pub(super) fn serve(
        &self,
        workload: &Workload,
        namespace: BorrowedFd<'_>,
        containment: Containment,
        kept: &mut Kept,
    ) -> Result<Inside, UpError> {
        let (cookie, listeners) = listen(workload, namespace, kept)?;
        let namespace = namespace.try_clone_to_owned();
        let namespace = namespace.map_err(|source| UpError::Listen {
            name: workload.name.clone(),
            source,
        })?;
        systemd::keep_inside(cookie, &listeners);
        let front = &self.gateway;
        front.serve_inside(workload, cookie, containment, listeners)?;
        let inside = Inside {
            workload: workload.number,
            cookie,
            namespace,
        };
        if let Err(error) = self.kernel.govern_namespace(cookie, workload.number) {
            self.release(inside);
            return Err(error.into());
        }
        Ok(inside)
    }

    /// Gives a namespace up.
    pub(super) fn release(&self, inside: Inside) {
        systemd::give_up_inside(inside.cookie);
        if let Err(error) = self.kernel.release_namespace(inside.cookie) {
            tracing::warn!(%error, "a network namespace that is gone is still listed");
        }
        if let Err(error) = self.gateway.leave(inside.workload, inside.cookie) {
            tracing::warn!(%error, "listeners in a network namespace that is gone are kept");
        }
    }

    /// Listens in a namespace where a process was seen, which `file` stands for, unless that is done already. Blocks for a moment.
    pub(super) fn serve_seen(
        &self,
        workload: &Workload,
        name: PathBuf,
        file: &PathBuf,
    ) -> Result<(), UpError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name, workload.number);
        if let Some((_, last)) = seen.get_mut(&key) {
            *last = Instant::now();
            return Ok(());
        }
        let held = seen.keys().filter(|(_, number)| *number == workload.number);
        if held.count() >= MOST {
            return Err(UpError::Namespaces { most: MOST });
        }
        // Gone meanwhile.
        let Ok(file) = File::open(file) else {
            return Ok(());
        };
        let level = Containment::Hooks;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let inside = self.serve(workload, file.as_fd(), level, &mut kept.0)?;
        tracing::info!(
            workload = workload.name, namespace = %key.0.display(),
            "governed in a network namespace of its own"
        );
        seen.insert(key, (inside, Instant::now()));
        Ok(())
    }

    /// Takes what an earlier daemon had in namespaces of processes that are yet to be seen.
    pub(super) fn expect(&self, kept: Kept) {
        let mut waiting = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = (kept, Instant::now());
    }

    /// Gives up what nobody was seen in for a while.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.1.elapsed() > UNSEEN {
            for cookie in std::mem::take(&mut kept.0).namespaces() {
                systemd::give_up_inside(cookie);
            }
        }
        drop(kept);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let over = seen.extract_if(.., |_, (_, last)| last.elapsed() > UNSEEN);
        for (_, (inside, _)) in over {
            self.release(inside);
        }
    }
}

/// Sockets at the addresses that the workload has on the host, and the namespace's cookie.
fn listen(
    workload: &Workload,
    namespace: BorrowedFd<'_>,
    kept: &mut Kept,
) -> Result<(u64, Listeners), UpError> {
    let failed = |source| UpError::Inside {
        name: workload.name.clone(),
        source,
    };
    let addresses: Vec<SocketAddr> = [workload.v4.into()]
        .into_iter()
        .chain(workload.v6.map(Into::into))
        .collect();
    let cookie = namespace::cookie_of(namespace).map_err(failed)?;
    let mut listeners = had(&addresses, |address| kept.listener(cookie, address));
    let mut datagrams = had(&addresses, |address| kept.datagrams(cookie, address));
    let (no_listener, no_datagrams) = (
        missing(&addresses, &listeners),
        missing(&addresses, &datagrams),
    );
    let made = namespace::listen(namespace, &no_listener, &no_datagrams).map_err(failed)?;
    listeners.extend(no_listener.into_iter().zip(made.listeners));
    datagrams.extend(no_datagrams.into_iter().zip(made.datagrams));
    let mut pairs = addresses.iter().map(|address| {
        let (tcp, udp) = (listeners.remove(address), datagrams.remove(address));
        let (tcp, udp) = tcp.zip(udp).ok_or(io::ErrorKind::NotFound)?;
        Ok(Pair {
            tcp: TcpListener::from_std(tcp)?,
            udp: UdpSocket::from_std(udp)?,
        })
    });
    let fail = |source| UpError::Listen {
        name: workload.name.clone(),
        source,
    };
    let none = || Err(io::ErrorKind::NotFound.into());
    let listeners = Listeners {
        v4: pairs.next().unwrap_or_else(none).map_err(fail)?,
        v6: pairs.next().transpose().map_err(fail)?,
    };
    Ok((cookie, listeners))
}

/// The sockets that there are already.
fn had<S>(
    addresses: &[SocketAddr],
    mut take: impl FnMut(SocketAddr) -> Option<S>,
) -> BTreeMap<SocketAddr, S> {
    let had = addresses.iter().copied();
    had.filter_map(|address| Some((address, take(address)?)))
        .collect()
}

fn missing<S>(addresses: &[SocketAddr], had: &BTreeMap<SocketAddr, S>) -> Vec<SocketAddr> {
    let missing = addresses.iter().copied();
    missing
        .filter(|address| !had.contains_key(address))
        .collect()
}

/// Namespaces of one workload. An agent can make as many as it likes where users may make them, and each takes two listeners.
const MOST: usize = 64;
/// Longer than it takes to look at every process of a large workload.
const UNSEEN: Duration = Duration::from_secs(60);
