//! What policy sees of a call: its tool, its arguments, and what those would do as commands of a shell, as SQL and as URLs.
//!
//! Every string of the arguments is read in all three ways, whatever its key: which one the tool reads as a command only the tool knows. So
//! the sets name too much rather than too little. What is put together only when it runs (`$x`, `eval`, base64) is in none of them.

use std::collections::BTreeSet;

use super::{CallsError, canonical, shell, sql};
use crate::protocol::Facts;
use crate::protocol::json::{self, JsonError, Keys, Kind, Step};
use crate::protocol::target::normal_host;
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
                        shell::argv(&before.1, &mut read.programs);
                    }
                    words.1.push(text.clone());
                    shell::nested(&text, &mut |inner| read.sql(inner), &mut BTreeSet::new());
                }
                _ => {
                    let mut programs = std::mem::take(&mut read.programs);
                    shell::programs(&text, &mut |inner| read.sql(inner), &mut programs);
                    read.programs = programs;
                }
            }
            read.text(text);
        });
        match walked {
            Ok(()) => {}
            // What the model wrote is no JSON: one text.
            Err(JsonError::Invalid(_)) => {
                read = Self::default();
                let mut programs = BTreeSet::new();
                shell::programs(arguments, &mut |inner| read.sql(inner), &mut programs);
                read.programs = programs;
                read.text(arguments.to_owned());
                return Ok(read);
            }
            Err(error) => return Err(error.into()),
        }
        if let Some((_, words)) = argv {
            shell::argv(&words, &mut read.programs);
        }
        Ok(read)
    }

    fn text(&mut self, text: String) {
        self.sql(&text);
        hosts(&text, &mut self.hosts);
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

/// The hosts of all URLs in a text. Where readers take different parts for the host, each of them.
fn hosts(text: &str, found: &mut BTreeSet<String>) {
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        rest = &rest[at + 3..];
        let end =
            rest.find(|c: char| c.is_whitespace() || "/?#\"'`<>)}]|,;".contains(c) && c != ']');
        let authority = &rest[..end.unwrap_or(rest.len())];
        for authority in [authority, authority.split('\\').next().unwrap_or_default()] {
            let named = authority.rsplit('@').next().unwrap_or_default();
            let host = match named.rfind(':') {
                Some(colon) if !named[colon..].contains(']') => &named[..colon],
                _ => named,
            };
            if !host.is_empty() {
                found.insert(normal_host(host).unwrap_or_else(|| host.to_lowercase()));
            }
        }
    }
}

/// More than any command names; policy looks at each.
pub(super) const MAX_NAMES: usize = 1024;
