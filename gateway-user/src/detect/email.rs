//! E-mail addresses: at most 64 characters, `@`, and a domain whose last label is letters.
//!
//! What only looks like one is left alone: `git@github.com`, `icon@2x.png`, `getty@tty1.service`, `pkg@1.0.0-rc.one`.
//! Lengths: RFC 5321 section 4.5.3.1. Of RFC 5322's characters only those mailboxes use: quotes and slashes around an address are not
//! part of it.

use super::Detector;
use super::place::{Place, Verdict};

/// The run of local-part characters a place stands in: every place in it has the same `@` and the same domain, or none. Read once
/// per run, or a long run would be read again from each of its places.
#[derive(Clone, Copy, Default)]
pub(super) struct Word {
    /// Where the run ends.
    end: usize,
    /// Where the address ends, if a domain follows.
    address: Option<usize>,
}

/// What stands at `at` in `text`, if it is an address. `word` is what the last call learnt about the same text, or default.
pub(super) fn at(text: &[u8], at: usize, whole: bool, word: &mut Word) -> Verdict {
    if at >= word.end {
        let end = at + run(&text[at..], is_local);
        let Some(next) = text.get(end) else {
            // A place further on than the longest local part ends no address of this run's beginning.
            return if whole || end - at > LOCAL || !may_start(text, at) { Verdict::No } else { Verdict::More };
        };
        *word = Word { end, address: None };
        if *next == b'@' {
            match domain(&text[end + 1..], whole) {
                Domain::No => {}
                Domain::More => {
                    *word = Word::default();
                    return if end - at <= LOCAL && may_start(text, at) { Verdict::More } else { Verdict::No };
                }
                Domain::Ends(length) => word.address = Some(end + 1 + length),
            }
        }
    }
    match word.address {
        Some(end) if word.end - at <= LOCAL && may_start(text, at) && &text[at..word.end] != b"git" => {
            Verdict::Match(Detector::Email, end - at)
        }
        _ => Verdict::No,
    }
}
