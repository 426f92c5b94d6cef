//! Calls that go on with other arguments than the model wrote.
//!
//! In: a document, or the data of events, and what stands in place of which arguments. Out: the same with those wherever the call is told: in
//! one piece, repeated, or in pieces, of which the first has all and the others nothing. Invariant: nothing else changes. What readers then
//! find has to be looked at by the caller: arguments are known by what they say, not by each format's places for them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::{CallsError, Family, Key, Piece, canonical, identity, parse, read};
use crate::protocol::json::{self, Keys, Kind, Step, splice};
use crate::protocol::transcript::ToolCall;

/// A call as the model wrote it, and the arguments with which it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// As it was told to be decided on.
    pub call: ToolCall,
    /// JSON, unless the call's own are none.
    pub arguments: String,
}

impl Edit {
    /// The call as it goes on.
    #[must_use]
    pub fn edited(&self) -> ToolCall {
        ToolCall {
            name: self.call.name.clone(),
            arguments: self.arguments.clone(),
        }
    }

    /// Whether it is of this call.
    pub(super) fn is_of(&self, name: &str, arguments: &str) -> bool {
        let own = &self.call;
        name == own.name
            && (arguments == own.arguments || canonical(arguments) == canonical(&own.arguments))
    }
}

/// What calls that come in pieces go on with.
pub(super) type Pending = HashMap<Key, Put>;

/// The arguments of one of them.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) arguments: String,
    /// Whether a piece has taken them.
    done: bool,
    /// Whether the model wrote none, so that the first piece is an empty one.
    empty: bool,
}

impl Put {
    pub(super) fn of(edit: &Edit) -> Self {
        Self {
            arguments: edit.arguments.clone(),
            done: false,
            empty: edit.call.arguments.is_empty(),
        }
    }

    /// What the next piece says: a literal of JSON, or where that is no string a document.
    fn next(&mut self, string: bool) -> String {
        match (std::mem::replace(&mut self.done, true), string) {
            (true, true) => json::encode(""),
            (true, false) => "{}".to_owned(),
            (false, true) => json::encode(&self.arguments),
            (false, false) => self.arguments.clone(),
        }
    }
}

/// Puts the arguments of calls where they are told in full beside the name of the tool; `None` where none is. In a `document` none can be
/// all that there are.
pub(super) fn repeated<'a>(
    data: &str,
    edits: impl Iterator<Item = &'a Edit>,
    document: bool,
) -> Result<Option<String>, CallsError> {
    let of = edits.map(|edit| (identity(&edit.call), edit));
    let of: HashMap<(String, String), &Edit> = of.collect();
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    let mut told: Vec<(String, bool, Range<usize>)> = Vec::new();
    json::walk(data, Keys::Unique, |path, kind, range| {
        let [object @ .., Step::Key(key)] = path else {
            return;
        };
        // What tools there are is no call of one.
        let defined = |step: &Step<'_>| matches!(step, Step::Key(key) if key == "tools");
        if object.iter().any(defined) {
            return;
        }
        let place = || format!("{object:?}");
        let string = kind == Kind::String;
        if string && (key == "name" || key == "type") {
            let name = json::decode(&data[range]);
            // A call of a tool that OpenAI has defined goes by its type.
            let name = match key == "type" {
                true => name.strip_suffix("_call"),
                false => Some(&*name),
            };
            if let Some(name) = name {
                names.entry(place()).or_default().push(name.to_owned());
            }
        } else if (string || kind == Kind::Container) && ARGUMENTS.contains(&key.as_ref()) {
            told.push((place(), string, range));
        }
    })?;
    let mut changes: Vec<json::Edit> = Vec::new();
    for (place, string, range) in told {
        let written = match string {
            true => json::decode(&data[range.clone()]),
            false => Cow::Borrowed(&data[range.clone()]),
        };
        if written.is_empty() && !document {
            continue;
        }
        let arguments = canonical(&written);
        let mut own = names.get(&place).into_iter().flatten();
        let edit = own.find_map(|name| of.get(&(name.clone(), arguments.clone())));
        if let Some(edit) = edit {
            let new = match string {
                true => json::encode(&edit.arguments),
                false => edit.arguments.clone(),
            };
            // What looks like arguments within arguments goes with them.
            while changes
                .last()
                .is_some_and(|inner| inner.range.start >= range.start)
            {
                changes.pop();
            }
            changes.push(json::Edit { range, new });
        }
    }
    Ok((!changes.is_empty()).then(|| splice(data, changes)))
}

/// Puts the arguments of calls that come in pieces into the pieces of one event; `None` where it has none of them.
pub(super) fn in_pieces(
    family: Family,
    data: &str,
    pending: &mut Pending,
) -> Result<Option<String>, CallsError> {
    let pieces = read(family, &parse(data)?)?.pieces;
    if !pieces.iter().any(|piece| pending.contains_key(&piece.key)) {
        return Ok(None);
    }
    let mut places: Vec<(bool, Range<usize>)> = Vec::new();
    json::walk(data, Keys::Unique, |path, kind, range| {
        if let (Some(Step::Key(key)), Kind::String | Kind::Container) = (path.last(), kind)
            && PIECES.contains(&key.as_ref())
        {
            places.push((kind == Kind::String, range));
        }
    })?;
    let mut rest = &places[..];
    let mut changes = Vec::new();
    for Piece { key, arguments, .. } in pieces {
        let mut put = pending.get_mut(&key);
        // An empty piece is looked for only where there is no other.
        if arguments.is_empty() && !put.as_ref().is_some_and(|put| put.empty) {
            continue;
        }
        // Both are in the order of the document.
        let found = rest.iter().position(|(string, place)| match string {
            true => json::decode(&data[place.clone()]) == *arguments,
            false => canonical(&data[place.clone()]) == arguments,
        });
        let Some(found) = found else {
            continue;
        };
        let (string, range) = rest[found].clone();
        rest = &rest[found + 1..];
        if let Some(put) = put.as_mut().filter(|put| put.empty == arguments.is_empty()) {
            let new = put.next(string);
            changes.push(json::Edit { range, new });
        }
    }
    Ok((!changes.is_empty()).then(|| splice(data, changes)))
}

/// What formats call the arguments of a call.
const ARGUMENTS: &[&str] = &[
    "arguments",
    "input",
    "args",
    "parameters",
    "action",
    "actions",
    "operation",
];
/// And a piece of them.
const PIECES: &[&str] = &["arguments", "input", "partial_json", "delta", "parameters"];
