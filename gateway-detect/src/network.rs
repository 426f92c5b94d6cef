//! Addresses on networks: public IPv4 and IPv6 addresses, MAC addresses.
//!
//! Left alone: loopback, private, link-local, multicast and documentation ranges, well-known resolvers, versions and section numbers
//! (an address has four parts of which one is above 99 or all follow the word for it). Sources: RFC 1918, 4291, 5737, 6890; IEEE 802.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Detector;
use super::place::{Class, Place, Verdict, last_words, run};

/// The IPv4 address that stands here, at the start of a number.
pub(super) fn v4(place: Place<'_>, detector: Detector) -> Verdict {
    static DOTTED: Class = Class::from(b"0123456789.");
    let ahead = place.ahead();
    // What has no dot within four bytes is none.
    if ahead
        .first_chunk::<4>()
        .is_some_and(|head| !head.contains(&b'.'))
    {
        return Verdict::No;
    }
    let length = run(&ahead[..ahead.len().min(LONGEST_V4 + 1)], &DOTTED);
    if length == ahead.len() && length <= LONGEST_V4 && !place.whole {
        return Verdict::More;
    }
    let written = ahead[..length]
        .strip_suffix(b".")
        .unwrap_or(&ahead[..length]);
    if written.iter().filter(|byte| **byte == b'.').count() != 3 {
        return Verdict::No;
    }
    let before = matches!(
        place.behind(),
        [.., b'0'..=b'9' | b'.' | b'-' | b'_' | b'v' | b'V' | b'/'] | [.., b'v', b' ']
    );
    let after = matches!(ahead.get(length), Some(b'-' | b'_'))
        || ahead.get(length).is_some_and(u8::is_ascii_alphabetic);
    let address = std::str::from_utf8(written)
        .ok()
        .and_then(|text| text.parse::<Ipv4Addr>().ok());
    match address {
        Some(address)
            if (!before || place.behind().ends_with(b"//"))
                && !after
                && is_public_v4(address)
                && (!is_version(address)
                    || !is_example(address) && is_named_address(place.behind()))
                && !is_counted(place.behind(), &ahead[length..])
                && (address.octets()[3] != 0 || ahead.get(length) != Some(&b'/')) =>
        {
            Verdict::Match(detector, written.len())
        }
        _ => Verdict::No,
    }
}

/// Whether what stands around a number says that it counts parts of a text or releases, or that it is two decimals in a row of them.
fn is_counted(behind: &[u8], rest: &[u8]) -> bool {
    let before = behind.trim_ascii_end();
    let before = match before {
        [before @ .., b'"' | b'\'' | b'(' | b'`'] => before.trim_ascii_end(),
        before => before,
    };
    let near = last_words(behind, NEAR_RELEASE).to_ascii_lowercase();
    let says = |all: &[&[u8]]| {
        all.iter()
            .any(|word| near.windows(word.len()).any(|part| part == *word))
    };
    let word = before.iter().rposition(|byte| !byte.is_ascii_alphabetic());
    let word = &before[word.map_or(0, |at| at + 1)..];
    before.ends_with("§".as_bytes())
        || COUNTED.iter().any(|name| word.eq_ignore_ascii_case(name))
        || says(&RELEASED) && !says(&HOSTS)
        || behind.ends_with(b" ") && rest.starts_with(b" ") && ends_in_decimal(before)
}

/// Whether a text ends in a number with one full stop or two.
fn ends_in_decimal(text: &[u8]) -> bool {
    static NUMBER: Class = Class::from(b"0123456789.");
    let from = text.iter().rposition(|byte| !NUMBER.has(*byte));
    let number = &text[from.map_or(0, |at| at + 1)..];
    let dots = number.iter().filter(|byte| **byte == b'.').count();
    matches!(dots, 1 | 2) && number.last().is_some_and(u8::is_ascii_digit)
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let special = [a; 3] == [b, c, d]
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || a == 100 && (64..128).contains(&b)
        || a == 198 && matches!(b, 18 | 19)
        || (a, b, c) == (192, 0, 0);
    let resolver =
        [(1, 1), (8, 8), (9, 9), (1, 0), (8, 4)].contains(&(a, b)) && (c, d) != (255, 255);
    !special && !resolver
}

/// Versions have small numbers, object identifiers begin with 1 or 2.
fn is_version(address: Ipv4Addr) -> bool {
    let parts = address.octets();
    parts[0] <= 2 || parts.iter().all(|part| *part < 40)
}

/// `1.2.3.4` stands for any address, and a network ends in zero.
fn is_example(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    d == 0 || b == a + 1 && c == b + 1
}

/// Whether the words right before a number say that it is an address: `ip: `, `client_ip=`, `IP address is `.
fn is_named_address(behind: &[u8]) -> bool {
    let near = last_words(behind, NEAR_NAME);
    let mut words = near.split(|byte| !byte.is_ascii_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case(b"ip") || word.eq_ignore_ascii_case(b"ipv4"))
}

/// How far before an address its name may stand.
const NEAR_NAME: usize = 20;

/// The IPv6 address that stands here, at the start of a word.
pub(super) fn v6(place: Place<'_>, detector: Detector) -> Verdict {
    static COLONS: Class = Class::from(b"0123456789abcdefABCDEF:");
    let ahead = place.ahead();
    let length = run(&ahead[..ahead.len().min(LONGEST_V6 + 1)], &COLONS);
    if length > LONGEST_V6
        || length >= 5 && !ahead[..5].contains(&b':')
        || place.follows(|byte| matches!(byte, b':' | b'.' | b'-' | b'_'))
    {
        return Verdict::No;
    }
    if length == ahead.len() && length <= LONGEST_V6 && !place.whole {
        return Verdict::More;
    }
    // A sentence may end behind it.
    let after = match &ahead[length..] {
        [b'.'] if !place.whole => return Verdict::More,
        [b'.', next @ ..] => next,
        next => next,
    };
    let written = match &ahead[..length] {
        [start @ .., last, b':'] if *last != b':' => &ahead[..=start.len()],
        all => all,
    };
    let colons = written.iter().filter(|&&byte| byte == b':').count();
    if colons < 3
        || after
            .first()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    {
        return Verdict::No;
    }
    let address = std::str::from_utf8(written)
        .ok()
        .and_then(|text| text.parse::<Ipv6Addr>().ok());
    // Of the ranges in use only 2000::/3 is public; eight written groups say by themselves what they are.
    let resolver = |prefix: &[u16; 3], segments: &[u16]| segments.starts_with(prefix);
    match address.map(|address| address.segments()) {
        Some(segments) if RESOLVERS.iter().any(|prefix| resolver(prefix, &segments)) => Verdict::No,
        Some([first @ 0x2000..0x4000, second, ..])
            if (first, second) != (0x2001, 0xdb8)
                && first != 0x3fff
                // What is left out at the end is that of a network.
                && !written.ends_with(b"::") =>
        {
            Verdict::Match(detector, written.len())
        }
        Some([first @ 0x0100..0xfc00, second, ..])
            if (first, second) != (0x2001, 0xdb8)
                && colons == 7
                && !written.windows(2).any(|pair| pair == b"::") =>
        {
            Verdict::Match(detector, written.len())
        }
        _ => Verdict::No,
    }
}

/// The MAC address that stands here, at the start of a word.
pub(super) fn mac(place: Place<'_>, detector: Detector) -> Verdict {
    let ahead = place.ahead();
    let part = &ahead[..ahead.len().min(MAC)];
    let Some(&sign) = part.get(2) else {
        let hex = !place.whole && part.iter().all(u8::is_ascii_hexdigit);
        return if hex { Verdict::More } else { Verdict::No };
    };
    let form = part.iter().enumerate().all(|(at, byte)| {
        if at % 3 == 2 {
            *byte == sign
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    if !matches!(sign, b':' | b'-') || !form || place.follows(|byte| matches!(byte, b':' | b'-')) {
        return Verdict::No;
    }
    match ahead.get(MAC) {
        None if !place.whole => Verdict::More,
        Some(next) if next.is_ascii_alphanumeric() || *next == sign => Verdict::No,
        _ if part.len() < MAC => Verdict::No,
        _ => {
            let same = part
                .iter()
                .all(|byte| byte.eq_ignore_ascii_case(&part[0]) || *byte == sign);
            let letters = part.iter().any(u8::is_ascii_alphabetic);
            // Pairs of digits with hyphens are dates and numbers of other kinds.
            if same || !letters && sign == b'-' {
                Verdict::No
            } else {
                Verdict::Match(detector, MAC)
            }
        }
    }
}

/// Networks of well-known resolvers.
const RESOLVERS: [[u16; 3]; 3] = [
    [0x2001, 0x4860, 0x4860],
    [0x2606, 0x4700, 0x4700],
    [0x2620, 0xfe, 0],
];
/// What is counted by numbers of four parts.
const COUNTED: [&[u8]; 14] = [
    b"section",
    b"sections",
    b"chapter",
    b"clause",
    b"appendix",
    b"annex",
    b"figure",
    b"table",
    b"version",
    b"versions",
    b"release",
    b"firmware",
    b"build",
    b"driver",
];
/// What is done with releases, and what has addresses.
const RELEASED: [&[u8]; 7] = [
    b"upgrade",
    b"update",
    b"bump",
    b"patch",
    b"release",
    b"version",
    b"downgrade",
];
const HOSTS: [&[u8]; 8] = [
    b"ip", b"addr", b"host", b"server", b"dns", b"record", b"node", b"peer",
];
/// So far before a number stands what is done with it.
const NEAR_RELEASE: usize = 32;
const LONGEST_V4: usize = 15;
const LONGEST_V6: usize = 39;
const MAC: usize = 17;
