//! Which names may be looked up.

use std::sync::Arc;

use super::{compile, set};
use crate::policy::{Lookup, PolicySet, Query};
use crate::protocol::Fact;

/// A lookup of an unlisted name.
fn unlisted(set: &Arc<PolicySet>, name: &str) -> Lookup {
    let groups = ["agents".to_owned()];
    set.look_up(vec![Query::lookup(
        "research-agent",
        &groups,
        name,
        "A",
        None,
    )])
}

/// A lookup of a name that `openai` lists.
fn openai(set: &Arc<PolicySet>) -> Lookup {
    let (groups, llm) = (["agents".to_owned()], ["llm".to_owned()]);
    set.look_up(vec![Query::lookup(
        "research-agent",
        &groups,
        "api.openai.com",
        "A",
        Some(("openai", &llm)),
    )])
}

#[test]
fn nothing_is_looked_up_without_a_permit() {
    let set = set(
        "@id(\"f\") forbid (principal, action, resource) when { context.credential == \"foreign\" };",
    );
    assert!(!openai(&set).permitted);
    let refused = unlisted(&set, "attacker.example");
    assert!(!refused.permitted && refused.policies.is_empty());
    assert_eq!(refused.reason.as_deref(), Some("no policy permits it"));
}

#[test]
fn a_permit_that_could_apply_lets_its_services_be_looked_up_and_no_other() {
    let set = set(r#"
        @id("chat") permit (principal in Group::"agents", action == Action::"llm.generate", resource in ServiceGroup::"llm")
        when { context.model == "gpt-5-mini" && !context.tools.contains("shell") };
        @id("mask") @mask("pii") forbid (principal, action, resource) unless { context.masked.contains("pii") };
        @id("held") @approvers("ops") @within("1m") forbid (principal, action in Action::"llm", resource) unless { context.approvals.contains("ops") };
    "#);
    let looked = openai(&set);
    assert!(looked.permitted, "{looked:?}");
    assert_eq!(looked.policies, ["chat"]);
    assert!(!unlisted(&set, "attacker.example").permitted);
    // Another identity in no group.
    let other = Query::lookup(
        "stranger",
        &[],
        "api.openai.com",
        "A",
        Some(("openai", &["llm".to_owned()])),
    );
    assert!(!set.look_up(vec![other]).permitted);
}

#[test]
fn conditions_on_the_name_are_settled_and_all_others_are_not() {
    let set = set(r#"
        @id("a") permit (principal, action == Action::"http.read", resource) when { context.host like "*.example.org" && context.path like "/v1/*" };
        @id("b") permit (principal, action == Action::"connect", resource) when { ["one.test", "two.test"].contains(context.host) || context.host == "three.test" };
    "#);
    for (name, permitted) in [
        ("a.example.org", true),
        ("example.org", false),
        ("a.example.org.evil.test", false),
        ("one.test", true),
        ("two.test", true),
        ("three.test", true),
        ("four.test", false),
    ] {
        assert_eq!(unlisted(&set, name).permitted, permitted, "{name}");
    }
}

#[test]
fn an_unlisted_destination_is_known_by_any_port_a_policy_names() {
    let set = set(r#"
        @id("a") permit (principal, action == Action::"connect", resource == Service::"db.test:5432");
        @id("b") permit (principal, action == Action::"http.read", resource) when { resource == Service::"web.test:8443" };
    "#);
    assert!(unlisted(&set, "db.test").permitted && unlisted(&set, "web.test").permitted);
    assert!(!unlisted(&set, "test").permitted && !unlisted(&set, "other.test").permitted);
    // A condition can also say where not to go: only a permit that is for the one destination stands for it.
    assert!(set.vouches("db.test") && !set.vouches("web.test") && !set.vouches("test"));
    let set = super::set(
        r#"@id("all") permit (principal, action == Action::"http.read", resource in ServiceGroup::"unlisted");"#,
    );
    assert!(unlisted(&set, "anything.test").permitted);
}

#[test]
fn forbids_that_apply_for_certain_take_the_permit_away() {
    let set = set(r#"
        @id("all") permit (principal, action == Action::"http.read", resource);
        @id("not-there") forbid (principal, action, resource) when { context.host like "*.evil.test" };
        @id("no-writes") forbid (principal, action == Action::"http.write", resource);
        @id("no-lookups") forbid (principal, action == Action::"dns.resolve", resource) when { context.name like "*.internal" };
    "#);
    assert!(unlisted(&set, "a.test").permitted);
    let evil = unlisted(&set, "a.evil.test");
    assert_eq!(
        (evil.permitted, evil.policies),
        (false, vec!["not-there".to_owned()])
    );
    let internal = unlisted(&set, "a.internal");
    assert_eq!(
        (internal.permitted, internal.policies),
        (false, vec!["no-lookups".to_owned()])
    );
}

#[test]
fn a_permit_of_its_own_is_enough() {
    let set = set(r#"
        @id("txt") permit (principal, action == Action::"dns.resolve", resource in ServiceGroup::"unlisted")
        when { context.name like "*.example.org" && context.type == "TXT" };
    "#);
    let kind = |kind| {
        let query = Query::lookup("research-agent", &[], "a.example.org", kind, None);
        set.look_up(vec![query]).permitted
    };
    assert!(kind("TXT") && !kind("A"));
}

#[test]
fn what_would_be_masked_or_held_is_not_looked_up() {
    let set = set(r#"
        @id("all") permit (principal, action == Action::"dns.resolve", resource);
        @id("mask") @mask("pii") forbid (principal, action, resource) unless { context.masked.contains("pii") };
        @id("held") @approvers("ops") @within("1m") forbid (principal, action == Action::"dns.resolve", resource)
        unless { context.approvals.contains("ops") || context.type == "A" };
    "#);
    let look = |kind: &str, found: &[&str]| {
        let mut query = Query::lookup("research-agent", &[], "a.example.org", kind, None);
        let found: Fact = found.iter().map(|name| (*name).to_owned()).collect();
        query.facts.set("findings", found);
        set.look_up(vec![query]).permitted
    };
    assert!(look("A", &[]));
    assert!(!look("A", &["pii"]));
    assert!(!look("AAAA", &[]));
}

#[test]
fn a_lookup_is_no_way_to_a_connection() {
    let set =
        compile(r#"@id("all") permit (principal, action == Action::"dns.resolve", resource);"#)
            .unwrap();
    assert!(
        set.slices()
            .iter()
            .filter(|(_, count)| **count > 0)
            .all(|(action, _)| *action == "dns.resolve")
    );
}
