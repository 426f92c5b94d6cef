//! Which places of a text are worth asking the detectors about, and which detectors.
//!
//! In: a folded text. Out: place after place with [`Why`], the detectors that could find something there. It may name places and
//! detectors for nothing, and leaves out none that would find something: each condition here is a necessary one, read off the detector
//! beside it, and `short_cuts_miss_nothing` holds the findings against those of asking everybody everywhere.
//!
//! Sixty-four places are judged at once, by a handful of operations on the [`Classes`] of their bytes and of the 64 behind them:
//! ordinary text costs next to nothing. What follows a text that goes on may be anything, and so counts as in every class.

mod bits;
mod classes;
mod values;

use std::ops::BitOr;

use bits::{runs, small, soon};
use classes::Classes;

use super::place::Place;
use super::secret::Secrets;
use super::{Detectors, assign, email};

/// The detectors that a place is worth asking, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Why(u16);

impl Why {
    /// A value behind the name of a secret.
    pub(super) const ASSIGNED: Self = Self(1);
    /// An e-mail address.
    pub(super) const MAIL: Self = Self(1 << 1);
    /// What begins as an issued key does.
    pub(super) const BEGINS: Self = Self(1 << 2);
    /// A number of a person, a card, a telephone, an IPv4 address.
    pub(super) const NUMBER: Self = Self(1 << 3);
    /// An account number.
    pub(super) const IBAN: Self = Self(1 << 4);
    /// IPv6 and MAC addresses.
    pub(super) const HEX: Self = Self(1 << 5);
    /// An Ethereum address.
    pub(super) const COIN: Self = Self(1 << 6);
    /// A PEM block.
    pub(super) const PEM: Self = Self(1 << 7);
    /// An encoded text.
    pub(super) const ENCODED: Self = Self(1 << 8);
    /// An AWS secret.
    pub(super) const SECRET: Self = Self(1 << 9);
    /// The line of a passport.
    pub(super) const PASSPORT: Self = Self(1 << 10);
    /// A key that begins as nothing else does.
    pub(super) const KEY: Self = Self(1 << 11);
    /// A number of a person in small letters.
    pub(super) const SMALL: Self = Self(1 << 13);
    /// One of the operator's.
    pub(super) const CUSTOM: Self = Self(1 << 12);
    /// A value that is planned: the sieve does not tell of it.
    pub(super) const PLANNED: Self = Self(1 << 14);
    /// Everybody.
    #[cfg(test)]
    pub(super) const ALL: Self = Self((1 << 15) - 1);

    #[inline]
    pub(super) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }
}

impl BitOr for Why {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The places of one window of 64 bytes, and what the next one has to know of it. A window begins so early and ends so late that what
/// stands right before and behind its places is in it: [`STRIDE`] later begins the next one.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Where the window starts; [`NONE`] before the first.
    base: usize,
    /// The classes of this window and of the next, from [`turn`](Self::turn) on.
    windows: [Classes; 2],
    turn: usize,
    /// Whether the text, or what is here of it, ends among the places of this window: then there is no next one.
    last: bool,
    /// Places by reason, in the order of [`ORDER`].
    found: [u64; ORDER.len()],
    any: u64,
    /// Those of them that have a reason which is not looked into any more.
    sure: u64,
    /// How far what announces a value, the name of an option and the first argument of a call reach into the next window.
    announced: u64,
    option: u64,
    argument: u64,
}

const NONE: usize = usize::MAX;
/// A window's first places are judged with the one before it: these are what they look back at.
const BEHIND: usize = 4;
/// The places from here on are judged with the next window: these are what they look ahead at.
const JUDGED: usize = 58;
const STRIDE: usize = JUDGED - BEHIND;
/// No key with a beginning of its own has fewer characters of those that keys are made of, and none that counts behind a letter or digit;
/// such a one begins with a letter.
pub(super) const SHORTEST: u32 = 12;
pub(super) const SHORTEST_GLUED: u32 = 20;
const ORDER: [Why; 14] = [
    Why::ASSIGNED,
    Why::BEGINS,
    Why::MAIL,
    Why::NUMBER,
    Why::SMALL,
    Why::IBAN,
    Why::HEX,
    Why::COIN,
    Why::PEM,
    Why::ENCODED,
    Why::SECRET,
    Why::PASSPORT,
    Why::KEY,
    Why::CUSTOM,
];

/// What is asked of a text's places.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) text: &'a [u8],
    pub(super) whole: bool,
    pub(super) secrets: &'a Secrets,
    pub(super) detectors: &'a Detectors,
}

impl Sieve {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            base: NONE,
            windows: [Classes::default(); 2],
            turn: 0,
            last: false,
            found: [0; ORDER.len()],
            any: 0,
            sure: 0,
            announced: 0,
            option: 0,
            argument: 0,
        }
    }

    /// The first place from `from` on, and before `until`, that is worth asking about.
    pub(super) fn next(
        &mut self,
        question: Question<'_>,
        from: usize,
        until: usize,
    ) -> Option<(usize, Why)> {
        let end = question.text.len().min(until);
        let mut from = from;
        while from < end {
            if self.base == NONE || from < self.base || from >= self.base + STRIDE + JUDGED {
                self.restart(question, from);
            } else if from >= self.base + JUDGED {
                self.advance(question);
            }
            let mut left = self.any & u64::MAX << (from - self.base);
            while left != 0 {
                let bit = left & left.wrapping_neg();
                let place = self.base + bit.trailing_zeros() as usize;
                if place >= end {
                    return None;
                }
                let why = self.why(question, place, bit);
                if why != Why::default() {
                    return Some((place, why));
                }
                left ^= bit;
            }
            from = self.base + JUDGED;
        }
        None
    }

    /// The reasons for a place, of which the first two are looked into here: most places have no other.
    #[inline]
    fn why(&self, question: Question<'_>, place: usize, bit: u64) -> Why {
        let Question { text, secrets, .. } = question;
        let [values, begins, others @ ..] = &self.found;
        let mut why = Why::default();
        if begins & bit != 0 && secrets.may_begin(text, place, question.whole) {
            why = Why::BEGINS;
        }
        if values & bit != 0 && assign::is_announced(Place::new(text, place, true)) {
            why = why | Why::ASSIGNED;
        }
        if self.sure & bit != 0 {
            for (reason, found) in ORDER[2..].iter().zip(others) {
                if found & bit != 0 {
                    why = why | *reason;
                }
            }
        }
        why
    }

    /// Begins so early that what is before the window says nothing of `from`; of what ends soon, all that fits.
    fn restart(&mut self, question: Question<'_>, from: usize) {
        let Question { text, whole, .. } = question;
        self.base = from
            .saturating_sub(BEHIND)
            .min(text.len().saturating_sub(JUDGED));
        self.windows[self.turn].read(text, self.base, whole);
        // Anything may stand before it: what goes on into it, or begins with its first bytes.
        self.announced = (1 << BEHIND) - 1;
        (self.option, self.argument) = (0b11, 0b11);
        self.judge(question);
    }

    fn advance(&mut self, question: Question<'_>) {
        self.base += STRIDE;
        self.turn ^= 1;
        self.judge(question);
    }

    fn judge(&mut self, question: Question<'_>) {
        let Question { text, whole, .. } = question;
        self.last = text.len() <= self.base + JUDGED;
        if !self.last {
            self.windows[self.turn ^ 1].read(text, self.base + STRIDE, whole);
        }
        let values = self.values();
        let (here, next) = (&self.windows[self.turn], &self.windows[self.turn ^ 1]);
        let valid = !(u64::MAX << JUDGED.min(text.len() - self.base));
        // What follows this window.
        let ahead = |class: fn(&Classes) -> u64| match self.last {
            true if whole => 0,
            true => u64::MAX,
            false => class(next) >> (64 - STRIDE),
        };
        let long = |class: fn(&Classes) -> u64, count| runs(class(here), ahead(class), count);

        // Words start where no letter or digit stands before.
        let words = !(here.alphanumeric << 1);
        let starts = here.alphanumeric & words;
        let letters = here.alphanumeric & !here.digit;
        let apart = starts & !(here.joint << 1);
        // What is made of fewer characters has no longer runs; most windows of prose have none.
        let reach = long(|all| all.reach, 16);
        let [glued, secret, run, passport, coin, key] = match reach {
            0 => [0; 6],
            _ => [
                letters & !words & long(|all| all.reach, SHORTEST_GLUED),
                words & long(|all| all.secret, 40) & !(here.secret << 1),
                words & long(|all| all.run, 24) & !(here.run << 1),
                words & here.upper & long(|all| all.passport, 36),
                here.zero & starts & here.x >> 1 & reach,
                apart & reach & soon(here.digit, ahead(|all| all.digit)),
            ],
        };
        let begins = glued | words & long(|all| all.reach, SHORTEST);
        // Behind a hyphen of a word only cards begin.
        let parted = here.alphanumeric << 2 & here.hyphen << 1;
        let [card, small, iban] = match here.digit {
            0 => [0; 3],
            digit => [
                digit & starts & long(|all| all.digit | all.space | all.hyphen, 12),
                small(here) & apart,
                starts & letters & letters >> 1 & digit >> 2 & digit >> 3,
            ],
        };
        let number = (here.digit | here.upper) & starts & !parted | here.open & words;
        let number = number & runs(here.number, 0, 6) | card;
        let hex = here.hex & starts;
        let [mac, v6] = match here.colon | here.hyphen {
            0 => [0; 2],
            sign => {
                let mac = here.hex >> 1 & sign >> 2 & here.hex >> 3 & here.hex >> 4 & sign >> 5;
                let colon = here.colon;
                let soon = colon >> 1 | colon >> 2 | colon >> 3 | colon >> 4;
                let v6 = match hex & soon {
                    0 => 0,
                    begins => begins & runs(here.hex | here.colon, 0, 6),
                };
                [hex & mac, v6]
            }
        };
        let pem = match here.hyphen {
            0 => 0,
            _ => words & runs(here.hyphen, 0, 5) & here.upper >> 5,
        };
        let found = [
            values,
            begins,
            self.mail(question),
            number,
            small,
            iban,
            mac | v6,
            coin,
            pem,
            run,
            secret,
            passport,
            key,
            own(question, self.base),
        ];
        let [values, begins, others @ ..] = &found;
        self.sure = others.iter().fold(0, |sure, found| sure | found) & valid;
        self.any = (self.sure | values | begins) & valid;
        self.found = found;
    }

    /// The places from which an `@` can be reached.
    fn mail(&self, question: Question<'_>) -> u64 {
        let Question { text, whole, .. } = question;
        let mut found = 0;
        let mut add = |from: usize, to: usize| {
            let bits = |to: usize| match to.saturating_sub(self.base) {
                bits @ 0..64 => !(u64::MAX << bits),
                _ => u64::MAX,
            };
            found |= bits(to) & !bits(from);
        };
        let here = &self.windows[self.turn];
        let mut sign = |sign: usize| {
            if sign < text.len() && email::may_follow(text.get(sign + 1), whole) {
                add(email::local_start(text, sign), sign);
            }
        };
        each(here.sign, |bit| sign(self.base + bit));
        if !self.last {
            // As far as an address reaches from the last place.
            let next = self.base + STRIDE;
            each(self.windows[self.turn ^ 1].sign, |bit| sign(next + bit));
            let far = text.len().min(next + 64)..text.len().min(self.base + JUDGED + email::LOCAL);
            for at in far.filter(|at| text[*at] == b'@') {
                sign(at);
            }
        }
        if !whole && text.len() < self.base + JUDGED + email::LOCAL {
            add(email::local_start(text, text.len()), text.len());
        }
        found & here.name
    }
}

/// Calls `tell` with the place of each bit.
#[inline]
fn each(mut bits: u64, mut tell: impl FnMut(usize)) {
    while bits != 0 {
        tell(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// Where an operator's detector may find something.
fn own(question: Question<'_>, base: usize) -> u64 {
    if !question.detectors.has_custom() {
        return 0;
    }
    let block = question.text[base..].iter().take(64).enumerate();
    block.fold(0, |found, (at, byte)| {
        found | u64::from(question.detectors.begins(*byte)) << at
    })
}
