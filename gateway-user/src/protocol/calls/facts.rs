//! What policy sees of a call: its tool, its arguments, and what those would do as commands of a shell, as SQL and as URLs.
//!
//! Every string of the arguments is read in all three ways, whatever its key: which one the tool reads as a command only the tool knows. So
//! the sets name too much rather than too little. What is put together only when it runs (`$x`, `eval`, base64) is in none of them.

use std::collections::BTreeSet;

use super::shell::Seen;
use super::{CallsError, canonical, hosts, shell, sql};
use crate::protocol::Facts;
use crate::protocol::json::{self, JsonError, Keys, Kind, Step};
use crate::protocol::transcript::ToolCall;

/// Adds the facts of a call.
///
/// # Errors
/// Arguments that readers could understand differently, or that name too much.
pub fn facts(call: &ToolCall, facts: &mut Facts) -> Result<(), CallsError> {
    let read = Read::of(&call.arguments)?;
    facts.set("tool", call.name.as_str());
    facts.set("arguments", canonical(&call.arguments));
    facts.set("text", read.texts.join("\n"));
    for (name, found) in [
        ("programs", read.programs),
        ("statements", read.statements),
        ("hosts", read.hosts),
    ] {
        if found.len() > MAX_NAMES {
            return Err(CallsError::TooMany);
        }
        facts.set(name, found.into_iter().collect::<crate::protocol::Fact>());
    }
    Ok(())
}

/// What arguments say.
#[derive(Default)]
struct Read {
    texts: Vec<String>,
    programs: BTreeSet<String>,
    statements: BTreeSet<String>,
    hosts: BTreeSet<String>,
}

impl Read {
    fn of(arguments: &str) -> Result<Self, CallsError> {
        let mut read = Self::default();
        // A list of words that is one command, by the path of the list.
        let mut argv: Option<(Vec<Step<'_>>, Vec<String>)> = None;
        let walked = json::walk(arguments, Keys::Unique, |path, kind, range| {
            if kind != Kind::String {
                return;
            }
            let text = json::decode(&arguments[range]).into_owned();
            match path {
                [list @ .., Step::Index(place)] if is_argv(list) => {
                    let words = argv.get_or_insert_with(|| (list.to_vec(), Vec::new()));
                    if words.0 != list || *place == 0 {
                        let before = std::mem::replace(words, (list.to_vec(), Vec::new()));
                        read.argv(&before.1);
                    }
                    words.1.push(text.clone());
                    shell::nested(&text, &mut |seen| read.seen(seen), &mut BTreeSet::new());
                }
                _ => {
                    read.programs(&text);
                }
            }
            if is_place(path) {
                hosts::dialled(&text, &mut read.hosts);
            }
            // A value or a name is no statement, unless it says so.
            if !is_value(path) || !sql::is_word(&text) {
                read.sql(&text);
            }
            read.text(text);
        });
        match walked {
            Ok(()) => {}
            // What the model wrote is no JSON: one text.
            Err(JsonError::Invalid(_)) => {
                read = Self::default();
                read.programs(arguments);
                read.sql(arguments);
                read.text(arguments.to_owned());
                return Ok(read);
            }
            Err(error) => return Err(error.into()),
        }
        if let Some((_, words)) = argv {
            read.argv(&words);
        }
        Ok(read)
    }

    fn programs(&mut self, text: &str) {
        let mut programs = std::mem::take(&mut self.programs);
        shell::programs(text, &mut |seen| self.seen(seen), &mut programs);
        self.programs = programs;
    }

    fn argv(&mut self, words: &[String]) {
        let mut programs = std::mem::take(&mut self.programs);
        let mut places = |seen: Seen<'_>| {
            if let Seen::Word(..) = seen {
                self.seen(seen);
            }
        };
        shell::argv(words, &mut places, &mut programs);
        self.programs = programs;
    }

    fn seen(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Text(text) => sql::inner(text, &mut self.statements),
            Seen::Word(word, dials) => {
                hosts::named(word, &mut self.hosts);
                hosts::word(word, &mut self.hosts);
                if dials {
                    hosts::dialled(word, &mut self.hosts);
                }
            }
        }
    }

    fn text(&mut self, text: String) {
        hosts::named(&text, &mut self.hosts);
        // As it is, for a tool that is no shell.
        if !text.contains(char::is_whitespace) {
            hosts::word(&text, &mut self.hosts);
        }
        self.texts.push(text);
    }

    fn sql(&mut self, text: &str) {
        sql::statements(text, &mut self.statements);
    }
}

/// Whether a list under such a key is the words of one command; any other may be a list of commands.
fn is_argv(list: &[Step<'_>]) -> bool {
    matches!(list.last(), Some(Step::Key(key)) if ["command", "cmd", "argv", "args"].contains(&key.as_ref()))
}

/// Whether what such a member says is a place to connect to.
fn is_place(path: &[Step<'_>]) -> bool {
    key(path).is_some_and(|key| PLACES.iter().any(|place| key.ends_with(place)))
}

/// Whether such a member has a value or a name beside a statement.
fn is_value(path: &[Step<'_>]) -> bool {
    key(path).is_some_and(|key| VALUES.contains(&key.as_str()))
}

/// The last key, in lower case.
fn key(path: &[Step<'_>]) -> Option<String> {
    path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.to_ascii_lowercase()),
        Step::Index(_) => None,
    })
}

/// Members beside a statement that say where and how it runs.
const VALUES: &[&str] = &[
    "catalog",
    "connection",
    "database",
    "datasource",
    "db",
    "dialect",
    "format",
    "limit",
    "mode",
    "offset",
    "params",
    "parameters",
    "role",
    "schema",
    "table",
    "timeout",
    "values",
    "warehouse",
];
/// How the names of members end that clients connect to, in one or several (`baseUrl`, `image_urls`).
const PLACES: &[&str] = &[
    "domain", "endpoint", "host", "hostname", "hosts", "href", "uri", "uris", "url", "urls",
];
/// More than any command names; policy looks at each.
pub(super) const MAX_NAMES: usize = 1024;
