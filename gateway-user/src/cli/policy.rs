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
pub(super) struct Tested {
    /// A line for each case, then the count.
    pub(super) text: String,
    /// How many cases failed; one is exit code 1.
    pub(super) failed: usize,
}

/// `policy check`: loads the set and says what is in it.
///
/// # Errors
/// [`PolicyError`] with all problems, by file and line.
pub(super) fn check(policies_dir: &Path) -> Result<String, PolicyError> {
    let set = PolicySet::load(policies_dir)?;
    let mut text = format!(
        "loaded {} from {}, version {}\n",
        count(set.len(), "policy", "policies"),
        policies_dir.display(),
        set.version()
    );
    for (action, policies) in set.slices() {
        let findings = if set.may_need_body(action) {
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
    for own in set.detectors().custom() {
        line(
            &mut text,
            &format!("  detector {} in class {}", own.id(), own.class()),
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
pub(super) fn test(
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
pub(super) fn explain(
    query: Query,
    set: &Arc<PolicySet>,
    proposed: Option<&Arc<PolicySet>>,
) -> String {
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
    const OTHER_MODEL: &str = r#"[[case]]
name = "other model"
identity = "research-agent"
action = "llm.generate"
service = "openai"
facts = { model = "gpt-5" }
expect = "deny"
"#;

    fn folder(policies: &str, cases: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("chat.cedar"), policies).unwrap();
        std::fs::create_dir(dir.path().join("cases")).unwrap();
        std::fs::write(dir.path().join("cases/chat.toml"), cases).unwrap();
        dir
    }

    fn tested(policies: &str, cases: &str) -> Tested {
        let identities = |id: &str| (id == "research-agent").then(|| vec!["agents".to_owned()]);
        test(
            folder(policies, cases).path(),
            &|_| vec!["llm".to_owned()],
            &identities,
        )
        .unwrap()
    }

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
        facts.set("messages", 1);
        facts.set("tls", true);
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
    fn test_prints_a_line_for_each_case_and_the_count() {
        let tested = tested(CHAT, OTHER_MODEL);
        assert_eq!(
            tested.text,
            "ok    chat.toml  other model  deny (no policy permits it)\n1 passed, 0 failed\n"
        );
        assert_eq!(tested.failed, 0);
    }

    #[test]
    fn test_says_what_a_failed_case_got() {
        let tested = tested(
            CHAT,
            &[OTHER_MODEL, &OTHER_MODEL.replace("deny", "permit")].concat(),
        );
        let last: Vec<&str> = tested.text.lines().skip(1).collect();
        assert_eq!(
            last,
            [
                "FAIL  chat.toml  other model  expected permit, got deny (no policy permits it)",
                "1 passed, 1 failed"
            ]
        );
        assert_eq!(tested.failed, 1);
    }

    #[test]
    fn check_counts_policies_by_action_and_shows_warnings() {
        let impossible = "@id(\"odd\")\npermit (principal, action, resource)\nwhen { false };\n";
        let dir = folder(&[CHAT, MASK, impossible].concat(), "");
        let text = check(dir.path()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("loaded 3 policies from "), "{text}");
        assert_eq!(lines[1], "  connect       1 policy");
        assert_eq!(lines[7], "  llm.generate  3 policies, reads whole bodies");
        assert!(
            lines[10].starts_with("warning: ")
                && lines[10].contains("chat.cedar:6: policy \"odd\":"),
            "{text}"
        );
        let broken = folder("permit (principal, action, resource);", "");
        assert!(
            check(broken.path())
                .unwrap_err()
                .to_string()
                .contains("chat.cedar:1: a policy needs a name")
        );
    }

    #[test]
    fn explain_shows_why_and_what_a_proposed_set_changes() {
        let load = |policies: &str| Arc::new(PolicySet::load(folder(policies, "").path()).unwrap());
        let now = load(&[CHAT, MASK].concat());
        let text = explain(query(), &now, None);
        for part in [
            "identity     research-agent in agents\n",
            "decision     permit (policies version ",
            "  policy     chat: permit at ",
            "  policy     mask-pii: forbid at ",
            "chat.cedar:4 @mask(\"pii\")\n",
            "  obligation mask:pii\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let approve = MASK
            .replace("@mask(\"pii\")", "@approvers(\"dba\")")
            .replace("mask-pii", "needs-dba")
            .replace("masked.contains(\"pii\")", "approvals.contains(\"dba\")");
        let differs = |proposed: &str| {
            let text = explain(query(), &now, Some(&load(proposed)));
            text.lines().last().unwrap().to_owned()
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
        let denied = explain(query(), &load(MASK), None);
        assert!(
            denied.contains("decision     deny: no policy permits model \"gpt-5-mini\""),
            "{denied}"
        );
    }
}
