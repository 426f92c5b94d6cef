//! Decisions: permits, obligations, questions, denials.

use std::time::Duration;

use super::*;

const CHAT: &str = r#"
@id("chat")
permit (principal in Group::"agents", action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "gpt-5-mini" };
"#;
const MASK: &str = r#"
@id("mask-pii") @mask("pii")
forbid (principal, action in Action::"llm", resource) unless { context.masked.contains("pii") };
"#;
const APPROVE: &str = r#"
@id("needs-dba") @approvers("dba") @within("30s") @message("look first")
forbid (principal, action in Action::"llm", resource) unless { context.approvals.contains("dba") };
"#;

#[test]
fn what_no_policy_permits_is_denied() {
    let set = set(CHAT);
    let denial = deny(set.decide(generate("gpt-5")));
    assert_eq!(denial.reason, "no policy permits model \"gpt-5\"");
    assert!(!denial.error && denial.policies.is_empty());
    assert_eq!(
        permit(set.decide(generate("gpt-5-mini"))).policies(),
        ["chat"]
    );
    let mut other = generate("gpt-5-mini");
    other.groups.clear();
    deny(set.decide(other));
    let mut elsewhere = generate("gpt-5-mini");
    elsewhere.service = "anthropic".into();
    deny(set.decide(elsewhere));
    let mut raw = generate("");
    raw.action = "connect".into();
    for fact in [
        "risks",
        "method",
        "path",
        "model",
        "stream",
        "tools",
        "messages",
        "spent_today_cents",
        "spent_month_cents",
    ] {
        raw.facts.0.remove(fact);
    }
    assert_eq!(deny(set.decide(raw)).reason, "no policy permits it");
}

#[test]
fn text_from_the_agent_cannot_forge_a_message() {
    let reason = deny(set(CHAT).decide(generate("x\"\n\u{1b}[2Jok"))).reason;
    assert!(!reason.chars().any(char::is_control), "{reason}");
    let long = deny(set(CHAT).decide(generate(&"x".repeat(100_000)))).reason;
    assert!(long.len() < 200);
}

#[test]
fn a_mask_is_an_obligation_that_no_permit_drops() {
    let set = set(&[CHAT, MASK].concat());
    let permit = permit(set.decide(generate("gpt-5-mini")));
    assert_eq!(permit.masks().names(), names(&["pii"]));
    assert_eq!(permit.policies(), ["chat", "mask-pii"]);
    assert_eq!(permit.obligations(), ["mask:pii"]);
    // An obligation permits nothing by itself.
    assert_eq!(
        deny(set.decide(generate("gpt-5"))).reason,
        "no policy permits model \"gpt-5\""
    );
}

#[test]
fn a_plain_forbid_wins_over_permits_and_obligations() {
    let secrets = r#"
        @id("no-secrets") @message("remove it")
        forbid (principal, action in Action::"llm", resource) when { context.findings.contains("secrets") };"#;
    let set = set(&[CHAT, MASK, APPROVE, secrets].concat());
    let query = with(
        generate("gpt-5-mini"),
        "findings",
        Fact::Set(names(&["secrets"])),
    );
    let denial = deny(set.decide(query));
    assert_eq!(denial.policies, ["no-secrets"]);
    assert_eq!(denial.reason, "policy \"no-secrets\" forbids it: remove it");
    ask(set.decide(generate("gpt-5-mini")));
}

#[test]
fn an_approval_is_asked_for_and_then_counts_exactly() {
    let set = set(&[CHAT, MASK, APPROVE].concat());
    let question = ask(set.decide(generate("gpt-5-mini")));
    assert_eq!(question.asks().len(), 1);
    let asked = &question.asks()[0];
    assert_eq!(
        (asked.policy.as_str(), asked.approvers.as_slice()),
        ("needs-dba", ["dba".to_owned()].as_slice())
    );
    assert_eq!(
        (asked.within, asked.message.as_deref()),
        (Duration::from_secs(30), Some("look first"))
    );
    assert_eq!(question.masks().names(), names(&["pii"]));
    assert_eq!(question.obligations(), ["approval:dba", "mask:pii"]);
    // Nothing, or somebody else's approval, changes nothing.
    ask(question.grant(&set, &names(&[])));
    ask(question.grant(&set, &names(&["ops"])));
    let permit = permit(question.grant(&set, &names(&["dba", "ops"])));
    assert_eq!(permit.masks().names(), names(&["pii"]));
    assert_eq!(permit.obligations(), ["mask:pii", "approval:dba"]);
    assert_eq!(permit.policies(), ["chat", "mask-pii", "needs-dba"]);
    // Nobody is asked about what would be denied anyway.
    deny(set.decide(generate("gpt-5")));
}

#[test]
fn release_decides_with_the_policies_of_now() {
    let before = set(&[CHAT, APPROVE].concat());
    let question = ask(before.decide(generate("gpt-5-mini")));
    let granted = names(&["dba"]);
    permit(question.grant(&before, &granted));
    let second = r#"@id("needs-sec") @approvers("sec")
        forbid (principal, action in Action::"llm", resource) unless { context.approvals.contains("sec") };"#;
    let stricter = set(&[CHAT, APPROVE, second].concat());
    let again = ask(question.grant(&stricter, &granted));
    assert_eq!(
        again
            .asks()
            .iter()
            .map(|ask| ask.policy.as_str())
            .collect::<Vec<_>>(),
        ["needs-sec"]
    );
    permit(again.grant(&stricter, &names(&["dba", "sec"])));
    deny(question.grant(&set(APPROVE), &granted));
    let masking = permit(question.grant(&set(&[CHAT, APPROVE, MASK].concat()), &granted));
    assert_eq!(masking.masks().names(), names(&["pii"]));
}

#[test]
fn alternatives_need_one_and_both_kinds_can_stand_in_one_policy() {
    let either = set(&[CHAT, r#"@id("either") @approvers("dba, sec")
        forbid (principal, action, resource) unless { context.approvals.containsAny(["dba", "sec"]) };"#].concat());
    let question = ask(either.decide(generate("gpt-5-mini")));
    assert_eq!(question.asks()[0].approvers, ["dba", "sec"]);
    assert_eq!(question.obligations(), ["approval:dba|sec"]);
    for group in ["dba", "sec"] {
        let permit = permit(question.grant(&either, &names(&[group])));
        assert_eq!(permit.obligations(), [format!("approval:{group}")]);
    }
    let both = set(&[CHAT, r#"@id("both") @mask("pii") @approvers("dba")
        forbid (principal, action, resource) unless { context.masked.contains("pii") && context.approvals.contains("dba") };"#].concat());
    let question = ask(both.decide(generate("gpt-5-mini")));
    let permit_both = permit(question.grant(&both, &names(&["dba"])));
    assert_eq!(permit_both.masks().names(), names(&["pii"]));
    // Where masking is enough, nobody is asked.
    let or = set(&[CHAT, r#"@id("or") @mask("pii") @approvers("dba")
        forbid (principal, action, resource) unless { context.masked.contains("pii") || context.approvals.contains("dba") };"#].concat());
    assert_eq!(
        permit(or.decide(generate("gpt-5-mini"))).obligations(),
        ["mask:pii"]
    );
}

#[test]
fn an_obligation_that_cannot_lift_is_a_denial() {
    let set = set(&[CHAT, r#"@id("never") @approvers("dba")
        forbid (principal, action, resource) unless { context.approvals.contains("dba") && context.host == "elsewhere" };"#].concat());
    let denial = deny(set.decide(generate("gpt-5-mini")));
    assert_eq!(denial.policies, ["never"]);
    assert_eq!(denial.reason, "policy \"never\" forbids it");
}

#[test]
fn an_evaluation_error_is_a_denial() {
    // Cedar alone would skip the forbid and permit.
    let set = set(&[CHAT, r#"@id("overflow")
        forbid (principal, action == Action::"llm.generate", resource) when { context.messages * 9223372036854775807 > 100 };"#].concat());
    permit(set.decide(with(generate("gpt-5-mini"), "messages", 0)));
    let denial = deny(set.decide(with(generate("gpt-5-mini"), "messages", 2)));
    assert!(denial.error);
    assert_eq!(denial.reason, "policy could not be evaluated");
    assert!(denial.detail.unwrap().contains("overflow"));
}

#[test]
fn facts_that_do_not_fit_the_schema_are_denials() {
    let all = set("@id(\"all\") permit (principal, action, resource);");
    let query = || generate("m");
    let mut missing = query();
    missing.facts.0.remove("credential");
    let mut action = query();
    action.action = "llm".into();
    let mut no_action = query();
    no_action.action = "sql.read".into();
    for (what, query) in [
        ("wrong type", with(query(), "port", "443")),
        ("wrong type", with(query(), "findings", "pii")),
        ("unknown", with(query(), "spend", 1)),
        ("missing", missing),
        ("group of actions", action),
        ("no such action", no_action),
        (
            "filled by policy",
            with(query(), "masked", Fact::Set(names(&["pii"]))),
        ),
        (
            "filled by policy",
            with(query(), "approvals", Fact::Set(names(&["dba"]))),
        ),
    ] {
        let denial = deny(all.decide(query));
        assert!(denial.error && denial.detail.is_some(), "{what}");
    }
    permit(all.decide(query()));
    permit(all.decide(with(query(), "max_tokens", 5)));
}

#[test]
fn a_missing_optional_fact_does_not_permit() {
    let set = set(
        r#"@id("a") permit (principal, action == Action::"llm.generate", resource)
        when { context has max_tokens && context.max_tokens < 100 };"#,
    );
    permit(set.decide(with(generate("m"), "max_tokens", 5)));
    deny(set.decide(with(generate("m"), "max_tokens", 500)));
    deny(set.decide(generate("m")));
}

#[test]
fn permits_that_name_different_credentials_deny() {
    let one =
        r#"@id("a") @credential("team") @record("audit") permit (principal, action, resource);"#;
    let same = r#"@id("b") @credential("team") permit (principal, action, resource);"#;
    let other = r#"@id("c") @credential("mine") permit (principal, action, resource) when { context.model == "m" };"#
        .replace("action,", "action == Action::\"llm.generate\",");
    let agreed = permit(set(&[one, same].concat()).decide(generate("m")));
    assert_eq!(agreed.credential(), Some("team"));
    assert_eq!(agreed.obligations(), ["record:audit", "credential:team"]);
    let set_of_three = set(&[one, same, &other].concat());
    let denial = deny(set_of_three.decide(generate("m")));
    assert!(denial.error);
    assert_eq!(denial.policies, ["a", "b", "c"]);
    permit(set_of_three.decide(generate("n")));
    // The contradiction is told before anybody is asked.
    deny(set(&[one, same, &other, APPROVE].concat()).decide(generate("m")));
}

#[test]
fn bodies_are_read_whole_only_where_policy_needs_them() {
    let set = set(&[CHAT, MASK, r#"@id("f")
        forbid (principal, action == Action::"http.write", resource) when { context.findings.contains("secrets") };"#].concat());
    let needs = |set: &PolicySet, action| set.needs_body(action, "files", &[]);
    assert!(needs(&set, "llm.generate"));
    assert!(needs(&set, "http.write"));
    assert!(!needs(&set, "http.read"));
    assert!(!needs(&set, "connect"));
    let approved = compile(&[CHAT, APPROVE].concat()).unwrap();
    assert!(needs(&approved, "llm.generate") && !needs(&approved, "http.write"));
    assert!(needs(&set, "no such action"));
}

#[test]
fn bodies_stream_at_services_that_no_such_policy_applies_to() {
    let obligation = |resource: &str| {
        format!(
            r#"@id("x") @approvers("dba") forbid (principal, action == Action::"http.write", resource{resource})
            unless {{ context.approvals.contains("dba") }};"#
        )
    };
    let needs = |resource: &str, service: &str, groups: &[&str]| {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        set(&obligation(resource)).needs_body("http.write", service, &groups)
    };
    let (service, group) = (r#" == Service::"a""#, r#" in ServiceGroup::"g""#);
    assert!(needs(service, "a", &[]) && !needs(service, "b", &["a"]));
    assert!(needs(group, "b", &["f", "g"]) && !needs(group, "g", &["f"]));
    assert!(needs(r#" in Service::"a""#, "a", &[]) && needs("", "b", &[]));
    assert!(needs(" is Service", "b", &[]));
    assert!(needs(r#" is Service in ServiceGroup::"g""#, "b", &["g"]));
}

#[test]
fn findings_that_nobody_looked_for_are_not_an_empty_set() {
    let mut unread = generate("gpt-5-mini");
    unread.facts.0.remove("findings");
    permit(set(CHAT).decide(unread.clone()));
    let secrets = r#"@id("s") forbid (principal, action in Action::"llm", resource)
        when { context.findings.contains("secrets") };"#;
    // As after a reload between reading and deciding.
    for needs in [secrets, MASK, APPROVE] {
        let denial = deny(set(&[CHAT, needs].concat()).decide(unread.clone()));
        assert!(denial.error);
        assert!(denial.detail.unwrap().contains("was not read"));
    }
}

#[test]
fn of_two_styles_the_one_that_tells_less_counts_and_a_change_to_less_ends_what_stands() {
    let mask = |id: &str, style: &str| {
        format!(
            "@id(\"{id}\") @mask(\"pii\") @style(\"{style}\") forbid (principal, action, resource) unless {{ context.masked.contains(\"pii\") }};\n"
        )
    };
    const ALL: &str = "@id(\"all\") permit (principal, action, resource);\n";
    let style = |policies: &[String]| {
        let set = set(&[ALL.to_owned(), policies.concat()].concat());
        let permit = permit(set.decide(generate("gpt-5-mini")));
        let named: Vec<(String, Style)> = permit
            .masks()
            .iter()
            .map(|(name, style)| (name.to_owned(), style))
            .collect();
        (permit.standing(), named, permit.obligations(), set)
    };
    let one = |style| vec![("pii".to_owned(), style)];
    let (mut last, named, obligations, shown) = style(&[mask("a", "last4")]);
    assert_eq!(
        (named, obligations),
        (one(Style::Last4), vec!["mask:pii (last4)".to_owned()])
    );
    let (mut surrogate, named, ..) = style(&[mask("a", "last4"), mask("b", "surrogate")]);
    assert_eq!(named, one(Style::Surrogate));
    let (_, named, obligations, hidden) = style(&[mask("a", "replace"), mask("b", "hash")]);
    assert_eq!(
        (named, obligations),
        (one(Style::Replace), vec!["mask:pii".to_owned()])
    );
    assert!(surrogate.renew(&shown).is_ok());
    assert!(surrogate.renew(&hidden).is_err() && last.renew(&hidden).is_err());
}

#[test]
fn permits_add_what_they_restore_and_the_longest_taint_counts() {
    let set = set(r#"
@id("a") @restore("email") @taints("10m") permit (principal, action in Action::"http", resource);
@id("b") @restore("pii") permit (principal, action == Action::"http.write", resource);
@id("c") @taints("1h") permit (principal, action == Action::"http.write", resource);
"#);
    let mut query = generate("gpt-5-mini");
    query.action = "http.write".to_owned();
    let known = [
        "host",
        "port",
        "tls",
        "credential",
        "findings",
        "tainted",
        "method",
        "path",
    ];
    query
        .facts
        .0
        .retain(|name, _| known.contains(&name.as_str()));
    let permit = permit(set.decide(query));
    assert_eq!(permit.restores(), &names(&["email", "pii"]));
    assert_eq!(permit.taints().unwrap().as_secs(), 3600);
    let obligations = permit.obligations();
    assert_eq!(obligations, ["restore:email", "restore:pii", "taint:1h"]);
    assert_eq!(crate::policy::taint(&obligations), permit.taints());
    assert!(set.needs_body("http.write", "x", &[]) && !set.needs_risks("llm.generate", "x", &[]));
}
