//! Which values are secrets that somebody chose or drew: no placeholder, no reference to a variable, no call, no type, no path, no word.

use super::placeholder::is_placeholder;
use crate::proof::{decoded, entropy, has_all_kinds, is_filler, is_mixed};

/// Whether a value behind the name of a password is one.
pub(super) fn is_password(value: &[u8], quoted: bool) -> bool {
    if is_placeholder(value) || value.contains(&b' ') {
        return false;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let signs = value
        .iter()
        .filter(|byte| byte.is_ascii_punctuation() && !b"_-.".contains(byte))
        .count();
    let brackets = || value.iter().any(|byte| b"(){}[]|".contains(byte));
    let code = brackets() && (!is_drawn(value) || is_call(value, quoted))
        || (!quoted && is_path_of_names(value));
    // `"password", "Password:"` is a label, `"password": "Forgot?"` a question.
    let label = matches!(value, [.., b':' | b'!' | b'?']) && digits == 0 && signs == 1;
    let enough = (digits > 0 || signs > 0) && !label;
    !code
        && enough
        && !is_rule(value)
        && (quoted || !is_code(value))
        && !is_file(value)
        && !is_version(value)
        && !is_kind(value)
        && !is_filler(value)
        && entropy(value) >= 2.0
}

/// Whether a value is drawn of all kinds of characters and of signs, so that a bracket among them is one of these.
pub(super) fn is_drawn(value: &[u8]) -> bool {
    let signs = value.iter().skip(1);
    value.len() >= 8
        && signs
            .filter(|byte| b"!#$%&*?@^~+=()".contains(byte))
            .count()
            > 0
        && value.iter().all(u8::is_ascii_graphic)
        && has_all_kinds(value)
        && !is_readable(value)
}

/// A call, an index or a block: a bracket behind a name. Within quotes it is closed; outside, a value with no other signs is one, too.
fn is_call(value: &[u8], quoted: bool) -> bool {
    let signs = value
        .iter()
        .skip(1)
        .any(|byte| b"!#%&*?@^~+".contains(byte));
    value.iter().enumerate().any(|(at, open)| {
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            _ => return false,
        };
        let (name, rest) = (&value[..at], &value[at + 1..]);
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$%#@".contains(byte);
        let named = name.last().is_some_and(part);
        let plain = name.iter().all(part) && is_readable(name);
        named && (rest.contains(&close) || !quoted && (plain || !signs))
    })
}

/// Whether a value behind the name of a password in a sentence is one by its characters.
pub(super) fn is_mixture(value: &[u8], quoted: bool) -> bool {
    is_drawn(value) && is_password(value, quoted)
}

/// `min8chars`: how long a password has to be.
fn is_rule(value: &[u8]) -> bool {
    let plain =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_+.,".contains(byte);
    let says = |word: &&[u8]| value.windows(word.len()).any(|part| part == *word);
    let rules = [
        &b"chars"[..],
        b"characters",
        b"digits",
        b"letters",
        b"symbols",
    ];
    value.iter().all(plain) && rules.iter().any(says)
}

/// A type, a constant or a chain of assignments: `sys::Flags`, `*const`, `MAX_PASS`, `a.b=a.c=void`.
fn is_code(value: &[u8]) -> bool {
    let has = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
    let name = |part: &[u8]| part.first().is_some_and(u8::is_ascii_uppercase);
    let constant = value.contains(&b'_')
        && value.split(|byte| *byte == b'_').all(name)
        && value
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    let chain = value.contains(&b'=')
        && value
            .split(|byte| *byte == b'=')
            .filter(|part| is_path_of_names(part))
            .count()
            > 1;
    constant
        || chain
        || value.starts_with(b":")
        // The fields of a line: `password:uid:gid`.
        || value.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b':')
        || matches!(value, [b'!', tag @ ..] if tag.iter().all(u8::is_ascii_alphabetic))
        || has(b"::")
        || has(b"&quot")
        || matches!(value, [b'*', b'c' | b'm', ..] if value == b"*const" || value == b"*mut")
}

/// `/home/app/src`, `tests/std/one.rs`: some slashes, and nothing that names of files seldom have.
fn is_file(value: &[u8]) -> bool {
    let parts = || {
        value
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.*".contains(byte);
    let word = |part: &[u8]| !(part.len() >= 6 && has_all_kinds(part));
    (value.starts_with(b"/") || parts().count() > 2) && value.iter().all(plain) && parts().all(word)
}

/// `^7.0.4`: numbers and full stops behind what a manifest puts before them.
fn is_version(value: &[u8]) -> bool {
    let rest = value.trim_ascii_start();
    let from = rest.iter().position(u8::is_ascii_digit).unwrap_or(0);
    let number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    from > 0
        && rest[..from].iter().all(|byte| b"^~<>=v".contains(byte))
        && rest[from..].split(|byte| *byte == b'.').take(2).all(number)
        && rest[from..].contains(&b'.')
}

/// `sha256_password`: small words of which the last says what kind of thing it is.
fn is_kind(value: &[u8]) -> bool {
    value.ends_with(b"_password")
        && value
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// `request.form.password1`: names joined by full stops.
fn is_path_of_names(value: &[u8]) -> bool {
    value.contains(&b'.')
        && value.split(|&byte| byte == b'.').all(|part| {
            part.first()
                .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
                && part
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
                && !(part.len() >= 32 && has_all_kinds(part))
        })
}

/// Whether a value behind such a name in a call is one: routes, labels and the names of messages stand there too.
pub(super) fn is_argument(value: &[u8], quoted: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let names = |word: &&[u8]| lower.windows(word.len()).any(|part| part == *word);
    value.iter().any(u8::is_ascii_digit)
        && !value.iter().any(|byte| b"/\\@".contains(byte))
        && !value.ends_with(b":")
        && ![
            &b"passw"[..],
            b"passphrase",
            b"passcode",
            b"pwd",
            b"kennwort",
        ]
        .iter()
        .any(names)
        && is_password(value, quoted)
}

/// Whether a value behind `-p` is a password: no ports, no path, no other option.
pub(super) fn is_flag(value: &[u8], quoted: bool) -> bool {
    let ports = value.contains(&b':')
        && value
            .iter()
            .all(|byte| byte.is_ascii_digit() || b":.".contains(byte));
    let prose = || NO_ARGUMENTS.iter().any(|word| value == word.as_bytes());
    !ports
        && !prose()
        && !matches!(value, [b'/' | b'-' | b'.' | b'~', ..])
        && is_known(value, quoted)
}

/// Whether a value where only a password stands is one: not what stands there in manuals, nor a name in code.
pub(super) fn is_known(value: &[u8], quoted: bool) -> bool {
    let name = value
        .iter()
        .position(|byte| b"|&?".contains(byte))
        .unwrap_or(value.len());
    let lower = value.to_ascii_lowercase();
    let code = !quoted
        && (is_path_of_names(&value[..name]) && !has_all_kinds(&value[..name])
            || lower.ends_with(b"password") && value.iter().all(u8::is_ascii_alphabetic));
    !code
        && !is_placeholder(value)
        && !is_plain(value)
        && !NO_PASSWORDS
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
        && !value.contains(&b' ')
        && !value.iter().any(|byte| b"(){}[]".contains(byte))
        && entropy(value) >= 1.0
}

/// Whether the value of a variable of the environment is a password: there a word is one, if it does not say what belongs there.
pub(super) fn is_variable(value: &[u8], quoted: bool) -> bool {
    let says = |word: &&[u8]| value.windows(word.len()).any(|part| part == *word);
    let word = value.len() >= 8
        && value.iter().all(u8::is_ascii_lowercase)
        && is_known(value, quoted)
        && ![
            &b"pass"[..],
            b"secret",
            b"word",
            b"login",
            b"user",
            b"name",
            b"token",
            b"value",
            b"postgres",
        ]
        .iter()
        .any(says);
    let path = is_path_of_names(value) && has_all_kinds(value) && is_known(value, quoted);
    word || path || is_password(value, quoted)
}

/// Whether a value of which a sentence says that it is a password is one that somebody chose: with a letter, a digit and a sign that joins
/// no words.
pub(super) fn is_told(value: &[u8], quoted: bool) -> bool {
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let ends = value.len() - value.ends_with(b"!") as usize - value.ends_with(b",") as usize;
    let cases = || {
        value.len() >= 10
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
            && !is_readable(value)
    };
    is_password(value, quoted)
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || cases())
        && value[..ends]
            .iter()
            .any(|byte| b"!#$%&*?@^~+=".contains(byte))
        || is_password(value, quoted) && ends < value.len() && has_all_kinds(value)
}

/// Whether a value in quotes that has signs which tokens have not is a secret by its characters.
pub(super) fn is_strong(value: &[u8], _quoted: bool) -> bool {
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let signs = value
        .iter()
        .filter(|byte| byte.is_ascii_punctuation() && !b"_-./:,;".contains(byte))
        .count();
    value.iter().all(u8::is_ascii_graphic)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && signs >= 2
        && !is_placeholder(value)
        && !value.contains(&b';')
        && !value.windows(3).any(|part| part == b"://")
        && entropy(value) >= 3.5
}

/// Whether a whole string that has signs which tokens have not is a secret: by its characters, or without the signs.
pub(super) fn is_signed(value: &[u8], quoted: bool) -> bool {
    let sign = |byte: &&u8| b",;:<>'\"".contains(byte);
    let plain: Vec<u8> = value.iter().filter(|byte| !sign(byte)).copied().collect();
    let few = value.len() - plain.len() <= 3 && plain.len() >= 16;
    is_strong(value, quoted)
        || few
            && value.iter().all(u8::is_ascii_graphic)
            && !is_placeholder(value)
            && !value.windows(3).any(|part| part == b"://")
            && is_token(&plain, quoted)
}

/// Whether it is a user and a password in base 64, as clients of registries keep them.
pub(super) fn is_basic(value: &[u8]) -> bool {
    let whole = value.len().is_multiple_of(4) && value.len() >= 12;
    whole
        && decoded(value).is_some_and(|text| {
            let at = text.iter().position(|&byte| byte == b':');
            text.iter().all(|byte| matches!(byte, b' '..=b'~'))
                && at.is_some_and(|at| at > 0 && at + 3 < text.len())
        })
}

/// Whether it is the word for what stands there.
pub(super) fn is_plain(value: &[u8]) -> bool {
    PLAIN.iter().any(|word| value.eq_ignore_ascii_case(word))
}

pub(super) fn is_token(value: &[u8], quoted: bool) -> bool {
    let words = value
        .split(|byte| b"-_./".contains(byte))
        .filter(|part| !part.is_empty());
    let random = words
        .clone()
        .filter(|part| is_mixed(part) || part.len() >= 20)
        .map(<[u8]>::len)
        .sum::<usize>();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let uuid = value.len() == 36 && value.iter().filter(|&&byte| byte == b'-').count() == 4;
    let padded = value.ends_with(b"=");
    let path = value.starts_with(b"/") && !padded
        || value.starts_with(b"./")
        || value.starts_with(b"arn:");
    (digits >= 2 || digits == 1 && padded && value.len() >= 24 && has_all_kinds(value))
        && is_mixed(value)
        && !path
        && !is_placeholder(value)
        && (quoted || !is_path_of_names(value))
        && (uuid || random * 2 >= value.len())
        && (value.len() >= 16 || has_all_kinds(value) && !is_readable(value))
        && entropy(value) >= if has_all_kinds(value) { 3.2 } else { 2.9 }
}

/// `Version20Beta1`: words and numbers of some characters each.
fn is_readable(value: &[u8]) -> bool {
    let joins = value.windows(2).filter(|pair| {
        let kind = |byte: u8| (byte.is_ascii_digit(), byte.is_ascii_alphabetic());
        let word = pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
        let case = pair[0].is_ascii_lowercase() == pair[1].is_ascii_lowercase();
        !(kind(pair[0]) == kind(pair[1]) && (case || word))
    });
    joins.count() < value.len() / 3
}

/// What stands for a password in manuals.
const PLAIN: [&[u8]; 7] = [
    b"pass",
    b"password",
    b"passwd",
    b"pwd",
    b"secret",
    b"token",
    b"pw",
];
/// What stands behind an option in sentences and manuals.
const NO_ARGUMENTS: [&str; 18] = [
    "option",
    "options",
    "flag",
    "flags",
    "argument",
    "arguments",
    "parameter",
    "parameters",
    "prompt",
    "when",
    "with",
    "then",
    "from",
    "will",
    "switch",
    "stdin",
    "user",
    "string",
];
const NO_PASSWORDS: [&[u8]; 10] = [
    b"sample",
    b"mypassword",
    b"mypass",
    b"none",
    b"null",
    b"true",
    b"false",
    b"required",
    b"string",
    b"optional",
];
