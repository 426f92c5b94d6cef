//! What people are asked, and the decision after they have answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::{Decision, Query, resolve};
use super::{Masks, PolicySet};

/// Something that people may allow. Holds no right by itself.
#[derive(Debug)]
pub struct Question {
    pub(super) query: Query,
    pub(super) policies: Vec<String>,
    pub(super) asks: Vec<Ask>,
    pub(super) masks: Masks,
}

/// One approval that is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The policy that asks.
    pub policy: String,
    /// Groups that may approve, any of them.
    pub approvers: Vec<String>,
    /// How long the answer is waited for, and how long it stays good.
    pub within: Duration,
    /// What the policy tells the approver.
    pub message: Option<String>,
}

impl Question {
    /// What it is about.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The forbids that obligations lift.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The approvals that are needed, all of them.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// What a permit will mask.
    #[must_use]
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// What a permit will come with, for the record: `approval:dba`, `mask:pii`. Alternatives are joined by `|`.
    #[must_use]
    pub fn obligations(&self) -> Vec<String> {
        self.asks
            .iter()
            .map(|ask| format!("approval:{}", ask.approvers.join("|")))
            .chain(self.masks.labels())
            .collect()
    }

    /// Decides again with the policies of now, and with all approvals that were given: nothing else counts. A forbid that has
    /// come up since is a new question, or a denial.
    #[must_use]
    pub fn grant(&self, now: &Arc<PolicySet>, granted: &BTreeSet<String>) -> Decision {
        resolve(now, self.query.clone(), granted)
    }
}
