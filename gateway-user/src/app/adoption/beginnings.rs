//! When workloads are looked at: as a program begins in one, before it has read its roots if it can be, and every second.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::{Adoption, LAUNCH};
use crate::kernel::Beginnings;
use crate::trust::adopt;

impl Adoption {
    /// Looks when a program begins in a workload, and every second, until the task is shut down.
    pub(in crate::app) async fn run(self: Arc<Self>, mut beginnings: Beginnings) {
        let mut rested = Instant::now();
        loop {
            let started = Instant::now();
            self.look_now().await;
            // Whoever starts one program after the other does not keep a core busy with it.
            rested = rested.max(started) + started.elapsed() * REST;
            sleep(rested.saturating_duration_since(Instant::now() + AT_ONCE)).await;
            let begun = timeout(PERIOD, self.begun(&mut beginnings)).await;
            if let Ok(Err(error)) = begun {
                tracing::error!(%error, "programs that begin are not heard of; they are looked for every second");
                sleep(PERIOD).await;
            }
        }
    }

    /// Waits for a program to begin in a workload that is no launch: those begin with their CA.
    async fn begun(&self, beginnings: &mut Beginnings) -> io::Result<()> {
        loop {
            let begun = beginnings.next().await?;
            let mut workloads = begun
                .into_iter()
                .filter_map(|number| self.registry.by_number(number));
            if workloads.any(|workload| !workload.name.starts_with(LAUNCH)) {
                return Ok(());
            }
        }
    }
}

/// Whether programs have begun in a namespace that was left: its mounts are made by then. Who shares the host's has no such moment.
pub(super) fn changed(namespace: u64, pids: &[u32], seen: &mut BTreeSet<u64>) -> bool {
    let fresh = |pid: &&u32| seen.insert(adopt::program(**pid));
    !adopt::is_host(namespace) && pids.iter().filter(fresh).count() > 0
}

const PERIOD: Duration = Duration::from_secs(1);
/// For so many times as long as a look took, none is taken.
const REST: u32 = 9;
/// So much rest may be owed: runtimes, shells and agents begin within moments of each other.
const AT_ONCE: Duration = Duration::from_secs(10);
