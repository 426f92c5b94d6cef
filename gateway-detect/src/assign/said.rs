//! What the text before a value says of it: the name, and how that is joined to the value.
//!
//! In: the text up to a value. Out: what its name is that of, and the quote that opens it. Names come before `=`, `:` and the operators made
//! of these, in tags, options, calls, as the `name` beside a `value`; and where a password has its place, no name has to say so.
//!
//! Invariant: whatever is said of a place, the [sieve](crate::sieve) announces it, so that answers do not depend on how a text is cut. What
//! counts behind words and calls is therefore told by the bytes right before the value.

use super::Said;
use super::announced::{may_be_cookie, may_be_type};
use super::call::argument;
use super::endings::may_name;
use super::foreign::foreign;
use super::markup::{block, cell, is_default, is_value, named, tag};
use super::names::names;
use super::{command, logon, program, sentence};
use crate::place::{Class, LOOKBEHIND};

/// What the text before a value says, and the quote that opens the value.
pub(super) fn said(behind: &[u8]) -> (Said, Option<u8>) {
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
        if ends_with_word(rest, b"key ") && is_header(without_scheme(rest)) {
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
    let gap = &behind[rest.len()..];
    // Nothing of the text is missing.
    let complete = behind.len() < LOOKBEHIND;
    let tight = spaced.len() == rest.len();
    let said = match rest {
        [.., b'=', b'>'] => joined(&rest[..rest.len() - 2]),
        [before @ .., b'='] => match joined(without_signs(before)) {
            Said::Nothing if tight && quote.is_none() && in_cookie(before) => Said::Secret,
            Said::Password if tight && quote.is_none() && is_variable(before) => Said::Variable,
            Said::Password if tight && program::takes_named(before, complete) => Said::Flag,
            said => said,
        },
        // A path in code: `module::name`.
        [.., b':', b':'] if quote.is_none() => Said::Nothing,
        [before @ .., b':'] if tight && program::is_told(before, complete) => Said::Flag,
        [before @ .., b':'] => match joined(before) {
            Said::Nothing if tight => match logon::user(before) {
                Said::Nothing => command::pgpass(before),
                said => said,
            },
            said => said,
        },
        // A text on lines of its own, in YAML.
        [.., b'|' | b'>' | b'-' | b'+'] if let Some(before) = scalar(rest, gap) => joined(before),
        [before @ .., b' ', b'>'] if tight && program::is_acl(before, complete) => Said::Known,
        [before @ .., b' ', b'-', b'>'] => sentence::told(joined(before)),
        // In bold type: `**Password:** `.
        [before @ .., b':', b'*', b'*'] => joined(before),
        [before @ .., b'|'] if !tight => match cell(before) {
            Some(name) => joined(name),
            None => Said::Nothing,
        },
        [before @ .., b'-', b'p'] if tight => match command::takes_attached(before, complete) {
            true => Said::Flag,
            false => Said::Nothing,
        },
        // A test passes, a value is passed on.
        [before @ .., b'('] if quote.is_some() && before.ends_with(b".pass") => Said::Nothing,
        [before @ .., b'('] if quote.is_some() => match names(word(before)) {
            Said::Password if logon::is_statement(before) => Said::Known,
            said => said,
        },
        [before @ .., b' ', b'('] if tight => match names(word(before)) {
            Said::Password => Said::Drawn,
            _ => Said::Nothing,
        },
        [before @ .., b','] if quote.is_some() => argument(before),
        [.., b'>'] => tag(rest),
        _ if !tight => behind_space(rest, gap, quote),
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
    // `The password is: `.
    let before = before.strip_suffix(b" is").unwrap_or(before);
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
        Said::Password if logon::in_connection(front) => Said::Known,
        Said::Password if logon::is_beside_user(front) => Said::Variable,
        Said::Nothing if is_value(word) => match names(named(front)) {
            Said::Password if is_variable(named(front)) => Said::Variable,
            Said::Nothing if front.ends_with(b"{\"") || front.trim_ascii_end().ends_with(b"{") => {
                Said::Beside
            }
            said => said,
        },
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
    if !may_be_type(before) {
        return before;
    }
    TYPES
        .iter()
        .find_map(|name| before.strip_suffix(name.as_bytes()))
        .unwrap_or(before)
}

/// What stands before a space says: an option, ` is`, a clause of SQL, a line of a netrc. `gap` is what stands between it and the value.
fn behind_space(rest: &[u8], gap: &[u8], quote: Option<u8>) -> Said {
    if let Some(said) = sentence::joins(rest) {
        return said;
    }
    let tight = matches!(gap, [b' ', _]);
    let quoted = tight && quote.is_some();
    if tight
        && matches!(quote, Some(b'\'' | b'"'))
        && ends_with_word(rest, b" by")
        && logon::is_identified(&rest[..rest.len() - 3])
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
            // `password - …`
            b"-" => sentence::told(joined(front)),
            name => match names(name) {
                Said::Password
                    if !gap.contains(&b'\n') && program::takes_named(front, complete) =>
                {
                    Said::Flag
                }
                said => said,
            },
        };
    }
    let sentence = gap == b" " || tight;
    if sentence {
        match sentence::bare(name, rest) {
            Said::Nothing => {}
            said => return said,
        }
        match name {
            b"use" | b"Use" => return Said::Used,
            _ if program::sets(rest, complete) => return Said::Flag,
            _ => {}
        }
    }
    // Of the names of passwords, only this one is no verb and has a place in prose.
    if !ends_with_word(name, b"password") || names(name) != Said::Password {
        return Said::Nothing;
    }
    if quoted && logon::is_statement(front) {
        Said::Known
    } else if quoted {
        Said::Password
    } else if name == b"password" && command::is_netrc(front) {
        Said::Known
    } else if sentence {
        Said::Drawn
    } else {
        Said::Nothing
    }
}

/// Without the word for how credentials are given: `ApiKey `.
fn without_scheme(front: &[u8]) -> &[u8] {
    let front = &front[..front.len() - 1];
    &front[..front.len() - single(front).len()]
}

/// The text up to the colon of a value in YAML that is on the next lines: `password: |-`.
fn scalar<'a>(rest: &'a [u8], gap: &[u8]) -> Option<&'a [u8]> {
    let rest = match rest {
        [front @ .., b'-' | b'+'] => front,
        front => front,
    };
    match rest {
        [before @ .., b':', b' ', b'|' | b'>'] if gap.contains(&b'\n') => Some(before),
        _ => None,
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

/// Whether the name before `=` is one of the environment's, at the start of a word.
pub(super) fn is_variable(before: &[u8]) -> bool {
    let name = word(before);
    let apart = matches!(
        before[..before.len() - name.len()],
        [] | [.., b' ' | b'\n' | b'\t' | b'"' | b'\'' | b'`']
    );
    let exported = before[..before.len() - name.len()].ends_with(b"export ");
    apart && (name.contains(&b'_') || exported || name == b"PGPASSWORD") && is_of_environment(name)
}

/// Whether a name is written as those of the environment's variables are.
pub(super) fn is_of_environment(name: &[u8]) -> bool {
    let other = |byte: &u8| byte.is_ascii_lowercase() || b".-".contains(byte);
    !name.iter().any(other)
}

/// Whether a name before `=` is that of a session: in a line of cookies, or one that servers use.
fn in_cookie(before: &[u8]) -> bool {
    if !may_be_cookie(before) {
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

pub(super) fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// Stands before the name of a string that ends with the text: the first byte of what is such a text in ASCII.
pub(crate) const STRING: u8 = 0x02;
/// What would end it, in ASCII: no text has it.
pub(super) const END: u8 = 0x03;
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
