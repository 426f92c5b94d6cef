//! What the text before a value says of it: the name, and how that is joined to the value.
//!
//! In: the text up to a value. Out: what its name is that of, and the quote that opens it. Names come before `=`, `:` and the operators made
//! of these, in tags, options, calls, as the `name` beside a `value`; and where a password has its place, no name has to say so.
//!
//! Invariant: whatever is said of a place, the [sieve](crate::sieve) announces it, so that answers do not depend on how a text is cut. What
//! counts behind words and calls is therefore told by the bytes right before the value.

use super::Said;
use super::call::argument;
use super::command;
use super::foreign::foreign;
use super::markup::{block, cell, is_default, is_value, named, tag};
use super::names::{may_name, names};
use crate::place::{Class, LOOKBEHIND};

/// What the text before a value says, and the quote that opens the value.
pub(super) fn said(behind: &[u8]) -> (Said, Option<u8>) {
    // Prose: a space behind a letter that ends neither such a name, nor an option, nor `is`.
    if let [.., letter, b' '] = behind
        && letter.is_ascii_alphabetic()
        && !b"bcdeghkmnprstwy".contains(&letter.to_ascii_lowercase())
        && !behind.ends_with(b" -a ")
    {
        return (Said::Nothing, None);
    }
    let mut rest = behind;
    let mut quote = is_string(behind).then_some(END);
    while let [before @ .., byte @ (b'"' | b'\'' | b'`')] = rest {
        quote = quote.or(Some(*byte));
        rest = before;
    }
    if rest.last() == Some(&b' ') {
        if ends_with_word(rest, b"bearer ")
            || ends_with_word(rest, b"token ") && is_header(&rest[..rest.len() - 6])
        {
            return (Said::Bearer, quote);
        }
        if ends_with_word(rest, b": basic ")
            || ends_with_word(rest, b"basic ") && is_header(&rest[..rest.len() - 6])
        {
            return (Said::Basic, quote);
        }
    }
    let spaced = rest;
    rest = rest.trim_ascii_end();
    let said = match rest {
        [.., b'=', b'>'] => joined(&rest[..rest.len() - 2]),
        [before @ .., b'='] if quote.is_none() && spaced.len() == rest.len() => {
            match joined(without_signs(before)) {
                Said::Nothing if in_cookie(before) => Said::Secret,
                Said::Password if is_variable(before) => Said::Variable,
                said => said,
            }
        }
        [before @ .., b'='] => joined(without_signs(before)),
        // A path in code: `module::name`.
        [.., b':', b':'] if quote.is_none() => Said::Nothing,
        [before @ .., b':'] => match joined(before) {
            Said::Nothing if spaced.len() == rest.len() => match user(before) {
                Said::Nothing if command::is_pgpass(before) => Said::Password,
                said => said,
            },
            said => said,
        },
        // In bold type: `**Password:** `.
        [before @ .., b':', b'*', b'*'] => joined(before),
        [before @ .., b'|'] if spaced.len() > rest.len() => match cell(before) {
            Some(name) => joined(name),
            None => Said::Nothing,
        },
        [before @ .., b'-', b'p'] if spaced.len() == rest.len() => {
            let complete = behind.len() < LOOKBEHIND;
            match command::takes_attached(before, complete) {
                true => Said::Flag,
                false => Said::Nothing,
            }
        }
        // A test passes, a value is passed on.
        [before @ .., b'('] if quote.is_some() && before.ends_with(b".pass") => Said::Nothing,
        [before @ .., b'('] if quote.is_some() => names(word(before)),
        [before @ .., b','] if quote.is_some() => argument(before),
        [.., b'>'] => tag(rest),
        _ if spaced.len() > rest.len() => behind_space(rest, &behind[rest.len()..], quote),
        _ => Said::Nothing,
    };
    (said, quote)
}

/// Whether right behind a name a string begins that ends with the text: see [`STRING`].
fn is_string(behind: &[u8]) -> bool {
    let Some(front) = behind.strip_suffix(b": ") else {
        return false;
    };
    // Without an exit, the compiler makes it wide.
    if !front
        .iter()
        .fold(false, |any, byte| any | (*byte == STRING))
    {
        return false;
    }
    let from = front.iter().rposition(|byte| *byte == STRING);
    from.is_some_and(|from| !front[from..].windows(2).any(|part| part == b": "))
}

/// Whether the name before a value is one of the parameters of a web address.
pub(super) fn in_query(behind: &[u8]) -> bool {
    let Some(before) = behind.strip_suffix(b"=") else {
        return false;
    };
    matches!(
        before[..before.len() - word(before).len()],
        [.., b'&' | b'?']
    )
}

/// What a name before `=` or `:` says.
fn joined(before: &[u8]) -> Said {
    let before = before.trim_ascii_end();
    let before = untyped(before.strip_suffix(b"**").unwrap_or(before));
    let name = match before {
        [before @ .., b'"' | b'\'' | b'`'] => before,
        [before @ .., b'"' | b'\'', b']'] => before,
        name => name,
    };
    let said = foreign(name);
    if said != Said::Nothing {
        return said;
    }
    if !may_name(name) {
        return Said::Nothing;
    }
    let word = word(name);
    let said = names(word);
    let front = &name[..name.len() - word.len()];
    match said {
        Said::Password if in_connection(front) => Said::Known,
        Said::Nothing if is_value(word) => names(named(front)),
        Said::Nothing if is_default(word) => names(block(front)),
        said => said,
    }
}

/// Without the signs that an operator may have before its `=`, of which there are three at most. A comparison has a space before it: what
/// ends in base 64 is none.
fn without_signs(before: &[u8]) -> &[u8] {
    let signs = before.iter().rev().take(3);
    let count = signs.take_while(|byte| b":?+.|!=".contains(byte)).count();
    let (name, signs) = before.split_at(before.len() - count);
    if signs.contains(&b'=') && !name.ends_with(b" ") {
        return b"";
    }
    name
}

/// Without the type that stands behind a name: `password: str = "…"`, `var token string = "…"`.
fn untyped(before: &[u8]) -> &[u8] {
    // Most names end in none of these letters, or have no such sign before the type.
    if !matches!(
        before,
        [.., b'r' | b'g' | b'y' | b']' | b'l' | b'e' | b't' | b'?']
    ) {
        return before;
    }
    TYPES
        .iter()
        .find_map(|name| before.strip_suffix(name.as_bytes()))
        .unwrap_or(before)
}

/// Whether a password here is a part of a connection string: another part stands before it.
fn in_connection(front: &[u8]) -> bool {
    matches!(front.trim_ascii_end(), [.., b';' | b'&' | b'?'])
        && PARTS.iter().any(|word| holds(front, word.as_bytes()))
}

/// What the user before a colon says: `curl -u user:…`.
fn user(before: &[u8]) -> Said {
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
    let option = matches!(front, [.., b' ' | b'=',]) && {
        let front = &front[..front.len() - 1];
        front.ends_with(b" -u") || front.ends_with(b"--user") || front.ends_with(b"-user")
    };
    if option && length < before.len() && holds(front, b"curl") {
        Said::Known
    } else {
        Said::Nothing
    }
}

/// What stands before a space says: an option, ` is`, a clause of SQL, a line of a netrc. `gap` is what stands between it and the value.
fn behind_space(rest: &[u8], gap: &[u8], quote: Option<u8>) -> Said {
    if let Some(before) = IS.iter().find_map(|is| rest.strip_suffix(is.as_bytes())) {
        return match foreign(before) {
            Said::Nothing => names(word(before)),
            said => said,
        };
    }
    let tight = matches!(gap, [b' ', _]);
    let quoted = tight && quote.is_some();
    if tight
        && matches!(quote, Some(b'\'' | b'"'))
        && ends_with_word(rest, b" by")
        && is_identified(&rest[..rest.len() - 3])
    {
        return Said::Known;
    }
    if quoted && ends_with_word(rest, b"convertto-securestring") {
        return Said::Password;
    }
    let name = single(rest);
    let front = &rest[..rest.len() - name.len()];
    // Nothing of the text is missing.
    let complete = rest.len() + gap.len() < LOOKBEHIND;
    if name.starts_with(b"-") {
        let option =
            name.starts_with(b"--") || front.last() == Some(&b' ') || front.is_empty() && complete;
        return match name {
            _ if !option => Said::Nothing,
            b"-p" | b"-pw" | b"-a" | b"-w" | b"-P" => {
                // The next line is none of this command's.
                match !gap.contains(&b'\n') && command::takes_password(front, name, complete) {
                    true => Said::Flag,
                    false => Said::Nothing,
                }
            }
            name => names(name),
        };
    }
    let sentence = gap == b" " || tight;
    if sentence && ends_with_word(name, b"token") && names(name) == Said::Secret {
        return Said::DrawnToken;
    }
    // Of the names of passwords, only this one is no verb and has a place in prose.
    if !ends_with_word(name, b"password") || names(name) != Said::Password {
        return Said::Nothing;
    }
    if quoted {
        Said::Password
    } else if name == b"password" && command::is_netrc(front) {
        Said::Known
    } else if sentence {
        Said::Drawn
    } else {
        Said::Nothing
    }
}

/// Whether a text ends in the name of the header that has credentials, and what joins it to a value: `"Authorization": f"`.
fn is_header(front: &[u8]) -> bool {
    let quiet = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b' ' | b'f' | b'b');
    let join = front.iter().rposition(|byte| !quiet(byte));
    join.is_some_and(|join| {
        let name = &front[..join];
        matches!(front[join], b':' | b'=' | b',')
            && ends_with_word(
                name.strip_suffix(b"\"")
                    .unwrap_or(name.strip_suffix(b"'").unwrap_or(name)),
                b"authorization",
            )
    })
}

/// Whether a statement of SQL says of a user how he is known: `… IDENTIFIED`, `… IDENTIFIED WITH some_plugin`.
fn is_identified(front: &[u8]) -> bool {
    let plugin = front.len() - single(front).len();
    let with = front[..plugin].trim_ascii_end();
    let known = ends_with_word(front, b" identified") || ends_with_word(with, b" identified with");
    known
        && [&b"user"[..], b"grant", b"role"]
            .iter()
            .any(|word| holds(front, word))
}

/// Whether the name before `=` is one of the environment's, at the start of a word.
fn is_variable(before: &[u8]) -> bool {
    let name = word(before);
    let apart = matches!(
        before[..before.len() - name.len()],
        [] | [.., b' ' | b'\n' | b'\t' | b'"' | b'\'' | b'`']
    );
    let exported = before[..before.len() - name.len()].ends_with(b"export ");
    apart
        && (name.contains(&b'_') || exported)
        && !name
            .iter()
            .any(|byte| byte.is_ascii_lowercase() || b".-".contains(byte))
}

/// Whether a name before `=` is that of a session: in a line of cookies, or one that servers use.
fn in_cookie(before: &[u8]) -> bool {
    let [.., one, last] = before else {
        return false;
    };
    // Most names are left here.
    let ending = [one | 0x20, last | 0x20];
    if !matches!(&ending, b"id" | b"on" | b"ss" | b"th" | b"er" | b"wt") {
        return false;
    }
    let name = word(before);
    let ends = |all: &[&str]| all.iter().any(|word| ends_with_word(name, word.as_bytes()));
    ends(&FRAMEWORKS) || ends(&SESSIONS) && holds(&before[..before.len() - name.len()], b"cookie: ")
}

/// The name that `text` ends with: one word, or two where it is some `key` or `phrase`.
pub(super) fn word(text: &[u8]) -> &[u8] {
    let from = text.len() - single(text).len();
    let some = |word: &[u8]| text[from..].eq_ignore_ascii_case(word);
    match &text[..from] {
        [before @ .., b' '] if some(b"key") || some(b"phrase") => {
            &text[before.len() - single(before).len()..]
        }
        _ => &text[from..],
    }
}

pub(super) fn single(text: &[u8]) -> &[u8] {
    static NAME: Class = Class::alphanumeric_and(b"_-.");
    let other = text.iter().rposition(|byte| !NAME.has(*byte));
    &text[other.map_or(0, |at| at + 1)..]
}

pub(super) fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text[text.len() - word.len()..].eq_ignore_ascii_case(word)
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// Stands before the name of a string that ends with the text: the first byte of what is such a text in ASCII.
pub(crate) const STRING: u8 = 0x02;
/// What would end it, in ASCII: no text has it.
pub(super) const END: u8 = 0x03;
/// `is`, in the languages that names of passwords are in.
const IS: [&str; 6] = [" is", " ist", " est", " es", " é", " è"];
/// What servers call the cookie of a session.
const FRAMEWORKS: [&str; 5] = [
    "phpsessid",
    "jsessionid",
    "asp.net_sessionid",
    "connect.sid",
    "laravel_session",
];
/// What the names of other cookies of sessions end in.
const SESSIONS: [&str; 8] = [
    "sid",
    "sessionid",
    "session",
    "sess",
    "auth",
    "remember",
    "jwt",
    "sessid",
];
/// How the type of a text is written behind a name.
const TYPES: [&str; 12] = [
    ": str",
    ": string",
    ": String",
    ": any",
    ": SecretStr",
    ": &str",
    ": &'static str",
    ": Optional[str]",
    ": str | None",
    ": String?",
    " string",
    "[]",
];
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
