//! What the kernel tells of openings, as it comes.
//!
//! One thread reads; it looks into a bundle once for each process and state of the file, and into so much of each workload in a second. It pauses where
//! openings come faster than anybody's ordinary work, so that a workload which opens files for a living costs no more than a part of a core. What is
//! lost then may be anybody's, and of none that runs it is said any more that all its openings are known.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;

use super::{Governed, Openings, Watched, after_now, lock, now, program};
use crate::identity;
use crate::kernel::cgroup;
use crate::trust::opened::{Bundle, Event, Opening};

/// How much was read of each workload's files since then.
struct Spent {
    since: Instant,
    bytes: HashMap<u32, u64>,
}

impl Spent {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: HashMap::new(),
        }
    }

    /// May so much be read for this workload?
    fn may(&mut self, workload: u32, bytes: u64) -> bool {
        if self.since.elapsed() > SECOND {
            *self = Self::new();
        }
        let spent = self.bytes.entry(workload).or_default();
        *spent += bytes.max(LEAST);
        *spent <= BUDGET
    }
}

impl Openings {
    pub(super) fn listen(&self) {
        let (mut since, mut opened, mut spent) = (Instant::now(), 0, Spent::new());
        loop {
            let waited = self.group.has_next(PollTimeout::NONE);
            let reading = lock(&self.reading);
            let batch = match waited.and_then(|_| self.group.next()) {
                Ok(batch) => batch,
                Err(error) => {
                    drop(reading);
                    tracing::debug!(%error, "openings are not read");
                    self.lost();
                    sleep(PAUSE);
                    continue;
                }
            };
            opened += batch.opened;
            for event in batch.events {
                match event {
                    Event::Opened(opening) => self.note(&opening, &mut spent),
                    Event::Coming(pid, program) => self.coming(pid, program),
                    Event::Missed(pid) => self.missed(pid),
                    Event::Lost => self.lost(),
                }
            }
            drop(reading);
            if since.elapsed() > PAUSE {
                (since, opened) = (Instant::now(), 0);
                self.behind.store(false, Ordering::Relaxed);
            } else if opened > MOST {
                self.behind.store(true, Ordering::Relaxed);
                sleep(PAUSE.saturating_sub(since.elapsed()));
            }
        }
    }

    /// Waits until what has been opened by now is looked into, and says whether it is.
    pub(super) fn catch_up(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Ok(_reading) = self.reading.try_lock()
                && let Ok(false) = self.group.has_next(PollTimeout::ZERO)
            {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            sleep(MOMENT);
        }
    }

    /// Some are missing, of whomever.
    fn lost(&self) {
        tracing::debug!("more was opened than is read: some openings are not told");
        for watched in lock(&self.watched).values_mut() {
            if let Watched::Whole(whole) = watched {
                whole.since = after_now();
            }
        }
        lock(&self.kept).missed_by(|_| true);
    }

    fn missed(&self, pid: u32) {
        if let Some(ticks) = identity::started(pid) {
            lock(&self.kept).missed((pid, ticks));
        }
    }

    /// A launch looks for its CA on the way to its command, and may have opened much by then.
    fn coming(&self, pid: u32, coming: (u64, u64)) {
        let Some(ticks) = identity::started(pid) else {
            return lock(&self.kept).ended(pid);
        };
        if let Some(governed) = self.whose(pid) {
            let mut kept = lock(&self.kept);
            kept.coming((pid, ticks), governed.workload, coming);
            super::settle(&mut kept, (pid, ticks));
        }
    }

    /// Keeps an opening by a process of a workload. Who has ended by now is not known any more.
    fn note(&self, opening: &Opening, spent: &mut Spent) {
        let pid = opening.pid;
        let Some(ticks) = identity::started(pid) else {
            return;
        };
        // The way of a launch to its command, and who answers for bundles there: what that one gives is not seen.
        if self.own_program.is_some() && program(pid) == self.own_program {
            if let Some(governed) = self.whose(pid) {
                lock(&self.kept).missed_by(|workload| workload == governed.workload);
            }
            return;
        }
        let (Ok(exe), Ok(state)) = (fs::read_link(format!("/proc/{pid}/exe")), opening.state())
        else {
            return self.missed(pid);
        };
        {
            let mut kept = lock(&self.kept);
            super::settle(&mut kept, (pid, ticks));
            if kept.again((pid, ticks), &exe, state, now()) {
                return;
            }
        }
        let Some(governed) = self.whose(pid) else {
            return self.missed(pid);
        };
        let workload = governed.workload;
        let known = |of: &std::collections::HashSet<_>| of.contains(&state);
        if lock(&self.none).get(&workload).is_some_and(known) {
            return;
        }
        if !spent.may(workload, state[3]) {
            return self.missed(pid);
        }
        match opening.holds(&governed.ca) {
            Ok(Some(held)) => {
                let bundle = Bundle {
                    path: opening.path.clone(),
                    held,
                    at: now(),
                    state,
                };
                lock(&self.kept).keep((pid, ticks), workload, exe, bundle);
            }
            Ok(None) => {
                let mut none = lock(&self.none);
                let none = none.entry(workload).or_default();
                if none.len() >= MOST_NONE {
                    none.clear();
                }
                none.insert(state);
            }
            Err(_) => self.missed(pid),
        }
    }

    /// The workload of a process, by its cgroup.
    fn whose(&self, pid: u32) -> Option<Governed> {
        let place = identity::cgroup(pid)?;
        let folder = cgroup::mount().ok()?.join(place.trim_start_matches('/'));
        let governed = lock(&self.governed);
        let mine = governed.iter().filter(|of| folder.starts_with(&of.folder));
        mine.max_by_key(|of| of.folder.as_os_str().len()).cloned()
    }
}

/// Files in a pause's time: many more than programs open when they start.
const MOST: usize = 2000;
const PAUSE: Duration = Duration::from_millis(100);
const MOMENT: Duration = Duration::from_millis(1);
/// For those who ask about a process.
const PATIENCE: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
/// Of a workload's files in a second: a hundred processes that begin with a bundle each.
const BUDGET: u64 = 32 << 20;
/// A small file costs its opening.
const LEAST: u64 = 16 << 10;
/// States of files of one workload; then it begins anew.
const MOST_NONE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_spends_its_own_budget_alone() {
        let mut spent = Spent::new();
        assert!(spent.may(1, BUDGET / 2));
        assert!(!spent.may(1, BUDGET));
        assert!(!spent.may(1, 0), "until the second is over");
        assert!(spent.may(2, 1));
        assert!((0..4000).any(|_| !spent.may(2, 0)), "small ones too");
        spent.since -= 2 * SECOND;
        assert!(spent.may(1, 0));
    }
}
