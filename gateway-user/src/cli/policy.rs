//! `tollgate policy check | test`: what the commands print.
//!
//! In: a policy folder, and what the configuration knows of identities and services. Out: text, and whether a check failed.

use std::path::Path;
use std::sync::Arc;

use crate::policy::cases::{self, CaseError};
use crate::policy::{Known, PolicyError, PolicySet};

/// What `policy test` prints.
#[derive(Debug)]
pub(super) struct Tested {
    /// A line for each case, then the count.
    pub(super) text: String,
    /// How many cases failed; one is exit code 1.
    pub(super) failed: usize,
}

/// `policy check`: loads the set and says what is in it, and which of its names `known` does not have.
///
/// # Errors
/// [`PolicyError`] with all problems, by file and line.
pub(super) fn check(policies_dir: &Path, known: &Known) -> Result<String, PolicyError> {
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
                "  {action:<15}{}{findings}",
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
    let undefined = set.undefined_names(known);
    for warning in set.warnings().iter().chain(&undefined) {
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

    fn known() -> Known {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Known {
            identities: names(&["research-agent"]),
            groups: names(&["agents"]),
            services: names(&["house", "openai"]),
            service_groups: names(&["llm", "unlisted"]),
        }
    }

    #[test]
    fn check_warns_of_names_that_the_configuration_does_not_define() {
        let policies = r#"
@id("scope") permit (principal == Identity::"reserch-agent", action, resource == Service::"hosue");
@id("groups") permit (principal in Group::"agnts", action, resource in ServiceGroup::"lmm");
@id("again") forbid (principal in Group::"agnts", action, resource) when { resource == Service::"elsewhere" };
@id("fine") permit (principal == Identity::"research-agent", action, resource)
when { resource in [Service::"example.com:8443", Service::"house"] || resource in [ServiceGroup::"unlisted", ServiceGroup::"llm"] };
"#;
        let dir = folder(policies, "");
        let text = check(dir.path(), &known()).unwrap();
        let mut warned: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("warning: "))
            .map(|line| line.rsplit_once("chat.cedar:").unwrap().1)
            .collect();
        warned.sort_unstable();
        assert_eq!(
            warned,
            [
                "2: policy \"scope\": the configuration defines no Identity::\"reserch-agent\": did you mean research-agent?",
                "2: policy \"scope\": the configuration defines no Service::\"hosue\": did you mean house?",
                "3: policy \"groups\": the configuration defines no Group::\"agnts\": did you mean agents?",
                "3: policy \"groups\": the configuration defines no ServiceGroup::\"lmm\": did you mean llm?",
                "4: policy \"again\": the configuration defines no Service::\"elsewhere\"",
            ]
        );
        assert!(
            !check(folder(CHAT, "").path(), &known())
                .unwrap()
                .contains("warning")
        );
    }

    #[test]
    fn check_counts_policies_by_action_and_shows_warnings() {
        let impossible = "@id(\"odd\")\npermit (principal, action, resource)\nwhen { false };\n";
        let dir = folder(&[CHAT, MASK, impossible].concat(), "");
        let text = check(dir.path(), &known()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("loaded 3 policies from "), "{text}");
        assert_eq!(lines[1], "  connect        1 policy");
        assert_eq!(lines[8], "  llm.generate   3 policies, reads whole bodies");
        assert!(
            lines[14].starts_with("warning: ")
                && lines[14].contains("chat.cedar:6: policy \"odd\":"),
            "{text}"
        );
        let broken = folder("permit (principal, action, resource);", "");
        assert!(
            check(broken.path(), &known())
                .unwrap_err()
                .to_string()
                .contains("chat.cedar:1: a policy needs a name")
        );
    }
}
