//! The decision: evaluate with no obligation fulfilled, then with those that policies ask for.
//!
//! In: a [`Query`] and what people granted. Out: a [`Decision`]. Invariants: `masked` and `approvals` are filled here and nowhere
//! else; anything that cannot be evaluated is a denial; a permit exists only after an evaluation that allowed exactly what it
//! carries.

mod permit;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use permit::{additions, patch};

pub use permit::taint;

use super::evaluate::{EvaluateError, Prepared, Verdict};
use super::patch::Patch;
use super::question::{Ask, Question};
use super::{Masks, PolicySet, RESOLVE, Rule, TOOL_CALL};
use crate::detect::Detectors;
use crate::protocol::Facts;

/// What policy is asked: who does what, where to, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The non-human identity.
    pub identity: String,
    /// Groups it is in.
    pub groups: Vec<String>,
    /// The action's name in the schema.
    pub action: String,
    /// The service, or `name:port` of a destination that none lists.
    pub service: String,
    /// Groups the service is in.
    pub service_groups: Vec<String>,
    /// What parsers and detectors found. `masked` and `approvals` are not among them: policy fills those itself. `findings` is
    /// left out by whoever has not looked for any; a set that needs them then denies.
    pub facts: Facts,
}

/// What policy says.
#[derive(Debug)]
pub enum Decision {
    /// It may happen, with what the permit asks for.
    Permit(Permit),
    /// It may happen when people agree.
    Ask(Question),
    /// It may not happen.
    Deny(Denial),
}

/// The right to do one thing once. Only a decision makes one, or [`PolicySet::observe`].
#[derive(Debug)]
pub struct Permit {
    query: Arc<Query>,
    policies: Vec<String>,
    masks: Masks,
    restores: BTreeSet<String>,
    taints: Option<Duration>,
    approvals: BTreeSet<String>,
    records: BTreeSet<String>,
    credential: Option<String>,
    patch: Patch,
    version: String,
    detectors: Arc<Detectors>,
}

/// Why something may not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The forbids that determine it; none when nothing permits it.
    pub policies: Vec<String>,
    /// One sentence that the agent may read.
    pub reason: String,
    /// Policy could not be evaluated, or contradicts itself: an operator has to look.
    pub error: bool,
    /// What happened, for logs. The agent does not see it.
    pub detail: Option<String>,
}

impl PolicySet {
    /// Decides, with no approval given yet.
    pub fn decide(self: &Arc<Self>, query: Query) -> Decision {
        resolve(self, query, &BTreeSet::new())
    }

    /// What the permits that apply to a call, were it not forbidden, put into its arguments. Empty where they contradict each other: then the
    /// decision on it is a denial.
    #[must_use]
    pub fn patch(&self, query: &Query) -> Patch {
        let slice = self.slices.get(&query.action);
        let Some(slice) = slice.filter(|slice| !slice.patching.is_empty()) else {
            return Patch::default();
        };
        let none = BTreeSet::new();
        let applying = Prepared::new(self, query).and_then(|mut prepared| {
            prepared.policies = &slice.patching;
            prepared.evaluate(&none, &none)
        });
        match applying {
            Ok(Verdict::Allow(permits)) => patch(self, &permits).unwrap_or_default(),
            _ => Patch::default(),
        }
    }

    /// A permit without obligations, whatever the set says of the query: for workloads that are only observed.
    #[must_use]
    pub fn observe(&self, query: Query) -> Permit {
        Permit {
            query: Arc::new(query),
            policies: Vec::new(),
            masks: Masks::default(),
            restores: BTreeSet::new(),
            taints: None,
            approvals: BTreeSet::new(),
            records: BTreeSet::new(),
            credential: None,
            patch: Patch::default(),
            // No set has allowed it: should the workload be enforced later, it has to be decided.
            version: String::new(),
            detectors: Arc::clone(&self.detectors),
        }
    }
}

/// Decides with exactly these approvals given.
pub(super) fn resolve(set: &PolicySet, query: Query, granted: &BTreeSet<String>) -> Decision {
    let lookup = (query.action == RESOLVE).then(|| query.clone());
    let decision = try_resolve(set, query, granted).unwrap_or_else(|error| {
        Decision::Deny(Denial {
            policies: Vec::new(),
            reason: "policy could not be evaluated".to_owned(),
            error: true,
            detail: Some(error.to_string()),
        })
    });
    match (lookup, decision) {
        (Some(query), Decision::Deny(denial)) if denial.policies.is_empty() && !denial.error => {
            match set.could_permit(&query) {
                permits if permits.is_empty() => Decision::Deny(denial),
                permits => permit(set, query, permits, Fulfilled::default()),
            }
        }
        (_, Decision::Permit(permit)) if set.is_unmeant(&permit) => {
            Decision::Deny(denial(set, &permit.query, BTreeSet::new()))
        }
        (_, decision) => decision,
    }
}

fn try_resolve(
    set: &PolicySet,
    query: Query,
    granted: &BTreeSet<String>,
) -> Result<Decision, EvaluateError> {
    let prepared = Prepared::new(set, &query)?;
    let none = BTreeSet::new();
    let forbids = match prepared.evaluate(&none, &none)? {
        Verdict::Allow(permits) => {
            return Ok(permit(set, query, permits, Fulfilled::default()));
        }
        Verdict::Deny(forbids) => forbids,
    };
    let plain: BTreeSet<String> = rules(set, &forbids)
        .filter(|(_, rule)| !rule.terms.is_obligation())
        .map(|(id, _)| id.clone())
        .collect();
    if forbids.is_empty() || !plain.is_empty() {
        return Ok(Decision::Deny(denial(set, &query, plain)));
    }
    let mut fulfilled = Fulfilled {
        masks: rules(set, &forbids)
            .flat_map(|(_, rule)| rule.terms.masks())
            .collect(),
        approvals: approvers(set, &forbids)
            .intersection(granted)
            .cloned()
            .collect(),
        forbids,
    };
    let masked = fulfilled.masks.names();
    let held = match prepared.evaluate(&masked, &fulfilled.approvals)? {
        Verdict::Allow(permits) => return Ok(permit(set, query, permits, fulfilled)),
        Verdict::Deny(forbids) => forbids,
    };
    let missing = approvers(set, &held);
    if missing.is_empty() {
        return Ok(Decision::Deny(denial(set, &query, held)));
    }
    fulfilled.approvals.extend(missing);
    match prepared.evaluate(&masked, &fulfilled.approvals)? {
        Verdict::Deny(forbids) => Ok(Decision::Deny(denial(set, &query, forbids))),
        // What would be permitted is asked for; a contradiction among the permits is told at once, not after the approval.
        Verdict::Allow(permits) => Ok(match additions(set, &query, &permits) {
            Err(denial) => Decision::Deny(denial),
            Ok(_) => Decision::Ask(Question {
                asks: asks(set, &held),
                policies: fulfilled.forbids.into_iter().collect(),
                masks: fulfilled.masks,
                query,
            }),
        }),
    }
}

/// What has been done so that forbids are lifted.
#[derive(Default)]
struct Fulfilled {
    forbids: BTreeSet<String>,
    masks: Masks,
    approvals: BTreeSet<String>,
}

fn permit(
    set: &PolicySet,
    query: Query,
    permits: BTreeSet<String>,
    fulfilled: Fulfilled,
) -> Decision {
    let (credential, patch) = match additions(set, &query, &permits) {
        Ok(additions) => additions,
        Err(denial) => return Decision::Deny(denial),
    };
    Decision::Permit(Permit {
        query: Arc::new(query),
        records: rules(set, &permits)
            .filter_map(|(_, rule)| rule.terms.record.clone())
            .collect(),
        restores: rules(set, &permits)
            .flat_map(|(_, rule)| rule.terms.restores.clone())
            .collect(),
        taints: rules(set, &permits)
            .filter_map(|(_, rule)| rule.terms.taints)
            .max(),
        policies: permits.into_iter().chain(fulfilled.forbids).collect(),
        masks: fulfilled.masks,
        approvals: fulfilled.approvals,
        credential,
        patch,
        version: set.version.clone(),
        detectors: Arc::clone(&set.detectors),
    })
}

fn denial(set: &PolicySet, query: &Query, forbids: BTreeSet<String>) -> Denial {
    let reason = if forbids.is_empty() {
        let tool = query.facts.text("tool");
        match tool.or(query.facts.text("model")) {
            Some(tool) if query.action == TOOL_CALL => {
                format!("no policy permits a call of tool {}", quoted(tool))
            }
            Some(model) => format!("no policy permits model {}", quoted(model)),
            None => NOTHING_PERMITS.to_owned(),
        }
    } else {
        let reasons: Vec<String> = rules(set, &forbids)
            .map(|(id, rule)| match &rule.terms.message {
                Some(message) => format!("policy \"{id}\" forbids it: {message}"),
                None => format!("policy \"{id}\" forbids it"),
            })
            .collect();
        reasons.join("; ")
    };
    Denial {
        policies: forbids.into_iter().collect(),
        reason,
        error: false,
        detail: None,
    }
}

fn asks(set: &PolicySet, forbids: &BTreeSet<String>) -> Vec<Ask> {
    rules(set, forbids)
        .map(|(id, rule)| Ask {
            policy: id.clone(),
            approvers: rule.terms.approvers.clone(),
            within: rule.terms.within,
            message: rule.terms.message.clone(),
        })
        .collect()
}

fn approvers(set: &PolicySet, forbids: &BTreeSet<String>) -> BTreeSet<String> {
    rules(set, forbids)
        .flat_map(|(_, rule)| rule.terms.approvers.clone())
        .collect()
}

/// The rules of determining policies. Cedar names only policies of the set, and every policy of the set has a rule.
fn rules<'a>(
    set: &'a PolicySet,
    ids: &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a String, &'a Rule)> {
    ids.iter().filter_map(|id| set.rules.get_key_value(id))
}

/// Text that the agent chose, made safe for messages and terminals.
fn quoted(text: &str) -> String {
    if text.chars().count() > MAX_QUOTED {
        let head: String = text.chars().take(MAX_QUOTED).collect();
        return format!("{head:?}...");
    }
    format!("{text:?}")
}

pub(super) fn labels<'a>(
    kind: &'a str,
    names: impl IntoIterator<Item = &'a String> + 'a,
) -> impl Iterator<Item = String> + 'a {
    names.into_iter().map(move |name| format!("{kind}:{name}"))
}

/// The short form that `tollgate policy test` and `explain` show.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |policies: &[String], obligations: Vec<String>| {
            let policies = policies.join(", ");
            if obligations.is_empty() {
                policies
            } else {
                format!("{policies}; {}", obligations.join(", "))
            }
        };
        match self {
            Self::Permit(permit) => write!(
                f,
                "permit ({})",
                with(permit.policies(), permit.obligations())
            ),
            Self::Ask(question) => write!(
                f,
                "ask ({})",
                with(question.policies(), question.obligations())
            ),
            Self::Deny(denial) if denial.policies.is_empty() && !denial.error => {
                write!(f, "deny ({NOTHING_PERMITS})")
            }
            Self::Deny(denial) => match &denial.detail {
                Some(detail) => write!(f, "deny ({}: {detail})", denial.reason),
                None => write!(f, "deny ({})", denial.reason),
            },
        }
    }
}

pub(super) const NOTHING_PERMITS: &str = "no policy permits it";

/// Longer than any model name; what is longer is not worth repeating.
const MAX_QUOTED: usize = 100;
