//! Changes to a JSON text that leave its other bytes as they were.
//!
//! Sources: RFC 7396 (JSON merge patch).

use std::ops::Range;

use serde_json::Value;

use super::{JsonError, Keys, Kind, Step, encode, walk};

/// New text for a range of the old one.
#[derive(Debug)]
pub struct Edit {
    /// What it replaces, in bytes.
    pub range: Range<usize>,
    /// What stands there then.
    pub new: String,
}

/// Applies edits that do not overlap.
#[must_use]
pub fn splice(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Edit { range, new } in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A document with a merge patch applied. Values that the patch does not name are written as they were, numbers of any length too.
///
/// # Errors
/// The document is not JSON, or has a key twice.
pub fn merge(document: &str, patch: &Value) -> Result<String, JsonError> {
    let Value::Object(changes) = patch else {
        return Ok(patch.to_string());
    };
    let mut members = members(document)?;
    for (name, change) in changes {
        let at = members.iter().position(|(key, _)| key == name);
        match (at, change) {
            (Some(at), Value::Null) => drop(members.remove(at)),
            (Some(at), change) => members[at].1 = merge(&members[at].1, change)?,
            (None, Value::Null) => {}
            (None, change) => members.push((name.clone(), merge("null", change)?)),
        }
    }
    let members = members
        .iter()
        .map(|(name, value)| format!("{}:{value}", encode(name)));
    Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
}

/// Whether a number is written as serde_json writes it: one that a double does not hold is not.
#[must_use]
pub fn is_exact(number: &str) -> bool {
    let read = serde_json::from_str::<serde_json::Number>(number);
    read.is_ok_and(|read| read.to_string() == number)
}

/// The members of an object; none of anything else.
fn members(document: &str) -> Result<Vec<(String, String)>, JsonError> {
    let mut members = Vec::new();
    walk(document, Keys::Unique, |path, kind, range| {
        if let ([Step::Key(name)], true) = (path, kind != Kind::Key) {
            members.push((name.to_string(), document[range].to_owned()));
        }
    })?;
    Ok(members)
}
