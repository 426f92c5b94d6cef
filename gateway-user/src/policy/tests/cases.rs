//! Case files, and the set that ships.

use std::path::Path;

use super::super::cases::{CaseError, Outcome, run};
use super::super::vocabulary;
use super::super::{DEFAULTS, SPLICE, annotation};
use super::*;

fn services(name: &str) -> Vec<String> {
    let group = match name {
        "openai" | "anthropic" => "llm",
        "crm" => "internal",
        _ => "unlisted",
    };
    vec![group.to_owned()]
}

fn identities(name: &str) -> Option<Vec<String>> {
    (name == "research-agent").then(|| vec!["agents".to_owned()])
}

fn run_in(dir: &Path) -> Result<Vec<Outcome>, CaseError> {
    run(
        dir,
        &Arc::new(PolicySet::load(dir)?),
        &services,
        &identities,
    )
}

/// A folder with one policy and that case file.
fn run_case(case: &str) -> Result<Vec<Outcome>, CaseError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    let policies = r#"
        @id("chat") permit (principal in Group::"agents", action == Action::"llm.generate", resource == Service::"openai")
        when { context.model == "gpt-5-mini" };
        @id("mask-pii") @mask("pii")
        forbid (principal, action in Action::"llm", resource) unless { context.masked.contains("pii") };
        @id("overflow") forbid (principal, action == Action::"connect", resource) when { context.port * 9223372036854775807 > 0 };"#;
    std::fs::write(dir.path().join("p.cedar"), policies).unwrap();
    std::fs::write(dir.path().join("cases/chat.toml"), case).unwrap();
    run_in(dir.path())
}

fn llm(facts: &str, rest: &str) -> String {
    format!(
        "[[case]]\nname = \"c\"\nidentity = \"research-agent\"\naction = \"llm.generate\"\nservice = \"openai\"\nfacts = {{ {facts} }}\n{rest}\n"
    )
}

#[test]
fn cases_say_what_was_got_and_what_was_expected() {
    for (case, got, wrong) in [
        (
            llm("model = \"gpt-5\"", "expect = \"deny\""),
            "deny (no policy permits it)",
            None,
        ),
        (
            llm("model = \"gpt-5\"", "expect = \"permit\""),
            "deny (no policy permits it)",
            Some("permit"),
        ),
        (
            llm(
                "model = \"gpt-5-mini\"",
                "expect = \"permit\"\nmask = [\"pii\"]",
            ),
            "permit (chat, mask-pii; mask:pii)",
            None,
        ),
        (
            llm("model = \"gpt-5-mini\"", "expect = \"permit\"\nmask = []"),
            "permit (chat, mask-pii; mask:pii)",
            Some("masks {}"),
        ),
        (
            llm("model = \"gpt-5-mini\"", "expect = \"ask\""),
            "permit (chat, mask-pii; mask:pii)",
            Some("ask"),
        ),
        (
            llm(
                "model = \"gpt-5-mini\"",
                "expect = \"permit\"\npolicy = \"x\"",
            ),
            "permit (chat, mask-pii; mask:pii)",
            Some("policy \"x\" to determine it"),
        ),
        (
            llm("model = \"gpt-5\"", "expect = \"deny\"\npolicy = \"chat\""),
            "deny (no policy permits it)",
            Some("policy \"chat\" to determine it"),
        ),
    ] {
        let outcome = run_case(&case).unwrap().remove(0);
        assert_eq!(
            (outcome.file.as_str(), outcome.name.as_str()),
            ("chat.toml", "c")
        );
        assert_eq!(
            (outcome.got.as_str(), outcome.wrong.as_deref()),
            (got, wrong),
            "{case}"
        );
    }
}

#[test]
fn a_policy_that_breaks_is_not_the_denial_that_was_expected() {
    let case = "[[case]]\nname = \"c\"\nidentity = \"research-agent\"\naction = \"connect\"\nservice = \"h:2\"\nexpect = \"deny\"\n";
    let outcome = run_case(case).unwrap().remove(0);
    assert!(
        outcome.wrong.is_some() && outcome.got.contains("overflow"),
        "{outcome:?}"
    );
}

#[test]
fn bad_case_files_are_errors_with_their_place() {
    let plain = |key: &str, value: &str| {
        llm("model = \"m\"", "expect = \"deny\"").replace(
            &format!(
                "{key} = \"{}\"",
                if key == "identity" {
                    "research-agent"
                } else {
                    "llm.generate"
                }
            ),
            &format!("{key} = \"{value}\""),
        )
    };
    for (case, expected) in [
        (
            plain("identity", "nobody"),
            "the configuration has no identity \"nobody\"",
        ),
        (
            plain("action", "llm.generat"),
            "no action \"llm.generat\": did you mean llm.generate?",
        ),
        (plain("action", "http"), "no action \"http\""),
        (plain("action", "connect"), "connect has no fact \"model\""),
        (
            llm("modell = \"m\"", "expect = \"deny\""),
            "llm.generate has no fact \"modell\": did you mean model?",
        ),
        (
            llm("", "expect = \"deny\""),
            "llm.generate needs the fact \"model\"",
        ),
        (
            llm("model = 5", "expect = \"deny\""),
            "fact \"model\" must be a string",
        ),
        (
            llm("model = \"m\", tools = [1]", "expect = \"deny\""),
            "fact \"tools\" must be a list of strings",
        ),
        (
            llm("model = \"m\", port = \"443\"", "expect = \"deny\""),
            "fact \"port\" must be a whole number",
        ),
        (
            llm("model = \"m\", approvals = [\"dba\"]", "expect = \"deny\""),
            "filled by policy itself",
        ),
        (
            llm("model = \"m\"", "expect = \"deny\"\nmask = []"),
            "leave them out",
        ),
        (
            llm("model = \"m\"", "expect = \"denied\""),
            "chat.toml:7: unknown variant `denied`",
        ),
        (
            llm("model = \"m\"", "expect = \"deny\"\nexpects = 1"),
            "unknown field `expects`",
        ),
        (llm("model = \"m\"", ""), "missing field `expect`"),
        ("[[case]\n".to_owned(), "chat.toml:1:"),
        (String::new(), "missing field `case`"),
    ] {
        let message = run_case(&case).unwrap_err().to_string();
        assert!(
            message.contains(expected),
            "{case}\nexpected: {expected}\ngot: {message}"
        );
        assert!(message.contains("chat.toml:"), "{message}");
    }
    let second = [
        llm("model = \"m\"", "expect = \"deny\""),
        llm("nope = 1", "expect = \"deny\""),
    ]
    .concat();
    assert!(
        run_case(&second)
            .unwrap_err()
            .to_string()
            .contains("chat.toml:8: case \"c\"")
    );
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.cedar"), "").unwrap();
    assert!(matches!(run_in(dir.path()), Err(CaseError::Empty { .. })));
}

#[test]
fn the_set_that_ships_passes_its_own_cases() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    for (file, text) in DEFAULTS {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    let set = Arc::new(PolicySet::load(dir.path()).unwrap());
    assert!(set.warnings().is_empty(), "{:?}", set.warnings());
    let outcomes = run(dir.path(), &set, &services, &identities).unwrap();
    let failed: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.wrong.is_some())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    // Every policy that ships is the reason of some case.
    let got: String = outcomes
        .iter()
        .map(|outcome| outcome.got.as_str())
        .collect();
    for id in set.rules.keys().filter(|id| *id != "tickets-write") {
        assert!(got.contains(id.as_str()), "no case reaches {id}");
    }
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    assert_eq!(PolicySet::load(&shipped).unwrap().version(), set.version());
}

#[test]
fn the_documentation_names_every_action_fact_and_annotation() {
    let page = include_str!("../../../../docs/policies.md");
    let (_, vocabulary) = vocabulary::schema().unwrap();
    assert_eq!(vocabulary.0.len(), 13);
    for (action, facts) in &vocabulary.0 {
        assert!(page.contains(&format!("`{action}`")), "{action}");
        for fact in facts.keys() {
            assert!(page.contains(&format!("`{fact}`")), "{fact}");
        }
    }
    for annotation in annotation::ANNOTATIONS {
        assert!(page.contains(&format!("`@{annotation}`")), "{annotation}");
    }
}

#[test]
fn the_examples_answer_their_cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples");
    let outcomes = run_in(&dir).unwrap();
    assert_eq!(outcomes.len(), 46);
    for outcome in outcomes {
        assert_eq!(outcome.wrong, None, "{}: got {}", outcome.name, outcome.got);
    }
}

#[test]
fn calls_are_decided_on_only_where_a_policy_names_them() {
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let llm = r#"@id("llm") forbid (principal, action in Action::"llm", resource) when { context.path == "/x" };"#;
    let groups = ["llm".to_owned()];
    assert!(!set(&[all, llm].concat()).decides_calls("openai", &groups));
    let named = r#"@id("no-rm") forbid (principal, action == Action::"llm.tool_call", resource == Service::"openai") when { context.programs.contains("rm") };"#;
    let named = set(&[all, named].concat());
    assert!(named.decides_calls("openai", &groups));
    assert!(!named.decides_calls("anthropic", &groups));
    let listed = r#"@id("some") permit (principal, action in [Action::"llm.read", Action::"llm.tool_call"], resource in ServiceGroup::"llm");"#;
    assert!(set(listed).decides_calls("anthropic", &groups));
    // A permit for calls is none to look a service up, or to reach it.
    assert!(
        !set(r#"@id("calls") permit (principal, action == Action::"llm.tool_call", resource);"#)
            .look_up(vec![Query::lookup(
                "research-agent",
                &[],
                "api.openai.com",
                "A",
                None
            )])
            .permitted
    );
}

#[test]
fn what_passes_unopened_is_permitted_by_name_alone() {
    let query = |identity: &str| Query {
        identity: identity.to_owned(),
        groups: Vec::new(),
        action: SPLICE.to_owned(),
        service: "updates".to_owned(),
        service_groups: Vec::new(),
        facts: [
            ("host", Fact::from("updates.example")),
            ("port", Fact::Long(443)),
            ("tls", Fact::Bool(true)),
            ("credential", Fact::from("none")),
            ("findings", Fact::Set(BTreeSet::new())),
            ("distrusted", Fact::Bool(true)),
            ("tainted", Fact::Bool(false)),
        ]
        .into_iter()
        .fold(Facts::default(), |mut facts, (name, fact)| {
            facts.set(name, fact);
            facts
        }),
    };
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let forbid = r#"@id("not") forbid (principal, action == Action::"tls.splice", resource == Service::"other");"#;
    let one = r#"@id("one") permit (principal == Identity::"a", action == Action::"tls.splice", resource == Service::"updates") when { context.distrusted };"#;
    for (text, splices, identity, permits) in [
        (all.to_owned(), false, "a", false),
        ([all, forbid].concat(), false, "a", false),
        ([all, one].concat(), true, "a", true),
        // What names it is for another; the permit for everything does not stand in.
        ([all, one].concat(), true, "b", false),
        (one.to_owned(), true, "a", true),
    ] {
        let set = Arc::new(set(&text));
        assert_eq!(set.splices(), splices, "{text}");
        let decision = set.decide(query(identity));
        assert_eq!(
            matches!(decision, Decision::Permit(_)),
            permits,
            "{text}: {decision}"
        );
    }
}

#[test]
fn permits_that_contradict_each_other_are_a_denial_and_an_edit_that_differs_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("cases")).unwrap();
    let permit = |id: &str, annotation: &str, tool: &str| {
        format!(
            "@id(\"{id}\") {annotation} permit (principal, action == Action::\"llm.tool_call\", resource) when {{ context.tool == \"{tool}\" }};\n"
        )
    };
    let policies = [
        permit("dry", r#"@patch("{\"dry_run\": true}")"#, "deploy"),
        permit("wet", r#"@patch("{\"dry_run\": false}")"#, "deploy"),
        permit("once", r#"@patch("{\"times\": 1}")"#, "make"),
        r#"@id("ping") @patch("{\"command\": \"pong\"}") permit (principal, action == Action::"llm.tool_call", resource)
             when { context.programs.contains("ping") };
           @id("pong") @patch("{\"command\": \"ping\"}") permit (principal, action == Action::"llm.tool_call", resource)
             when { context.programs.contains("pong") };"#
            .to_owned(),
        r#"@id("a") @credential("a") permit (principal, action == Action::"llm.embed", resource);
           @id("b") @credential("b") permit (principal, action == Action::"llm.embed", resource);"#
            .to_owned(),
    ];
    std::fs::write(dir.path().join("p.cedar"), policies.concat()).unwrap();
    let case = |action: &str, facts: &str, rest: &str| {
        format!(
            "[[case]]\nname = \"c\"\nidentity = \"research-agent\"\naction = \"{action}\"\nservice = \"openai\"\nfacts = {{ {facts} }}\n{rest}\n"
        )
    };
    let deploy = "model = \"m\", tool = \"deploy\", arguments = '{}'";
    let make = "model = \"m\", tool = \"make\", arguments = '{}'";
    let list = "model = \"m\", tool = \"make\", arguments = '[1]'";
    let ping = "model = \"m\", tool = \"shell\", arguments = '{\"command\": \"ping\"}'";
    let denied = |facts: &str| case("llm.tool_call", facts, "expect = \"deny\"");
    let cases = [
        case(
            "llm.tool_call",
            deploy,
            "expect = \"deny\"\npolicy = \"wet\"",
        ),
        case("llm.embed", "model = \"m\"", "expect = \"deny\""),
        case(
            "llm.tool_call",
            make,
            "expect = \"permit\"\npatched = '{\"times\": 2}'",
        ),
        denied(list),
        denied(ping),
    ];
    std::fs::write(dir.path().join("cases/c.toml"), cases.concat()).unwrap();
    let outcomes = run_in(dir.path()).unwrap();
    let wrong: Vec<_> = outcomes.iter().map(|case| case.wrong.as_deref()).collect();
    assert_eq!(
        wrong,
        [None, None, Some("arguments {\"times\": 2}"), None, None],
        "{outcomes:#?}"
    );
    assert_eq!(
        outcomes[2].got,
        "permit (once; patch:times) with arguments {\"times\":1}"
    );
}
