//! The set in force, and what it means for what was permitted under an earlier one.
//!
//! In: a new [`PolicySet`]. Out: the set that decides now; a [`Standing`] for whatever outlives its decision. Invariant: a set is
//! replaced whole, and whoever waits for [`Live::changes`] before reading the set misses no replacement.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::decide::{Decision, Permit, Query, resolve};
use super::{Masks, PolicySet};

/// The policies in force.
#[derive(Debug)]
pub struct Live {
    set: ArcSwap<PolicySet>,
    changes: watch::Sender<()>,
}

impl Live {
    /// Puts a first set into force.
    #[must_use]
    pub fn new(set: PolicySet) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            changes: watch::Sender::new(()),
        }
    }

    /// The set, for one question.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<PolicySet>> {
        self.set.load()
    }

    /// The set, to keep.
    #[must_use]
    pub fn load_full(&self) -> Arc<PolicySet> {
        self.set.load_full()
    }

    /// Puts another set into force, for every decision from here on, and has what is under way looked at again.
    pub fn replace(&self, set: PolicySet) {
        self.set.store(Arc::new(set));
        self.look_again();
    }

    /// Has what is under way looked at again, because something else that bears on it has changed.
    pub fn look_again(&self) {
        self.changes.send_replace(());
    }

    /// Tells of every replacement from here on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// What a permit rests on, for whatever outlives its decision: a tunnel, a stream. It is no right by itself.
#[derive(Clone, Debug)]
pub struct Standing {
    query: Arc<Query>,
    approvals: BTreeSet<String>,
    masks: Masks,
    /// The set under which it last held.
    version: String,
    /// Calls of tools in its answer go on undecided.
    undecided: bool,
}

impl Permit {
    /// What the permit rests on.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            query: Arc::clone(self.query()),
            approvals: self.approvals().clone(),
            masks: self.masks().clone(),
            version: self.version().to_owned(),
            undecided: false,
        }
    }
}

impl Standing {
    /// Of an answer whose calls of tools go on undecided: that holds only as long as no policy names them.
    #[must_use]
    pub fn with_calls_undecided(self) -> Self {
        Self {
            undecided: true,
            ..self
        }
    }

    /// Decides again, with what was granted and is being masked.
    ///
    /// # Errors
    /// Why the set no longer permits it: the policies' ids, or that none permits it.
    pub fn renew(&mut self, set: &PolicySet) -> Result<(), String> {
        if self.version == set.version() {
            return Ok(());
        }
        let determining: Vec<String> =
            match resolve(set, Query::clone(&self.query), &self.approvals) {
                Decision::Permit(_)
                    if self.undecided
                        && set.decides_calls(&self.query.service, &self.query.service_groups) =>
                {
                    vec!["calls of tools are decided on from now on".to_owned()]
                }
                Decision::Permit(permit) if self.masks.cover(permit.masks()) => {
                    set.version().clone_into(&mut self.version);
                    return Ok(());
                }
                Decision::Permit(permit) => {
                    let masked = |id: &&String| {
                        let rule = set.rules.get(*id);
                        rule.is_none_or(|rule| self.masks.cover(&rule.terms.masks().collect()))
                    };
                    let policies = permit.policies().iter();
                    policies.filter(|id| !masked(id)).cloned().collect()
                }
                Decision::Ask(question) => question.policies().to_vec(),
                Decision::Deny(denial) if denial.policies.is_empty() => vec![denial.reason],
                Decision::Deny(denial) => denial.policies,
            };
        Err(determining.join(", "))
    }
}
