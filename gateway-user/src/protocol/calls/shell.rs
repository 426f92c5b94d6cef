//! Which programs a text starts when a shell reads it: the first word of every command in it, of those in its substitutions and quotes too.
//!
//! Out: names without their folder, as quotes and backslashes leave them; with the folder too where that is none of the system's. What
//! changes the meaning of names counts as a program: definitions (`function`, `alias`), assignments (`PATH=`). A word that is only known when it runs stays as it is written
//! (`$x`), so that a list of what is permitted does not have it. Programs that start others (`sudo`, `xargs`) count with all their words, and
//! a word of several words is read as a command itself, but for words of programs that only look at them ([`PLAIN`]) where no shell is
//! near. Where shells could read the text otherwise than it is read here (here-documents, `case` or a comment in a substitution, quotes and
//! arithmetic in an expansion) [`UNSURE`] is a program too, and every quote and comment counts as a command.
//! Source: POSIX.1-2017, Shell Command Language, sections 2.2 to 2.10.

mod escape;
mod expansion;
mod inside;
mod names;

use std::collections::BTreeSet;

use names::{
    CHANGES, DEFINES, DEPTH, DIAL, Dials, KEYWORDS, PLAIN, RUNS, STARTERS, STARTS, SYSTEM, UNSURE,
};

use super::facts::MAX_NAMES;

/// What is shown of a text beside its programs.
pub(super) enum Seen<'a> {
    /// What stands in quotes or in a substitution.
    Text(&'a str),
    /// A word as quotes leave it, and whether its program connects to what it is given.
    Word(&'a str, bool),
}

/// Adds the programs that `text` starts. Its words, and what stands in quotes, are shown to `inner` too.
pub(super) fn programs(text: &str, inner: &mut dyn FnMut(Seen<'_>), found: &mut BTreeSet<String>) {
    // `$'...'` has escapes, but not for every shell.
    for escapes in [true, false] {
        if !escapes && !text.contains("$'") {
            break;
        }
        let mut reader = Reader::new(found, inner, DEPTH);
        reader.escapes = escapes;
        reader.read(text, false);
        if reader.unsure {
            // What looked like a comment may be none.
            let mut again = Reader::new(found, inner, DEPTH);
            (again.escapes, again.unsure) = (escapes, true);
            again.read(text, false);
        }
    }
}

/// Adds the programs of a command that comes as a list of words.
pub(super) fn argv(
    words: &[String],
    inner: &mut dyn FnMut(Seen<'_>),
    found: &mut BTreeSet<String>,
) {
    let mut reader = Reader::new(found, inner, DEPTH);
    for word in words {
        reader.word = Some(word.clone());
        reader.end_word();
    }
    reader.look_aside();
    // As a tool runs it that puts the words together for a shell.
    if words.iter().any(|word| is_operator(word)) {
        programs(&words.join(" "), inner, found);
    }
}

/// Shows what stands in a word of a list to `inner`.
pub(super) fn nested(word: &str, inner: &mut dyn FnMut(Seen<'_>), found: &mut BTreeSet<String>) {
    if is_nested(word) {
        programs(word, inner, found);
    }
}

struct Reader<'a> {
    found: &'a mut BTreeSet<String>,
    inner: &'a mut dyn FnMut(Seen<'_>),
    depth: u8,
    /// `$'...'` has escapes.
    escapes: bool,
    word: Option<String>,
    at: At,
    /// The program of this command only looks at its words.
    plain: bool,
    /// The program of this command connects to what its words name.
    dials: Option<&'static Dials>,
    /// The word before was an option that takes a word of its own.
    valued: bool,
    /// Words of such programs, which are commands if they reach a shell.
    aside: Vec<String>,
    /// Shells could read this text otherwise.
    unsure: bool,
    /// So many `case` have no `esac` yet.
    cases: u32,
}

/// What the next word is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// The name of a program.
    Command,
    /// The name of a function that is defined.
    Name,
    /// A word of a program that starts another.
    Any,
    Argument,
    /// A file.
    Redirection(bool),
}

impl<'a> Reader<'a> {
    fn new(found: &'a mut BTreeSet<String>, inner: &'a mut dyn FnMut(Seen<'_>), depth: u8) -> Self {
        Self {
            found,
            inner,
            depth,
            escapes: true,
            word: None,
            at: At::Command,
            plain: false,
            dials: None,
            valued: false,
            aside: Vec::new(),
            unsure: false,
            cases: 0,
        }
    }

    /// Reads a text to its end, or `within` a substitution up to the parenthesis that ends it; gives what follows.
    fn read<'t>(&mut self, text: &'t str, within: bool) -> &'t str {
        let mut rest = text.chars();
        let (mut before, mut open, mut ended) = (' ', 0_u32, false);
        while let Some(next) = rest.next() {
            match next {
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                '\'' => {
                    let (quoted, after) = self.until(rest.as_str());
                    self.word.get_or_insert_default().push_str(quoted);
                    rest = after.chars();
                }
                '"' => rest = self.quoted(rest.as_str()).chars(),
                '$' if self.escapes && rest.as_str().starts_with('\'') => {
                    let (quoted, after) = escape::unescape(&rest.as_str()[1..]);
                    self.word.get_or_insert_default().push_str(&quoted);
                    rest = after.chars();
                }
                '$' if self.escapes && rest.as_str().starts_with('"') => {}
                '$' | '`' => rest = self.expanded(next, rest.as_str()).chars(),
                '#' if self.word.is_none() && !self.unsure => {
                    // Not every shell knows a comment in a substitution.
                    self.unsure |= within;
                    let line = rest.as_str().find('\n').unwrap_or(rest.as_str().len());
                    rest = rest.as_str()[line..].chars();
                }
                '&' if before == '>' || before == '<' => {}
                ';' | '&' | '|' | '\n' | '(' | ')' => {
                    // What the name stands for from here on is not its program.
                    if next == '(' && rest.as_str().trim_start().starts_with(')') {
                        self.found.insert(DEFINES.to_owned());
                    }
                    self.end_word();
                    self.at = At::Command;
                    match next {
                        '(' => open += 1,
                        // Of a pattern.
                        ')' if self.cases > 0 => {}
                        ')' if within && open == 0 => {
                            ended = true;
                            break;
                        }
                        ')' => open = open.saturating_sub(1),
                        _ => {}
                    }
                }
                '<' | '>' => {
                    // The number of a descriptor is no word.
                    let number = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
                    if self.word.as_ref().is_some_and(number) {
                        self.word = None;
                    }
                    self.end_word();
                    self.at =
                        At::Redirection(matches!(self.at, At::Command | At::Redirection(true)));
                    // A here-document, but no here-string.
                    if next == '<' && rest.as_str().starts_with('<') {
                        self.unsure |= !rest.as_str().starts_with("<<");
                        let signs = rest.as_str().trim_start_matches('<');
                        rest = signs.chars();
                    }
                }
                ' ' | '\t' => self.end_word(),
                other => self.push(other),
            }
            before = next;
        }
        self.end_word();
        self.unsure |= within && !ended;
        self.look_aside();
        rest.as_str()
    }

    fn look_aside(&mut self) {
        if self.unsure {
            self.found.insert(UNSURE.to_owned());
        }
        if self.aside.is_empty() {
            return;
        }
        if self.unsure || RUNS.iter().any(|name| self.found.contains(*name)) {
            for word in std::mem::take(&mut self.aside) {
                self.go_inside(&word);
            }
        }
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        if self.found.len() > MAX_NAMES {
            return;
        }
        self.show(&word);
        if self.at != At::Argument || !self.plain {
            self.assign(&word);
        }
        if is_nested(&word) {
            if self.plain && matches!(self.at, At::Argument | At::Redirection(false)) {
                (self.inner)(Seen::Text(&word));
                self.aside.push(word);
                self.at = At::Argument;
                return;
            }
            self.go_inside(&word);
        }
        match self.at {
            At::Redirection(command) => {
                self.at = if command { At::Command } else { At::Argument };
            }
            At::Argument if !self.plain && STARTS.contains(&word.as_str()) => {
                self.at = At::Command;
            }
            At::Argument => {}
            At::Name => self.at = At::Command,
            At::Command if is_assignment(&word) || KEYWORDS.contains(&word.as_str()) => {
                if word == "esac" {
                    self.cases = self.cases.saturating_sub(1);
                }
            }
            At::Command if word == DEFINES => {
                self.found.insert(word);
                self.at = At::Name;
            }
            At::Command if ["case", "for", "select"].contains(&word.as_str()) => {
                if word == "case" {
                    self.cases += 1;
                    self.unsure = true;
                }
                self.plain = false;
                self.at = At::Argument;
            }
            At::Any if word.starts_with('-') || is_assignment(&word) => {}
            At::Command | At::Any => {
                self.start(&word);
                let name = word.rsplit('/').next().unwrap_or_default();
                if self.at == At::Command {
                    self.plain = PLAIN.contains(&name);
                    self.dials = None;
                    let starter = STARTERS.contains(&name);
                    self.at = if starter { At::Any } else { At::Argument };
                }
                let dials = DIAL.iter().find(|(dials, _)| *dials == name);
                self.dials = dials.or(self.dials);
            }
        }
    }

    /// Counts the program that a word names.
    fn start(&mut self, word: &str) {
        let (folder, name) = word.rsplit_once('/').unwrap_or(("", word));
        let mut count = |name: &str| {
            if !name.is_empty() {
                self.found.insert(name.to_owned());
            }
        };
        count(name);
        // A file that is called like a program.
        if !name.is_empty() && word.contains('/') && !SYSTEM.contains(&folder) {
            count(word);
        }
        // `{rm,-rf,/}` is three words.
        if word.contains('{') && word.contains(',') {
            count(word);
            word.split(['{', ',', '}']).for_each(count);
        }
    }

    /// Counts an assignment, or the name of a loop, that changes what a name starts: `PATH=`.
    fn assign(&mut self, word: &str) {
        let name = word.split('=').next().unwrap_or_default();
        let name = name.split(['[', '+']).next().unwrap_or_default();
        let changes =
            CHANGES.contains(&name) || name.starts_with("LD_") || name.starts_with("BASH_FUNC_");
        // `export PATH`, `for PATH in`, `read PATH`.
        if changes && (is_assignment(word) || name == word) {
            self.found.insert(format!("{name}="));
        }
    }

    fn show(&mut self, word: &str) {
        let dials = self
            .dials
            .filter(|_| self.at == At::Argument || self.at == At::Any);
        let valued = std::mem::take(&mut self.valued);
        let place = dials.is_some() && !valued && !word.starts_with('-');
        (self.inner)(Seen::Word(word, place));
        self.valued = dials.is_some_and(|(_, options)| options.contains(&word));
    }
}

/// Whether a word may be a command by itself: for `sh -c`, `ssh`, `python -c`.
fn is_nested(word: &str) -> bool {
    word.contains(|c: char| c.is_whitespace() || ";|&`(".contains(c))
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        let name = name.strip_suffix('+').unwrap_or(name);
        // An element of an array.
        let name = match name.split_once('[') {
            Some((array, index)) if index.ends_with(']') => array,
            _ => name,
        };
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Whether a word of a list ends a command, or begins one, once the words are one text. One of a pattern (`a|b`) does not say so.
fn is_operator(word: &str) -> bool {
    word.contains([';', '&', '\n', '`'])
        || word.contains("$(")
        || word.starts_with(['|', '(', '<', '>'])
        || word.ends_with('|')
}
