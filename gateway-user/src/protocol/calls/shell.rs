//! Which programs a text starts when a shell reads it: the first word of every command in it, of those in its substitutions and quotes too.
//!
//! Out: names without their folder, as quotes and backslashes leave them; with the folder too where that is none of the system's. What
//! changes the meaning of names counts as a program: definitions (`function`, `alias`), assignments (`PATH=`). A word that is only known when it runs stays as it is written
//! (`$x`), so that a list of what is permitted does not have it. Programs that start others (`sudo`, `xargs`) count with all their words, and
//! a word of several words is read as a command itself, but for words of programs that only look at them ([`PLAIN`]) where no shell is
//! near.
//! Source: POSIX.1-2017, Shell Command Language, sections 2.2 to 2.10.

mod escape;
mod names;

use std::collections::BTreeSet;

use names::{
    CHANGES, DEFINES, DEPTH, DIAL, Dials, KEYWORDS, PLAIN, RUNS, STARTERS, STARTS, SYSTEM,
};

/// What is shown of a text beside its programs.
pub(super) enum Seen<'a> {
    /// What stands in quotes or in a substitution.
    Text(&'a str),
    /// A word as quotes leave it, and whether its program connects to what it is given.
    Word(&'a str, bool),
}

/// Adds the programs that `text` starts. Its words, and what stands in quotes, are shown to `inner` too.
pub(super) fn programs(text: &str, inner: &mut dyn FnMut(Seen<'_>), found: &mut BTreeSet<String>) {
    Reader::new(found, inner, DEPTH).read(text);
    // `$'...'` has escapes, but not for every shell.
    if text.contains("$'") {
        let mut plain = Reader::new(found, inner, DEPTH);
        plain.escapes = false;
        plain.read(text);
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
        }
    }

    fn read(&mut self, text: &str) {
        let mut rest = text.chars();
        let mut before = ' ';
        while let Some(next) = rest.next() {
            match next {
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                '\'' => {
                    let (quoted, after) = until(rest.as_str(), '\'');
                    self.word.get_or_insert_default().push_str(quoted);
                    rest = after.chars();
                }
                '"' => {
                    let after = self.quoted(rest.as_str());
                    rest = after.chars();
                }
                '`' => rest = self.substituted(until(rest.as_str(), '`')).chars(),
                '$' if rest.as_str().starts_with('(') => {
                    let parts = parenthesis(&rest.as_str()[1..]);
                    rest = self.substituted(parts).chars();
                }
                '$' if self.escapes && rest.as_str().starts_with('\'') => {
                    let (quoted, after) = escape::unescape(&rest.as_str()[1..]);
                    self.word.get_or_insert_default().push_str(&quoted);
                    rest = after.chars();
                }
                '$' if self.escapes && rest.as_str().starts_with('"') => {}
                '#' if self.word.is_none() => {
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
                }
                space if space.is_whitespace() => self.end_word(),
                other => self.push(other),
            }
            before = next;
        }
        self.end_word();
        self.look_aside();
    }

    fn look_aside(&mut self) {
        if self.found.iter().any(|name| RUNS.contains(&name.as_str())) {
            for word in std::mem::take(&mut self.aside) {
                self.go_inside(&word);
            }
        }
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    /// Reads to the end of a double quote.
    fn quoted<'t>(&mut self, text: &'t str) -> &'t str {
        self.word.get_or_insert_default();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '"' => break,
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => self.push(escaped),
                    Some(other) => {
                        self.push('\\');
                        self.push(other);
                    }
                },
                '`' => rest = self.substituted(until(rest.as_str(), '`')).chars(),
                '$' if rest.as_str().starts_with('(') => {
                    let parts = parenthesis(&rest.as_str()[1..]);
                    rest = self.substituted(parts).chars();
                }
                other => self.push(other),
            }
        }
        rest.as_str()
    }

    /// The word goes on with what the command inside says; what comes after it.
    fn substituted<'t>(&mut self, (inside, after): (&str, &'t str)) -> &'t str {
        self.push('$');
        self.go_inside(inside);
        after
    }

    fn go_inside(&mut self, text: &str) {
        if self.depth == 0 {
            // Deeper than anybody writes: not known, so in no list of what is permitted.
            self.found.insert("$".to_owned());
            return;
        }
        (self.inner)(Seen::Text(text));
        let mut inside = Reader::new(self.found, self.inner, self.depth - 1);
        inside.escapes = self.escapes;
        inside.read(text);
        let aside = inside.aside;
        self.aside.extend(aside);
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        self.show(&word);
        if self.at != At::Argument || !self.plain {
            self.assign(&word);
        }
        if is_nested(&word) {
            if self.plain && self.at == At::Argument {
                (self.inner)(Seen::Text(&word));
                self.aside.push(word);
                return;
            }
            self.go_inside(&word);
        }
        match self.at {
            At::Redirection(command) => {
                self.at = if command { At::Command } else { At::Argument };
            }
            At::Argument if STARTS.contains(&word.as_str()) => self.at = At::Command,
            At::Argument => {}
            At::Name => self.at = At::Command,
            At::Command if is_assignment(&word) || KEYWORDS.contains(&word.as_str()) => {}
            At::Command if word == DEFINES => {
                self.found.insert(word);
                self.at = At::Name;
            }
            At::Command if ["case", "for", "select"].contains(&word.as_str()) => {
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

fn until(text: &str, end: char) -> (&str, &str) {
    text.split_once(end).unwrap_or((text, ""))
}

/// Up to the closing parenthesis; one in quotes ends it early, and what follows counts all the same.
fn parenthesis(text: &str) -> (&str, &str) {
    let mut open = 1;
    for (at, character) in text.char_indices() {
        match character {
            '(' => open += 1,
            ')' => open -= 1,
            _ => continue,
        }
        if open == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    (text, "")
}
