//! Whether the text before a place announces a value: asked of many places, and of most it does not.
//!
//! In: a place where a value may start. Out: whether [`said`] says something of it, or a value is [planned](super::later) from here on.
//! A few of the last bytes tell of most places that nothing is said: each of these answers is a necessary condition of something that is
//! looked for elsewhere.

use super::column::is_cell;
use super::columns;
use super::command::pgpass;
use super::endings::may_name;
use super::foreign::foreign;
use super::said::{said, single};
use super::url::{is_source, scheme};
use super::{Said, label, later, may_start, program, sentence};
use crate::place::Place;

/// Whether the text before a value says that it is a secret, or may be the beginning of a URL with one.
pub(crate) fn is_announced(place: Place<'_>) -> bool {
    may_start(place)
        && (!says_nothing(place.behind()) && is_said(place)
            || is_source(place)
            || label::may_begin(place))
}

/// The rest of that: few places come to it.
#[inline(never)]
fn is_said(place: Place<'_>) -> bool {
    let behind = place.behind();
    !sentence::is_prose(place)
        && (behind.last() == Some(&b':') && scheme(behind).is_some()
            || match said(behind).0 {
                Said::Nothing => is_led_to(place),
                _ => true,
            })
}

/// Whether more than the name before a place may lead to a value here: a program, a list, a column.
#[inline(never)]
fn is_led_to(place: Place<'_>) -> bool {
    let behind = place.behind();
    match behind.last() {
        Some(b' ' | b'\n') => program::leads(behind) || is_cell(place),
        Some(b'(' | b'"' | b'\'') => columns::opens(behind),
        Some(b',' | b';' | b'`') => is_cell(place),
        _ => later::is_chomped(place),
    }
}

/// Whether the text ends in `:` or `=` behind a name that says nothing.
#[inline]
fn says_nothing(behind: &[u8]) -> bool {
    let mut spaced = behind;
    while let [before @ .., b'"' | b'\'' | b'`'] = spaced {
        spaced = before;
    }
    let rest = spaced.trim_ascii_end();
    let (before, joint) = match rest {
        // A path in code.
        [.., b':', b':'] => return rest.len() == behind.len(),
        [before @ .., joint @ (b':' | b'=')] => (before, *joint),
        _ => return false,
    };
    let trimmed = before.trim_ascii_end();
    let (name, quoted) = match trimmed {
        [name @ .., b'"' | b'\'' | b'`'] => (name, true),
        name => (name, false),
    };
    // `The password is: `, and operators and signs of markup.
    if name.ends_with(b" is") || !name.last().is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let tight = spaced.len() == rest.len() && trimmed.len() == before.len() && !quoted;
    // Right before `:` stand users, too, and in cookies right before `=` other names.
    let other = match joint {
        _ if !tight => false,
        b':' => may_be_user(name),
        _ => may_be_cookie(name),
    };
    !other && (quoted || !may_be_type(name)) && !may_name(name) && foreign(name) == Said::Nothing
}

/// Whether the user before a colon may say that his password follows, or the word there does.
fn may_be_user(before: &[u8]) -> bool {
    let user = single(before);
    let front = &before[..before.len() - user.len()];
    let told = matches!(
        user,
        [.., b's', b's'] | [.., b'p'] | [.., b'w' | b'r', b'd']
    );
    if told || user.starts_with(b"-u") {
        return true;
    }
    let quoted = matches!(front, [.., b'"' | b'\'']);
    match &front[..front.len() - usize::from(quoted)] {
        [] | [_] | [.., b'='] => true,
        // An option, the command that writes it, or a word for logons.
        [.., a, b, b' '] => matches!(
            [a | 0x20, b | 0x20],
            [b'-', b'u' | b'n' | b'e']
                | [b'e', b'r']
                | [b'h', b'o']
                | [_, b':']
                | [b'd' | b'l' | b'n', b's']
                | [b'a', b'l']
                | [b'i', b'n']
        ),
        _ if quoted => false,
        // What else names of users have.
        [.., b'%' | b'+' | b'~' | b'!' | b'$' | b'@' | b'\\'] => true,
        _ => front.ends_with(b"://") || pgpass(before) != Said::Nothing,
    }
}

/// Whether a text may end in the type of a text, by its last letters.
#[inline]
pub(super) fn may_be_type(before: &[u8]) -> bool {
    matches!(
        before,
        [.., b't', b'r'] | [.., b'n', b'g' | b'y' | b'e'] | [.., b'g', b'?'] | [.., b']']
    )
}

/// Whether a text may end in the name of a session in a line of cookies, by its last letters.
#[inline]
pub(super) fn may_be_cookie(before: &[u8]) -> bool {
    let [.., one, last] = before else {
        return false;
    };
    let ending = [one | 0x20, last | 0x20];
    matches!(&ending, b"id" | b"on" | b"ss" | b"th" | b"er" | b"wt")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::names::{PASSWORDS, SECRETS};
    use super::*;

    fn part() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            prop::sample::select(vec![":", "=", "\"", "'", "`", " "]),
            prop::sample::select(vec![
                ":", "=", ": ", "= ", "::", ":=", "\n", "\\", "/", "-", "_", "@", "%", "+", ",",
                ".", "(", "]", "**", "12",
            ]),
            prop::sample::select(vec![
                "ada",
                "host.example:5432:db:",
                "a.b:",
                "1234:",
                "*:",
                "curl ",
                " -u ",
                " -u",
                "--user=",
                "user ",
                "echo ",
                "echo -n ",
                "creds ",
                "login: ",
                "Credential ",
                "https://",
                "x://",
                "-passin ",
                "pass",
                "/p",
                "xfreerdp ",
                "PASSWD",
                "sid",
                "jwt",
                "cookie: ",
                "PHPSESSID",
                "value",
                "name",
                "default",
                "variable \"db_password\" {",
                "key",
                "api",
                "str",
                "string",
                "any",
                "None",
                "String?",
                " string",
                "пароль",
                "密钥",
                "clave API",
                "pw",
                "db_pw",
                "DB_KEY",
                "\u{2}",
                " is",
                "{\"",
            ]),
            prop::sample::select(PASSWORDS.to_vec()),
            prop::sample::select(SECRETS.to_vec()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 30_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_says_nothing_is_not_said(
            parts in prop::collection::vec(part(), 0..7),
            joint in prop::sample::select(vec![":", "=", "\":", "\": \"", ":\"", "= '", " = ", ":'", "':", "=\"", ": "]),
        ) {
            let text = parts.concat() + joint;
            let whole = format!("{text}hunter2!x");
            let place = Place::new(whole.as_bytes(), text.len(), true);
            prop_assert!(!says_nothing(place.behind()) || !is_said(place), "{}", text);
        }
    }
}
