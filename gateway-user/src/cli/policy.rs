//! `tollgate policy check | test | explain`: what the commands print.
//!
//! In: a policy folder, and what the configuration knows of identities and services. Out: text, and whether a check failed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::policy::cases::{self, CaseError};
use crate::policy::{Decision, PolicyError, PolicySet, Query};

/// What `policy test` prints.
#[derive(Debug)]
pub struct Tested {
    /// A line for each case, then the count.
    pub text: String,
    /// How many cases failed; one is exit code 1.
    pub failed: usize,
}

/// `policy check`: loads the set and says what is in it.
///
/// # Errors
/// [`PolicyError`] with all problems, by file and line.
pub fn check(policies_dir: &Path) -> Result<String, PolicyError> {
    let set = PolicySet::load(policies_dir)?;
    let mut text = format!(
        "loaded {} from {}, version {}\n",
        count(set.len(), "policy", "policies"),
        policies_dir.display(),
        set.version()
    );
    for (action, policies) in set.slices() {
        let findings = if set.needs_findings(action) {
            ", reads whole bodies"
        } else {
            ""
        };
        line(
            &mut text,
            &format!(
                "  {action:<14}{}{findings}",
                count(policies, "policy", "policies")
            ),
        );
    }
    for warning in set.warnings() {
        line(&mut text, &format!("warning: {warning}"));
    }
    Ok(text)
}

/// `policy test`: runs `cases/*.toml` below the policy folder. `services` gives the groups of a service, `identities` those of an
/// identity that exists.
///
/// # Errors
/// [`CaseError`] when the policies do not load or a case cannot be run.
pub fn test(
    policies_dir: &Path,
    services: &dyn Fn(&str) -> Vec<String>,
    identities: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Result<Tested, CaseError> {
    let set = Arc::new(PolicySet::load(policies_dir)?);
    let outcomes = cases::run(policies_dir, &set, services, identities)?;
    let mut text = String::new();
    for outcome in &outcomes {
        let (file, name, got) = (&outcome.file, &outcome.name, &outcome.got);
        match &outcome.wrong {
            None => line(&mut text, &format!("ok    {file}  {name}  {got}")),
            Some(wrong) => line(
                &mut text,
                &format!("FAIL  {file}  {name}  expected {wrong}, got {got}"),
            ),
        }
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.wrong.is_some())
        .count();
    line(
        &mut text,
        &format!("{} passed, {failed} failed", outcomes.len() - failed),
    );
    Ok(Tested { text, failed })
}

/// `policy explain`: what a set decides on a query and why, and what a proposed set would change.
#[must_use]
pub fn explain(query: Query, set: &Arc<PolicySet>, proposed: Option<&Arc<PolicySet>>) -> String {
    let in_groups = |groups: &[String]| match groups.is_empty() {
        true => String::new(),
        false => format!(" in {}", groups.join(", ")),
    };
    let mut text = String::new();
    line(
        &mut text,
        &format!(
            "identity     {}{}",
            query.identity,
            in_groups(&query.groups)
        ),
    );
    line(&mut text, &format!("action       {}", query.action));
    line(
        &mut text,
        &format!(
            "service      {}{}",
            query.service,
            in_groups(&query.service_groups)
        ),
    );
    let now = Answer::new(set, query.clone());
    now.write(&mut text, "decision", set);
    if let Some(proposed) = proposed {
        let then = Answer::new(proposed, query);
        then.write(&mut text, "proposed", proposed);
        line(
            &mut text,
            &format!("differs      {}", now.difference(&then)),
        );
    }
    text
}

/// A decision in the parts that are shown and compared.
struct Answer {
    kind: &'static str,
    reason: Option<String>,
    policies: BTreeSet<String>,
    obligations: BTreeSet<String>,
}

impl Answer {
    fn new(set: &Arc<PolicySet>, query: Query) -> Self {
        let (kind, reason, policies, obligations) = match set.decide(query) {
            Decision::Permit(permit) => (
                "permit",
                None,
                permit.policies().to_vec(),
                permit.obligations(),
            ),
            Decision::Ask(question) => (
                "ask",
                None,
                question.policies().to_vec(),
                question.obligations(),
            ),
            Decision::Deny(denial) => {
                let reason = match denial.detail {
                    Some(detail) => format!("{}: {detail}", denial.reason),
                    None => denial.reason,
                };
                ("deny", Some(reason), denial.policies, Vec::new())
            }
        };
        Self {
            kind,
            reason,
            policies: policies.into_iter().collect(),
            obligations: obligations.into_iter().collect(),
        }
    }

    fn write(&self, text: &mut String, label: &str, set: &PolicySet) {
        let reason = self
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        line(
            text,
            &format!(
                "{label:<13}{}{reason} (policies version {})",
                self.kind,
                set.version()
            ),
        );
        for id in &self.policies {
            let known = set.describe(id).unwrap_or_default();
            line(text, &format!("  policy     {id}: {known}"));
        }
        for obligation in &self.obligations {
            line(text, &format!("  obligation {obligation}"));
        }
    }

    fn difference(&self, then: &Self) -> String {
        let mut parts = Vec::new();
        if self.kind != then.kind {
            parts.push(format!("{} becomes {}", self.kind, then.kind));
        }
        for (what, before, after) in [
            ("policies", &self.policies, &then.policies),
            ("obligations", &self.obligations, &then.obligations),
        ] {
            let gone = before.difference(after).map(|name| format!("-{name}"));
            let new = after.difference(before).map(|name| format!("+{name}"));
            let changes: Vec<String> = gone.chain(new).collect();
            if !changes.is_empty() {
                parts.push(format!("{what} {}", changes.join(" ")));
            }
        }
        if parts.is_empty() && self.reason != then.reason {
            parts.push("the reason".to_owned());
        }
        if parts.is_empty() {
            "in nothing".to_owned()
        } else {
            parts.join("; ")
        }
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}
