//! Decision cases: what a policy set must answer, as files.
//!
//! In: `cases/*.toml` below the policy folder, a set, and what the configuration knows of identities and services. Out: an
//! [`Outcome`] per case. A case that cannot be asked as written is an error, not a failed case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::error::hint;
use super::evaluate::FILLED;
use super::vocabulary::{self, FactType, Kind, Vocabulary};
use super::{Decision, Place, PolicyError, PolicySet, Query, TOOL_CALL, load};
use crate::nearest::nearest;
use crate::protocol::transcript::ToolCall;
use crate::protocol::{Fact, Facts, calls};

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The file's name.
    pub file: String,
    /// The case's name.
    pub name: String,
    /// The decision, in its short form.
    pub got: String,
    /// What was expected instead, when the case failed.
    pub wrong: Option<String>,
}

/// Cases that cannot be run. Messages name the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CaseError {
    #[error(transparent)]
    Read(#[from] PolicyError),
    #[error("no *.toml in {}: a case says what policies must answer to one request", dir.display())]
    Empty { dir: PathBuf },
    #[error("{place}: {message}")]
    Syntax { place: Place, message: String },
    #[error("{place}: case \"{case}\": {fault}")]
    Case {
        place: Place,
        case: String,
        fault: Box<CaseFault>,
    },
}

/// What is wrong with a case.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CaseFault {
    #[error(
        "the configuration has no identity \"{0}\": add [[identity]] id = \"{0}\", or correct the name"
    )]
    Identity(String),
    #[error("there is no action \"{name}\"{}", hint(nearest.as_deref()))]
    Action {
        name: String,
        nearest: Option<String>,
    },
    #[error("{action} has no fact \"{name}\"{}", hint(nearest.as_deref()))]
    UnknownFact {
        action: String,
        name: String,
        nearest: Option<String>,
    },
    #[error(
        "fact \"{0}\" is filled by policy itself: leave it out, and say mask = [..] for what must be masked"
    )]
    Reserved(String),
    #[error("fact \"{name}\" must be {expected}")]
    FactType {
        name: String,
        expected: &'static str,
    },
    #[error("{action} needs the fact \"{name}\"")]
    MissingFact { action: String, name: String },
    #[error("fact \"arguments\": {0}")]
    Arguments(String),
    #[error("mask says what a permit masks: leave it out with expect = \"deny\"")]
    MaskOfDenial,
}

/// Runs every case below `dir`. `services` gives the groups of a service, `identities` those of an identity that exists.
///
/// # Errors
/// [`CaseError`] for the first case that cannot be run.
pub fn run(
    dir: &Path,
    set: &Arc<PolicySet>,
    services: &dyn Fn(&str) -> Vec<String>,
    identities: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Result<Vec<Outcome>, CaseError> {
    let (_, vocabulary) = vocabulary::schema()?;
    let mut outcomes = Vec::new();
    for path in files(&dir.join("cases"))? {
        let text = load::read_file(&path)?;
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for case in parse(&path, &text)? {
            let place = Place {
                file: path.clone(),
                line: load::line_at(&text, case.span().start),
            };
            let case = case.into_inner();
            let name = case.name.clone();
            let query = query(&case, &vocabulary, services, identities).map_err(|fault| {
                CaseError::Case {
                    place,
                    case: name.clone(),
                    fault: Box::new(fault),
                }
            })?;
            let decision = set.decide(query);
            let wrong = case.judge(&decision);
            outcomes.push(Outcome {
                file: file.clone(),
                name,
                got: decision.to_string(),
                wrong,
            });
        }
    }
    Ok(outcomes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Vec<Spanned<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    identity: String,
    action: String,
    service: String,
    #[serde(default)]
    facts: toml::Table,
    expect: Expect,
    policy: Option<String>,
    mask: Option<BTreeSet<String>>,
    restore: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Permit,
    Ask,
    Deny,
}

impl Case {
    /// What was expected, when the decision is not that.
    fn judge(&self, decision: &Decision) -> Option<String> {
        let (kind, policies, masks) = match decision {
            Decision::Permit(permit) => (
                Expect::Permit,
                permit.policies(),
                Some(permit.masks().names()),
            ),
            Decision::Ask(question) => (
                Expect::Ask,
                question.policies(),
                Some(question.masks().names()),
            ),
            // An author who expects a denial does not mean a policy that breaks.
            Decision::Deny(denial) if denial.error => return Some("a decision".to_owned()),
            Decision::Deny(denial) => (Expect::Deny, denial.policies.as_slice(), None),
        };
        if kind != self.expect {
            return Some(format!("{:?}", self.expect).to_lowercase());
        }
        if let Some(policy) = self
            .policy
            .as_ref()
            .filter(|policy| !policies.contains(policy))
        {
            return Some(format!("policy \"{policy}\" to determine it"));
        }
        let restored = match decision {
            Decision::Permit(permit) => Some(permit.restores()),
            _ => None,
        };
        let restores = self.restore.as_ref();
        if let Some(expected) = restores.filter(|expected| Some(*expected) != restored) {
            return Some(format!("restores {expected:?}"));
        }
        let expected = self
            .mask
            .as_ref()
            .filter(|expected| Some(*expected) != masks.as_ref())?;
        Some(format!("masks {expected:?}"))
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let fail = |source| PolicyError::Read {
        path: dir.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CaseError::Empty {
                dir: dir.to_owned(),
            });
        }
        entries => entries.map_err(fail)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(CaseError::Empty {
            dir: dir.to_owned(),
        });
    }
    files.sort();
    Ok(files)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Spanned<Case>>, CaseError> {
    let file: CaseFile = toml::from_str(text).map_err(|error| {
        let line = load::line_at(text, error.span().map_or(0, |span| span.start));
        let place = Place {
            file: path.to_owned(),
            line,
        };
        CaseError::Syntax {
            place,
            message: error.message().to_owned(),
        }
    })?;
    Ok(file.case)
}

/// The query that a case stands for.
fn query(
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
    if case.mask.is_some() && case.expect == Expect::Deny {
        return Err(CaseFault::MaskOfDenial);
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

/// Adds what the arguments of a call say, unless the case says so itself.
fn said(case: &Case, facts: &mut Facts) -> Result<(), CaseFault> {
    let call = ToolCall {
        name: facts.text("tool").unwrap_or_default().to_owned(),
        arguments: facts.text("arguments").unwrap_or("{}").to_owned(),
    };
    let mut read = Facts::default();
    calls::facts(&call, &mut read).map_err(|error| CaseFault::Arguments(error.to_string()))?;
    for (name, fact) in read.0 {
        if !case.facts.contains_key(&name) && name != "tool" {
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
