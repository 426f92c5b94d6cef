//! What policy puts into the arguments of a call of a tool: a JSON merge patch (RFC 7396), `@patch("{\"dry_run\": true, \"force\": null}")`.

use serde_json::{Map, Value};

use super::error::Fault;
use crate::protocol::calls::canonical;
use crate::protocol::json::{self, JsonError, Keys, Kind};

/// Members of the arguments: their new values, or `null` where they are taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch(Map<String, Value>);

impl Patch {
    /// Reads an annotation.
    pub(super) fn read(value: &str) -> Result<Self, Fault> {
        let mut exact = true;
        let walked = json::walk(value, Keys::Unique, |_, kind, range| {
            let number = &value[range];
            exact &= kind != Kind::Number || json::is_exact(number);
        });
        let read = serde_json::from_str(value).ok();
        let read = read.filter(|_| exact && walked.is_ok());
        match read.filter(|map: &Map<String, Value>| !map.is_empty()) {
            Some(map) => Ok(Self(map)),
            None => Err(Fault::Value {
                annotation: "patch",
                value: value.escape_debug().to_string(),
                expected: "write an object of JSON, each member once, numbers in their shortest form: its value is put in, null takes it out",
            }),
        }
    }

    /// Whether it changes nothing, whatever the arguments are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them at once; `None` where they say different things of one member.
    pub(super) fn joined<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut joined = Self::default();
        for (name, value) in all.flat_map(|patch| &patch.0) {
            let before = joined.0.insert(name.clone(), value.clone());
            if before.is_some_and(|before| before != *value) {
                return None;
            }
        }
        Some(joined)
    }

    /// The arguments with it; `None` where they have it already.
    ///
    /// # Errors
    /// The arguments are no object of JSON, or have a member twice.
    pub fn apply(&self, arguments: &str) -> Result<Option<String>, JsonError> {
        if self.is_empty() {
            return Ok(None);
        }
        let written = match arguments.trim() {
            "" => "{}",
            _ => arguments,
        };
        serde_json::from_str::<Map<String, Value>>(written)?;
        let new = json::merge(written, &Value::Object(self.0.clone()))?;
        Ok((canonical(written) != canonical(&new)).then_some(new))
    }

    /// For the record: `patch:dry_run`, by the names of members.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|name| format!("patch:{name}"))
    }
}

/// As it is written in a policy, with its quotes escaped.
impl std::fmt::Display for Patch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let written = Value::Object(self.0.clone()).to_string();
        f.write_str(&written.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
