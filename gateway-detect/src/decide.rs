//! What stands at a place, of all detectors, and which place to look at next.
//!
//! Most places are in the middle of a word, and most words are left after a few bytes: what can begin there is told by the kind of its
//! first character, by the three characters that begin issued keys, and by the next `@`.

use super::catalogue::{CATALOGUE, Catalogue};
use super::layer::{self, Window};
use super::place::{ALPHANUMERIC, Class, Place, Verdict, run};
use super::{Detectors, assign, aws, card, coin, email, iban, network, pem, phone};

/// What is known of the text ahead, and what the last places left to do.
pub(super) struct Cursor<'a> {
    catalogue: &'static Catalogue,
    detectors: &'a Detectors,
    /// How many encoded texts this one is in.
    depth: u8,
    /// The next `@`, or the end of a text that goes on, and where the run of characters before it starts.
    sign: usize,
    local: usize,
    word: email::Word,
    /// Where the next window of an encoded text starts.
    pub(super) window: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(detectors: &'a Detectors, depth: u8) -> Self {
        Self {
            catalogue: &CATALOGUE,
            detectors,
            depth,
            sign: 0,
            local: usize::MAX,
            word: email::Word::default(),
            window: None,
        }
    }

    /// What stands at a place: the longest match of any detector, as soon as none of them can still change its answer.
    pub(super) fn decide(&mut self, place: Place<'_>) -> Verdict {
        let first = place.ahead()[0];
        let Catalogue {
            ids,
            secrets,
            words,
            ..
        } = self.catalogue;
        let mut verdict = Verdict::No;
        let assigned = if assign::may_start(place) {
            assign::at(place, ids.assigned)
        } else {
            Verdict::No
        };
        // The password of a URL is no mailbox at its host.
        let in_url = matches!(assigned, Verdict::Match(found, _)
            if [ids.assigned.url, ids.assigned.connection].contains(&found));
        if !in_url && self.in_local_part(place) {
            verdict = email::at(place.text, place.at, place.whole, &mut self.word, ids.email);
        }
        if place.at + 3 > place.text.len() || secrets.may_begin(place.text, place.at) {
            verdict = verdict.or(secrets.prefixed(place, words));
            if first == b'A' {
                verdict = verdict.or(aws::id(place, ids.aws));
            }
        }
        if place.starts_word() && WORDS.has(first) {
            verdict = verdict.or(self.word(place, first));
        } else if self.window == Some(place.at) {
            verdict = verdict.or(self.encoded(place, true));
        }
        verdict = verdict.or(assigned);
        if self.detectors.begins(first) {
            verdict = verdict.or(self.detectors.at(place));
        }
        verdict
    }

    /// What begins at the start of a word.
    fn word(&mut self, place: Place<'_>, first: u8) -> Verdict {
        let Catalogue {
            ids,
            secrets,
            words,
            people,
            phone_words,
            ..
        } = self.catalogue;
        let ahead = place.ahead();
        let reach = run(&ahead[..ahead.len().min(SOON)], &REACH);
        let over = reach < ahead.len() || place.whole;
        let short = over && reach < LONG;
        let mut verdict = match first {
            b'0'..=b'9' => {
                let number = card::at(place, ids.card).or(people.at(place, words));
                let coin = coin::ethereum(place, ids.coin, || {
                    words.said(place.behind()).any(&self.catalogue.coin_words)
                });
                let number = number
                    .or(coin)
                    .or(phone::at(place, ids.phone, words, phone_words));
                number.or(network::v4(place, ids.v4))
            }
            b'A'..=b'Z' => people.at(place, words),
            b'+' | b'(' => phone::at(place, ids.phone, words, phone_words),
            b'-' => pem::at(place, ids.pem),
            b'b' | b't' | b'l' if !short => coin::bech32(place, ids.coin),
            _ => Verdict::No,
        };
        if first.is_ascii_hexdigit() && (!short || ahead[..reach].contains(&b':')) {
            verdict = verdict
                .or(network::v6(place, ids.v6))
                .or(network::mac(place, ids.mac));
        }
        if first.is_ascii_alphabetic() {
            verdict = verdict.or(iban::at(place, ids.iban));
        }
        if short {
            return verdict;
        }
        verdict = verdict
            .or(aws::secret(place, ids.aws))
            .or(self.encoded(place, false));
        if first.is_ascii_uppercase() {
            verdict = verdict.or(coin::passport_line(place, ids.passport_line));
        }
        // A key begins behind no other part of its kind, is long, and has a digit soon.
        let digit = !(over || reach == SOON) || ahead[..reach].iter().any(u8::is_ascii_digit);
        if !digit || !first.is_ascii_alphanumeric() || place.follows(|byte| JOINTS.has(byte)) {
            return verdict;
        }
        verdict
            .or(secrets.announced(place, words))
            .or(coin::base58(place, [ids.coin, ids.coin_key]))
    }

    /// What an encoded text says that starts here, or of which a window does.
    fn encoded(&mut self, place: Place<'_>, planned: bool) -> Verdict {
        let planned = planned || self.window == Some(place.at);
        if self.depth == DEEPEST || !planned && !layer::may_start(place) {
            return Verdict::No;
        }
        let (detectors, depth) = (self.detectors, self.depth + 1);
        let find = |text: &str, most: usize| super::scanner::first(text, most, detectors, depth);
        match layer::at(place, !planned, find) {
            Window::No => Verdict::No,
            Window::More => Verdict::More,
            Window::Found(verdict) => verdict,
            Window::Next(on) => {
                self.window = Some(place.at + on);
                Verdict::No
            }
        }
    }

    /// Whether an address may begin here, as far as the next `@` tells.
    #[inline]
    fn in_local_part(&mut self, place: Place<'_>) -> bool {
        if place.at >= self.sign || self.local == usize::MAX {
            self.look(place.text, place.at, place.whole);
        }
        place.at >= self.local
    }

    fn look(&mut self, text: &[u8], at: usize, whole: bool) {
        let sign = text[at..]
            .iter()
            .position(|&byte| byte == b'@')
            .map(|found| at + found);
        (self.sign, self.local) = match sign {
            Some(sign) => (sign, email::local_start(text, sign)),
            None if whole => (text.len(), text.len()),
            None => (text.len(), email::local_start(text, text.len())),
        };
    }

    /// The place to look at after `at`, where nothing stands.
    pub(super) fn next(&mut self, text: &[u8], at: usize, whole: bool) -> usize {
        let secrets = &self.catalogue.secrets;
        let window = self
            .window
            .filter(|window| *window > at)
            .unwrap_or(usize::MAX);
        let custom = self.detectors.has_custom();
        let mut next = at + 1;
        if next < text.len() && (next >= self.sign || self.local == usize::MAX) {
            self.look(text, next, whole);
        }
        // Up to here nothing but the bytes themselves tells whether to look.
        let mut free = text.len().saturating_sub(2).min(self.local).min(window);
        loop {
            while next < free {
                let (before, here) = (text[next - 1], text[next]);
                if WORDS.has(here) && !ALPHANUMERIC.has(before)
                    || assign::BEFORE.has(before) && assign::FIRST.has(here)
                    || secrets.may_begin(text, next)
                    || custom && self.detectors.begins(here)
                {
                    return next;
                }
                next += 1;
            }
            if next >= text.len() || next < self.sign || next >= window || next + 2 >= text.len() {
                return next.min(text.len());
            }
            self.look(text, next, whole);
            free = text.len().saturating_sub(2).min(self.local).min(window);
            if next >= free {
                return next;
            }
        }
    }
}

/// What begins a word, a number, a path in base 64 or a PEM block.
static WORDS: Class = Class::alphanumeric_and(b"+/(-");
/// What long keys are made of.
static REACH: Class = Class::alphanumeric_and(b"+/_-.:~|=<");
static JOINTS: Class = Class::from(b"-_./+");
/// No shorter word is a key.
const LONG: usize = 16;
/// Within so many characters a key has a digit.
const SOON: usize = 32;
/// Encoded texts in encoded texts are read so deep.
const DEEPEST: u8 = 3;
