//! Which statements of SQL a text has: the verbs in it, from the first one at the start of a statement on.
//!
//! A verb in the middle counts too (`WITH x AS (DELETE ...)`, `EXPLAIN ANALYZE UPDATE`), one in quotes or a comment does not. Comments that
//! MySQL runs are no comments. Prose that begins with such a word counts as well: which text is SQL only the tool knows.

use std::collections::BTreeSet;

/// Adds the verbs of the statements in `text`, in upper case.
pub(super) fn statements(text: &str, found: &mut BTreeSet<String>) {
    let (mut start, mut inside) = (true, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (token, after) = token(rest, next);
        let line = rest.starts_with('\n');
        rest = after;
        if next.is_ascii_alphabetic() {
            let verb = token.to_ascii_uppercase();
            let is = |verbs: &[&str]| verbs.contains(&verb.as_str());
            // Functions have such names.
            let function = is(FUNCTIONS) && rest.starts_with('(');
            let begins = start && (is(CHANGING) || is(OTHERS));
            start = false;
            inside |= begins;
            if (begins || (inside && is(CHANGING))) && !function {
                found.insert(verb);
            }
        } else if next == ';' {
            (start, inside) = (true, false);
        } else if line || next == '(' {
            start = true;
        } else if !next.is_whitespace() && !is_comment(token) {
            start = false;
        }
    }
}

/// The next token, and what follows it.
fn token(text: &str, next: char) -> (&str, &str) {
    let end = match next {
        '\'' | '"' | '`' => {
            let inside = &text[1..];
            inside.find(next).map_or(text.len(), |at| at + 2)
        }
        '-' if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        // `/*!` is run by MySQL, and `/*+` is a hint.
        '/' if text.starts_with("/*") && !text.starts_with("/*!") => {
            text.find("*/").map_or(text.len(), |at| at + 2)
        }
        '/' if text.starts_with("/*!") => {
            let version = text[3..].bytes().take_while(u8::is_ascii_digit).count();
            3 + version
        }
        letter if letter.is_ascii_alphabetic() => {
            let name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            text.find(|c| !name(c)).unwrap_or(text.len())
        }
        other => other.len_utf8(),
    };
    text.split_at(end)
}

fn is_comment(token: &str) -> bool {
    token.starts_with("--") || token.starts_with("/*")
}

/// Verbs that count wherever they stand in a statement.
const CHANGING: &[&str] = &[
    "ALTER", "CALL", "COPY", "CREATE", "DELETE", "DROP", "EXEC", "EXECUTE", "GRANT", "INSERT",
    "MERGE", "REPLACE", "REVOKE", "SELECT", "TRUNCATE", "UPDATE", "UPSERT",
];
/// Verbs that count at the start of a statement only: columns and clauses are called so too.
const OTHERS: &[&str] = &[
    "ANALYZE", "ATTACH", "BEGIN", "COMMENT", "COMMIT", "DECLARE", "DESCRIBE", "DETACH", "DO",
    "EXPLAIN", "EXPORT", "IMPORT", "KILL", "LOAD", "LOCK", "OPTIMIZE", "PRAGMA", "PREPARE",
    "REFRESH", "REINDEX", "RENAME", "RESET", "ROLLBACK", "SET", "SHOW", "SHUTDOWN", "START",
    "TABLE", "UNLOAD", "USE", "VACUUM", "VALUES", "WITH",
];
const FUNCTIONS: &[&str] = &["INSERT", "REPLACE", "TRUNCATE"];
