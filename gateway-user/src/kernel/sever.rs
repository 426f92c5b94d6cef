//! The end of what was open when something is tagged: no hook has judged those connections.
//!
//! In: a cgroup whose tag stands, so that whatever is connected from now on is judged. What is ended, by the kernel (SOCK_DESTROY; its user
//! gets ECONNABORTED): connections of sockets made in the cgroup or below, and every TCP and UDP socket that its processes hold and that
//! was made elsewhere, listening or not, because the egress program does not see its packets. What the kernel does not end (no
//! CONFIG_INET_DIAG_DESTROY, another network namespace) is disconnected through a second descriptor for it. Twice, because a connect can
//! be on its way when the tag comes to stand, and a descriptor on its way to a thread.
//!
//! What stays: connections to the workload's own listener; those over loopback between two sockets of the cgroup; listeners made in
//! the cgroup, whose packets the egress program judges; unconnected UDP sockets made there, each of whose datagrams is judged. Not found: a
//! descriptor that is in no table (on its way in a UNIX socket, or registered in an io_uring) of a socket made elsewhere.

use std::{
    collections::{BTreeSet, HashSet},
    fs::File,
    net::SocketAddr,
};

use gateway_common::{addr::Endpoint, scope::Scope};
use socket2::SockRef;

use super::{
    cgroup::Cgroup,
    error::KernelError,
    sockets::{self, Kind},
    tagging::State,
};
use crate::sys::{
    descriptor,
    diag::{Diag, Inet, Transport},
};

impl State {
    /// Ends what was open in a cgroup; its tag stands already.
    pub(super) fn sever(&self, cgroup: &Cgroup, workload: u32) -> Result<(), KernelError> {
        let listeners = self.maps.scope(workload)?;
        let listeners = listeners.ok_or(KernelError::NoScope { workload })?;
        let mut ended = 0;
        for _ in 0..2 {
            ended += pass(cgroup, &listeners)?;
        }
        if ended > 0 {
            tracing::info!(
                cgroup = %cgroup.path.display(), ended,
                "connections from before the tag are ended"
            );
        }
        Ok(())
    }
}

/// Who has sockets, and which are spared.
struct Owner<'a> {
    cgroups: HashSet<u64>,
    held: BTreeSet<u64>,
    listeners: &'a Scope,
}

fn pass(cgroup: &Cgroup, listeners: &Scope) -> Result<usize, KernelError> {
    let failed = |source| KernelError::Tasks {
        path: cgroup.path.clone(),
        source,
    };
    let subtree = cgroup.subtree().map_err(failed)?;
    let members = cgroup.members().map_err(failed)?;
    let owner = Owner {
        cgroups: subtree.iter().map(|cgroup| cgroup.id).collect(),
        held: sockets::held(members.iter().copied()),
        listeners,
    };
    let mut settled = BTreeSet::new();
    let mut ended = 0;
    for diag in namespaces(&members) {
        for transport in Transport::ALL {
            // Without this feature of the kernel descriptors are all there is.
            let listed = diag.inet(transport).unwrap_or_default();
            let doomed = owner.doomed(&listed);
            let spared = listed.iter().filter(|socket| !doomed.contains(socket));
            settled.extend(spared.map(|socket| socket.inode));
            for socket in doomed {
                if diag.destroy(socket).is_ok() {
                    settled.insert(socket.inode);
                    ended += 1;
                }
            }
        }
    }
    for pid in members {
        sockets::each(pid, |inode, socket, kind| {
            let left = kind == Kind::Open && !settled.contains(&inode);
            let peer = SockRef::from(&socket).peer_addr().ok();
            if !left || owner.is_listener(peer.and_then(|peer| peer.as_socket())) {
                return Ok(());
            }
            descriptor::disconnect(&socket).map_err(|_| KernelError::BadProcess {
                pid,
                reason: "one of its sockets cannot be disconnected",
            })
        })?;
    }
    Ok(ended)
}

/// The host's network namespace and those of the processes.
fn namespaces(members: &BTreeSet<u32>) -> Vec<Diag> {
    let others = sockets::namespaces(members.iter().copied());
    let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default();
    let others = others
        .into_iter()
        .filter(|(name, _)| *name != own)
        .filter_map(|(_, file)| Diag::of(File::open(file).ok()?.into()).ok());
    Diag::here().ok().into_iter().chain(others).collect()
}

impl Owner<'_> {
    /// What is to end among the sockets of one network namespace.
    fn doomed<'a>(&self, listed: &'a [Inet]) -> Vec<&'a Inet> {
        let made_here = |socket: &Inet| {
            let cgroup = socket.cgroup;
            cgroup.is_some_and(|cgroup| self.cgroups.contains(&cgroup))
        };
        let ends: HashSet<_> = listed
            .iter()
            .filter(|socket| made_here(socket))
            .map(|socket| (socket.transport, socket.local, socket.remote))
            .collect();
        let spared = |socket: &Inet| {
            let inside = socket.remote.ip().is_loopback()
                && ends.contains(&(socket.transport, socket.remote, socket.local));
            !socket.is_connected() || inside
        };
        listed
            .iter()
            .filter(|socket| match made_here(socket) {
                true => !spared(socket),
                false => self.held.contains(&socket.inode),
            })
            .filter(|socket| !self.is_listener(Some(socket.remote)))
            .collect()
    }

    fn is_listener(&self, peer: Option<SocketAddr>) -> bool {
        let listeners = [self.listeners.v4, self.listeners.v6];
        let listeners = listeners.iter().filter(|listener| listener.exists());
        let peer = peer.map(Endpoint::from);
        peer.is_some_and(|peer| listeners.into_iter().any(|own| *own == peer))
    }
}
