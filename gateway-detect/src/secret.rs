//! Issued keys: of what vendors call a key, token or secret, the forms in `secrets.txt`.
//!
//! In: a place. Out: whether a key stands there. A form that begins with a literal text is looked for wherever its first three
//! characters stand; one without counts only behind words that announce it, its vendor's name and what it is. Beside its form, a
//! match needs a body that is no filler, and what its row asks for. The proof is taken from the first [`PROOF`] bytes, so that a
//! longer match is decided before it ends.

mod begins;

use std::collections::HashMap;

use begins::{Begins, bit};

use super::Detector;
use super::pattern::{Fit, Pattern};
use super::place::{ALPHANUMERIC, Class, LOOKBEHIND, Place, Verdict, last, run};
use super::proof::{Proof, has_all_kinds};
use super::words::{Beginnings, Said, Words};

/// A form of a key.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) detector: Detector,
    pub(super) pattern: Pattern,
    proof: Proof,
    /// One of these words has to stand before it.
    pub(super) near: Vec<usize>,
    /// What it begins with also begins words: nothing of a word may stand before it.
    plain: bool,
    /// It counts also behind a letter or digit, if it is random for sure.
    glued: bool,
}

/// All forms.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) forms: Vec<Form>,
    /// What begins at the start of a word, and what also behind a letter or digit.
    begins: Begins,
    glued: Begins,
    /// The forms that begin so, by [`bit`] of their first three characters.
    prefixed: HashMap<usize, Vec<usize>>,
    announced: Vec<usize>,
    /// The words of which one says that a key follows, and those of which one says whose.
    keys: Said,
    vendors: Said,
    /// The forms that need neither a literal beginning nor a word, by their first byte.
    free: Vec<Vec<Free>>,
}

/// Such a form, and what it has farther on: most places are left by these.
#[derive(Clone, Copy, Debug)]
struct Free {
    form: usize,
    /// So many letters and digits are at its beginning.
    least: usize,
    /// Its [signs](Pattern::signs).
    signs: [Option<(usize, u8)>; 2],
}

impl Free {
    /// Whether it may stand here, where so many letters and digits are.
    fn may_stand(&self, place: Place<'_>, length: usize) -> bool {
        let sign = |(far, sign): (usize, u8)| {
            let here = place.ahead().get(far);
            here.map_or(!place.whole, |byte| *byte == sign)
        };
        self.least <= length && self.signs.into_iter().flatten().all(sign)
    }
}

impl Secrets {
    /// Reads a row of the table: the words before and the options, see `secrets.txt`.
    pub(super) fn read(
        forms: &mut Vec<Form>,
        words: &mut Words,
        detector: Detector,
        pattern: &str,
        options: &str,
    ) -> Option<()> {
        let (mut near, mut plain, mut glued, mut proof) = (Vec::new(), false, false, Proof::Random);
        for option in options.split_whitespace() {
            match option.split_once('=') {
                Some(("near", all)) => {
                    near = all
                        .split(',')
                        .map(|word| words.number(&word.replace('_', " ")))
                        .collect()
                }
                Some(("check", name)) => proof = Proof::named(name)?,
                None if option == "plain" => plain = true,
                None if option == "glued" => glued = true,
                _ => return None,
            }
        }
        for pattern in Pattern::parse(pattern)? {
            let near = near.clone();
            forms.push(Form {
                detector,
                pattern,
                proof,
                near,
                plain,
                glued,
            });
        }
        Some(())
    }

    pub(super) fn new(forms: Vec<Form>, words: &mut Words) -> Self {
        let (mut begins, mut glued) = (Begins::new(), Begins::new());
        let (mut prefixed, mut announced, mut free) = (
            HashMap::<usize, Vec<usize>>::new(),
            Vec::new(),
            vec![Vec::new(); 256],
        );
        // Addresses of coins and AWS key ids have rules of their own.
        for three in [
            *b"bc1", *b"tb1", *b"ltc", *b"AKI", *b"ASI", *b"ABI", *b"ACC",
        ] {
            begins.insert(three);
        }
        for three in [*b"AKI", *b"ASI", *b"ABI", *b"ACC"] {
            glued.insert(three);
        }
        for (index, form) in forms.iter().enumerate() {
            match form.pattern.literal() {
                [a, b, c, ..] => {
                    let three = [*a, *b, *c];
                    begins.insert(three);
                    if form.glued {
                        glued.insert(three);
                    }
                    prefixed.entry(bit(three)).or_default().push(index);
                }
                _ if form.near.is_empty() => {
                    let begin = |byte: &u8| form.pattern.may_begin(*byte);
                    let least = form.pattern.least_alphanumeric();
                    for byte in (0..=u8::MAX).filter(begin) {
                        free[usize::from(byte)].push(Free {
                            form: index,
                            least,
                            signs: form.pattern.signs(),
                        });
                    }
                }
                _ => announced.push(index),
            }
        }
        let keys = Said::of(KEY_WORDS.iter().map(|word| words.number(word)));
        let vendors = Said::of(announced.iter().flat_map(|form| forms[*form].near.clone()));
        Self {
            forms,
            begins,
            glued,
            prefixed,
            announced,
            keys,
            vendors,
            free,
        }
    }

    /// Whether a literal beginning may stand here.
    #[inline(always)]
    pub(super) fn may_begin(&self, text: &[u8], at: usize, whole: bool) -> bool {
        if at > 0 && text[at - 1].is_ascii_alphanumeric() {
            self.glued.may_begin_rarely(&text[at..], whole)
        } else {
            self.begins.may_begin(&text[at..], whole)
        }
    }

    /// The key with a literal beginning that stands here, where one [may begin](Self::may_begin).
    pub(super) fn prefixed(&self, place: Place<'_>, words: &Words) -> Verdict {
        let [a, b, c, ..] = *place.ahead() else {
            return Verdict::More;
        };
        let all = self.prefixed.get(&bit([a, b, c]));
        self.best(all.map_or(&[][..], Vec::as_slice), place, words)
    }

    /// The key without a literal beginning that stands here, at the start of a word.
    pub(super) fn announced(&self, place: Place<'_>, words: &Words) -> Verdict {
        let ahead = place.ahead();
        let mut verdict = Verdict::No;
        let length = run(ahead, &ALPHANUMERIC);
        let open = length == ahead.len() && !place.whole;
        let length = if open { usize::MAX } else { length };
        for free in &self.free[usize::from(ahead[0])] {
            if free.may_stand(place, length) {
                verdict.add(|| self.forms[free.form].at(place));
            }
        }
        let behind = last(place.behind(), NEAR_KEY);
        if !may_name_key(behind) || !words.said(behind).meets(&self.keys) {
            return verdict;
        }
        let said = words.said(last(place.behind(), NEAR));
        if !said.meets(&self.vendors) {
            return verdict;
        }
        let near = |form: &&usize| said.any(&self.forms[**form].near);
        let all: Vec<usize> = self.announced.iter().filter(near).copied().collect();
        for form in &all {
            verdict.add(|| self.forms[*form].at(place));
        }
        verdict
    }

    /// The literal beginning of a key, for its sample.
    pub(super) fn prefix<'t>(&self, detector: Detector, key: &'t str) -> &'t str {
        let forms = self.forms.iter().filter(|form| form.detector == detector);
        let literals = forms
            .map(|form| form.pattern.literal())
            .filter(|literal| key.as_bytes().starts_with(literal));
        &key[..literals.map(<[u8]>::len).max().unwrap_or(0).min(MOST_SHOWN)]
    }

    fn best(&self, all: &[usize], place: Place<'_>, words: &Words) -> Verdict {
        let mut said = None;
        let mut verdict = Verdict::No;
        for form in all.iter().map(|form| &self.forms[*form]) {
            // What begins otherwise is left before what stands before it is read.
            let literal = form.pattern.literal();
            let here = &place.ahead()[..place.ahead().len().min(literal.len())];
            if !literal.starts_with(here) {
                continue;
            }
            let near = || words.said(last(place.behind(), NEAR));
            if form.near.is_empty() || said.get_or_insert_with(near).any(&form.near) {
                verdict.add(|| form.at(place));
            }
        }
        verdict
    }
}

impl Form {
    #[cfg(test)]
    pub(super) fn is_glued(&self) -> bool {
        self.glued
    }

    pub(super) fn at(&self, place: Place<'_>) -> Verdict {
        if !self.pattern.may_begin(place.ahead()[0]) {
            return Verdict::No;
        }
        let word = place.follows(|byte| byte.is_ascii_alphanumeric());
        let part = place.follows(|byte| match self.pattern.first() {
            Some(class) => class.has(byte) || matches!(byte, b'-' | b'_'),
            None => self.plain && matches!(byte, b'-' | b'_'),
        });
        let literal = self.pattern.literal();
        let inside = || literal.iter().all(u8::is_ascii_alphanumeric) && in_base64(place);
        if word && !self.glued || part || !self.glued && inside() {
            return Verdict::No;
        }
        let fit = self.pattern.fit(place);
        let length = match fit {
            Fit::No | Fit::More => return fit.verdict(self.detector),
            Fit::Match(length) => length,
            Fit::Open(_) => PROOF,
        };
        let start = literal.len();
        let found = &place.ahead()[..length.min(PROOF)];
        let body = &found[start.min(found.len())..];
        if self.proof.accepts(found, body) && (!word || self.proof.is_sure(body)) {
            fit.verdict(self.detector)
        } else {
            Verdict::No
        }
    }
}

/// Whether a place is in the middle of a long text in base 64, where everything begins that has no sign of its own.
fn in_base64(place: Place<'_>) -> bool {
    static BASE64: Class = Class::alphanumeric_and(b"+/");
    let behind = last(place.behind(), ENCODED);
    place.follows(|byte| matches!(byte, b'+' | b'/'))
        && behind.len() == ENCODED
        && behind.iter().all(|byte| BASE64.has(*byte))
        && has_all_kinds(behind)
}

/// Whether one of [`KEY_WORDS`] is in a text, maybe within another word.
fn may_name_key(text: &[u8]) -> bool {
    static BEGINNINGS: Beginnings = {
        let mut all = Beginnings::new();
        let mut at = 0;
        while at < KEY_WORDS.len() {
            all.add(KEY_WORDS[at].as_bytes());
            at += 1;
        }
        all
    };
    BEGINNINGS.any_of(text, &KEY_WORDS)
}

/// How much of a match decides whether it is a key: all of a fine-grained GitHub token.
pub(super) const PROOF: usize = 96;
/// How far before a key its vendor's name may stand, and how far the word that says what it is.
const NEAR: usize = 72;
const NEAR_KEY: usize = 28;
const _: () = assert!(NEAR <= LOOKBEHIND);

/// A path so long without a sign is none.
const ENCODED: usize = 32;

/// More than this of a key's beginning says nothing more.
const MOST_SHOWN: usize = 16;

/// What a key is called.
const KEY_WORDS: [&str; 28] = [
    "key",
    "keys",
    "apikey",
    "api key",
    "token",
    "tokens",
    "secret",
    "secrets",
    "password",
    "pass",
    "passwd",
    "pwd",
    "auth",
    "credential",
    "credentials",
    "pat",
    "api",
    "access",
    "authorization",
    "bearer",
    "dsn",
    "license",
    "sig",
    "signature",
    "unseal",
    "login",
    "crumb",
    "creds",
];

#[cfg(test)]
mod tests;
