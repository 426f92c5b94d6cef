//! Rules on policy files: each broken once, with what the message must say.

use super::*;

#[test]
fn obligation_facts_stand_only_where_filling_them_lifts_a_forbid_that_says_so() {
    let rule = "may stand only in `forbid ... unless";
    refused(&[
        // A permit that an approval would open, or close.
        (
            "@id(\"a\") permit (principal, action, resource) when { context.approvals.contains(\"x\") };",
            rule,
        ),
        (
            "@id(\"a\") permit (principal, action, resource) unless { context.masked.contains(\"pii\") };",
            rule,
        ),
        // A forbid that an approval would close.
        (
            "@id(\"a\") forbid (principal, action, resource) when { context.approvals.contains(\"x\") };",
            rule,
        ),
        (
            "@id(\"a\") @approvers(\"x\") forbid (principal, action, resource) unless { !context.approvals.contains(\"x\") };",
            rule,
        ),
        (
            "@id(\"a\") @approvers(\"x\") forbid (principal, action, resource) unless { context.approvals.contains(\"x\") == false };",
            rule,
        ),
        (
            "@id(\"a\") @approvers(\"x\") forbid (principal, action, resource) unless { if context.approvals.contains(\"x\") then false else true };",
            rule,
        ),
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { context.masked.isEmpty() };",
            rule,
        ),
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { context.masked.contains(context.host) };",
            rule,
        ),
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { [\"pii\"].containsAll(context.masked) };",
            rule,
        ),
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { context has masked };",
            rule,
        ),
        // Other tests of the same facts.
        (
            "@id(\"a\") @approvers(\"x,y\") forbid (principal, action, resource) unless { context.approvals.containsAll([\"x\", \"y\"]) };",
            rule,
        ),
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { context[\"masked\"] == [\"pii\"] };",
            rule,
        ),
        // The facts behind another name.
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { {c: context}.c.masked.contains(\"pii\") };",
            "context stands alone",
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { (if context.tls then context else context).masked.contains(\"pii\") };",
            "context stands alone",
        ),
        // Both names must be the same.
        (
            "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource);",
            "@mask names \"pii\" but `unless` asks context.masked for nothing",
        ),
        (
            "@id(\"a\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") };",
            "@mask names nothing",
        ),
        (
            "@id(\"a\") @mask(\"secrets\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") };",
            "@mask names \"secrets\" but",
        ),
        (
            "@id(\"a\") @mask(\"pii, secrets\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") };",
            "@mask names \"pii\", \"secrets\" but",
        ),
        (
            "@id(\"a\") @approvers(\"x\") forbid (principal, action, resource) unless { context.approvals.containsAny([\"x\", \"y\"]) };",
            "@approvers names \"x\" but",
        ),
        (
            "@id(\"a\") @approvers(\"x\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") };",
            "but `unless` asks",
        ),
        // Two approvals are two policies.
        (
            "@id(\"a\") @approvers(\"x,y\") forbid (principal, action, resource) unless { context.approvals.contains(\"x\") && context.approvals.contains(\"y\") };",
            "one policy asks for one approval",
        ),
    ]);
    for text in [
        "@id(\"a\") @mask(\"pii\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") };",
        "@id(\"a\") @mask(\"pii,secrets\") forbid (principal, action, resource) unless { context.masked.containsAll([\"pii\", \"secrets\"]) };",
        "@id(\"a\") @approvers(\"x,y\") forbid (principal, action, resource) unless { context.approvals.containsAny([\"x\", \"y\"]) || context.host == \"h\" };",
        "@id(\"a\") @mask(\"pii\") @approvers(\"x\") forbid (principal, action, resource) unless { context.masked.contains(\"pii\") && context.approvals.contains(\"x\") };",
    ] {
        compile(text).unwrap();
    }
}

#[test]
fn a_missing_optional_fact_never_permits_more() {
    let rule = "when the optional fact max_tokens is missing this permits more";
    refused(&[
        (
            "@id(\"a\") forbid (principal, action == Action::\"llm.generate\", resource) when { context has max_tokens && context.max_tokens > 9 };",
            rule,
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) unless { context has max_tokens && context.max_tokens > 9 };",
            rule,
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) when { !(context has max_tokens) };",
            rule,
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) when { if context has max_tokens then false else true };",
            rule,
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) when { (context has max_tokens) == false };",
            rule,
        ),
        // Unguarded, it would fail to evaluate.
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) when { context.max_tokens < 9 };",
            "max_tokens",
        ),
    ]);
    for text in [
        "@id(\"a\") permit (principal, action == Action::\"llm.generate\", resource) when { context has max_tokens && context.max_tokens < 9 };",
        "@id(\"a\") forbid (principal, action == Action::\"llm.generate\", resource) unless { context has max_tokens && context.max_tokens < 9 };",
        // Not optional, only unknown to other actions.
        "@id(\"a\") forbid (principal, action, resource) when { context has model && context.model == \"x\" };",
    ] {
        compile(text).unwrap();
    }
}

#[test]
fn names_that_would_never_match_are_errors() {
    refused(&[
        (
            "@id(\"a\") forbid (principal, action, resource) when { context.findings.contains(\"secret\") };",
            "\"secret\" is neither",
        ),
        (
            "@id(\"a\") forbid (principal, action, resource) when { context.findings.containsAny([\"pii\", \"keys\"]) };",
            "\"keys\" is neither",
        ),
        (
            "@id(\"a\") forbid (principal, action, resource) when { context.tls && [\"keys\"].containsAny(context.findings) };",
            "\"keys\" is neither",
        ),
        (
            "@id(\"a\") forbid (principal, action, resource) when { context.credential == \"forign\" };",
            "never \"forign\"",
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { [\"own\", \"hold\"].contains(context.credential) };",
            "never \"hold\"",
        ),
    ]);
}

#[test]
fn cedar_errors_have_file_line_and_help() {
    refused(&[
        (
            "\n@id(\"a\")\npermit (principal, action, resource",
            "p.cedar:3:",
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generat\", resource);",
            "policy \"a\": unrecognized action",
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"llm.generat\", resource);",
            "did you mean `Action::\"llm.generate\"`?",
        ),
        (
            "@id(\"a\")\npermit (principal, action, resource)\nwhen {\n  context.modell == \"x\" };",
            "p.cedar:4: policy \"a\":",
        ),
        (
            "@id(\"a\") permit (principal in Grup::\"agents\", action, resource);",
            "Grup",
        ),
        (
            "@id(\"a\") permit (principal, action == Action::\"http.read\", resource) when { context.model == \"x\" };",
            "model",
        ),
        (
            "@id(\"a\") permit (principal, action in Action::\"llm\", resource) when { context.spent_today_cents < 10 };",
            "(the fact is there for llm.count, llm.embed, llm.generate)",
        ),
        (
            "@id(\"a\") permit (principal == ?principal, action, resource);",
            "?principal and ?resource are not used here",
        ),
        (
            "@id(\"a\") forbid (principal, action == Action::\"llm\", resource);",
            "policy \"a\": ",
        ),
    ]);
    // Everything that is wrong is told at once.
    let message = refusal(
        "@id(\"a\") @nope permit (principal, action, resource);\npermit (principal, action, resource);",
    );
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn files_are_read_by_name_and_broken_folders_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        PolicySet::load(dir.path())
            .unwrap_err()
            .to_string()
            .contains("tollgate init")
    );
    assert!(
        PolicySet::load(&dir.path().join("none"))
            .unwrap_err()
            .to_string()
            .contains("[paths] policies")
    );
    let write = |name: &str, text: &[u8]| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "a.cedar",
        b"@id(\"a\") permit (principal, action, resource);",
    );
    write(".hidden.cedar", b"not a policy");
    write("notes.txt", b"not a policy");
    let one = PolicySet::load(dir.path()).unwrap();
    assert_eq!(one.len(), 1);
    write(
        "b.cedar",
        b"@id(\"a\") permit (principal, action, resource);",
    );
    let message = PolicySet::load(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("b.cedar:1") && message.contains("a.cedar:1"),
        "{message}"
    );
    write(
        "b.cedar",
        b"@id(\"b\") permit (principal, action, resource);",
    );
    let two = PolicySet::load(dir.path()).unwrap();
    assert_eq!((two.len(), two.version().len()), (2, 12));
    assert_ne!(one.version(), two.version());
    write("b.cedar", b"\xff");
    assert!(PolicySet::load(dir.path()).is_err());
    write("b.cedar", &vec![b' '; 1024 * 1024 + 1]);
    assert!(
        PolicySet::load(dir.path())
            .unwrap_err()
            .to_string()
            .contains("larger")
    );
}
