//! Passwords beside their users: in connection strings, in statements of SQL, in `curl -u user:…` and `creds user:…`.
//!
//! In: the text up to a password, or to its name. Out: whether a user or another part of a logon stands there.

use super::Said;
use super::program;
use super::said::{ends_with_word, holds, single};
use super::sentence::is_login;
use crate::place::Class;

/// Whether a password here is a part of a connection string: another part stands before it.
pub(super) fn in_connection(front: &[u8]) -> bool {
    matches!(front.trim_ascii_end(), [.., b';' | b'&' | b'?'])
        && PARTS.iter().any(|word| holds(front, word.as_bytes()))
}

/// Whether a password here stands beside its user: `"username": "ada", "password": `.
pub(super) fn is_beside_user(front: &[u8]) -> bool {
    let pair = |begins: &[u8]| {
        USERS.iter().any(|user| {
            let mut places = begins.windows(user.len()).enumerate();
            places.any(|(at, part)| {
                part.eq_ignore_ascii_case(user) && is_pair(&begins[at + user.len()..])
            })
        })
    };
    let before = match front {
        [before @ .., b'"' | b'\''] => before,
        before => before,
    };
    let before = before.trim_ascii_end();
    (before.ends_with(b"\",") || before.ends_with(b"',")) && pair(before)
}

/// Whether this is what joins a name and a value in quotes, that value, and a comma.
fn is_pair(rest: &[u8]) -> bool {
    let rest = match rest {
        [b'"' | b'\'', rest @ ..] => rest,
        rest => rest,
    };
    let [b':', rest @ ..] = rest else {
        return false;
    };
    let [quote @ (b'"' | b'\''), value @ ..] = rest.trim_ascii_start() else {
        return false;
    };
    let end = value.iter().position(|byte| byte == quote);
    end.is_some_and(|end| end > 0 && value[end + 1..].trim_ascii() == b",")
}

/// What the user before a colon says: `curl -u user:…`.
pub(super) fn user(before: &[u8]) -> Said {
    static USER: Class = Class::alphanumeric_and(b"_-.@+%\\");
    if !before.last().is_some_and(|byte| USER.has(*byte)) {
        return Said::Nothing;
    }
    let length = before.len()
        - before
            .iter()
            .rev()
            .take_while(|byte| USER.has(**byte))
            .count();
    let front = match &before[..length] {
        [front @ .., b'"' | b'\''] => front,
        front => front,
    };
    let attached = before[length..].starts_with(b"-u") && before.len() - length > 2;
    let option = attached
        || matches!(front, [.., b' ' | b'=',]) && {
            let front = &front[..front.len() - 1];
            front.ends_with(b" -u") || front.ends_with(b"--user") || front.ends_with(b"-user")
        };
    if option && length < before.len() && holds(front, b"curl") {
        Said::Known
    } else if front.ends_with(b" ") && program::writes(front) {
        Said::Piped
    } else if is_login(front) {
        Said::Told
    } else {
        Said::Nothing
    }
}

/// Whether a statement of SQL is about a user and his password: `CREATE USER app WITH PASSWORD`.
pub(super) fn is_statement(front: &[u8]) -> bool {
    let from = front.iter().rposition(|byte| *byte == b';');
    let front = &front[from.map_or(0, |at| at + 1)..];
    STATEMENTS
        .iter()
        .any(|words| holds(front, words.as_bytes()))
}

/// Whether a statement of SQL says of a user how he is known: `… IDENTIFIED`, `… IDENTIFIED WITH some_plugin`.
pub(super) fn is_identified(front: &[u8]) -> bool {
    let plugin = front.len() - single(front).len();
    let with = front[..plugin].trim_ascii_end();
    let known = ends_with_word(front, b" identified") || ends_with_word(with, b" identified with");
    known
        && [&b"user"[..], b"grant", b"role"]
            .iter()
            .any(|word| holds(front, word))
}

/// What a statement about a user begins with.
const STATEMENTS: [&str; 9] = [
    "create user ",
    "alter user ",
    "create role ",
    "alter role ",
    "create login ",
    "alter login ",
    "set password ",
    "create group ",
    "user mapping ",
];
/// What the name of a user is called beside a password.
const USERS: [&[u8]; 4] = [b"user", b"username", b"email", b"login"];
/// What else stands in connection strings.
const PARTS: [&str; 12] = [
    "user=",
    "username=",
    "user id=",
    "userid=",
    "uid=",
    "server=",
    "host=",
    "data source=",
    "driver=",
    "database=",
    "hostname=",
    "sasl",
];
