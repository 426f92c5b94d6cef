//! Which statements a text has: the first word of each, whatever it is, and verbs in it that change something.
//!
//! A verb in the middle counts too (`WITH x AS (DELETE ...)`, `EXPLAIN ANALYZE UPDATE`, `SELECT ... INTO`), one in quotes or a comment does
//! not. Databases differ in what quotes and comments are: the text is read in every way that makes a difference to it, and where those are
//! too many, or clients could cut it otherwise, [`UNSURE`] is a statement too. Prose has first words as well: which text is SQL only the
//! tool knows.

mod reading;

use std::collections::BTreeSet;

use reading::Reading;

use super::facts::MAX_NAMES;

/// Adds the first words and verbs of the statements in `text`, in upper case.
pub(super) fn statements(text: &str, found: &mut BTreeSet<String>) {
    each(text, true, found);
}

/// Adds the verbs of what may be statements inside another text, a string of it for one, and nothing of what is no verb.
pub(super) fn inner(text: &str, found: &mut BTreeSet<String>) {
    each(text, false, found);
}

fn each(text: &str, whole: bool, found: &mut BTreeSet<String>) {
    let (readings, mut sure) = Reading::all(text);
    for reading in readings {
        sure &= read(text, reading, whole, found);
    }
    // Some end a line, or the text, where others do not.
    let odd =
        |c: char| (c.is_control() && c != '\t' && c != '\n') || "\u{2028}\u{2029}".contains(c);
    sure &= !text.replace("\r\n", "\n").contains(odd);
    if whole && !sure {
        found.insert(UNSURE.to_owned());
    }
}

/// Adds what a text has in one reading; whether no client could cut it otherwise.
fn read(text: &str, reading: Reading, whole: bool, found: &mut BTreeSet<String>) -> bool {
    // What begins here is a statement, or may be one inside another; it changes something where it says so.
    let (mut first, mut start, mut inside) = (whole, true, false);
    // Nothing stands on this line yet.
    let (mut fresh, mut line) = (true, true);
    let mut sure = true;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if found.len() > MAX_NAMES {
            break;
        }
        if std::mem::take(&mut fresh) && is_batch_end(rest) {
            (first, start, inside) = (whole, true, false);
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        }
        let (token, after) = reading.token(rest, next);
        rest = after;
        // Some clients look for the end of a batch in quotes and comments too.
        sure &= !token.contains('\n') || !token.split('\n').skip(1).any(is_batch_end);
        if next == '\n' {
            (fresh, line) = (true, true);
            start |= !inside;
            continue;
        }
        if next.is_whitespace() || reading.is_comment(token) {
            continue;
        }
        let command = std::mem::take(&mut line) && next == '!' && !rest.starts_with('=');
        if next.is_ascii_alphabetic() && !token.contains(['\'', '"']) {
            let verb = token.to_ascii_uppercase();
            let is = |verbs: &[&str]| verbs.contains(&verb.as_str());
            // Functions have such names.
            let function = is(FUNCTIONS) && rest.starts_with('(');
            let begins = start && (is(CHANGING) || is(OTHERS));
            inside |= begins;
            let changes = inside && (is(CHANGING) || is_followed(&verb, rest));
            if (first || begins || changes) && !function {
                found.insert(verb);
            }
            (first, start) = (false, false);
        } else if next == ';' {
            (first, start, inside) = (whole, true, false);
        } else if next == '(' {
            // Names of columns stand in those of a statement.
            start |= !inside;
        } else if !token.starts_with("/*") {
            // No verb: an object, a command of a client. What is a comment elsewhere begins no statement.
            let comment = next == '#' || (matches!(next, '-' | '/') && rest.starts_with(next));
            if (first && !next.is_ascii_digit() && !comment) || (whole && (next == '\\' || command))
            {
                found.insert(next.to_string());
            }
            (first, start) = (false, false);
        }
    }
    sure
}

/// Whether a line ends a batch: `GO`, how often it is run, and nothing else but a comment; or a slash.
fn is_batch_end(text: &str) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.trim_start_matches([' ', '\t']);
    let rest = match line.get(..2) {
        Some(go) if go.eq_ignore_ascii_case("go") => &line[2..],
        _ if line.starts_with('/') => &line[1..],
        _ => return false,
    };
    let blank = |c: char| c.is_whitespace();
    let count = rest.trim_start_matches(blank);
    let end = match count.len() < rest.len() {
        true => count.trim_start_matches(|c: char| c.is_ascii_digit()),
        false => count,
    };
    let end = end.trim_start_matches(|c: char| blank(c) || c == ';');
    end.is_empty()
        || ((end.starts_with("--") || end.starts_with("/*")) && line.len() > rest.len() + 1)
}

/// Verbs that count inside of another statement only before what can be no clause of it: SQL Server needs no `;` between two.
fn is_followed(verb: &str, rest: &str) -> bool {
    let rest = rest.trim_start();
    match verb {
        "KILL" => rest.starts_with(|c: char| c.is_ascii_digit() || "'-@".contains(c)),
        "DISABLE" | "ENABLE" => rest
            .get(..7)
            .is_some_and(|word| word.eq_ignore_ascii_case("TRIGGER")),
        _ => false,
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
    "SETUSER",
    "SHUTDOWN",
    "TRUNCATE",
    "UPDATE",
    "UPDATETEXT",
    "UPSERT",
    "WAITFOR",
    "WRITETEXT",
];
/// Verbs that count at the start of a statement only: columns and clauses are called so too. A line, or a parenthesis, begins one where none is
/// under way.
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
/// Stands for statements that are not known, so that no list of what is permitted has it.
const UNSURE: &str = "?";
