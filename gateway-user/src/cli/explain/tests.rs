//! The text and the JSON of an explanation, with sets that differ.
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

fn record(decision: &str) -> Record {
    Record {
        decision: decision.to_owned(),
        ..Record::default()
    }
}

fn load(policies: &str) -> Arc<PolicySet> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chat.cedar"), policies).unwrap();
    Arc::new(PolicySet::load(folder.path()).unwrap())
}

#[test]
fn explain_shows_why_and_what_a_proposed_set_changes() {
    let text = |set: &Arc<PolicySet>, proposed: Option<&Arc<PolicySet>>| {
        Explained::new(record("deny"), query(), set, proposed).text()
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
    let explained = Explained::new(record("permit"), query(), &set, Some(&set));
    let json = serde_json::to_value(explained).unwrap();
    assert_eq!(json["recorded"], "permit");
    assert_eq!(json["decision"]["policies"], serde_json::json!(["chat"]));
    assert_eq!(json["query"]["facts"]["model"], "gpt-5-mini");
    assert_eq!(json["differs"], "in nothing");
}

const SHELL: &str = r#"@id("shell")
permit (principal, action == Action::"llm.tool_call", resource) when { context.tool == "shell" };
@id("never-for-real")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("deploy") && !(context.arguments like "*dry_run*") };
"#;
const REHEARSE: &str = r#"@id("rehearse") @patch("{\"dry_run\": true}")
permit (principal, action == Action::"llm.tool_call", resource) when { context.programs.contains("deploy") };
"#;

/// A call that was recorded with these arguments.
fn call(arguments: &str) -> Query {
    let mut query = query();
    query.action = "llm.tool_call".to_owned();
    for fact in [
        "messages",
        "tools",
        "spent_today_cents",
        "spent_month_cents",
    ] {
        query.facts.0.remove(fact);
    }
    query.facts.set("tool", "shell");
    query.with_arguments(arguments).unwrap()
}

#[test]
fn a_call_that_policy_edited_is_put_again_as_the_model_wrote_it() {
    let edited = || call(r#"{"command": "deploy", "dry_run": true}"#);
    let recorded = |written: Option<&str>| Record {
        obligations: vec!["patch:dry_run".to_owned()],
        written: written.map(str::to_owned),
        ..record("permit")
    };
    let now = load(&[SHELL, REHEARSE].concat());
    let without = load(SHELL);
    let written = recorded(Some(r#"{"command": "deploy"}"#));
    let shown = Explained::new(written, edited(), &now, Some(&without)).text();
    for part in [
        "  fact       arguments = \"{\\\"command\\\":\\\"deploy\\\"}\"\n",
        "decision     permit (",
        "  arguments  {\"command\":\"deploy\",\"dry_run\":true}\n",
        "proposed     deny: policy \"never-for-real\" forbids it (",
        "differs      permit becomes deny; ",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("note "), "{shown}");

    // Where nobody knows what the model wrote, that is said.
    let shown = Explained::new(recorded(None), edited(), &now, Some(&without)).text();
    assert!(
        shown.contains("note         policy has edited this call, and what"),
        "{shown}"
    );

    // A call that went on as it was is edited by the set that would.
    let plain = call(r#"{"command": "deploy"}"#);
    let shown = Explained::new(record("deny"), plain, &without, Some(&now)).text();
    assert!(
        shown.contains("differs      deny becomes permit; "),
        "{shown}"
    );
}

#[test]
fn edits_that_make_each_other_necessary_are_refused_as_they_are_live() {
    let swap = |from: &str, to: &str| {
        format!(
            "@id(\"{from}\") @patch(\"{{\\\"command\\\": \\\"{to}\\\"}}\")\npermit (principal, action == Action::\"llm.tool_call\", resource) \
             when {{ context.programs.contains(\"{from}\") }};\n"
        )
    };
    let set = load(&[swap("ping", "pong"), swap("pong", "ping")].concat());
    let query = call(r#"{"command": "ping"}"#);
    let shown = Explained::new(record("deny"), query, &set, None).text();
    assert!(
        shown.contains("decision     deny: what one policy puts into"),
        "{shown}"
    );
}

#[test]
fn what_was_refused_for_another_reason_than_policy_says_so() {
    let recorded: Record = serde_json::from_value(serde_json::json!({
        "exchange": "01", "decision": "permit", "outcome": "refused", "reason": "budget \"team\" is used up",
        "obligations": [], "query": {}, "written": null,
    }))
    .unwrap();
    let explained = Explained::new(recorded, query(), &load(CHAT), None);
    let shown = explained.text();
    let expected = "recorded     permit\n  outcome    refused\n  reason     budget \"team\" is used up\ndecision     permit (";
    assert!(shown.contains(expected), "{shown}");
    let json = serde_json::to_value(explained).unwrap();
    assert_eq!(
        (&json["outcome"], &json["reason"]),
        (&"refused".into(), &"budget \"team\" is used up".into())
    );
}
