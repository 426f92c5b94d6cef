//! Which hosts a text names: those that any client would connect to which takes its URLs.
//!
//! Clients differ: in what ends a host, in slashes (`https:host`, `http:\\host`), in user information, in tabs inside. Where they do, each
//! reading counts, so that a list of what is permitted has all of them.
//! Sources: RFC 3986, section 3.2; WHATWG URL, sections 3.5 and 4.4.

use std::collections::BTreeSet;

use super::facts::MAX_NAMES;
use crate::protocol::target::normal_host;

/// Adds the hosts of all URLs in a text.
pub(super) fn named(text: &str, found: &mut BTreeSet<String>) {
    urls(text, found);
    // As browsers and libraries after them read it, which drop tabs and ends of lines too.
    let slashes = text.replace('\\', "/");
    if slashes != text {
        urls(&slashes, found);
    }
    let joined = slashes.replace(['\t', '\n', '\r'], "");
    if joined != slashes {
        urls(&joined, found);
    }
}

/// Adds the host of a word that looks like one with a path, as clients take it without a scheme.
pub(super) fn word(word: &str, found: &mut BTreeSet<String>) {
    let word = word.replace('\\', "/");
    let (relative, rest) = match word.strip_prefix("//") {
        Some(rest) => (true, rest.trim_start_matches('/')),
        None => (false, word.as_str()),
    };
    if rest.starts_with('.') || !(relative || rest.contains('/')) {
        return;
    }
    let whole = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let host = host(whole.rsplit(['@', '=']).next().unwrap_or_default());
    if host.contains('.') || (whole.starts_with('[') && whole.contains(']')) || host == "localhost"
    {
        found.insert(host);
    }
}

/// Adds what a client would connect to that is given this as its URL or host: with or without a scheme. [`UNREAD`] where nothing is named.
pub(super) fn dialled(text: &str, found: &mut BTreeSet<String>) {
    let text = text.replace('\\', "/");
    let text = text.replace(['\t', '\n', '\r'], "");
    let text = text.trim();
    let rest = match text.split_once(':') {
        // A port follows, or another word of a password.
        Some((scheme, rest)) if is_scheme(scheme) && !is_port(rest) => rest,
        _ => text,
    };
    let rest = rest.trim_start_matches('/');
    let whole = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let before = found.len();
    readings(whole, found);
    if found.len() == before && host(whole.rsplit('@').next().unwrap_or_default()).is_empty() {
        found.insert(UNREAD.to_owned());
    }
}

/// Every host that stands behind a scheme.
fn urls(text: &str, found: &mut BTreeSet<String>) {
    // Where the authority ends that was looked at last; what stands behind its `@`s counts once.
    let mut region = 0;
    for (at, _) in text.match_indices(':') {
        let rest = &text[at + 1..];
        let hosts = rest.trim_start_matches('/');
        let slashes = rest.len() - hosts.len();
        let name = text[..at].bytes().rev().take(MAX_SCHEME);
        let scheme = name.take_while(u8::is_ascii_alphanumeric).count();
        let scheme = &text[at - scheme..at];
        let known = SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        if !(slashes >= 2 || known) || hosts.starts_with(char::is_whitespace) {
            continue;
        }
        if found.len() > MAX_NAMES {
            return;
        }
        let start = at + 1 + slashes;
        if region <= start {
            region = hosts
                .find(['/', '?', '#'])
                .map_or(text.len(), |end| start + end);
            readings(&text[start..region], found);
        } else {
            first(&text[start..region], found);
        }
    }
}

/// The readings of an authority and of what follows it up to a slash.
fn readings(whole: &str, found: &mut BTreeSet<String>) {
    first(whole, found);
    for part in whole.split('@').skip(1) {
        if found.len() > MAX_NAMES {
            return;
        }
        add(start_of(part), found);
    }
}

/// The readings of what stands before the first `@`: user information, unless clients could end the host earlier.
fn first(whole: &str, found: &mut BTreeSet<String>) {
    let part = start_of(whole);
    let before = part.split('@').next().unwrap_or_default();
    let only = before.len() == part.len();
    if only || before.contains(ends) {
        add(before, found);
    }
}

/// Adds the host, with and without what some clients would not take for a part of it.
fn add(part: &str, found: &mut BTreeSet<String>) {
    let long = part.split(char::is_whitespace).next().unwrap_or_default();
    let long = long.trim_end_matches(|c| ends(c) || ".:!*_".contains(c));
    let (long, short) = match long.strip_prefix('[') {
        Some(_) => (long, long),
        None => {
            let long = long.trim_end_matches(|c| ends(c) || ".:!*_]".contains(c));
            (long, long.split(ends).next().unwrap_or_default())
        }
    };
    for name in [long, short] {
        let name = host(name);
        if !name.is_empty() {
            found.insert(name);
        }
    }
}

fn host(named: &str) -> String {
    let host = match named.rfind(':') {
        Some(colon) if !named[colon..].contains(']') => &named[..colon],
        _ => named,
    };
    normal_host(host).unwrap_or_else(|| host.to_lowercase())
}

/// As much as can be a host with its port: no name is longer.
fn start_of(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_HOST)
        .map_or(text, |(end, _)| &text[..end])
}

/// What ends a URL in prose, code and mark-up; some clients take it for a part of a name, or of user information.
fn ends(character: char) -> bool {
    character.is_whitespace() || "\"'`<>)}|,;\\".contains(character)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_port(text: &str) -> bool {
    let port = &text[..text.find(['/', '?', '#']).unwrap_or(text.len())];
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Stands for a place that is not known, so that no list of hosts has it.
const UNREAD: &str = "?";
/// Of which clients take any number of slashes.
const SCHEMES: &[&str] = &["file", "ftp", "http", "https", "ws", "wss"];
/// Longer than any of them.
const MAX_SCHEME: usize = 8;
/// A name has at most 253 characters, and a port follows.
const MAX_HOST: usize = 300;
