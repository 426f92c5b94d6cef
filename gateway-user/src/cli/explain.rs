//! `tollgate policy explain`: what policies decide on a recorded exchange now, and what a proposed set would change.
//!
//! In: the query as it was recorded, the set in the folder, and perhaps a proposed one. Out: text, or the same as JSON. A call of a tool is put to
//! each set as the model wrote it, for each to edit by itself; what detectors found is what was recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::{Decision, PolicySet, Query};

/// What the daemon has on record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    exchange: String,
    /// `permit`, `ask` or `deny`.
    decision: String,
    /// How it ended; it can be refused for another reason than policy, such as a budget.
    outcome: Option<String>,
    reason: Option<String>,
    obligations: Vec<String>,
    /// The arguments of a call as the model wrote them, where policy has edited them.
    written: Option<String>,
}

/// A recorded exchange and what becomes of it.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    exchange: String,
    /// Of a call: as the model wrote it, if that is on record.
    query: Query,
    /// The decision on record: `permit`, `ask` or `deny`.
    recorded: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What keeps this from being the question that would be put.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    decision: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<Answer>,
    /// How the proposed decision differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<String>,
}

/// A decision in the parts that are shown and compared.
#[derive(Debug, Serialize)]
struct Answer {
    kind: &'static str,
    reason: Option<String>,
    policies: BTreeSet<String>,
    obligations: BTreeSet<String>,
    /// Those of a call that the set edits.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<String>,
    version: String,
    /// One line for each policy.
    #[serde(skip)]
    described: Vec<String>,
}

impl Explained {
    /// Decides anew.
    pub(super) fn new(
        record: Record,
        query: Query,
        set: &Arc<PolicySet>,
        proposed: Option<&Arc<PolicySet>>,
    ) -> Self {
        let (query, note) = match &record.written {
            Some(written) => match query.clone().with_arguments(written) {
                Ok(query) => (query, None),
                Err(_) => (query, Some(NOT_WRITTEN)),
            },
            None if record
                .obligations
                .iter()
                .any(|label| label.starts_with(PATCH)) =>
            {
                (query, Some(NOT_WRITTEN))
            }
            None => (query, None),
        };
        let decision = Answer::new(set, query.clone());
        let proposed = proposed.map(|proposed| Answer::new(proposed, query.clone()));
        Self {
            exchange: record.exchange,
            recorded: record.decision,
            outcome: record.outcome,
            reason: record.reason,
            note,
            differs: proposed
                .as_ref()
                .map(|proposed| decision.difference(proposed)),
            query,
            decision,
            proposed,
        }
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let query = &self.query;
        let in_groups = |groups: &[String]| match groups.is_empty() {
            true => String::new(),
            false => format!(" in {}", groups.join(", ")),
        };
        let mut lines = vec![
            format!(
                "identity     {}{}",
                query.identity,
                in_groups(&query.groups)
            ),
            format!("action       {}", query.action),
            format!(
                "service      {}{}",
                query.service,
                in_groups(&query.service_groups)
            ),
        ];
        lines.extend(query.facts.0.iter().map(|(name, fact)| {
            let fact = serde_json::to_string(fact).unwrap_or_default();
            format!("  fact       {name} = {fact}")
        }));
        lines.push(format!("recorded     {}", self.recorded));
        lines.extend(self.outcome.iter().map(|how| format!("  outcome    {how}")));
        lines.extend(self.reason.iter().map(|why| format!("  reason     {why}")));
        lines.extend(self.note.map(|note| format!("note         {note}")));
        self.decision.lines("decision", &mut lines);
        if let Some(proposed) = &self.proposed {
            proposed.lines("proposed", &mut lines);
        }
        lines.extend(
            self.differs
                .as_ref()
                .map(|differs| format!("differs      {differs}")),
        );
        lines.join("\n") + "\n"
    }
}

impl Answer {
    fn new(set: &Arc<PolicySet>, query: Query) -> Self {
        let before = query.facts.text("arguments").map(str::to_owned);
        let (decision, arguments) = match set.edited(query) {
            Ok(query) => {
                let after = query.facts.text("arguments").map(str::to_owned);
                let edited = after != before;
                (Ok(set.decide(query)), after.filter(|_| edited))
            }
            Err(error) => (Err(error.to_string()), None),
        };
        let (kind, reason, policies, obligations) = match decision {
            Err(reason) => ("deny", Some(reason), Vec::new(), Vec::new()),
            Ok(Decision::Permit(permit)) => (
                "permit",
                None,
                permit.policies().to_vec(),
                permit.obligations(),
            ),
            Ok(Decision::Ask(question)) => (
                "ask",
                None,
                question.policies().to_vec(),
                question.obligations(),
            ),
            Ok(Decision::Deny(denial)) => {
                let reason = match denial.detail {
                    Some(detail) => format!("{}: {detail}", denial.reason),
                    None => denial.reason,
                };
                ("deny", Some(reason), denial.policies, Vec::new())
            }
        };
        let policies: BTreeSet<String> = policies.into_iter().collect();
        let described = policies.iter().map(|id| {
            let known = set.describe(id).unwrap_or_default();
            format!("{id}: {known}")
        });
        Self {
            kind,
            reason,
            described: described.collect(),
            policies,
            obligations: obligations.into_iter().collect(),
            arguments,
            version: set.version().to_owned(),
        }
    }

    fn lines(&self, label: &str, lines: &mut Vec<String>) {
        let reason = self
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        lines.push(format!(
            "{label:<13}{}{reason} (policies version {})",
            self.kind, self.version
        ));
        let policies = self.described.iter();
        lines.extend(policies.map(|policy| format!("  policy     {policy}")));
        let obligations = self.obligations.iter();
        lines.extend(obligations.map(|obligation| format!("  obligation {obligation}")));
        let arguments = self.arguments.iter();
        lines.extend(arguments.map(|arguments| format!("  arguments  {arguments}")));
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
        if self.arguments != then.arguments {
            parts.push("the arguments".to_owned());
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

/// The record of what the model wrote is cut, or it is not kept.
const NOT_WRITTEN: &str =
    "policy has edited this call, and what the model wrote is not on record: decided as edited";
/// What an obligation to edit begins with.
const PATCH: &str = "patch:";

#[cfg(test)]
mod tests;
