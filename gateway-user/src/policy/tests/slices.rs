//! Slicing by action changes no answer.

use cedar_policy::{Policy, PolicyId};
use proptest::prelude::*;

use super::super::evaluate::Prepared;
use super::*;

const ACTIONS: [&str; 8] = [
    "action",
    "action == Action::\"connect\"",
    "action == Action::\"http.read\"",
    "action in Action::\"http\"",
    "action in Action::\"llm\"",
    "action in [Action::\"connect\", Action::\"llm\"]",
    "action in Action::\"http.write\"",
    "action in [Action::\"http.read\", Action::\"llm.generate\"]",
];
const PRINCIPALS: [&str; 3] = [
    "principal",
    "principal in Group::\"agents\"",
    "principal == Identity::\"other\"",
];
const RESOURCES: [&str; 3] = [
    "resource",
    "resource == Service::\"openai\"",
    "resource in ServiceGroup::\"unlisted\"",
];
/// The last one fails to evaluate for port 443.
const CONDITIONS: [&str; 5] = [
    "",
    "when { context.tls }",
    "unless { context.port == 443 }",
    "when { context.findings.contains(\"pii\") }",
    "when { context.port * 9223372036854775807 > 0 }",
];

fn policy() -> impl Strategy<Value = String> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    (
        pick(&["permit", "forbid"]),
        pick(&PRINCIPALS),
        pick(&ACTIONS),
        pick(&RESOURCES),
        pick(&CONDITIONS),
    )
        .prop_map(|(effect, principal, action, resource, condition)| {
            format!("{effect} ({principal}, {action}, {resource}) {condition};")
        })
}

fn query(action: &str, port: i64, found: bool) -> Query {
    let mut query = with(generate("m"), "port", port);
    query.action = action.to_owned();
    let findings = if found { names(&["pii"]) } else { names(&[]) };
    query.facts.set("findings", Fact::Set(findings));
    let kept: &[&str] = match action {
        "connect" => &["host", "port", "tls", "credential", "findings"],
        "llm.generate" => return query,
        _ => &[
            "host",
            "port",
            "tls",
            "credential",
            "findings",
            "method",
            "path",
        ],
    };
    query
        .facts
        .0
        .retain(|name, _| kept.contains(&name.as_str()));
    query
}

proptest! {
    // Loading is slow without optimisation; each set answers every query.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sliced_is_full(policies in prop::collection::vec(policy(), 0..12)) {
        let mut full = cedar_policy::PolicySet::new();
        let mut text = String::new();
        for (n, policy) in policies.iter().enumerate() {
            full.add(Policy::parse(Some(PolicyId::new(format!("p{n}"))), policy).unwrap()).unwrap();
            text.push_str(&format!("@id(\"p{n}\") {policy}\n"));
        }
        let set = set(&text);
        let none = BTreeSet::new();
        for action in ["connect", "http.read", "http.write", "llm.generate", "llm.read"] {
            for (port, found) in [(1, false), (1, true), (443, false), (443, true)] {
                let mut prepared = Prepared::new(&set, &query(action, port, found)).unwrap();
                let sliced = prepared.evaluate(&none, &none);
                prepared.policies = &full;
                let whole = prepared.evaluate(&none, &none);
                prop_assert_eq!(sliced.is_err(), whole.is_err());
                prop_assert_eq!(sliced.ok(), whole.ok());
            }
        }
    }
}

#[test]
fn slices_are_closed_over_the_hierarchy() {
    let text: String = ACTIONS
        .iter()
        .enumerate()
        .map(|(n, action)| format!("@id(\"p{n}\") permit (principal, {action}, resource);\n"))
        .collect();
    let counts: Vec<(String, usize)> = set(&text)
        .slices()
        .into_iter()
        .map(|(action, count)| (action.to_owned(), count))
        .collect();
    let expected = [
        ("connect", 3),
        ("dns.resolve", 1),
        ("http.read", 4),
        ("http.websocket", 2),
        ("http.write", 3),
        ("llm.count", 3),
        ("llm.embed", 3),
        ("llm.generate", 4),
        ("llm.read", 3),
        ("llm.tool_call", 1),
        ("llm.write", 3),
        ("net.listen", 1),
        ("tls.splice", 1),
    ];
    assert_eq!(
        counts,
        expected.map(|(action, count)| (action.to_owned(), count))
    );
}
