//! What permits put into the arguments of calls.

use super::super::{TOOL_CALL, cases};
use super::*;
use crate::protocol::calls;
use crate::protocol::transcript::ToolCall;

const POLICIES: &str = r#"
@id("calls") permit (principal, action == Action::"llm.tool_call", resource);
@id("rehearse") @patch("{\"dry_run\": true, \"force\": null}")
permit (principal, action == Action::"llm.tool_call", resource) when { context.tool == "deploy" };
@id("no-force") forbid (principal, action == Action::"llm.tool_call", resource) when { context.arguments like "*force*" };
"#;

fn call(tool: &str, arguments: &str) -> Query {
    let mut query = generate("m");
    query.action = TOOL_CALL.to_owned();
    let call = ToolCall {
        name: tool.to_owned(),
        arguments: arguments.to_owned(),
    };
    calls::facts(&call, &mut query.facts).unwrap();
    for request in [
        "risks",
        "tools",
        "messages",
        "spent_today_cents",
        "spent_month_cents",
    ] {
        query.facts.0.remove(request);
    }
    query
}

#[test]
fn what_applies_to_a_call_is_put_into_its_arguments_whatever_forbids_it() {
    let set = Arc::new(compile(POLICIES).unwrap());
    let patch = set.patch(&call("deploy", r#"{"to":"prod","force":true}"#));
    let new = patch.apply(r#"{"to":"prod","force":true}"#).unwrap();
    assert_eq!(new.as_deref(), Some(r#"{"to":"prod","dry_run":true}"#));
    assert_eq!(patch.apply(new.as_ref().unwrap()).unwrap(), None);
    assert_eq!(
        patch.apply("").unwrap().as_deref(),
        Some(r#"{"dry_run":true}"#)
    );
    assert!(patch.apply("[1]").is_err() && patch.apply("prose").is_err());
    let permitted = permit(set.decide(call("deploy", &new.unwrap())));
    assert_eq!(permitted.patch(), &patch);
    assert_eq!(permitted.obligations(), ["patch:dry_run", "patch:force"]);
    deny(set.decide(call("deploy", r#"{"force":true}"#)));
    let other = set.patch(&call("look", "{}"));
    assert!(other.is_empty());
    assert_eq!(other.apply("prose").unwrap(), None);
    assert!(set.patch(&generate("m")).is_empty());
    assert!(set.patches());
}

#[test]
fn permits_that_put_different_values_into_a_call_deny() {
    let one = r#"@id("a") @patch("{\"limit\": 10}") permit (principal, action == Action::"llm.tool_call", resource);"#;
    let same = r#"@id("b") @patch("{\"limit\": 10, \"more\": {}}") permit (principal, action == Action::"llm.tool_call", resource);"#;
    let other = r#"@id("c") @patch("{\"limit\": 20}") permit (principal, action == Action::"llm.tool_call", resource);"#;
    let agreed = Arc::new(compile(&[one, same].concat()).unwrap());
    let agreed = permit(agreed.decide(call("query", r#"{"limit":10,"more":{}}"#)));
    assert_eq!(agreed.obligations(), ["patch:limit", "patch:more"]);
    let set = Arc::new(compile(&[one, other].concat()).unwrap());
    assert!(set.patch(&call("query", "{}")).is_empty());
    let denial = deny(set.decide(call("query", "{}")));
    assert_eq!(denial.policies, ["a", "c"]);
    assert!(
        denial.error && denial.reason.contains("different values"),
        "{denial:?}"
    );
}

#[test]
fn a_patch_is_an_object_and_belongs_on_a_permit_of_calls() {
    let on = |annotation: &str, effect: &str, action: &str| {
        format!("@id(\"a\") @patch(\"{annotation}\") {effect} (principal, {action}, resource);")
    };
    let calls = "action == Action::\"llm.tool_call\"";
    for value in ["", "{}", "[1]", "prose", r#"{\"a\": 1, \"a\": 2}"#] {
        let message = refusal(&on(value, "permit", calls));
        assert!(message.contains("write an object of JSON"), "{message}");
    }
    refused(&[
        (
            &on(r#"{\"a\": 1}"#, "forbid", calls),
            "@patch belongs on a permit",
        ),
        (
            &on(r#"{\"a\": 1}"#, "permit", "action"),
            "@patch works on calls of tools",
        ),
        (
            &on(r#"{\"a\": 1}"#, "permit", "action in Action::\"llm\""),
            "@patch works on calls of tools",
        ),
    ]);
    let set = compile(&on(r#"{\"a\": 1}"#, "permit", calls)).unwrap();
    assert_eq!(
        set.describe("a").unwrap(),
        "permit at p.cedar:1 @patch(\"{\\\"a\\\":1}\")"
    );
}

#[test]
fn cases_say_what_a_call_goes_on_with() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    std::fs::write(dir.path().join("p.cedar"), POLICIES).unwrap();
    let run = |patched: &str, expect: &str| {
        let case = format!(
            "[[case]]\nname = \"x\"\nidentity = \"research-agent\"\naction = \"llm.tool_call\"\nservice = \"openai\"\n\
             facts = {{ model = \"m\", tool = \"deploy\", arguments = '{{\"to\":\"prod\",\"force\":true}}' }}\nexpect = \"{expect}\"\npatched = '{patched}'\n"
        );
        std::fs::write(dir.path().join("cases/x.toml"), case).unwrap();
        let set = Arc::new(PolicySet::load(dir.path()).unwrap());
        cases::run(dir.path(), &set, &|_| Vec::new(), &|_| Some(Vec::new()))
    };
    let went = run(r#"{"dry_run": true, "to": "prod"}"#, "permit").unwrap();
    assert_eq!(went[0].wrong, None, "{went:?}");
    assert_eq!(
        went[0].got,
        "permit (calls, rehearse; patch:dry_run, patch:force)"
    );
    let wrong = run(r#"{"to": "prod"}"#, "permit").unwrap();
    assert_eq!(
        wrong[0].wrong.as_deref(),
        Some(r#"arguments {"to": "prod"}"#)
    );
    let denial = run("{}", "deny").unwrap_err().to_string();
    assert!(
        denial.contains("mask and patched say what goes on"),
        "{denial}"
    );
}
