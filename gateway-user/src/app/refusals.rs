//! Kernel refusals into the log, at a rate that an agent cannot turn into a full disk. The counters have them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::identity::Registry;
use crate::kernel::{Refusal, Refusals};
use crate::load::Window;

/// Logs refusals until the task is shut down.
pub(super) async fn report(mut events: Refusals, registry: Arc<Registry>) {
    let mut window = Window::new(Instant::now());
    loop {
        match events.next().await {
            Ok(refusal) => {
                let now = Instant::now();
                if let Some(hidden) = window.closed(now) {
                    tracing::warn!(
                        "{hidden} more kernel refusals are not shown; `tollgate status` counts them"
                    );
                }
                if window.admits() {
                    show(&refusal, &registry);
                }
            }
            Err(error) => {
                tracing::error!(%error, "kernel events are lost; refusals go on and are still counted");
                sleep(PAUSE).await;
            }
        }
    }
}

fn show(refusal: &Refusal, registry: &Registry) {
    let workload = refusal
        .workload
        .and_then(|number| registry.by_number(number));
    tracing::warn!(
        workload = workload
            .as_ref()
            .map_or("?", |workload| workload.name.as_str()),
        pid = refusal.tgid,
        command = refusal.comm,
        destination = refusal.destination.map(tracing::field::display),
        "refused in the kernel: {}",
        refusal.reason.name()
    );
}

const PAUSE: Duration = Duration::from_secs(1);
