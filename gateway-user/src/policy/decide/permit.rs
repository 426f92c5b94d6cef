//! What a permit carries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Decision, Permit, Query, labels, resolve};
use crate::detect::Detectors;
use crate::policy::annotation::{read_short, short};
use crate::policy::shape::TAINTED;
use crate::policy::{Masks, PolicySet};
use crate::protocol::Facts;

impl Permit {
    /// What it permits.
    #[must_use]
    pub fn query(&self) -> &Arc<Query> {
        &self.query
    }

    /// Decides again with the policies of now, for a part of it that has come later: with what people granted, what is `known` of that
    /// part, such as what detectors found in it and what of that came from elsewhere, and whether the workload is tainted by now.
    #[must_use]
    pub fn again(&self, now: &PolicySet, known: Facts, tainted: bool) -> Decision {
        let mut query = Query::clone(&self.query);
        query.facts.0.extend(known.0);
        query.facts.set(TAINTED, tainted);
        resolve(now, query, &self.approvals)
    }

    /// The determining policies: the permits, then the forbids whose obligations lift them.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// What is masked, in both directions.
    #[must_use]
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Detectors and classes whose surrogates in the request give way to the values they stand for.
    #[must_use]
    pub fn restores(&self) -> &BTreeSet<String> {
        &self.restores
    }

    /// For how long what it lets in counts as untrusted, if it does.
    #[must_use]
    pub fn taints(&self) -> Option<Duration> {
        self.taints
    }

    /// The approvals it needs, which were given.
    #[must_use]
    pub fn approvals(&self) -> &BTreeSet<String> {
        &self.approvals
    }

    /// The detectors of the set that permits it, which know what its masks name.
    #[must_use]
    pub fn detectors(&self) -> &Arc<Detectors> {
        &self.detectors
    }

    /// The version of the set that permits it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The credential that policy names.
    #[must_use]
    pub fn credential(&self) -> Option<&str> {
        self.credential.as_deref()
    }

    /// What comes with it, for the record: `mask:pii`, `restore:email`, `taint:30m`, `approval:dba`, `record:audit`, `credential:team-key`.
    #[must_use]
    pub fn obligations(&self) -> Vec<String> {
        self.masks
            .labels()
            .chain(labels("restore", &self.restores))
            .chain(self.taints.map(|lasts| format!("{TAINT}{}", short(lasts))))
            .chain(labels("approval", &self.approvals))
            .chain(labels("record", &self.records))
            .chain(labels("credential", &self.credential))
            .collect()
    }
}

/// For how long what was let in counts as untrusted, by the obligations on record.
#[must_use]
pub fn taint(obligations: &[String]) -> Option<Duration> {
    let labels = obligations.iter();
    labels
        .filter_map(|label| read_short(label.strip_prefix(TAINT)?))
        .max()
}

/// What its label begins with.
const TAINT: &str = "taint:";
