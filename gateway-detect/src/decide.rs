//! What stands at a place, of all detectors, and which place to look at next.
//!
//! Which places, and which detectors there, is told by the [`Sieve`]; the detectors asked see to the rest themselves.

use super::assign::Later;
use super::catalogue::{CATALOGUE, Catalogue};
use super::layer::{self, Window};
use super::place::{Class, Place, Verdict, last, run};
use super::sieve::{Question, Sieve, Why};
use super::table::Table;
use super::{Detectors, assign, aws, card, coin, email, iban, label, network, pem, phone};

/// What is known of the text ahead, and what the last places left to do.
pub(super) struct Cursor<'a> {
    catalogue: &'static Catalogue,
    detectors: &'a Detectors,
    /// How many encoded texts this one is in.
    depth: u8,
    sieve: Sieve,
    word: email::Word,
    /// Where the next window of an encoded text starts.
    pub(super) window: Option<usize>,
    /// Where a value is planned.
    pub(super) planned: Option<usize>,
    /// The table that the text is in.
    pub(super) table: Option<Box<Table>>,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub(super) fn new(detectors: &'a Detectors, depth: u8) -> Self {
        Self {
            catalogue: &CATALOGUE,
            detectors,
            depth,
            sieve: Sieve::new(),
            word: email::Word::default(),
            window: None,
            planned: None,
            table: None,
        }
    }

    /// Whether the place that cannot be decided is one as long as its word goes on.
    pub(super) fn waits_for_word(&self, place: Place<'_>) -> bool {
        self.word.is_open(place.text, place.at)
    }

    /// The first place from `from` on where something may stand, and what.
    pub(super) fn next(&mut self, text: &[u8], from: usize, whole: bool) -> Option<(usize, Why)> {
        let question = Question {
            text,
            whole,
            secrets: &self.catalogue.secrets,
            detectors: self.detectors,
        };
        if self.window.is_none() && self.planned.is_none() {
            return self.sieve.next(question, from, usize::MAX);
        }
        self.planned = self.planned.filter(|planned| *planned >= from);
        let here = |place: &usize| (from..text.len()).contains(place);
        let (window, planned) = (self.window.filter(here), self.planned.filter(here));
        let first = [window, planned].into_iter().flatten().min();
        let until = first.map_or(usize::MAX, |first| first + 1);
        let mut why = Why::default();
        if first.is_some() && first == window {
            why = why | Why::ENCODED;
        }
        if first.is_some() && first == planned {
            why = why | Why::PLANNED;
        }
        match self.sieve.next(question, from, until) {
            Some((place, other)) if Some(place) == first => Some((place, why | other)),
            None => first.map(|first| (first, why)),
            found => found,
        }
    }

    /// What stands at a place: the longest match of any of these detectors, as soon as none of them can still change its answer.
    pub(super) fn decide(&mut self, place: Place<'_>, why: Why) -> Verdict {
        let first = place.ahead()[0];
        let Catalogue {
            ids,
            secrets,
            words,
            mail_words,
            ..
        } = self.catalogue;
        let mut assigned = if why.has(Why::ASSIGNED) && assign::may_start(place) {
            match assign::later(place) {
                Later::At(on) => self.planned = Some(place.at + on),
                Later::More => return Verdict::More,
                Later::No => {}
            }
            match assign::at(place, ids.assigned) {
                Verdict::No if assign::is_cell(place) => {
                    let table = self.table.get_or_insert_default();
                    assign::in_column(place, table, ids.assigned)
                }
                Verdict::No => label::at(place, ids.labelled),
                verdict => verdict,
            }
        } else {
            Verdict::No
        };
        if why.has(Why::PLANNED) && assign::may_start(place) {
            assigned.add(|| assign::argument(place, ids.assigned));
        }
        if assigned == Verdict::More {
            return Verdict::More;
        }
        let mut verdict = Verdict::No;
        // The password of a URL is no mailbox at its host, nor is a token for its user.
        let in_url = matches!(assigned, Verdict::Match(found, _)
            if [ids.assigned.url, ids.assigned.connection].contains(&found));
        if !in_url && why.has(Why::MAIL) {
            let said = || words.said(last(place.behind(), NEAR_MAIL)).any(mail_words);
            verdict = email::at(place, &mut self.word, ids.email, said);
            verdict.add(|| assign::user(place, ids.assigned));
        }
        if why.has(Why::BEGINS) && secrets.may_begin(place.text, place.at, place.whole) {
            verdict.add(|| secrets.prefixed(place, words));
            if first == b'A' {
                verdict.add(|| aws::id(place, ids.aws));
            }
        }
        if place.starts_word() && WORDS.has(first) {
            verdict.add(|| self.word(place, first, why));
        } else if self.window == Some(place.at) {
            verdict.add(|| self.encoded(place, true));
        }
        verdict = verdict.or(assigned);
        if why.has(Why::CUSTOM) && self.detectors.begins(first) {
            verdict.add(|| self.detectors.at(place));
        }
        verdict
    }

    /// What begins at the start of a word.
    fn word(&mut self, place: Place<'_>, first: u8, why: Why) -> Verdict {
        let Catalogue {
            ids,
            secrets,
            words,
            people,
            card_words,
            phone_words,
            ..
        } = self.catalogue;
        let ahead = place.ahead();
        let table = self.table.get_or_insert_default();
        let mut verdict = Verdict::No;
        match first {
            b'0'..=b'9' if why.has(Why::NUMBER) => {
                verdict = card::at(place, ids.card, (words, table), card_words);
                verdict.add(|| people.at(place, words, table));
                verdict.add(|| phone::at(place, ids.phone, (words, table), phone_words));
                verdict.add(|| network::v4(place, ids.v4));
            }
            b'A'..=b'Z' if why.has(Why::NUMBER) => verdict = people.at(place, words, table),
            b'a'..=b'z' | b'0'..=b'9' if why.has(Why::SMALL) => {
                verdict = people.at(place, words, table);
            }
            b'+' | b'(' if why.has(Why::NUMBER) => {
                verdict = phone::at(place, ids.phone, (words, table), phone_words);
            }
            b'-' if why.has(Why::PEM) => verdict = pem::at(place, ids.pem),
            _ => {}
        }
        if first == b'0' && why.has(Why::COIN) {
            let said = || words.said(place.behind()).any(&self.catalogue.coin_words);
            verdict.add(|| coin::ethereum(place, ids.coin, said));
        }
        if first.is_ascii_hexdigit() && why.has(Why::HEX) {
            verdict.add(|| network::v6(place, ids.v6));
            verdict.add(|| network::mac(place, ids.mac));
        }
        if first.is_ascii_alphabetic() && why.has(Why::IBAN) {
            verdict.add(|| iban::at(place, ids.iban));
        }
        if why.has(Why::BEGINS) {
            verdict.add(|| coin::bech32(place, ids.coin));
        }
        if why.has(Why::SECRET) {
            verdict.add(|| aws::secret(place, ids.aws));
        }
        if why.has(Why::ENCODED) {
            verdict.add(|| self.encoded(place, false));
        }
        if first.is_ascii_uppercase() && why.has(Why::PASSPORT) {
            verdict.add(|| coin::passport_line(place, ids.passport_line));
        }
        if !why.has(Why::KEY) || verdict == Verdict::More {
            return verdict;
        }
        // A key begins behind no other part of its kind, is long, and has a digit soon.
        let (short, digit) = if ahead.first_chunk().is_some_and(is_long) {
            (false, true)
        } else {
            let reach = run(&ahead[..ahead.len().min(SOON)], &REACH);
            let over = reach < ahead.len() || place.whole;
            let digit = !(over || reach == SOON) || ahead[..reach].iter().any(u8::is_ascii_digit);
            (over && reach < LONG, digit)
        };
        let joined = place.follows(|byte| JOINTS.has(byte));
        if short || !digit || !first.is_ascii_alphanumeric() || joined {
            return verdict;
        }
        verdict.add(|| secrets.announced(place, words));
        verdict.add(|| assign::named(place, ids.assigned));
        verdict.add(|| coin::base58(place, [ids.coin, ids.coin_key]));
        verdict
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
}

/// Whether these are all what long keys are made of, and one is a digit.
#[inline]
fn is_long(ahead: &[u8; LONG]) -> bool {
    // Without an exit, the compiler makes it wide.
    ahead.iter().fold(true, |all, byte| all & REACH.has(*byte))
        && ahead
            .iter()
            .fold(false, |any, byte| any | byte.is_ascii_digit())
}

/// What begins a word, a number, a path in base 64 or a PEM block.
static WORDS: Class = Class::alphanumeric_and(b"+/(-");
/// What long keys are made of.
static REACH: Class = Class::alphanumeric_and(b"+/_-.:~|=<$");
static JOINTS: Class = Class::from(b"-_./+");
/// How far before an address a word for mail may stand.
const NEAR_MAIL: usize = 40;
/// No shorter word is a key.
const LONG: usize = 16;
/// Within so many characters a key has a digit.
const SOON: usize = 32;
/// Encoded texts in encoded texts are read so deep.
const DEEPEST: u8 = 3;
