//! How much may be under way at once: of one workload, and of all together; and how much of a flood is told.
//!
//! In: how many descriptors there are. Out: places for connections and requests, taken without waiting and given back when dropped.
//! Invariants: one workload cannot take every place; whoever finds none is refused in words its client understands, or waits where only
//! its own workload waits; nothing is ever let through because it is too much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What may be under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of one workload whose requests are served.
    pub connections: usize,
    /// Connections of one workload beyond these, which are told so; more wait in the workload's own backlog.
    pub told: usize,
    /// Requests of one workload, from their head to the end of the answer.
    pub requests: usize,
    /// Connections of all workloads.
    pub all_connections: usize,
    /// Requests of all workloads.
    pub all_requests: usize,
}

/// The places of all workloads.
#[derive(Debug)]
pub struct Load {
    limits: Limits,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    shares: Mutex<HashMap<u32, Arc<Share>>>,
}

/// The places of one workload.
#[derive(Debug)]
pub struct Share {
    /// Accepted connections, those that are told to go included.
    accepted: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    all_connections: Arc<Semaphore>,
    all_requests: Arc<Semaphore>,
    log: Mutex<Window>,
}

/// A place that is taken.
#[derive(Debug)]
pub struct Place(Vec<OwnedSemaphorePermit>);

/// What one stretch of time has shown and hidden of a flood of log lines.
#[derive(Debug)]
pub struct Window {
    began: Instant,
    shown: u32,
    hidden: u64,
}

impl Limits {
    /// What fits into this many descriptors: a connection takes two, its own and the upstream's.
    #[must_use]
    pub fn fitting(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let all = (descriptors.saturating_sub(OWN_DESCRIPTORS) / 2).clamp(64, MAX_CONNECTIONS);
        Self {
            connections: all / 2,
            told: (all / 16).min(MAX_TOLD),
            requests: MAX_REQUESTS,
            all_connections: all,
            all_requests: 4 * MAX_REQUESTS,
        }
    }
}

impl Load {
    /// Nothing is under way.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: Arc::new(Semaphore::new(limits.all_connections)),
            requests: Arc::new(Semaphore::new(limits.all_requests)),
            shares: Mutex::default(),
        }
    }

    /// The places of the workload with this number.
    #[must_use]
    pub fn share(&self, workload: u32) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(workload).or_insert_with(|| {
            let limits = self.limits;
            Arc::new(Share {
                accepted: Arc::new(Semaphore::new(limits.connections + limits.told + LISTENERS)),
                connections: Arc::new(Semaphore::new(limits.connections)),
                requests: Arc::new(Semaphore::new(limits.requests)),
                all_connections: Arc::clone(&self.connections),
                all_requests: Arc::clone(&self.requests),
                log: Mutex::new(Window::new(Instant::now())),
            })
        });
        Arc::clone(share)
    }
}

impl Share {
    /// Waits until the workload may have one more connection accepted.
    pub async fn next(&self) -> Place {
        let own = Arc::clone(&self.accepted).acquire_owned().await;
        // It is never closed.
        Place(own.into_iter().collect())
    }

    /// Waits until a connection that has been accepted has a place among all.
    pub async fn among_all(&self, mut place: Place) -> Place {
        let all = Arc::clone(&self.all_connections).acquire_owned().await;
        place.0.extend(all);
        place
    }

    /// A place for a connection whose requests are served.
    #[must_use]
    pub fn connection(&self) -> Option<Place> {
        let own = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        Some(Place(vec![own]))
    }

    /// A place for a request.
    #[must_use]
    pub fn request(&self) -> Option<Place> {
        let own = Arc::clone(&self.requests).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all_requests).try_acquire_owned().ok()?;
        Some(Place(vec![own, all]))
    }

    /// Logs a refusal, at a rate that an agent cannot turn into a full disk. The ledger has them all.
    pub fn log(&self, refusal: &str) {
        let mut window = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hidden) = window.closed(Instant::now()) {
            tracing::info!(
                "{hidden} more refusals of this workload are not shown; the ledger has them"
            );
        }
        if window.admits() {
            tracing::info!("{refusal}");
        }
    }
}

impl Window {
    /// A stretch begins.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            shown: 0,
            hidden: 0,
        }
    }

    /// Starts anew when the stretch is over; says what it hid, if anything.
    pub fn closed(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.began) < STRETCH {
            return None;
        }
        let over = std::mem::replace(self, Self::new(now));
        (over.hidden > 0).then_some(over.hidden)
    }

    /// Whether one more line is shown.
    pub fn admits(&mut self) -> bool {
        let room = self.shown < PER_STRETCH;
        if room {
            self.shown += 1;
        } else {
            self.hidden += 1;
        }
        room
    }
}

/// Of a workload; each holds a place for the connection it waits for.
const LISTENERS: usize = 2;
/// Files, maps, listeners and the control socket.
const OWN_DESCRIPTORS: usize = 512;
/// An idle connection takes some 100 KiB with its upstream's (docs/performance.md): all of them less than 2 GiB.
const MAX_CONNECTIONS: usize = 16_384;
/// Each is gone within seconds; enough to tell every client of a flood sooner or later.
const MAX_TOLD: usize = 256;
/// The agents of one workload wait for models far more than for this.
const MAX_REQUESTS: usize = 4096;
/// Enough to see what is going on.
const PER_STRETCH: u32 = 20;
const STRETCH: Duration = Duration::from_secs(10);

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

    #[test]
    fn one_workload_leaves_places_for_others() {
        for descriptors in [0, 1024, 20_000, 1 << 20, u64::MAX] {
            let limits = Limits::fitting(descriptors);
            assert!(limits.connections + limits.told < limits.all_connections);
            assert!(limits.requests < limits.all_requests);
            assert!(limits.connections > 0 && limits.told > 0, "{limits:?}");
        }
        let load = Load::new(Limits {
            connections: 2,
            told: 1,
            requests: 1,
            all_connections: 8,
            all_requests: 4,
        });
        let (one, other) = (load.share(1), load.share(2));
        let held = [one.connection(), one.connection(), one.request()];
        assert!(held.iter().all(Option::is_some));
        assert!(one.connection().is_none() && one.request().is_none());
        assert!(other.connection().is_some() && other.request().is_some());
        drop(held);
        assert!(load.share(1).connection().is_some() && one.request().is_some());
    }
}
