//! Ids and annotations: each rule broken once.

use super::*;

#[test]
fn every_policy_has_an_id_of_its_own() {
    refused(&[
        (
            "permit (principal, action, resource);",
            "p.cedar:1: a policy needs a name",
        ),
        ("@id permit (principal, action, resource);", "needs a name"),
        (
            "@id(\" \") permit (principal, action, resource);",
            "needs a name",
        ),
        (
            "@id(\"a\\nb\") permit (principal, action, resource);",
            "cannot be printed",
        ),
        (
            "@id(\"a\") permit (principal, action, resource);\n\n@id(\"a\")\nforbid (principal, action, resource);",
            "p.cedar:3: policy \"a\": the id is taken by the policy at p.cedar:1",
        ),
    ]);
}

#[test]
fn annotations_are_known_and_meaningful() {
    refused(&[
        (
            "@id(\"a\") @aprovers(\"dba\") forbid (principal, action, resource);",
            "p.cedar:1: policy \"a\": unknown annotation @aprovers: did you mean @approvers?",
        ),
        (
            "@id(\"a\") @zzzzzzzzzzzz permit (principal, action, resource);",
            "unknown annotation @zzzzzzzzzzzz",
        ),
        (
            "@id(\"a\") @mask(\"pii\") permit (principal, action, resource);",
            "@mask belongs on a forbid",
        ),
        (
            "@id(\"a\") @approvers(\"x\") permit (principal, action, resource);",
            "@approvers belongs on a forbid",
        ),
        (
            "@id(\"a\") @within(\"1m\") permit (principal, action, resource);",
            "@within belongs on a forbid",
        ),
        (
            "@id(\"a\") @style(\"hash\") forbid (principal, action, resource);",
            "add @mask",
        ),
        (
            "@id(\"a\") @mask(\"pii\") @style(\"blur\") forbid (principal, action, resource);",
            "use replace, hash, last4 or surrogate",
        ),
        (
            "@id(\"a\") @mask(\"pii,github-token\") @style(\"surrogate\") forbid (principal, action, resource);",
            "\"github-token\" is secret",
        ),
        (
            "@id(\"a\") @restore(\"secrets\") permit (principal, action == Action::\"http.write\", resource);",
            "\"secrets\" is secret",
        ),
        (
            "@id(\"a\") @restore(\"emial\") permit (principal, action == Action::\"http.write\", resource);",
            "neither a detector nor a class",
        ),
        (
            "@id(\"a\") @restore(\"pii\") permit (principal, action, resource);",
            "@restore works on requests",
        ),
        (
            "@id(\"a\") @restore(\"pii\") permit (principal, action in [Action::\"http.read\", Action::\"llm.generate\"], resource);",
            "@restore works on requests",
        ),
        (
            "@id(\"a\") @restore(\"pii\") forbid (principal, action == Action::\"http.write\", resource);",
            "@restore belongs on a permit",
        ),
        (
            "@id(\"a\") @taints(\"25h\") permit (principal, action, resource);",
            "a day at most",
        ),
        (
            "@id(\"a\") @taints(\"1h\") forbid (principal, action, resource);",
            "@taints belongs on a permit",
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) unless { context.risks.contains(\"hiden-text\") };",
            "no risk is called \"hiden-text\"",
        ),
        (
            "@id(\"a\") @record(\"x\") forbid (principal, action, resource);",
            "@record belongs on a permit",
        ),
        (
            "@id(\"a\") @credential(\"x\") forbid (principal, action, resource);",
            "@credential belongs on a permit",
        ),
        (
            "@id(\"a\") @credential permit (principal, action, resource);",
            "one line of text",
        ),
        (
            "@id(\"a\") @message(\"x\\ny\") permit (principal, action, resource);",
            "one line of text",
        ),
        (
            "@id(\"a\") @within(\"1m\") forbid (principal, action, resource);",
            "add @approvers",
        ),
        (
            "@id(\"a\") @mask(\"pi\") forbid (principal, action, resource);",
            "\"pi\" is neither a detector",
        ),
        (
            "@id(\"a\") @mask(\"pii,,email\") forbid (principal, action, resource);",
            "separated by commas",
        ),
        (
            "@id(\"a\") @approvers(\"a, a\") forbid (principal, action, resource);",
            "different ones",
        ),
        (
            "@id(\"a\") @approvers forbid (principal, action, resource);",
            "name one",
        ),
    ]);
    for within in [
        "",
        "10",
        "m",
        "0m",
        "+1m",
        "1d",
        "-1s",
        "1.5h",
        "1 m",
        "169h",
        "99999999999999999999h",
        "1é",
    ] {
        let text = format!(
            "@id(\"a\") @approvers(\"x\") @within(\"{within}\") forbid (principal, action, resource) unless {{ context.approvals.contains(\"x\") }};"
        );
        assert!(refusal(&text).contains("use a duration"), "{within}");
    }
}

#[test]
fn durations_are_read_and_shown_alike() {
    for (within, seconds) in [
        ("@within(\"45s\")", 45),
        ("@within(\"90m\")", 5400),
        ("@within(\"168h\")", 604_800),
        ("", 600),
    ] {
        let text = format!(
            "@id(\"a\") @approvers(\"x\") {within} forbid (principal, action, resource) unless {{ context.approvals.contains(\"x\") }};"
        );
        let set = compile(&text).unwrap();
        assert_eq!(set.rules["a"].terms.within.as_secs(), seconds);
        let shown = if within.is_empty() {
            "@within(\"10m\")"
        } else {
            within
        };
        assert!(set.describe("a").unwrap().ends_with(shown), "{within}");
    }
}
