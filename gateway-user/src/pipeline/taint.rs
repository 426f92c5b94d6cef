//! Workloads that content from an untrusted source has reached, and until when that counts.
//!
//! In: permits that say so (`@taints`). Out: the fact `tainted` of whatever the same workload does next. Invariants: a workload is tainted
//! before the first byte of what taints it can arrive; a restart forgets nothing, for the record has it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Connection;
use crate::policy::Permit;
use crate::record::{Tainted, Time};

/// Until when each workload counts as tainted.
#[derive(Debug, Default)]
pub struct Taints(Mutex<HashMap<String, Time>>);

impl Taints {
    /// What the record has.
    #[must_use]
    pub fn recorded(all: impl IntoIterator<Item = Tainted>) -> Self {
        let taints = Self::default();
        for tainted in all {
            let lasts = crate::policy::taint(&tainted.obligations);
            taints.taint(&tainted.workload, tainted.at, lasts);
        }
        taints
    }

    fn taint(&self, workload: &str, at: Time, lasts: Option<Duration>) {
        let Some(until) = lasts.map(|lasts| at.plus(lasts)) else {
            return;
        };
        let now = Time::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, until| *until > now);
        let known = all.entry(workload.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// Whether something counts for this workload now.
    #[must_use]
    pub fn is_tainted(&self, workload: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(workload).is_some_and(|until| *until > Time::now())
    }
}

impl Connection {
    /// Whether content from a source that policy does not trust has reached the workload.
    pub(super) fn tainted(&self) -> bool {
        self.gateway.taints.is_tainted(&self.caller.workload.name)
    }

    /// Counts what this permits, if it brings such content.
    pub(super) fn taint(&self, permit: &Permit) {
        let workload = &self.caller.workload.name;
        self.gateway
            .taints
            .taint(workload, Time::now(), permit.taints());
    }
}
