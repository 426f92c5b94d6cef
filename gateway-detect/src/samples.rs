//! Detectors of an operator, for the tests of whoever searches with them.

use std::sync::{Arc, LazyLock};

use super::{Detectors, Rule, Spec};

/// A pattern, words, and a pattern that needs a word before it and a check digit.
pub(crate) fn detectors() -> Arc<Detectors> {
    static DETECTORS: LazyLock<Arc<Detectors>> = LazyLock::new(build);
    Arc::clone(&DETECTORS)
}

fn build() -> Arc<Detectors> {
    let spec = |id: &str, regex: Option<&str>, words: &[&str]| Spec {
        id: id.to_owned(),
        class: "internal".to_owned(),
        regex: regex.map(str::to_owned),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ignore_case: true,
        ..Spec::default()
    };
    let specs = [
        spec("employee", Some(r"\bEMP-[0-9]{4,6}(?:-[A-Z]{2})?\b"), &[]),
        spec(
            "code-name",
            None,
            &["Project Falcon", "ada@hangar.example", "Überflug"],
        ),
        Spec {
            context: vec!["customer".to_owned()],
            validator: Some("luhn".to_owned()),
            ..spec("customer", Some("[0-9]{8,11}"), &[])
        },
    ];
    let rules = specs.iter().map(Rule::new).collect::<Result<_, _>>();
    Arc::new(Detectors::new(rules.unwrap_or_default()))
}
