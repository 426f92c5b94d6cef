//! `detectors.toml`: the operator's own detectors, read with the policies and in force with them.
//!
//! In: the text of the file. Out: [`Detectors`], every example tried; or every problem with its line. The file may be absent.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::error::{Fault, Place, Problem};
use super::load::line_at;
use crate::detect::{Detectors, Rule, Spec};
use crate::nearest::syntax;

/// The file's name in the policy folder.
pub(super) const FILE: &str = "detectors.toml";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    detector: Vec<Spanned<Detector>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detector {
    id: Spanned<String>,
    class: String,
    regex: Option<Spanned<String>>,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    ignore_case: bool,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    context: Vec<String>,
    validator: Option<String>,
    examples: Vec<Spanned<String>>,
    #[serde(default)]
    counterexamples: Vec<Spanned<String>>,
}

/// Reads the text of `file`.
pub(super) fn read(file: &Path, text: &str, problems: &mut Vec<Problem>) -> Detectors {
    let mut problem = |offset: usize, message: String| {
        problems.push(Problem {
            place: Place {
                file: file.to_owned(),
                line: line_at(text, offset),
            },
            policy: None,
            fault: Fault::Detector { message },
        });
    };
    let raw: Raw = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            problem(
                error.span().map_or(0, |span| span.start),
                syntax(error.message()),
            );
            return Detectors::default();
        }
    };
    let mut rules: Vec<Rule> = Vec::new();
    for spanned in raw.detector {
        let start = spanned.span().start;
        let raw = spanned.into_inner();
        let id = raw.id.get_ref().clone();
        let mut wrong =
            |offset, message: String| problem(offset, format!("detector \"{id}\": {message}"));
        if rules.iter().any(|rule| rule.id() == id) {
            wrong(
                raw.id.span().start,
                "the id is taken by a detector above".to_owned(),
            );
            continue;
        }
        if raw.examples.is_empty() {
            let why = "it has no examples: give at least one text in which it finds something";
            wrong(start, why.to_owned());
        }
        let pattern = raw.regex.as_ref().map_or(start, |regex| regex.span().start);
        let (examples, counterexamples) = (raw.examples.clone(), raw.counterexamples.clone());
        let rule = match Rule::new(&spec(raw)) {
            Ok(rule) => rule,
            Err(error) => {
                wrong(pattern, error.to_string());
                continue;
            }
        };
        // By itself, so that another detector does not find it first.
        let alone = Detectors::new(vec![rule.clone()]);
        let finds = |text: &str| {
            let found = crate::detect::scan(text, &alone);
            found.iter().any(|finding| finding.detector == rule.id())
        };
        for example in examples.iter().filter(|example| !finds(example.get_ref())) {
            let text = example.get_ref();
            wrong(
                example.span().start,
                format!("finds nothing in its example {text:?}"),
            );
        }
        for example in counterexamples
            .iter()
            .filter(|example| finds(example.get_ref()))
        {
            let text = example.get_ref();
            wrong(
                example.span().start,
                format!("finds something in its counterexample {text:?}"),
            );
        }
        rules.push(rule);
    }
    let mixed = rules
        .iter()
        .find(|rule| rules.iter().any(|other| other.id() == rule.class()));
    if let Some(rule) = mixed {
        let message = format!("\"{}\" is both a detector and a class", rule.class());
        problem(0, message);
    }
    Detectors::new(rules)
}

fn spec(raw: Detector) -> Spec {
    Spec {
        id: raw.id.into_inner(),
        class: raw.class,
        regex: raw.regex.map(Spanned::into_inner),
        words: raw.words,
        ignore_case: raw.ignore_case,
        keywords: raw.keywords,
        context: raw.context,
        validator: raw.validator,
    }
}
