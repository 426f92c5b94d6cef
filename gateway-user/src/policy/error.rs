//! What can be wrong with policies, where, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::detect::{self, Detectors};
use crate::nearest::nearest;

/// A policy set that cannot be used. Messages name the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PolicyError {
    #[error("no folder {}: name the policies' in [paths] policies, or run `tollgate init` for a first set", dir.display())]
    NoFolder { dir: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than {limit} bytes: split it", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("no *.cedar in {}: add policies, or run `tollgate init` for a first set", dir.display())]
    Empty { dir: PathBuf },
    #[error("{message}")]
    Unread { message: String },
    #[error("cannot start a thread to read policies: {0}")]
    Thread(io::Error),
    #[error("the built-in schema is broken: {0}")]
    Schema(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Broken(Vec<Problem>),
}

/// One thing that is wrong, or odd, with one policy.
#[derive(Debug)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The policy's id, where it has one.
    pub policy: Option<String>,
    /// What it is.
    pub fault: Fault,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Kinds of problems.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum Fault {
    #[error("{message}{}", help.as_ref().map_or_else(String::new, |help| format!(" ({help})")))]
    Cedar {
        message: String,
        help: Option<String>,
    },
    #[error("?principal and ?resource are not used here: name the identity, group or service")]
    Template,
    #[error(
        "nested or chained too deeply to be read: split the policy, or write alternatives as a set, [..].contains(..)"
    )]
    TooDeep,
    #[error("a policy needs a name: put @id(\"name\") before permit or forbid")]
    NoId,
    #[error("@id has characters that cannot be printed")]
    UnprintableId,
    #[error("the id is taken by the policy at {first}: ids are unique over all files")]
    DuplicateId { first: Place },
    #[error("unknown annotation @{name}{}", hint(nearest.as_deref()))]
    UnknownAnnotation {
        name: String,
        nearest: Option<String>,
    },
    #[error("@{annotation} belongs on a {effect}")]
    WrongEffect {
        annotation: &'static str,
        effect: &'static str,
    },
    #[error("@{annotation}(\"{value}\"): {expected}")]
    Value {
        annotation: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("@within says how long an approval is waited for: add @approvers(\"group\")")]
    WithinAlone,
    #[error("@style says what stands in place of what is masked: add @mask(\"class\")")]
    StyleAlone,
    #[error(
        "\"{name}\" is secret, and what is secret has no surrogate and is never restored: mask it in a policy of its own"
    )]
    Secret { name: String },
    #[error(
        "@restore works on requests that are no calls of models: write action == Action::\"http.read\" or Action::\"http.write\", or action in Action::\"http\""
    )]
    RestoreWhere,
    #[error("@patch works on calls of tools: write action == Action::\"llm.tool_call\"")]
    PatchWhere,
    #[error("\"{name}\" is neither a detector nor a class: there are {}, and those of `tollgate detect --list`", known.join(", "))]
    UnknownDetector { name: String, known: Vec<String> },
    #[error("{message}")]
    Detector { message: String },
    #[error("no risk is called \"{name}\": there are {}", crate::protocol::llm::risks::KNOWN.join(", "))]
    UnknownRisk { name: String },
    #[error(
        "context.credential is never \"{value}\": it is \"none\", \"own\", \"foreign\" or \"held\""
    )]
    UnknownCredential { value: String },
    #[error(
        "context.{fact} may stand only in `forbid ... unless {{ context.{fact}.contains(\"name\") }}`, alone or joined by && and ||"
    )]
    Obligation { fact: &'static str },
    #[error(
        "@{annotation} names {annotated} but `unless` asks context.{fact} for {asked}: both name the same"
    )]
    Names {
        annotation: &'static str,
        fact: &'static str,
        annotated: String,
        asked: String,
    },
    #[error(
        "one policy asks for one approval: write one policy for each approval that must be given"
    )]
    TwoApprovals,
    #[error(
        "context stands alone: name the fact, such as context.host, so that it can be seen which facts are used"
    )]
    BareContext,
    #[error(
        "when the optional fact {fact} is missing this permits more: test for it in `permit ... when` or `forbid ... unless`"
    )]
    Absence { fact: String },
    #[error("the configuration defines no {kind}::\"{name}\"{}", hint(nearest.as_deref()))]
    Undefined {
        kind: &'static str,
        name: String,
        nearest: Option<String>,
    },
    #[error("the policy applies to no action: for a group of actions write `action in`")]
    NoAction,
}

impl Fault {
    pub(super) fn unknown_detector(name: &str, detectors: &Detectors) -> Self {
        let all = detect::built_in();
        let near = nearest(name, all.iter().map(|known| known.id));
        let names = detectors.names().into_iter().map(str::to_owned);
        Self::UnknownDetector {
            name: name.to_owned(),
            known: names.chain(near).collect(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(id) => write!(f, "{}: policy \"{id}\": {}", self.place, self.fault),
            None => write!(f, "{}: {}", self.place, self.fault),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

pub(super) fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |known| format!(": did you mean {known}?"))
}
