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

use std::ops::BitOr;

use bits::{behind_run, runs, small, soon};
use classes::{ANY, Classes};

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
    /// Everybody.
    #[cfg(test)]
    pub(super) const ALL: Self = Self((1 << 14) - 1);

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

/// The places of one block of 64, and what the next one has to know of it.
#[derive(Debug)]
pub(super) struct Sieve {
    /// Where the block starts; [`NONE`] before the first.
    base: usize,
    /// The classes of this block, of the next and of the one before, from [`turn`](Self::turn) on.
    blocks: [Classes; 3],
    turn: usize,
    /// Places by reason, in the order of [`ORDER`].
    found: [u64; ORDER.len()],
    any: u64,
    /// Those of them that have a reason which is not looked into any more.
    sure: u64,
    /// Whether something before the block's first byte announces a value, as far as that goes on.
    announced: bool,
    /// Whether the block begins inside the name of an option, or the first argument of a call.
    option: bool,
    argument: bool,
    /// Whether such an argument ended right before the block.
    closed: bool,
}

const NONE: usize = usize::MAX;
/// No key with a beginning of its own has fewer characters of those that keys are made of; one that counts behind a letter has 16.
pub(super) const SHORTEST: u32 = 12;
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
            blocks: [Classes::default(); 3],
            turn: 0,
            found: [0; ORDER.len()],
            any: 0,
            sure: 0,
            announced: true,
            option: true,
            argument: true,
            closed: true,
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
            if self.base == NONE || from < self.base || from >= self.base + 128 {
                self.restart(question, from);
            } else if from >= self.base + 64 {
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
            from = self.base + 64;
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

    /// Begins a block with the two bytes before `from`, which tell all that is asked there; before them may be anything.
    fn restart(&mut self, question: Question<'_>, from: usize) {
        let Question { text, whole, .. } = question;
        self.base = from.saturating_sub(2);
        self.turn = 0;
        self.blocks[0] = Classes::of(text, self.base, whole);
        self.blocks[1] = Classes::of(text, self.base + 64, whole);
        self.blocks[2] = if self.base == 0 {
            Classes::default()
        } else {
            ANY
        };
        (self.announced, self.option) = (true, true);
        (self.argument, self.closed) = (true, true);
        self.judge(question);
    }

    fn advance(&mut self, question: Question<'_>) {
        self.base += 64;
        self.turn = (self.turn + 1) % 3;
        let ahead = (self.turn + 1) % 3;
        self.blocks[ahead] = Classes::of(question.text, self.base + 64, question.whole);
        self.judge(question);
    }

    fn judge(&mut self, question: Question<'_>) {
        let values = self.values();
        let [here, ahead, before] = [0, 1, 2].map(|from| &self.blocks[(self.turn + from) % 3]);
        let valid = match question.text.len() - self.base {
            0..64 => !(u64::MAX << (question.text.len() - self.base)),
            _ => u64::MAX,
        };
        // Whether the byte before, and the byte so far behind a place is in a class.
        let behind =
            |class: fn(&Classes) -> u64, far: u32| class(here) << far | class(before) >> (64 - far);
        let after =
            |class: fn(&Classes) -> u64, far: u32| class(here) >> far | class(ahead) << (64 - far);
        let both =
            |class: fn(&Classes) -> u64| u128::from(class(here)) | u128::from(class(ahead)) << 64;

        // Words start where no letter or digit stands before.
        let words = !behind(|all| all.alphanumeric, 1) & valid;
        let starts = here.alphanumeric & words;
        let reach = runs(both(|all| all.reach), 16) as u64;
        let begins = reach & !words | words & runs(both(|all| all.reach), SHORTEST) as u64;
        let number = runs(both(|all| all.number), 6) as u64;
        let small = if here.digit | ahead.digit == 0 {
            0
        } else {
            small(here, ahead) & starts & !behind(|all| all.joint, 1)
        };
        let hex = here.hex & starts;
        let sign = |far| after(|all| all.colon, far) | after(|all| all.hyphen, far);
        let pair = |far| after(|all| all.hex, far) & after(|all| all.hex, far + 1);
        let mac = hex & after(|all| all.hex, 1) & sign(2) & pair(3) & sign(5);
        let colon = after(|all| all.colon, 1)
            | after(|all| all.colon, 2)
            | after(|all| all.colon, 3)
            | after(|all| all.colon, 4);
        let v6 = if hex & colon == 0 {
            0
        } else {
            hex & colon & runs(both(|all| all.hex | all.colon), 6) as u64
        };
        let letters = here.alphanumeric & !here.digit;
        // What is made of fewer characters has no longer runs.
        let long = |class: fn(&Classes) -> u64, count| match reach {
            0 => 0,
            _ => runs(both(class), count) as u64,
        };
        let secret = long(|all| all.secret, 40);
        let run = long(|all| all.run, 24);
        let passport = here.upper & long(|all| all.passport, 36);
        let digit_soon = soon(both(|all| all.digit), 5) as u64;
        let pem = match here.hyphen {
            0 => 0,
            _ => runs(both(|all| all.hyphen), 5) as u64 & after(|all| all.upper, 5),
        };
        self.found = [
            values & valid,
            begins & valid,
            self.mail(question) & valid,
            number & ((here.digit | here.upper) & starts | here.open & words),
            small,
            starts
                & letters
                & after(|all| all.alphanumeric & !all.digit, 1)
                & after(|all| all.digit, 2)
                & after(|all| all.digit, 3),
            mac | v6,
            here.zero & starts & after(|all| all.x, 1) & reach,
            pem & words,
            run & !behind(|all| all.run, 1) & words,
            secret & words & !behind(|all| all.secret, 1),
            passport & words,
            starts & reach & digit_soon & !behind(|all| all.joint, 1),
            own(question, self.base) & valid,
        ];
        let [values, begins, others @ ..] = &self.found;
        self.sure = others.iter().fold(0, |sure, found| sure | found);
        self.any = self.sure | values | begins;
    }

    /// Where a value may start behind what announces one: behind a separator, ` is`, the ends of `bearer`, `basic`, `token` and `password`,
    /// options, first arguments, and then quotes and spaces; in quotes also behind the ends of `by` and `…string`.
    /// It announces all that [`assign`] says something of: what that comes to accept has to be announced here.
    fn values(&mut self) -> u64 {
        let [here, before] = [0, 2].map(|from| &self.blocks[(self.turn + from) % 3]);
        let behind =
            |class: fn(&Classes) -> u64, far: u32| class(here) << far | class(before) >> (64 - far);
        let is = here.s & behind(|all| all.i, 1) & behind(|all| all.space, 2);
        let bearer = here.r & behind(|all| all.e, 1) & behind(|all| all.r, 2);
        let token = here.n & behind(|all| all.e, 1) & behind(|all| all.k, 2);
        let word = here.d & behind(|all| all.r, 1);
        let basic = here.c & behind(|all| all.i, 1) & behind(|all| all.s, 2);
        let options = here.hyphen & behind(|all| all.hyphen | all.space, 1);
        let (named, option) = behind_run(options << 1 | u64::from(self.option), here.name);
        // `f("name", `
        let calls = here.quote & behind(|all| all.left, 1);
        let (closed, argument) = behind_run(calls << 1 | u64::from(self.argument), !here.quote);
        let closed = closed & here.quote;
        let second = here.comma & (closed << 1 | u64::from(self.closed));
        self.argument = argument || calls >> 63 == 1;
        self.closed = closed >> 63 == 1;
        let words = is | bearer | token | word | basic;
        let ends = here.separator | second;
        // Behind a word comes a space or a quote, behind a separator it may.
        let starts = ends << 1 | words << 1 & here.quiet | u64::from(self.announced) | named;
        let (values, announced) = behind_run(starts, here.quiet);
        self.option = option || options >> 63 == 1;
        self.announced = announced || (ends | words) >> 63 == 1;
        let pair = behind(|all| all.g, 3) & behind(|all| all.n, 4)
            | behind(|all| all.y, 3) & behind(|all| all.b, 4);
        let quoted = behind(|all| all.quote, 1) & behind(|all| all.space, 2) & pair;
        (values | quoted) & here.first
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
        for (signs, base) in [
            (self.blocks[self.turn].sign, self.base),
            (self.blocks[(self.turn + 1) % 3].sign, self.base + 64),
        ] {
            let mut signs = signs;
            while signs != 0 {
                let sign = base + signs.trailing_zeros() as usize;
                if sign >= text.len() {
                    break;
                }
                if email::may_follow(text.get(sign + 1), whole) {
                    add(email::local_start(text, sign), sign);
                }
                signs &= signs - 1;
            }
        }
        if !whole && text.len() <= self.base + 128 {
            add(email::local_start(text, text.len()), text.len());
        }
        found & self.blocks[self.turn].name
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
