//! Where in a text something has the form of a surrogate. One pass for each form, each over the text once.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::LazyLock;

use super::forms::{ALPHABET, CARD, EMAIL, IBAN, NAMED, PHONE, WORD, compact};
use crate::detect;

/// Something that has the form of a surrogate.
pub(super) struct Seen {
    pub(super) range: Range<usize>,
    /// As it is looked up.
    pub(super) key: String,
    /// Nothing else looks so: where nobody knows what it stands for, it would be taken for a value.
    pub(super) certain: bool,
    /// It is a number in groups.
    pub(super) grouped: bool,
}

/// Everything in a text that has the form of a surrogate, from left to right, without overlaps. Where groups of digits can end at several places,
/// what is `known` counts before what only has the form.
pub(super) fn look(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<Seen> {
    let lower = text.to_ascii_lowercase();
    let mut all = Vec::new();
    mails(&lower, &mut all);
    named(&lower, &mut all);
    numbers(text, known, &mut all);
    addresses(&lower, &mut all);
    all.sort_by_key(|seen| (seen.range.start, usize::MAX - seen.range.end));
    let mut end = 0;
    all.retain(|seen| {
        let apart = seen.range.start >= end;
        if apart {
            end = seen.range.end;
        }
        apart
    });
    all
}

fn mails(lower: &str, all: &mut Vec<Seen>) {
    let mut from = 0;
    for (at, mark) in lower.match_indices(EMAIL) {
        let local = lower[from..at].bytes().rev();
        let length = local.take_while(|byte| is_local(*byte)).count();
        let range = at - length..at + mark.len();
        from = range.end;
        all.push(Seen {
            key: lower[range.clone()].to_owned(),
            range,
            certain: true,
            grouped: false,
        });
    }
}

/// `surrogate-<detector>-<word>`.
fn named(lower: &str, all: &mut Vec<Seen>) {
    let mut from = 0;
    for (at, mark) in lower.match_indices(NAMED) {
        if at < from {
            continue;
        }
        let rest = lower[at + mark.len()..].bytes();
        let length = rest
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            .count();
        let run = &lower[at + mark.len()..at + mark.len() + length];
        let run = run.trim_end_matches('-');
        from = at + mark.len() + run.len();
        let Some((detector, word)) = run.rsplit_once('-') else {
            continue;
        };
        let is_word = word.len() == WORD && word.bytes().all(|byte| ALPHABET.contains(&byte));
        let range = at..from;
        if !is_word || !begins(lower, at) {
            continue;
        }
        all.push(Seen {
            key: lower[range.clone()].to_owned(),
            range,
            certain: DETECTORS.contains(detector),
            grouped: false,
        });
    }
}

/// Cards, account numbers, telephone numbers, social security numbers.
fn numbers(text: &str, known: &dyn Fn(&str) -> bool, all: &mut Vec<Seen>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let first = bytes[at];
        at += 1;
        if !(first == b'+' || first == b'9' || first.eq_ignore_ascii_case(&b'X'))
            || !begins(text, start)
        {
            continue;
        }
        let phone = first == b'+';
        let letters = first.eq_ignore_ascii_case(&b'X');
        let mut end = start + 1;
        let mut count = 1;
        while let Some(byte) = bytes.get(end) {
            let part = byte.is_ascii_digit() || letters && byte.is_ascii_alphanumeric();
            let next = bytes.get(end + 1);
            let next = next.is_some_and(|next| {
                next.is_ascii_digit() || letters && next.is_ascii_alphanumeric()
            });
            let gap = !phone && matches!(byte, b' ' | b'-') && next;
            if !(part || gap) || count > LONGEST {
                break;
            }
            count += usize::from(part);
            end += 1;
        }
        let read = if letters { account } else { number };
        let seen: Vec<_> = ends_of_groups(&text[start..end])
            .filter(|length| ends(text, start + length))
            .filter_map(|length| {
                let written = &text[start..start + length];
                let key = compact(&written.to_ascii_uppercase());
                read(&key).map(|certain| (key, start..start + length, certain))
            })
            .collect();
        let best = seen.iter().find(|(key, ..)| known(key));
        let Some((key, range, certain)) = best.or(seen.first()).cloned() else {
            continue;
        };
        at = range.end;
        all.push(Seen {
            key,
            range,
            certain,
            grouped: !phone,
        });
    }
}

/// Whether a number is a surrogate, and nothing else: `None` where it is none.
fn number(digits: &str) -> Option<bool> {
    if let Some(rest) = digits.strip_prefix(PHONE) {
        return (rest.len() == 10).then_some(true);
    }
    let card = digits.starts_with(CARD) && (12..=19).contains(&digits.len());
    match digits.len() {
        _ if card && detect::luhn(digits.as_bytes()) => Some(true),
        9 if digits.starts_with('9') => Some(false),
        _ => None,
    }
}

fn account(account: &str) -> Option<bool> {
    let form = account.starts_with(IBAN) && (15..=34).contains(&account.len());
    let turned = form.then(|| format!("{}{}", &account[4..], &account[..4]))?;
    (detect::mod97(turned.as_bytes()) == 1).then_some(true)
}

/// Where a run may end: behind all of it, or behind a group, the longest first.
fn ends_of_groups(run: &str) -> impl Iterator<Item = usize> {
    let gaps = run.match_indices([' ', '-']).map(|(at, _)| at);
    let mut ends: Vec<usize> = gaps.collect();
    ends.push(run.len());
    ends.into_iter().rev()
}

fn addresses(lower: &str, all: &mut Vec<Seen>) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let mut at = 0;
    for run in lower.split_inclusive(|one: char| !u8::try_from(one).is_ok_and(is_part)) {
        let inside = run.trim_end_matches(|one: char| !one.is_ascii_hexdigit());
        let start = at;
        at += run.len();
        let address: Result<IpAddr, _> = inside.parse();
        let reserved = address.ok().filter(|address| match address {
            IpAddr::V4(address) => address.octets()[0] >= 240,
            IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0x0db8],
        });
        if let Some(address) = reserved.filter(|_| begins(lower, start)) {
            all.push(Seen {
                range: start..start + inside.len(),
                key: address.to_string(),
                certain: false,
                grouped: false,
            });
        }
    }
}

/// Whether no letter or digit touches the place from before.
fn begins(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    !before.is_some_and(char::is_alphanumeric)
}

fn ends(text: &str, at: usize) -> bool {
    let after = text[at..].chars().next();
    !after.is_some_and(char::is_alphanumeric)
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte)
}

/// By the names of these.
static DETECTORS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| detect::built_in().iter().map(|known| known.id).collect());
/// The digits of the longest account number.
const LONGEST: usize = 34;
