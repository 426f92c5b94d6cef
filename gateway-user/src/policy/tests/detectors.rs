//! Detectors of the operator, read and in force with the policies.

use super::*;

const OWN: &str = r#"
[[detector]]
id = "employee-id"
class = "internal"
regex = '\bEMP-[0-9]{6}\b'
examples = ["ask EMP-004217"]
counterexamples = ["TEMP-004217"]
"#;
const MASK: &str = r#"
@id("chat") permit (principal, action == Action::"llm.generate", resource);
@id("mask") @mask("internal")
forbid (principal, action, resource) unless { context.masked.contains("internal") };
@id("no-ids")
forbid (principal, action, resource) when { context.findings.contains("employee-id") };
"#;

fn compile_with(detectors: &str, policies: &str) -> Result<PolicySet, PolicyError> {
    let source = |file: &str, text: &str| Source {
        file: PathBuf::from(file),
        text: text.to_owned(),
    };
    load::compile(&[
        source("p.cedar", policies),
        source("f/detectors.toml", detectors),
    ])
}

#[test]
fn policies_name_the_operators_detectors_and_classes() {
    let set = Arc::new(compile_with(OWN, MASK).unwrap());
    let permit = permit(set.decide(generate("m")));
    assert_eq!(permit.masks().names(), names(&["internal"]));
    assert_eq!(permit.detectors().custom().len(), 1);
    let found = with(
        generate("m"),
        "findings",
        Fact::Set(names(&["employee-id", "internal"])),
    );
    assert_eq!(deny(set.decide(found)).policies, ["no-ids"]);
    // The version covers them.
    let other = compile_with(&OWN.replace("{6}", "{4,6}"), MASK).unwrap();
    assert_ne!(set.version(), other.version());
    assert_ne!(
        set.version(),
        compile_with(
            "",
            &MASK
                .replace("internal", "pii")
                .replace("employee-id", "pii")
        )
        .unwrap()
        .version()
    );
}

#[test]
fn a_name_that_nothing_has_is_told_with_those_that_exist() {
    for (detectors, policies) in [("", MASK), (OWN, &MASK.replace("internal", "intern"))] {
        let message = compile_with(detectors, policies).unwrap_err().to_string();
        let expected = "is neither a detector nor a class: there are pii, secrets";
        assert!(
            message.contains("p.cedar:3") && message.contains(expected),
            "{message}"
        );
    }
    let message = compile_with(
        OWN,
        &MASK.replace("@mask(\"internal\")", "@mask(\"other\")"),
    );
    let message = message.unwrap_err().to_string();
    assert!(
        message.contains("internal") && message.contains("employee-id"),
        "{message}"
    );
}

#[test]
fn what_is_wrong_with_the_file_is_told_by_line() {
    for (old, new, expected) in [
        (
            "class =",
            "clas =",
            "f/detectors.toml:4: unknown key `clas`; did you mean `class`?",
        ),
        (
            "regex = '\\bEMP-[0-9]{6}\\b'",
            "regex = '[0-9]+'",
            "f/detectors.toml:5: detector \"employee-id\": a match has no longest length",
        ),
        (
            "ask EMP",
            "ask TEMP",
            "f/detectors.toml:6: detector \"employee-id\": finds nothing in its example \"ask TEMP-004217\"",
        ),
        (
            "[\"TEMP",
            "[\"EMP",
            "f/detectors.toml:7: detector \"employee-id\": finds something in its counterexample",
        ),
        ("id = \"employee-id\"", "id = \"email\"", "built-in"),
        (
            "[\"ask EMP-004217\"]",
            "[]",
            "f/detectors.toml:2: detector \"employee-id\": it has no examples",
        ),
        (
            "class = \"internal\"",
            "class = \"employee-id\"",
            "both a detector and a class",
        ),
        ("[[detector]]", "[[detektor]]", "did you mean `detector`?"),
        ("regex =", "regex", "f/detectors.toml:5"),
    ] {
        assert!(OWN.contains(old), "{old}");
        let message = compile_with(&OWN.replace(old, new), MASK)
            .unwrap_err()
            .to_string();
        assert!(message.contains(expected), "{new}: {message}");
    }
    let twice = compile_with(&[OWN, OWN].concat(), MASK)
        .unwrap_err()
        .to_string();
    assert!(
        twice.contains("f/detectors.toml:10: detector \"employee-id\": the id is taken"),
        "{twice}"
    );
}

/// All examples of the shipped file, which are comments there.
#[test]
fn the_shipped_examples_are_right() {
    let shipped = include_str!("../../../../policies/detectors.toml");
    assert!(
        compile_with(
            shipped,
            &MASK
                .replace("internal", "pii")
                .replace("employee-id", "pii")
        )
        .is_ok()
    );
    let uncommented: String = shipped
        .lines()
        .skip_while(|line| !line.is_empty())
        .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
        .collect();
    let set = compile_with(&uncommented, MASK).unwrap();
    assert_eq!(set.detectors().custom().len(), 3);
}
