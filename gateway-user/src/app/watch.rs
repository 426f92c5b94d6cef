//! Every second: are the hooks still attached? Who has the right to detach them is root, and root is told on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::kernel::{Kernel, Neighbour};

/// How often hooks were found detached and attached again, since the daemon runs.
#[derive(Debug, Default)]
pub(super) struct Restored(AtomicU64);

impl Restored {
    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Attaches what was detached until the task is shut down.
pub(super) async fn watch(kernel: Arc<Kernel>, restored: Arc<Restored>) {
    loop {
        sleep(PERIOD).await;
        match kernel.mend() {
            Ok(lost) => {
                for hook in lost {
                    restored.0.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        hook,
                        "was detached by somebody, and is attached again: what ran in between may have passed ungoverned"
                    );
                }
            }
            Err(error) => {
                tracing::error!(%error, "hooks that are detached could not be attached again");
            }
        }
    }
}

/// Programs of others, as `status` shows them.
pub(super) fn rows(neighbours: &[Neighbour]) -> Vec<Value> {
    let row = |neighbour: &Neighbour| {
        json!({
            "cgroup": neighbour.place,
            "hook": neighbour.hook,
            "id": neighbour.id,
            "name": neighbour.name,
        })
    };
    neighbours.iter().map(row).collect()
}

/// What is lost in between is at most this long.
const PERIOD: Duration = Duration::from_secs(1);
