//! Which statements a text has: the first word of each, whatever it is, and verbs in it that change something.
//!
//! A verb in the middle counts too (`WITH x AS (DELETE ...)`, `EXPLAIN ANALYZE UPDATE`, `SELECT ... INTO`), one in quotes or a comment does
//! not. Databases differ in what quotes and comments are: the text is read as each of them does. Prose has first words as well: which text
//! is SQL only the tool knows.

use std::collections::BTreeSet;

/// Adds the first words and verbs of the statements in `text`, in upper case.
pub(super) fn statements(text: &str, found: &mut BTreeSet<String>) {
    each(text, true, found);
}

/// Adds the verbs of what may be statements inside another text, a string of it for one, and nothing of what is no verb.
pub(super) fn inner(text: &str, found: &mut BTreeSet<String>) {
    each(text, false, found);
}

fn each(text: &str, whole: bool, found: &mut BTreeSet<String>) {
    read(text, Dialect::Standard, whole, found);
    if text.contains(['\\', '#']) || text.contains("--") {
        read(text, Dialect::MySql, whole, found);
    }
    if text.contains('$') || text.contains("/*") {
        read(text, Dialect::Postgres, whole, found);
    }
    if text.contains('[') {
        read(text, Dialect::SqlServer, whole, found);
    }
}

/// Whose quotes and comments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Standard,
    /// Backslashes escape in strings; `#` begins a comment, `--` only before a space.
    MySql,
    /// `$x$` is a quote, and comments nest.
    Postgres,
    /// `[` is a quote.
    SqlServer,
}

fn read(text: &str, dialect: Dialect, whole: bool, found: &mut BTreeSet<String>) {
    // What begins here is a statement, or may be one inside another; it changes something where it says so.
    let (mut first, mut start, mut inside) = (whole, true, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (token, after) = token(rest, next, dialect);
        let line = rest.starts_with('\n');
        rest = after;
        if next.is_ascii_alphabetic() {
            let verb = token.to_ascii_uppercase();
            let is = |verbs: &[&str]| verbs.contains(&verb.as_str());
            // Between batches.
            let between =
                verb == "GO" && rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
            if between && start {
                (first, inside) = (whole, false);
                continue;
            }
            // Functions have such names.
            let function = is(FUNCTIONS) && rest.starts_with('(');
            let begins = start && (is(CHANGING) || is(OTHERS));
            inside |= begins;
            if (first || begins || (inside && is(CHANGING))) && !function {
                found.insert(verb);
            }
            (first, start) = (false, false);
        } else if next == ';' {
            (first, start, inside) = (whole, true, false);
        } else if line || next == '(' {
            start = true;
        } else if !next.is_whitespace() && !is_comment(token, dialect) {
            // No verb: an object, a command of a client.
            if (first && !next.is_ascii_digit()) || (whole && next == '\\') {
                found.insert(next.to_string());
            }
            (first, start) = (false, false);
        }
    }
}

/// Whether a text can be nothing but a name or a number.
pub(super) fn is_word(text: &str) -> bool {
    let verb = text.to_ascii_uppercase();
    text.chars()
        .all(|c| c.is_alphanumeric() || "_-.".contains(c))
        && !ALONE.contains(&verb.as_str())
        && !CHANGING.contains(&verb.as_str())
        && !OTHERS.contains(&verb.as_str())
}

/// The next token, and what follows it.
fn token(text: &str, next: char, dialect: Dialect) -> (&str, &str) {
    let end = match next {
        '\'' | '"' | '`' => quoted(text, next, dialect == Dialect::MySql && next != '`'),
        '[' if dialect == Dialect::SqlServer => quoted(text, ']', false),
        '$' if dialect == Dialect::Postgres => dollars(text),
        '#' if dialect == Dialect::MySql => text.find('\n').unwrap_or(text.len()),
        '-' if text.starts_with("--") && is_comment(text, dialect) => {
            text.find('\n').unwrap_or(text.len())
        }
        // `/*!` is run by MySQL, `/*M!` by MariaDB, and `/*+` is a hint.
        '/' if text.starts_with("/*") => {
            run_comment(text).unwrap_or_else(|| comment(text, dialect == Dialect::Postgres))
        }
        letter if letter.is_ascii_alphabetic() => {
            let name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            text.find(|c| !name(c)).unwrap_or(text.len())
        }
        other => other.len_utf8(),
    };
    text.split_at(end)
}

/// Where a quote ends.
fn quoted(text: &str, end: char, escapes: bool) -> usize {
    let mut inside = text.char_indices().skip(1);
    while let Some((at, character)) = inside.next() {
        if character == end {
            return at + 1;
        }
        if escapes && character == '\\' {
            inside.next();
        }
    }
    text.len()
}

/// Where a quote between `$x$` ends; one character where there is none.
fn dollars(text: &str) -> usize {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    let inside = &text[1..];
    let Some(end) = inside
        .find(|c| !name(c))
        .filter(|at| inside[*at..].starts_with('$'))
    else {
        return 1;
    };
    let tag = &text[..end + 2];
    text[tag.len()..]
        .find(tag)
        .map_or(text.len(), |at| at + 2 * tag.len())
}

/// Where a comment ends.
fn comment(text: &str, nests: bool) -> usize {
    let (mut open, mut at) = (1, 2);
    while open > 0 {
        let Some(next) = text[at..].find("*/") else {
            return text.len();
        };
        let inner = text[at..at + next].find("/*").filter(|_| nests);
        match inner {
            Some(inner) => (open, at) = (open + 1, at + inner + 2),
            None => (open, at) = (open - 1, at + next + 2),
        }
    }
    at
}

/// How long the beginning of a comment is whose inside is run.
fn run_comment(text: &str) -> Option<usize> {
    let start = ["/*!", "/*M!"]
        .into_iter()
        .find(|start| text.starts_with(start))?;
    let version = text[start.len()..].bytes().take_while(u8::is_ascii_digit);
    Some(start.len() + version.count())
}

fn is_comment(token: &str, dialect: Dialect) -> bool {
    let mysql = dialect == Dialect::MySql;
    token.starts_with("/*")
        || (mysql && token.starts_with('#'))
        || token
            .strip_prefix("--")
            .is_some_and(|rest| !mysql || rest.starts_with(char::is_whitespace) || rest.is_empty())
}

/// Verbs, and words of clauses that write, which count wherever they stand in a statement.
const CHANGING: &[&str] = &[
    "ALTER",
    "BACKUP",
    "BULK",
    "CALL",
    "COPY",
    "CREATE",
    "DBCC",
    "DELETE",
    "DENY",
    "DROP",
    "DUMPFILE",
    "EXEC",
    "EXECUTE",
    "GRANT",
    "INSERT",
    "INTO",
    "MERGE",
    "OUTFILE",
    "OVERWRITE",
    "RECONFIGURE",
    "REPLACE",
    "RESTORE",
    "REVOKE",
    "SELECT",
    "SHUTDOWN",
    "TRUNCATE",
    "UPDATE",
    "UPSERT",
];
/// Verbs that count at the start of a statement only: columns and clauses are called so too.
const OTHERS: &[&str] = &[
    "ANALYZE", "ATTACH", "BEGIN", "COMMENT", "COMMIT", "DECLARE", "DESCRIBE", "DETACH", "DO",
    "EXPLAIN", "EXPORT", "FROM", "IF", "IMPORT", "KILL", "LOAD", "LOCK", "MATCH", "OPTIMIZE",
    "PRAGMA", "PREPARE", "REFRESH", "REINDEX", "RENAME", "RESET", "ROLLBACK", "SET", "SHOW",
    "START", "TABLE", "UNLOAD", "USE", "VACUUM", "VALUES", "WHILE", "WITH",
];
/// Statements of one word.
const ALONE: &[&str] = &[
    "ABORT",
    "CHECKPOINT",
    "DISCARD",
    "END",
    "FLUSH",
    "FLUSHALL",
    "FLUSHDB",
    "PURGE",
    "QUIT",
    "REPAIR",
    "STOP",
    "SYNC",
];
const FUNCTIONS: &[&str] = &["INSERT", "REPLACE", "TRUNCATE"];
