//! What a permit carries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Decision, Denial, Permit, Query, labels, resolve, rules};
use crate::detect::Detectors;
use crate::policy::annotation::{read_short, short};
use crate::policy::patch::Patch;
use crate::policy::shape::TAINTED;
use crate::policy::{Masks, PolicySet, Rule};
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

    /// What it puts into the arguments of a call.
    #[must_use]
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// What comes with it, for the record: `mask:pii`, `restore:email`, `taint:30m`, `patch:dry_run`, `approval:dba`, `record:audit`,
    /// `credential:team-key`.
    #[must_use]
    pub fn obligations(&self) -> Vec<String> {
        self.masks
            .labels()
            .chain(labels("restore", &self.restores))
            .chain(self.taints.map(|lasts| format!("{TAINT}{}", short(lasts))))
            .chain(self.patch.labels())
            .chain(labels("approval", &self.approvals))
            .chain(labels("record", &self.records))
            .chain(labels("credential", &self.credential))
            .collect()
    }
}

impl Denial {
    /// Whether it is for permits that apply together and cannot, rather than for a policy that could not be evaluated.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        self.error && !self.policies.is_empty()
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

/// What the determining permits add, each of which all of them have to agree on. What they put into a call is in it by now.
pub(super) fn additions(
    set: &PolicySet,
    query: &Query,
    permits: &BTreeSet<String>,
) -> Result<(Option<String>, Patch), Denial> {
    let patch = patch(set, permits)?;
    let arguments = query.facts.text("arguments").unwrap_or_default();
    let reason = match patch.apply(arguments) {
        Ok(None) => return Ok((credential(set, permits)?, patch)),
        Ok(Some(_)) => TURNS,
        Err(_) => NO_OBJECT,
    };
    Err(contradiction(set, permits, PATCHES, reason))
}

fn credential(set: &PolicySet, permits: &BTreeSet<String>) -> Result<Option<String>, Denial> {
    let named: BTreeSet<&String> = rules(set, permits)
        .filter_map(|(_, rule)| rule.terms.credential.as_ref())
        .collect();
    if named.len() > 1 {
        let names = |rule: &Rule| rule.terms.credential.is_some();
        let reason = "the policies that permit it name different credentials";
        return Err(contradiction(set, permits, names, reason));
    }
    Ok(named.into_iter().next().cloned())
}

pub(super) fn patch(set: &PolicySet, permits: &BTreeSet<String>) -> Result<Patch, Denial> {
    let patches = rules(set, permits).map(|(_, rule)| &rule.terms.patch);
    Patch::joined(patches).ok_or_else(|| {
        let reason = "the policies that permit it put different values into it";
        contradiction(set, permits, PATCHES, reason)
    })
}

/// Permits that apply together and cannot.
fn contradiction(
    set: &PolicySet,
    permits: &BTreeSet<String>,
    contradicts: fn(&Rule) -> bool,
    reason: &str,
) -> Denial {
    let policies: Vec<String> = rules(set, permits)
        .filter(|(_, rule)| contradicts(rule))
        .map(|(id, _)| id.clone())
        .collect();
    Denial {
        reason: reason.to_owned(),
        detail: Some(format!("{}: {reason}", policies.join(", "))),
        policies,
        error: true,
    }
}

const PATCHES: fn(&Rule) -> bool = |rule| !rule.terms.patch.is_empty();
const TURNS: &str =
    "what one policy puts into its arguments makes another put something else into them";
const NO_OBJECT: &str = "policy puts something into its arguments, and they are no object of JSON with each member once";
/// What its label begins with.
const TAINT: &str = "taint:";
