//! `tollgate policy explain`: what policies decide on a recorded exchange now, and what a proposed set would change.
//!
//! In: the query as it was recorded, the set in the folder, and perhaps a proposed one. Out: text, or the same as JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::policy::{Decision, PolicySet, Query};

/// A recorded exchange and what becomes of it.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    exchange: String,
    query: Query,
    /// The decision on record: `permit`, `ask` or `deny`.
    recorded: String,
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
    version: String,
    /// One line for each policy.
    #[serde(skip)]
    described: Vec<String>,
}

impl Explained {
    /// Decides anew.
    pub(super) fn new(
        exchange: &str,
        recorded: &str,
        query: Query,
        set: &Arc<PolicySet>,
        proposed: Option<&Arc<PolicySet>>,
    ) -> Self {
        let decision = Answer::new(set, query.clone());
        let proposed = proposed.map(|proposed| Answer::new(proposed, query.clone()));
        Self {
            exchange: exchange.to_owned(),
            recorded: recorded.to_owned(),
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::protocol::{Fact, Facts};

    const CHAT: &str = r#"@id("chat")
permit (principal in Group::"agents", action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "gpt-5-mini" };
"#;
    const MASK: &str = r#"@id("mask-pii") @mask("pii")
forbid (principal, action in Action::"llm", resource) unless { context.masked.contains("pii") };
"#;

    fn query() -> Query {
        let mut facts = Facts::default();
        for (name, text) in [
            ("host", "h"),
            ("credential", "none"),
            ("method", "POST"),
            ("path", "/"),
            ("model", "gpt-5-mini"),
        ] {
            facts.set(name, text);
        }
        for name in ["findings", "tools"] {
            facts.set(name, Fact::Set(BTreeSet::new()));
        }
        facts.set("port", 443);
        for name in ["messages", "spent_today_cents", "spent_month_cents"] {
            facts.set(name, 1);
        }
        facts.set("tls", true);
        facts.set("tainted", false);
        facts.set("stream", false);
        Query {
            identity: "research-agent".into(),
            groups: vec!["agents".into()],
            action: "llm.generate".into(),
            service: "openai".into(),
            service_groups: vec!["llm".into()],
            facts,
        }
    }

    #[test]
    fn explain_shows_why_and_what_a_proposed_set_changes() {
        let load = |policies: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("chat.cedar"), policies).unwrap();
            Arc::new(PolicySet::load(folder.path()).unwrap())
        };
        let text = |set: &Arc<PolicySet>, proposed: Option<&Arc<PolicySet>>| {
            Explained::new("01", "deny", query(), set, proposed).text()
        };
        let now = load(&[CHAT, MASK].concat());
        let shown = text(&now, None);
        for part in [
            "identity     research-agent in agents\n",
            "  fact       model = \"gpt-5-mini\"\n",
            "recorded     deny\n",
            "decision     permit (policies version ",
            "  policy     chat: permit at ",
            "  policy     mask-pii: forbid at ",
            "chat.cedar:4 @mask(\"pii\")\n",
            "  obligation mask:pii\n",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        let approve = MASK
            .replace("@mask(\"pii\")", "@approvers(\"dba\")")
            .replace("mask-pii", "needs-dba")
            .replace("masked.contains(\"pii\")", "approvals.contains(\"dba\")");
        let differs = |proposed: &str| {
            let shown = text(&now, Some(&load(proposed)));
            shown.lines().last().unwrap().to_owned()
        };
        assert_eq!(
            differs(&[CHAT, &approve].concat()),
            "differs      permit becomes ask; policies -chat -mask-pii +needs-dba; obligations -mask:pii +approval:dba"
        );
        assert_eq!(differs(&[MASK, CHAT].concat()), "differs      in nothing");
        assert_eq!(
            differs(MASK),
            "differs      permit becomes deny; policies -chat -mask-pii; obligations -mask:pii"
        );
        let denied = text(&load(MASK), None);
        assert!(
            denied.contains("decision     deny: no policy permits model \"gpt-5-mini\""),
            "{denied}"
        );
    }

    #[test]
    fn the_same_is_there_for_programs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chat.cedar"), CHAT).unwrap();
        let set = Arc::new(PolicySet::load(folder.path()).unwrap());
        let explained = Explained::new("01", "permit", query(), &set, Some(&set));
        let json = serde_json::to_value(explained).unwrap();
        assert_eq!(json["recorded"], "permit");
        assert_eq!(json["decision"]["policies"], serde_json::json!(["chat"]));
        assert_eq!(json["query"]["facts"]["model"], "gpt-5-mini");
        assert_eq!(json["differs"], "in nothing");
    }
}
