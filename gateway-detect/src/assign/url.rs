//! Passwords and tokens in web addresses: `scheme://user:…@host`, `scheme://…@host`.
//!
//! In: a place. Out: whether an address with a user leads to it, and how far its password goes.

use super::placeholder::is_placeholder;
use super::value::{is_plain, is_token};
use super::{Kinds, LONGEST_PASSWORD};
use crate::place::{Class, Place, Verdict, run};

/// The password of a URL: between `scheme://user:` and `@host`.
pub(super) fn in_url(place: Place<'_>, kinds: Kinds) -> Verdict {
    static PASSWORD: Class = Class::alphanumeric_and(b"._%+-~!$&*,;=#?^|()[]{}:");
    static WITH_SIGN: Class = Class::alphanumeric_and(b"._%+-~!$*^:@");
    let Some((scheme, name)) = scheme(place.behind()) else {
        return Verdict::No;
    };
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], &PASSWORD);
    // It may have the sign itself: the last one before the path ends it.
    let reach = &ahead[..ahead.len().min(LONGEST_PASSWORD + 1)];
    let reach = &reach[..run(reach, &WITH_SIGN)];
    let open = length == ahead.len() || reach.len() == ahead.len();
    if open && ahead.len() <= LONGEST_PASSWORD && !place.whole {
        return Verdict::More;
    }
    let length = match reach.iter().rposition(|byte| *byte == b'@') {
        Some(last) if last > length => last,
        _ => length,
    };
    match ahead.get(length) {
        Some(b'@') if (3..=LONGEST_PASSWORD).contains(&length) => {}
        _ => return Verdict::No,
    }
    match ahead.get(length + 1) {
        None if !place.whole => return Verdict::More,
        Some(host) if host.is_ascii_alphanumeric() || *host == b'[' || *host == b'/' => {}
        _ => return Verdict::No,
    }
    let value = &ahead[..length];
    // The port of a host, and a query.
    let path = value.iter().position(|byte| b"?#".contains(byte));
    let port = path.is_some_and(|path| value[..path].iter().all(u8::is_ascii_digit));
    if port || is_placeholder(value) || is_plain(value) || value == name {
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

/// The token that is the user of a URL: between `scheme://` and `@host`.
pub(crate) fn user(place: Place<'_>, kinds: Kinds) -> Verdict {
    static USER: Class = Class::alphanumeric_and(b"_-");
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], &USER);
    match ahead.get(length) {
        _ if !place.behind().ends_with(b"://") => Verdict::No,
        None if !place.whole && length <= LONGEST_PASSWORD => Verdict::More,
        Some(b'@') if length >= 20 && is_token(&ahead[..length], true) => {
            Verdict::Match(kinds.url, length)
        }
        _ => Verdict::No,
    }
}

/// Whether what stands here is the user of a URL, or what its password ends in.
pub(crate) fn is_in_url(behind: &[u8]) -> bool {
    behind.ends_with(b"://") && !behind.ends_with(b"mailto://")
        || behind.ends_with(b":") && scheme(behind).is_some()
}

/// The text before `://` and the user, where a URL with both goes up to a colon.
pub(super) fn scheme(behind: &[u8]) -> Option<(&[u8], &[u8])> {
    static USER: Class = Class::alphanumeric_and(b"._%+-~!$@");
    let before = &behind[..behind.len().saturating_sub(1)];
    let other = before.iter().rposition(|&byte| !USER.has(byte));
    let (scheme, user) = before.split_at(other.map_or(0, |at| at + 1));
    Some((scheme.strip_suffix(b"://")?, user))
}

/// Whether the password of a data source may begin here, as drivers of Go have it: `ada:…@tcp(db:3306)/app`.
pub(super) fn is_source(place: Place<'_>) -> bool {
    source(place) != Some(0)
}

/// The password of such a data source.
pub(super) fn in_source(place: Place<'_>, kinds: Kinds) -> Verdict {
    match source(place) {
        Some(0) => Verdict::No,
        None if !place.whole => Verdict::More,
        Some(length) if !is_placeholder(&place.ahead()[..length]) => {
            Verdict::Match(kinds.connection, length)
        }
        _ => Verdict::No,
    }
}

/// How long the password of a data source is that stands here, or 0; nothing, if that depends on what comes.
fn source(place: Place<'_>) -> Option<usize> {
    static USER: Class = Class::alphanumeric_and(b"_-.");
    static PASSWORD: Class = Class::alphanumeric_and(b"._+-~!$&*,;=#?^|%");
    let Some(user) = place.behind().strip_suffix(b":") else {
        return Some(0);
    };
    let from = user.iter().rposition(|byte| !USER.has(*byte));
    let apart = from.is_none_or(|from| b"\"'`= ".contains(&user[from]));
    if !apart || from.is_some_and(|from| from + 1 == user.len()) || user.is_empty() {
        return Some(0);
    }
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_PASSWORD + 1)], &PASSWORD);
    let rest = &ahead[length..];
    if length > LONGEST_PASSWORD || length < 3 && !rest.is_empty() {
        return Some(0);
    }
    if PROTOCOLS.iter().any(|protocol| rest.starts_with(protocol)) {
        return Some(length);
    }
    match PROTOCOLS.iter().any(|protocol| protocol.starts_with(rest)) {
        true => None,
        false => Some(0),
    }
}

/// What stands between a user with a password and a host.
const PROTOCOLS: [&[u8]; 3] = [b"@tcp(", b"@unix(", b"@tcp6("];
