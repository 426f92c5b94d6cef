//! E-mail addresses: at most 64 characters, `@`, and a domain under a top-level domain that is in use, or under any other behind a
//! word for mail or in angle brackets: new ones are made, and private networks have their own.
//!
//! What only looks like one is left alone: users and passwords of web addresses, `git@github.com`, `icon@2x.png`, `getty@tty1.service`, `pkg@1.0.0-rc.one`, `by@app.route`.
//! Lengths: RFC 5321 section 4.5.3.1. Of the characters of RFC 5322 only those that mailboxes use: a quote or a slash before an
//! address is no part of it.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::place::{Class, Place, Verdict};
use super::{Detector, assign};

/// The run of local-part characters a place stands in. All its places share one `@` and one domain, so it is read once per run:
/// reading it again from each place would take a long run quadratic time.
#[derive(Clone, Copy, Default)]
pub(super) struct Word {
    end: usize,
    domain: Domain,
}

impl Word {
    /// Whether an address may start at this place whose `@` has not come.
    pub(super) fn is_open(self, text: &[u8], at: usize) -> bool {
        let here = at..self.end;
        self.domain == Domain::More
            && self.end == text.len()
            && (1..=LOCAL).contains(&here.len())
            && may_start(text, at)
    }
}

/// Whether such a place is still one when all behind the first `known` bytes of its word has come.
pub(super) fn stays_open(word: &[u8], known: usize) -> bool {
    word.len() <= LOCAL && word[known..].iter().all(|byte| is_local(*byte))
}

/// What follows a run of local-part characters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Domain {
    #[default]
    No,
    /// It is not all here.
    More,
    /// A domain, up to this offset of the text.
    Until(usize),
    /// The same, under a top-level domain that nobody knows.
    Unknown(usize),
}

/// Where the run of local-part characters that ends before `sign` starts, as far back as an address can.
pub(super) fn local_start(text: &[u8], sign: usize) -> usize {
    let from = sign.saturating_sub(LOCAL);
    let run = text[from..sign]
        .iter()
        .rev()
        .take_while(|&&byte| is_local(byte))
        .count();
    sign - run
}

/// Whether an address may go on like this behind its `@`.
pub(super) fn may_follow(next: Option<&u8>, whole: bool) -> bool {
    next.map_or(!whole, |byte| {
        byte.is_ascii_alphanumeric() || !byte.is_ascii()
    })
}

/// What stands here, if it is an address. `word` is what the last call learnt about the same text, or the default; `announced` tells
/// whether the text before says that it is one.
#[inline]
pub(super) fn at(
    place: Place<'_>,
    word: &mut Word,
    detector: Detector,
    announced: impl FnOnce() -> bool,
) -> Verdict {
    let Place { text, at, whole } = place;
    if at >= word.end {
        if !is_local(text[at]) {
            return Verdict::No;
        }
        *word = read(text, at, whole);
    }
    if word.domain == Domain::No || word.end - at > LOCAL || !may_start(text, at) {
        return Verdict::No;
    }
    match word.domain {
        Domain::Until(end) => Verdict::Match(detector, end - at),
        Domain::Unknown(end) if place.follows(|byte| byte == b'<') || announced() => {
            Verdict::Match(detector, end - at)
        }
        Domain::More => Verdict::More,
        Domain::No | Domain::Unknown(_) => Verdict::No,
    }
}

#[inline(always)]
fn read(text: &[u8], at: usize, whole: bool) -> Word {
    let end = at + run(&text[at..], is_local);
    let domain = match text.get(end) {
        None if whole => Domain::No,
        None => Domain::More,
        Some(b'@')
            if !is_service_account(&text[..end])
                && !assign::is_in_url(&text[..local_start(text, end)]) =>
        {
            match domain(&text[end + 1..], whole) {
                Domain::Until(length) if is_nobodys(&text[end + 1..][..length]) => Domain::No,
                Domain::Until(length) => Domain::Until(end + 1 + length),
                Domain::Unknown(length) => Domain::Unknown(end + 1 + length),
                undecided => undecided,
            }
        }
        Some(_) => Domain::No,
    };
    Word { end, domain }
}

/// An address begins with a letter, a digit or `_`.
fn may_start(text: &[u8], at: usize) -> bool {
    text[at].is_ascii_alphanumeric() || text[at] == b'_'
}

/// `git@host` names a service to every ssh client, not a person.
fn is_service_account(before: &[u8]) -> bool {
    before
        .strip_suffix(b"git")
        .is_some_and(|rest| !rest.last().is_some_and(|&byte| is_local(byte)))
}

/// The longest domain `text` starts with.
fn domain(text: &[u8], whole: bool) -> Domain {
    let length = run(&text[..text.len().min(DOMAIN + 1)], is_domain);
    if length == text.len() && length <= DOMAIN && !whole {
        return Domain::More;
    }
    let mut found = Domain::No;
    let mut start = 0;
    for (index, label) in text[..length].split(|&byte| byte == b'.').enumerate() {
        let end = start + label.len();
        // Two numbers in front are a version.
        let number = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphabetic();
        let version = index == 1 && text[..end].iter().all(number);
        if label.is_empty() || label.len() > LABEL || label[0] == b'-' || version {
            break;
        }
        if index > 0
            && let Some(top) = foreign_top_level(label)
        {
            return Domain::Until(start + top);
        }
        if index > 0
            && let Some((top, known)) = top_level(label)
            && start + top <= DOMAIN
        {
            found = match found {
                _ if known => Domain::Until(start + top),
                Domain::Until(_) => found,
                _ => Domain::Unknown(start + top),
            };
        }
        // Other letters behind those of a domain are words of the text.
        let begins = label.iter().take_while(|byte| byte.is_ascii()).count();
        let joined = found != Domain::No && begins < label.len();
        if joined || !is_name(label) {
            break;
        }
        start = end + 1;
    }
    found
}

/// How much of `label` can be a top-level domain, letters up to its end or to a hyphen, as in `example.com-backup`, and whether it is one.
fn top_level(label: &[u8]) -> Option<(usize, bool)> {
    let letters = run(label, |byte| byte.is_ascii_alphabetic());
    if label.len() > 4 && label[..4].eq_ignore_ascii_case(b"xn--") {
        return Some((run(label, |byte| byte.is_ascii()), true));
    }
    let possible = letters >= 2
        && label
            .get(letters)
            .is_none_or(|&byte| byte == b'-' || !byte.is_ascii())
        && !NO_DOMAINS
            .iter()
            .any(|name| label[..letters].eq_ignore_ascii_case(name.as_bytes()));
    possible.then(|| (letters, is_known(&label[..letters])))
}

/// How much of `label` is a top-level domain in other letters: what follows are words of the text, where these have no spaces.
fn foreign_top_level(label: &[u8]) -> Option<usize> {
    let mut all = FOREIGN.iter();
    let top = all.find(|top| label.starts_with(top.as_bytes()))?;
    let spaced = ('а'..='я').contains(&top.chars().next()?);
    (!spaced || label.len() == top.len()).then_some(top.len())
}

/// Whether a label in other letters is made of letters and digits alone.
fn is_name(label: &[u8]) -> bool {
    label.is_ascii()
        || str::from_utf8(label)
            .is_ok_and(|label| label.chars().all(|one| one.is_alphanumeric() || one == '-'))
}

fn is_known(name: &[u8]) -> bool {
    static KNOWN: LazyLock<HashSet<&[u8]>> = LazyLock::new(|| {
        let lines = include_str!("email/domains.txt").lines();
        let names = lines.filter(|line| !line.starts_with('#'));
        let names = names.flat_map(str::split_whitespace).chain(PRIVATE);
        names.map(str::as_bytes).collect()
    });
    KNOWN.contains(name.to_ascii_lowercase().as_slice())
}

/// The domain of surrogates: nobody has an address there (RFC 2606).
fn is_nobodys(domain: &[u8]) -> bool {
    domain.eq_ignore_ascii_case(b"surrogate.example")
}

fn run(text: &[u8], class: impl Fn(u8) -> bool) -> usize {
    text.iter()
        .position(|&byte| !class(byte))
        .unwrap_or(text.len())
}

fn is_local(byte: u8) -> bool {
    static LOCALS: Class = Class::alphanumeric_and(b"._%+-");
    LOCALS.has(byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || !byte.is_ascii()
}

/// The longest local part.
pub(super) const LOCAL: usize = 64;
const DOMAIN: usize = 254;
const LABEL: usize = 63;

/// Top-level domains that are reserved (RFC 2606, 6761, 7686, 8375, 9476), or that networks of companies use.
const PRIVATE: [&str; 13] = [
    "example",
    "test",
    "invalid",
    "local",
    "internal",
    "onion",
    "alt",
    "lan",
    "corp",
    "home",
    "intranet",
    "localdomain",
    "private",
];

/// Top-level domains in other letters, of the root zone.
const FOREIGN: [&str; 38] = [
    "рф",
    "рус",
    "укр",
    "бел",
    "срб",
    "мкд",
    "мон",
    "қаз",
    "бг",
    "ею",
    "дети",
    "онлайн",
    "сайт",
    "орг",
    "москва",
    "ком",
    "中国",
    "中國",
    "公司",
    "网络",
    "网址",
    "在线",
    "中文网",
    "香港",
    "台湾",
    "台灣",
    "新加坡",
    "商城",
    "我爱你",
    "移动",
    "한국",
    "닷컴",
    "ไทย",
    "ευ",
    "ελ",
    "みんな",
    "コム",
    "भारत",
];

/// What announces an address.
pub(super) const WORDS: [&str; 11] = [
    "mail",
    "email",
    "emails",
    "e-mail",
    "e-mails",
    "mailto",
    "mailbox",
    "correo",
    "courriel",
    "邮箱",
    "メール",
];

/// File names and systemd units with an `@` end in these; none is a top-level domain.
const NO_DOMAINS: [&str; 18] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "pdf", "js", "ts", "css", "html", "json",
    "service", "socket", "timer", "slice", "scope",
];

#[cfg(test)]
mod tests;
