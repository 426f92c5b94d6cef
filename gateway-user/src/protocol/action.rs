//! What an agent is trying to do, in the terms policy knows: an action name and the facts that parsers and detectors found
//! before the decision.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One thing an agent tries to do: the unit of decision and of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// The action's name in the policy schema, such as `llm.generate`.
    pub name: &'static str,
    /// What parsers and detectors found; becomes Cedar's `context`.
    pub facts: Facts,
}

/// Facts by name. Names and types are fixed by `policies/schema.cedarschema`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(pub BTreeMap<String, Fact>);

/// One fact. The variants are the Cedar types that contexts use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// Cedar `Bool`.
    Bool(bool),
    /// Cedar `Long`.
    Long(i64),
    /// Cedar `String`.
    Text(String),
    /// Cedar `Set<String>`.
    Set(BTreeSet<String>),
}

impl Facts {
    /// Sets a fact, replacing an earlier one of that name.
    pub fn set(&mut self, name: &str, fact: impl Into<Fact>) {
        self.0.insert(name.to_owned(), fact.into());
    }

    /// The text fact of that name, if there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Fact::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl From<bool> for Fact {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Fact {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<&str> for Fact {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Fact {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl FromIterator<String> for Fact {
    fn from_iter<I: IntoIterator<Item = String>>(iter: I) -> Self {
        Self::Set(iter.into_iter().collect())
    }
}
