//! Cgroups that the kernel has tagged by their path get the egress program as soon as they are heard of: until then nothing there can make
//! a socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::kernel::{Arrivals, Kernel};

/// Attaches what is missing until the task is shut down.
pub(super) async fn settle(kernel: Arc<Kernel>, mut arrivals: Arrivals) {
    loop {
        tokio::select! {
            heard = arrivals.next() => {
                if let Err(error) = heard {
                    tracing::error!(%error, "new cgroups are not heard of; they are looked for now and then");
                    sleep(PERIOD).await;
                }
            }
            // What was not heard of, could not be attached, or has gone.
            () = sleep(PERIOD) => {
                if let Err(error) = kernel.tagged() {
                    tracing::warn!(%error, "tags of cgroups that are gone could not be dropped");
                }
            }
        }
        if let Err(error) = kernel.settle() {
            tracing::error!(%error, "a tagged cgroup stays closed: its egress program is missing");
        }
    }
}

/// Short against a person's patience, long against a walk over all cgroups.
const PERIOD: Duration = Duration::from_secs(10);
