//! Decision cases: what a policy set must answer, as files.
//!
//! In: `cases/*.toml` below the policy folder, a set, and what the configuration knows of identities and services. Out: an
//! [`Outcome`] per case. A case that cannot be asked as written is an error, not a failed case.

mod query;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::error::hint;
use super::vocabulary;
use super::{Decision, Place, PolicyError, PolicySet, load};
use query::{patched, query};

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
    #[error("mask and patched say what goes on: leave them out with expect = \"deny\"")]
    OfDenial,
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
            let asked = query(&case, &vocabulary, services, identities);
            let patched = asked.and_then(|query| patched(&case, query, set));
            let query = patched.map_err(|fault| CaseError::Case {
                place,
                case: name.clone(),
                fault: Box::new(fault),
            })?;
            let decision = set.decide(query);
            let wrong = case.judge(&decision);
            let got = match (arguments(&decision), &case.patched, &wrong) {
                (Some(arguments), Some(_), Some(_)) => {
                    format!("{decision} with arguments {arguments}")
                }
                _ => decision.to_string(),
            };
            outcomes.push(Outcome {
                file: file.clone(),
                name,
                got,
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
    patched: Option<String>,
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
            // An author who expects a denial does not mean a policy that breaks. Permits that contradict each other are refused as ever.
            Decision::Deny(denial) if denial.error && !denial.is_contradiction() => {
                return Some("a decision".to_owned());
            }
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
        let masked = self.mask.as_ref();
        if let Some(expected) = masked.filter(|expected| Some(*expected) != masks.as_ref()) {
            return Some(format!("masks {expected:?}"));
        }
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let expected = self.patched.as_ref()?;
        let same = arguments(decision)
            .and_then(read)
            .is_some_and(|arguments| Some(arguments) == read(expected));
        (!same).then(|| format!("arguments {expected}"))
    }
}

/// Those of a call that goes on.
fn arguments(decision: &Decision) -> Option<&str> {
    match decision {
        Decision::Permit(permit) => permit.query().facts.text("arguments"),
        Decision::Ask(question) => question.query().facts.text("arguments"),
        Decision::Deny(_) => None,
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
