//! The query that a case stands for: what it says, and what a plain request to its service looks like.

use std::collections::BTreeSet;

use toml::Value;

use super::{Case, CaseFault, Expect};
use crate::nearest::nearest;
use crate::policy::evaluate::FILLED;
use crate::policy::vocabulary::{FactType, Kind, Vocabulary};
use crate::policy::{PolicySet, Query, TOOL_CALL};
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Fact, Facts, calls};

/// The query that a case stands for.
pub(super) fn query(
    case: &Case,
    vocabulary: &Vocabulary,
    services: &dyn Fn(&str) -> Vec<String>,
    identities: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Result<Query, CaseFault> {
    let actions = &vocabulary.0;
    let known = actions.get(&case.action).ok_or_else(|| CaseFault::Action {
        name: case.action.clone(),
        nearest: nearest(&case.action, actions.keys().map(String::as_str)),
    })?;
    if (case.mask.is_some() || case.patched.is_some()) && case.expect == Expect::Deny {
        return Err(CaseFault::OfDenial);
    }
    let groups =
        identities(&case.identity).ok_or_else(|| CaseFault::Identity(case.identity.clone()))?;
    let mut facts = defaults(case);
    facts.0.retain(|name, _| known.contains_key(name));
    for (name, value) in &case.facts {
        if FILLED.contains(&name.as_str()) {
            return Err(CaseFault::Reserved(name.clone()));
        }
        let of = known.get(name).ok_or_else(|| CaseFault::UnknownFact {
            action: case.action.clone(),
            name: name.clone(),
            nearest: nearest(name, known.keys().map(String::as_str)),
        })?;
        facts.0.insert(name.clone(), fact(name, *of, value)?);
    }
    if case.action == TOOL_CALL {
        said(case, &mut facts)?;
    }
    let needed = |(name, of): &(&String, &FactType)| {
        !of.optional && !FILLED.contains(&name.as_str()) && !facts.0.contains_key(*name)
    };
    if let Some((name, _)) = known.iter().find(needed) {
        return Err(CaseFault::MissingFact {
            action: case.action.clone(),
            name: name.clone(),
        });
    }
    Ok(Query {
        identity: case.identity.clone(),
        groups,
        action: case.action.clone(),
        service_groups: services(&case.service),
        service: case.service.clone(),
        facts,
    })
}

/// The query for a call as it would go on.
pub(super) fn patched(case: &Case, mut query: Query, set: &PolicySet) -> Result<Query, CaseFault> {
    let before = query.facts.text("arguments").unwrap_or_default();
    // What is no object stays as it is, and the decision on it finds that the patch is not in it.
    if let Ok(Some(new)) = set.patch(&query).apply(before) {
        query.facts.set("arguments", new);
        said(case, &mut query.facts)?;
    }
    Ok(query)
}

/// Adds what the arguments of a call say, unless the case says so itself.
fn said(case: &Case, facts: &mut Facts) -> Result<(), CaseFault> {
    let call = ToolCall {
        name: facts.text("tool").unwrap_or_default().to_owned(),
        arguments: facts.text("arguments").unwrap_or("{}").to_owned(),
    };
    let mut read = Facts::default();
    calls::facts(&call, &mut read).map_err(|error| CaseFault::Arguments(error.to_string()))?;
    for (name, fact) in read.0 {
        // As the gateway writes them, whatever the case has between their tokens.
        if name == "arguments" || (!case.facts.contains_key(&name) && name != "tool") {
            facts.0.insert(name, fact);
        }
    }
    Ok(())
}

/// What a plain request to that service looks like; a case states what matters to it.
fn defaults(case: &Case) -> Facts {
    let (host, port) = match case.service.rsplit_once(':') {
        Some((host, port)) => (host, port.parse::<u16>().unwrap_or(HTTPS)),
        None => (case.service.as_str(), HTTPS),
    };
    let mut facts = Facts::default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    facts.set("host", host);
    facts.set("address", host);
    facts.set("port", i64::from(port));
    facts.set("tls", case.action != "net.listen");
    facts.set("credential", "none");
    facts.set("findings", Fact::Set(BTreeSet::new()));
    facts.set("name", host);
    facts.set("type", "A");
    let (method, path) = match case.action.as_str() {
        "http.read" | "http.websocket" => ("GET", "/"),
        "llm.generate" | TOOL_CALL => ("POST", "/v1/chat/completions"),
        "llm.embed" => ("POST", "/v1/embeddings"),
        "llm.count" => ("POST", "/v1/messages/count_tokens"),
        "llm.read" => ("GET", "/v1/models"),
        "llm.write" => ("DELETE", "/v1/responses/resp_1"),
        _ => ("POST", "/"),
    };
    facts.set("method", method);
    facts.set("path", path);
    facts.set("stream", false);
    facts.set("distrusted", false);
    facts.set("tainted", false);
    for none in ["risks", "moved"] {
        facts.set(none, Fact::Set(BTreeSet::new()));
    }
    facts.set("tools", Fact::Set(BTreeSet::new()));
    facts.set("messages", 1);
    facts.set("spent_today_cents", 0);
    facts.set("spent_month_cents", 0);
    facts
}

fn fact(name: &str, of: FactType, value: &Value) -> Result<Fact, CaseFault> {
    let (fact, expected) = match of.kind {
        Kind::Bool => (value.as_bool().map(Fact::Bool), "true or false"),
        Kind::Long => (value.as_integer().map(Fact::Long), "a whole number"),
        Kind::Text => (value.as_str().map(Fact::from), "a string"),
        Kind::Set => (
            value.as_array().and_then(|names| texts(names)),
            "a list of strings",
        ),
    };
    fact.ok_or(CaseFault::FactType {
        name: name.to_owned(),
        expected,
    })
}

fn texts(names: &[Value]) -> Option<Fact> {
    names
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<BTreeSet<_>>>()
        .map(Fact::Set)
}

const HTTPS: u16 = 443;
