//! Secrets that nothing but their name tells: `password = …`, `"api_key": "…"`, `Authorization: Bearer …`, `scheme://user:…@host`.
//!
//! In: a place where a value may start. Out: whether the name before it is that of a secret, and the value one that somebody chose or
//! drew: not a placeholder, a reference to a variable, a call, a type, a path or a word. The value alone is the match.

mod names;

use names::{PLACEHOLDERS, names};

use super::Detector;
use super::place::{Class, Place, Verdict, run};
use super::proof::{entropy, has_all_kinds, is_filler, is_mixed};

/// What an assignment is reported as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds {
    pub(super) secret: Detector,
    pub(super) password: Detector,
    pub(super) bearer: Detector,
    pub(super) url: Detector,
    pub(super) connection: Detector,
}

/// What the name before a value says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Secret,
    Password,
    Bearer,
}

/// Whether a value may start here: behind `=`, `:`, a quote, a space or a bracket.
#[inline]
pub(super) fn may_start(place: Place<'_>) -> bool {
    place.follows(|byte| BEFORE.has(byte)) && FIRST.has(place.ahead()[0])
}

/// Whether the text before a value says that it is a secret, or may be the beginning of a URL with one.
pub(super) fn is_announced(place: Place<'_>) -> bool {
    let behind = place.behind();
    may_start(place)
        && (behind.last() == Some(&b':') && scheme(behind).is_some()
            || said(behind).0 != Said::Nothing)
}

/// The secret that stands here.
pub(super) fn at(place: Place<'_>, kinds: Kinds) -> Verdict {
    if place.follows(|byte| byte == b':')
        && let verdict @ (Verdict::More | Verdict::Match(..)) = in_url(place, kinds)
    {
        return verdict;
    }
    match said(place.behind()) {
        (Said::Nothing, _) => Verdict::No,
        (Said::Password, quote) => password(place, quote, kinds.password),
        (Said::Secret, quote) => token(place, quote, 16, kinds.secret),
        (Said::Bearer, quote) => token(place, quote, 20, kinds.bearer),
    }
}

/// What the text before a value says, and the quote that opens the value.
fn said(behind: &[u8]) -> (Said, Option<u8>) {
    // Prose: a space behind a letter that ends neither such a name nor `is`.
    if let [.., letter, b' '] = behind
        && letter.is_ascii_alphabetic()
        && !b"bdehkmnprstwy".contains(&letter.to_ascii_lowercase())
    {
        return (Said::Nothing, None);
    }
    let mut rest = behind;
    let mut quote = None;
    while let [before @ .., byte @ (b'"' | b'\'' | b'`')] = rest {
        quote = quote.or(Some(*byte));
        rest = before;
    }
    if ends_with_word(rest, b"bearer ")
        || ends_with_word(rest, b"token ")
            && ends_with_word(&rest[..rest.len() - 6], b"authorization: ")
    {
        return (Said::Bearer, quote);
    }
    let spaced = rest;
    rest = rest.trim_ascii_end();
    let name = match rest {
        [before @ .., b':', b'='] | [before @ .., b'=', b'>'] | [before @ .., b'=' | b':'] => {
            let before = before.trim_ascii_end();
            // `password: str = "…"`.
            before
                .strip_suffix(b": str")
                .or_else(|| before.strip_suffix(b": string"))
                .unwrap_or(before)
        }
        [before @ .., b'('] if quote.is_some() => before,
        [.., b'>'] => return (tag(rest), quote),
        _ if spaced.len() > rest.len() => {
            // `--password …`, `the password is …`.
            if let Some(before) = rest.strip_suffix(b" is") {
                return (names(word(before)), quote);
            }
            let name = word(rest);
            let option =
                rest[..rest.len() - name.len()].ends_with(b"--") || name.starts_with(b"--");
            return (if option { names(name) } else { Said::Nothing }, quote);
        }
        _ => return (Said::Nothing, quote),
    };
    let name = match name {
        [before @ .., b'"' | b'\'' | b'`'] => before,
        [before @ .., b'"' | b'\'', b']'] => before,
        name => name,
    };
    (names(word(name)), quote)
}

fn tag(behind: &[u8]) -> Said {
    let name = word(&behind[..behind.len() - 1]);
    if behind[..behind.len() - 1 - name.len()].ends_with(b"<") {
        names(name)
    } else {
        Said::Nothing
    }
}

/// The name that `text` ends with: one word, or two where it is some `key`.
fn word(text: &[u8]) -> &[u8] {
    let start = |text: &[u8]| {
        let other = text.iter().rposition(|byte| {
            !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        });
        other.map_or(0, |at| at + 1)
    };
    let from = start(text);
    match &text[..from] {
        [before @ .., b' '] if text[from..].eq_ignore_ascii_case(b"key") => &text[start(before)..],
        _ => &text[from..],
    }
}

fn ends_with_word(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text[text.len() - word.len()..].eq_ignore_ascii_case(word)
}

fn password(place: Place<'_>, quote: Option<u8>, detector: Detector) -> Verdict {
    static PLAIN: Class = Class::alphanumeric_and(b"!#%&*+-./:=?@^_~$|{}[](");
    let ahead = place.ahead();
    let end = match quote {
        Some(quote) => ahead
            .iter()
            .take(LONGEST_PASSWORD + 1)
            .position(|&byte| byte == quote || byte == b'\n'),
        None => Some(run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], &PLAIN))
            .filter(|end| *end < ahead.len().min(LONGEST_PASSWORD + 1)),
    };
    let end = match end {
        Some(end) => end,
        None if ahead.len() > LONGEST_PASSWORD => return Verdict::No,
        None if !place.whole => return Verdict::More,
        None => ahead.len(),
    };
    let closed = quote.is_none_or(|quote| ahead.get(end).is_none_or(|&byte| byte == quote));
    let value = if quote.is_none() {
        trimmed(&ahead[..end])
    } else {
        &ahead[..end]
    };
    if closed && value.len() >= 6 && is_password(value, quote.is_some()) {
        Verdict::Match(detector, value.len())
    } else {
        Verdict::No
    }
}

/// Without the sign that ends a sentence or a list's item.
fn trimmed(value: &[u8]) -> &[u8] {
    match value {
        [before @ .., b'.' | b':' | b'?'] => before,
        value => value,
    }
}

fn is_password(value: &[u8], quoted: bool) -> bool {
    if is_placeholder(value) || value.contains(&b' ') {
        return false;
    }
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let signs = value
        .iter()
        .filter(|byte| !byte.is_ascii_alphanumeric() && !b"_-.".contains(byte))
        .count();
    let code =
        value.iter().any(|byte| b"(){}[]|".contains(byte)) || (!quoted && is_path_of_names(value));
    let enough = digits > 0 || signs > 0;
    !code && enough && !is_filler(value) && entropy(value) >= 2.0
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
        })
}

fn token(place: Place<'_>, quote: Option<u8>, shortest: usize, detector: Detector) -> Verdict {
    static TOKEN: Class = Class::alphanumeric_and(b"_-.+/=~!");
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_TOKEN)], &TOKEN);
    if length == ahead.len() && length < LONGEST_TOKEN && !place.whole {
        return Verdict::More;
    }
    if length == LONGEST_TOKEN {
        return Verdict::No;
    }
    let value = if quote.is_none() {
        trimmed(&ahead[..length])
    } else {
        &ahead[..length]
    };
    let next = ahead.get(value.len()).copied();
    let ended = match quote {
        Some(quote) => next.is_none_or(|next| next == quote),
        None => !next.is_some_and(|next| b"([{<$*@\\".contains(&next)),
    };
    if ended && value.len() >= shortest && is_token(value, quote.is_some()) {
        Verdict::Match(detector, value.len())
    } else {
        Verdict::No
    }
}

fn is_token(value: &[u8], quoted: bool) -> bool {
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
    let path = value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"arn:");
    digits >= 2
        && is_mixed(value)
        && !path
        && !is_placeholder(value)
        && (quoted || !is_path_of_names(value))
        && (uuid || random * 2 >= value.len())
        && entropy(value) >= if has_all_kinds(value) { 3.2 } else { 2.9 }
}

/// What stands where a secret would: in manuals, templates and code.
fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |word: &&[u8]| lower.windows(word.len()).any(|part| part == *word);
    matches!(value, [b'$' | b'{' | b'<' | b'[' | b'%' | b'@' | b'&', ..])
        || is_filler(value)
        || PLACEHOLDERS.iter().any(|word| has(&word.as_bytes()))
        || lower.windows(4).any(|part| {
            part.iter()
                .all(|&byte| byte == part[0] && !byte.is_ascii_digit())
        })
        || b"0123456789012345678901234567890"
            .windows(value.len().min(31))
            .any(|part| part == value && value.len() > 8)
}

/// The password of a URL: between `scheme://user:` and `@host`.
fn in_url(place: Place<'_>, kinds: Kinds) -> Verdict {
    static PASSWORD: Class = Class::alphanumeric_and(b"._%+-~!$&*,;=#?^|()[]{}:");
    let Some((scheme, name)) = scheme(place.behind()) else {
        return Verdict::No;
    };
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], &PASSWORD);
    match ahead.get(length) {
        None if !place.whole && length <= LONGEST_PASSWORD => return Verdict::More,
        Some(b'@') if (3..=LONGEST_PASSWORD).contains(&length) => {}
        _ => return Verdict::No,
    }
    match ahead.get(length + 1) {
        None if !place.whole => return Verdict::More,
        Some(host) if host.is_ascii_alphanumeric() || *host == b'[' || *host == b'/' => {}
        _ => return Verdict::No,
    }
    let value = &ahead[..length];
    let plain = [
        &b"pass"[..],
        b"password",
        b"passwd",
        b"pwd",
        b"secret",
        b"token",
        b"pw",
    ]
    .iter()
    .any(|word| value.eq_ignore_ascii_case(word));
    if is_placeholder(value) || plain || value == name {
        return Verdict::No;
    }
    let web = [
        &b"http"[..],
        b"https",
        b"ftp",
        b"ws",
        b"wss",
        b"git",
        b"ssh",
    ]
    .iter()
    .any(|web| scheme.ends_with(web));
    Verdict::Match(if web { kinds.url } else { kinds.connection }, length)
}

/// The text before `://` and the user, where a URL with both goes up to a colon.
fn scheme(behind: &[u8]) -> Option<(&[u8], &[u8])> {
    static USER: Class = Class::alphanumeric_and(b"._%+-~!$");
    let before = &behind[..behind.len().saturating_sub(1)];
    let other = before.iter().rposition(|&byte| !USER.has(byte));
    let (scheme, user) = before.split_at(other.map_or(0, |at| at + 1));
    Some((scheme.strip_suffix(b"://")?, user))
}

/// What may stand right before a value.
pub(super) static BEFORE: Class = Class::from(b"=:\"'` \t\n>(");
/// What a value may begin with.
pub(super) static FIRST: Class = Class::alphanumeric_and(b"!#%&*+-./:=?@^_~$");
const LONGEST_PASSWORD: usize = 128;
const LONGEST_TOKEN: usize = 400;
