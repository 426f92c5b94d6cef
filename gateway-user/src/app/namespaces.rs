//! Listeners inside the network namespaces of adopted workloads: a container's connections go to them, and are dialled from the host's.
//!
//! In: the namespaces in which processes of a tagged place were seen. Out: listeners there, for connections and questions, at the workload's own addresses,
//! then the kernel's leave to go to them; until both are there everything in that namespace is refused. Who can act on its namespace's
//! network (NET_ADMIN there) can keep the addresses or turn packets elsewhere; then it is refused, or its packets are dropped on the way out. A namespace
//! that nobody of the workload is seen in any more is given up, since a listener would keep it alive.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UdpSocket};

use super::UpError;
use crate::identity::Workload;
use crate::kernel::Kernel;
use crate::listener;
use crate::pipeline::{self, Gateway};
use crate::sys::namespace;
use crate::tasks::Tasks;

/// The namespaces that have listeners, by their name (`net:[123]`) and workload.
pub(super) struct Namespaces {
    kernel: Arc<Kernel>,
    gateway: Arc<Gateway>,
    inside: Mutex<BTreeMap<(PathBuf, u32), Inside>>,
}

struct Inside {
    cookie: u64,
    accepting: Tasks,
    seen: Instant,
}

impl Namespaces {
    pub(super) fn new(kernel: Arc<Kernel>, gateway: Arc<Gateway>) -> Self {
        Self {
            kernel,
            gateway,
            inside: Mutex::default(),
        }
    }

    /// Listens in a namespace, which `file` stands for, unless that is done already. Blocks for a moment.
    pub(super) fn serve(
        &self,
        workload: &Workload,
        name: PathBuf,
        file: &PathBuf,
    ) -> Result<(), UpError> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inside.get_mut(&(name.clone(), workload.number)) {
            known.seen = Instant::now();
            return Ok(());
        }
        let held = inside
            .keys()
            .filter(|(_, number)| *number == workload.number);
        if held.count() >= MOST {
            return Err(UpError::Namespaces { most: MOST });
        }
        // Gone meanwhile.
        let Ok(file) = File::open(file) else {
            return Ok(());
        };
        let mut addresses = vec![SocketAddr::from(workload.v4)];
        addresses.extend(workload.v6.map(SocketAddr::from));
        let made = namespace::listen(file.as_fd(), &addresses, &addresses)?;
        let accepting = Tasks::default();
        let share = self.gateway.load.share(workload.number);
        let failed = |source| UpError::Listen {
            name: workload.name.clone(),
            source,
        };
        for listener in made.listeners {
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            let accept = listener::accept(Arc::clone(&self.gateway), listener, Arc::clone(&share));
            accepting.spawn(accept);
        }
        for datagrams in made.datagrams {
            let datagrams = UdpSocket::from_std(datagrams).map_err(failed)?;
            accepting.spawn(pipeline::questions(Arc::clone(&self.gateway), datagrams));
        }
        self.kernel.govern_namespace(made.cookie, workload.number)?;
        tracing::info!(
            workload = workload.name, namespace = %name.display(),
            "governed in a network namespace of its own"
        );
        let entry = Inside {
            cookie: made.cookie,
            accepting,
            seen: Instant::now(),
        };
        inside.insert((name, workload.number), entry);
        Ok(())
    }

    /// Gives up what nobody was seen in for a while.
    pub(super) async fn sweep(&self) {
        let mut over = Vec::new();
        {
            let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            let names: Vec<_> = inside
                .iter()
                .filter(|(_, inside)| inside.seen.elapsed() > UNSEEN)
                .map(|(name, _)| name.clone())
                .collect();
            over.extend(names.iter().filter_map(|name| inside.remove(name)));
        }
        for inside in over {
            if let Err(error) = self.kernel.release_namespace(inside.cookie) {
                tracing::warn!(%error, "a network namespace that is gone is still listed");
            }
            inside.accepting.shutdown().await;
        }
    }
}

/// Namespaces of one workload. An agent can make as many as it likes where users may make them, and each takes two listeners.
const MOST: usize = 64;
/// Longer than it takes to look at every process of a large workload.
const UNSEEN: Duration = Duration::from_secs(60);
