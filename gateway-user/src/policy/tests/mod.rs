//! What policy promises, each promise broken once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod annotations;
mod cases;
mod decisions;
mod depth;
mod detectors;
mod live;
mod lookups;
mod patches;
mod rules;
mod slices;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::load::{self, Source};
use super::{Decision, Denial, Permit, PolicyError, PolicySet, Query, Question, Style};
use crate::protocol::{Fact, Facts};

fn compile(text: &str) -> Result<PolicySet, PolicyError> {
    let file = PathBuf::from("p.cedar");
    let text = text.to_owned();
    load::compile(&[Source { file, text }])
}

fn set(text: &str) -> Arc<PolicySet> {
    Arc::new(compile(text).unwrap())
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A model call of `research-agent` in `agents` to `openai` in `llm`.
fn generate(model: &str) -> Query {
    let mut facts = Facts::default();
    facts.set("host", "api.openai.com");
    facts.set("port", 443);
    facts.set("tls", true);
    facts.set("credential", "none");
    facts.set("findings", Fact::Set(BTreeSet::new()));
    facts.set("tainted", false);
    facts.set("risks", Fact::Set(BTreeSet::new()));
    facts.set("method", "POST");
    facts.set("path", "/v1/chat/completions");
    facts.set("model", model);
    facts.set("stream", false);
    facts.set("tools", Fact::Set(BTreeSet::new()));
    facts.set("messages", 1);
    facts.set("spent_today_cents", 0);
    facts.set("spent_month_cents", 0);
    Query {
        identity: "research-agent".into(),
        groups: vec!["agents".into()],
        action: "llm.generate".into(),
        service: "openai".into(),
        service_groups: vec!["llm".into()],
        facts,
    }
}

fn with(mut query: Query, fact: &str, value: impl Into<Fact>) -> Query {
    query.facts.set(fact, value);
    query
}

fn permit(decision: Decision) -> Permit {
    match decision {
        Decision::Permit(permit) => permit,
        other => panic!("expected a permit, got {other:?}"),
    }
}

fn ask(decision: Decision) -> Question {
    match decision {
        Decision::Ask(question) => question,
        other => panic!("expected a question, got {other:?}"),
    }
}

fn deny(decision: Decision) -> Denial {
    match decision {
        Decision::Deny(denial) => denial,
        other => panic!("expected a denial, got {other:?}"),
    }
}

/// The problems of a text, as printed.
fn refusal(text: &str) -> String {
    match compile(text) {
        Ok(_) => panic!("loads: {text}"),
        Err(error) => error.to_string(),
    }
}

fn refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(
            message.contains(expected),
            "{text}\nexpected: {expected}\ngot: {message}"
        );
    }
}
