//! Removes echoes of held credentials from a body, chunk by chunk.
//!
//! Invariants: what comes out does not depend on how the body was cut into chunks, and has the length of what went in, so
//! that a declared length stays true. A byte is held back only while it may belong to a form of a credential that is not
//! complete yet.

use std::fmt;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};
use bytes::BytesMut;
use secrecy::{ExposeSecret, SecretString};

use super::encodings;

/// The scrubber of one body.
pub struct Scrub {
    needles: Arc<Needles>,
    held: Vec<u8>,
}

impl Scrub {
    pub(super) fn new(needles: Arc<Needles>) -> Self {
        Self {
            needles,
            held: Vec::new(),
        }
    }

    /// Takes the next chunk and appends to `out` what is certain so far.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) {
        if self.held.is_empty() {
            let settled = self.needles.scrub(chunk, false, out);
            self.held.extend_from_slice(&chunk[settled..]);
        } else {
            self.held.extend_from_slice(chunk);
            let settled = self.needles.scrub(&self.held, false, out);
            self.held.drain(..settled);
        }
    }

    /// Appends what was held back, at the end of the body.
    pub fn finish(&mut self, out: &mut BytesMut) {
        self.needles.scrub(&take(&mut self.held), true, out);
    }

    /// Scrubs a text that is there whole, such as a header value.
    pub fn whole(&self, text: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.needles.scrub(text, true, &mut out);
        out.into()
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrub").finish_non_exhaustive()
    }
}

/// The forms of the held credentials, ready to be looked for. They lie in memory in the clear, as the credentials do that are
/// being sent; `Debug` is left out so that they show nowhere.
#[derive(Default)]
pub(super) struct Needles {
    sorted: Vec<Vec<u8>>,
    longest: usize,
    automaton: Option<AhoCorasick>,
}

impl Needles {
    pub(super) fn new(secrets: Vec<SecretString>) -> Result<Self, BuildError> {
        let mut sorted: Vec<_> = secrets
            .iter()
            .flat_map(|secret| encodings::forms(secret.expose_secret().as_bytes()))
            .collect();
        sorted.sort_unstable();
        sorted.dedup();
        let automaton = match sorted.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    // Hundreds of credentials have thousands of states; a table of transitions would take megabytes.
                    .kind(Some(AhoCorasickKind::ContiguousNFA))
                    .build(&sorted)?,
            ),
        };
        Ok(Self {
            longest: sorted.iter().map(Vec::len).max().unwrap_or(0),
            sorted,
            automaton,
        })
    }

    /// Appends `text` to `out`, scrubbed, as far as it is certain, and says how far that is.
    fn scrub(&self, text: &[u8], last: bool, out: &mut BytesMut) -> usize {
        let (found, settled) = self.settle(text, last);
        let start = out.len();
        out.extend_from_slice(&text[..settled]);
        for range in found {
            let echo = &mut out[start..][range];
            echo.fill(b'*');
            if let Some(words) = echo.get_mut(..PLACEHOLDER.len()) {
                words.copy_from_slice(PLACEHOLDER);
            }
        }
        settled
    }

    /// What to replace in `text`, and up to where nothing that follows can change the answer.
    fn settle(&self, text: &[u8], last: bool) -> (Vec<Range<usize>>, usize) {
        let Some(automaton) = &self.automaton else {
            return (Vec::new(), text.len());
        };
        let open_from = |start| {
            if last {
                text.len()
            } else {
                self.open(text, start)
            }
        };
        let (mut found, mut open) = (Vec::new(), open_from(0));
        for hit in automaton.find_iter(text) {
            if hit.start() >= open {
                break;
            }
            if hit.end() > open {
                open = open_from(hit.end());
            }
            found.push(hit.range());
        }
        (found, open)
    }

    /// Where the first form begins that the end of `text` cuts off, not before `start`.
    fn open(&self, text: &[u8], start: usize) -> usize {
        let start = start.max(text.len().saturating_sub(self.longest.saturating_sub(1)));
        let cut = |begin: &usize| {
            let tail = &text[*begin..];
            // Whatever continues `tail` sorts right after it.
            let next = self
                .sorted
                .partition_point(|needle| needle.as_slice() <= tail);
            self.sorted
                .get(next)
                .is_some_and(|needle| needle.starts_with(tail))
        };
        (start..text.len()).find(cut).unwrap_or(text.len())
    }
}

/// What stands where a credential stood, filled up with asterisks to its length.
const PLACEHOLDER: &[u8] = b"[credential]";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn needles(secrets: &[&str]) -> Arc<Needles> {
        let secrets = secrets
            .iter()
            .map(|text| SecretString::from(*text))
            .collect();
        Arc::new(Needles::new(secrets).unwrap())
    }

    fn scrubbed(needles: &Arc<Needles>, chunks: &[&[u8]]) -> Vec<u8> {
        let mut scrub = Scrub::new(needles.clone());
        let mut out = BytesMut::new();
        for chunk in chunks {
            scrub.push(chunk, &mut out);
        }
        scrub.finish(&mut out);
        out.into()
    }

    #[test]
    fn each_form_is_replaced_at_every_split() {
        let needles = needles(&[
            "sk-live/secret+0123456789",
            "sk-live/secret",
            "key-\"quoted\"",
        ]);
        for form in needles.sorted.clone() {
            let text = [b"{\"echo\":\"Bearer ", form.as_slice(), b"\"} s"].concat();
            let whole = scrubbed(&needles, &[&text]);
            assert!(
                whole
                    .windows(PLACEHOLDER.len())
                    .any(|window| window == PLACEHOLDER)
            );
            assert!(!whole.windows(form.len()).any(|window| window == form));
            for split in 0..=text.len() {
                let (left, right) = text.split_at(split);
                assert_eq!(scrubbed(&needles, &[left, right]), whole);
            }
            let bytes: Vec<_> = text.chunks(1).collect();
            assert_eq!(scrubbed(&needles, &bytes), whole);
        }
    }

    #[test]
    fn only_what_may_become_a_credential_is_held_back() {
        let mut scrub = Scrub::new(needles(&["sk-live-0123456789"]));
        let mut pushed = |chunk: &str| {
            let mut out = BytesMut::new();
            scrub.push(chunk.as_bytes(), &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        };
        assert_eq!(pushed("data: sk-l"), "data: ");
        assert_eq!(pushed("ist\n\n"), "sk-list\n\n");
        assert_eq!(pushed("sk-live-012345678"), "");
        assert_eq!(pushed("9"), "[credential]******");
        assert_eq!(pushed("sk-live"), "");
        let mut out = BytesMut::new();
        scrub.finish(&mut out);
        assert_eq!(out, "sk-live");
        assert_eq!(
            scrub.whole(b"Bearer sk-live-0123456789"),
            b"Bearer [credential]******"
        );
        assert_eq!(scrub.whole(b"sk-live"), b"sk-live");
    }

    #[test]
    fn a_short_credential_is_starred_out() {
        assert_eq!(
            scrubbed(&needles(&["hunter2"]), &[b"hunter2!"]),
            b"*******!"
        );
    }

    #[test]
    fn nothing_shows_in_debug() {
        let mut scrub = Scrub::new(needles(&["sk-live-0123456789"]));
        scrub.push(b"sk-live-01", &mut BytesMut::new());
        assert_eq!(format!("{scrub:?}"), "Scrub { .. }");
    }

    proptest! {
        /// Secrets over a tiny alphabet overlap each other and themselves in every possible way.
        #[test]
        fn chunks_make_no_difference(
            secrets in prop::collection::vec("[ab]{6,8}", 1..4),
            text in "([ab]{1,20}c?){0,6}",
            cuts in prop::collection::vec(0usize..80, 0..12),
        ) {
            let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
            let needles = needles(&secrets);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            let mut whole = Vec::new();
            let automaton = needles.automaton.as_ref().unwrap();
            automaton.replace_all_with_bytes(text.as_bytes(), &mut whole, |_, echo, out| {
                out.extend(b"*".repeat(echo.len()));
                true
            });
            let starred = |byte: u8| if b"abc".contains(&byte) { byte } else { b'*' };
            let scrubbed: Vec<_> = scrubbed(&needles, &chunks).into_iter().map(starred).collect();
            prop_assert_eq!(String::from_utf8(scrubbed), String::from_utf8(whole));
        }
    }
}
