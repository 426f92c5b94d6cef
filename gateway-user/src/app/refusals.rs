//! Kernel refusals into the log, at a rate that an agent cannot turn into a full disk. The counters have them all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::identity::Registry;
use crate::kernel::{Refusal, Refusals};

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

/// What one stretch of time has shown and hidden.
struct Window {
    began: Instant,
    shown: u32,
    hidden: u64,
}

impl Window {
    fn new(began: Instant) -> Self {
        Self {
            began,
            shown: 0,
            hidden: 0,
        }
    }

    /// Starts anew when the stretch is over; says what it hid, if anything.
    fn closed(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.began) < STRETCH {
            return None;
        }
        let over = std::mem::replace(self, Self::new(now));
        (over.hidden > 0).then_some(over.hidden)
    }

    fn admits(&mut self) -> bool {
        let room = self.shown < PER_STRETCH;
        if room {
            self.shown += 1;
        } else {
            self.hidden += 1;
        }
        room
    }
}

/// Enough to see what is going on.
const PER_STRETCH: u32 = 20;
const STRETCH: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let began = Instant::now();
        let mut window = Window::new(began);
        let shown = (0..1000).filter(|_| window.admits()).count();
        assert_eq!(shown, PER_STRETCH as usize);
        assert_eq!(window.closed(began), None);
        assert_eq!(window.closed(began + STRETCH), Some(980));
        assert!(window.admits());
        assert_eq!(window.closed(began + STRETCH * 2), None);
    }
}
