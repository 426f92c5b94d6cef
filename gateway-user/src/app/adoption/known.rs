//! What is known of a mount namespace in which a workload lives.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(super) struct Known {
    pub(super) workload: u32,
    pub(super) pid: u32,
    pub(super) state: State,
    /// The programs in it whose bundles were looked for.
    pub(super) programs: BTreeSet<u64>,
}

pub(super) enum State {
    /// Covered by us, or trusting before; and with which CAs, by their hashes.
    Given(Vec<PathBuf>, Vec<String>),
    /// Why not, and when that was found.
    Left(String, Instant),
}

impl Known {
    /// Whether this is already known as the reason why it is left alone, and so has been told. It is looked at again and again.
    pub(super) fn says(&self, workload: u32, reason: &str) -> bool {
        let left = matches!(&self.state, State::Left(known, _) if known == reason);
        left && self.workload == workload
    }
}

/// Who shares a namespace may leave it.
pub(super) const AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_and_again_when_it_has_changed() {
        let known = |state| Known {
            workload: 1,
            pid: 2,
            state,
            programs: BTreeSet::new(),
        };
        let left = known(State::Left("process 7 lives in it".into(), Instant::now()));
        assert!(left.says(1, "process 7 lives in it"));
        assert!(!left.says(1, "process 8 lives in it"));
        assert!(!left.says(2, "process 7 lives in it"));
        let given = known(State::Given(Vec::new(), Vec::new()));
        assert!(!given.says(1, "process 7 lives in it"));
    }
}
