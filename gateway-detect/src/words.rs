//! Words that announce what follows them: found in any case, shortly before a place.
//!
//! In: all words, once. Out: which of them stand in a stretch of text, as whole words, `myApiKey` and `API_KEY` being `my`, `api`, `key`.
//! A word of two is also found as names have it: `tax id` in `tax_id`, `tax-id`, `customerTaxId`, `TAXID`.

pub(super) mod after;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Words, each with a number.
#[derive(Debug, Default)]
pub(super) struct Words {
    all: Vec<String>,
    search: Option<AhoCorasick>,
    /// The word that each pattern of the search is a form of.
    forms: Vec<usize>,
}

/// Which words stand somewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Said([u64; WORDS / 64]);

impl Words {
    /// The number of a word, in lower case.
    pub(super) fn number(&mut self, word: &str) -> usize {
        if let Some(number) = self.all.iter().position(|other| other == word) {
            return number;
        }
        self.all.push(word.to_owned());
        self.all.len() - 1
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// A word by its number.
    #[cfg(test)]
    pub(super) fn word(&self, number: Option<usize>) -> Option<&str> {
        self.all.get(number?).map(String::as_str)
    }

    /// Ready to search; words may no longer be added.
    pub(super) fn ready(mut self) -> Self {
        let mut patterns = Vec::new();
        for (number, word) in self.all.iter().enumerate() {
            patterns.push(word.clone());
            self.forms.push(number);
            for joint in ["_", "-", ""].iter().filter(|_| word.contains(' ')) {
                patterns.push(word.replace(' ', joint));
                self.forms.push(number);
            }
        }
        self.search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .ok();
        self
    }

    /// The words in `text`.
    pub(super) fn said(&self, text: &[u8]) -> Said {
        let mut said = Said::default();
        let all = self
            .search
            .iter()
            .flat_map(|search| search.find_overlapping_iter(text));
        for found in all {
            let (start, end) = (found.start(), found.end());
            let inside = start > 0 && joined(text[start - 1], text[start])
                || end < text.len() && joined(text[end - 1], text[end]);
            if inside {
                continue;
            }
            let number = self.forms.get(found.pattern().as_usize()).copied();
            let number = number.unwrap_or(usize::MAX);
            let word = self.all.get(number).map_or("", String::as_str);
            if in_one_case(&text[start..end], word) {
                said.add(number);
            }
        }
        said
    }
}

impl Said {
    /// The words with these numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = usize>) -> Self {
        let mut said = Self::default();
        for number in numbers {
            said.add(number);
        }
        said
    }

    fn add(&mut self, number: usize) {
        if let Some(bits) = self.0.get_mut(number / 64) {
            *bits |= 1 << (number % 64);
        }
    }

    /// Whether one of the others is there.
    pub(super) fn meets(&self, others: &Self) -> bool {
        self.0
            .iter()
            .zip(&others.0)
            .any(|(mine, other)| mine & other != 0)
    }

    /// Whether one of these is there.
    pub(super) fn any(&self, numbers: &[usize]) -> bool {
        numbers.iter().any(|number| {
            self.0
                .get(number / 64)
                .is_some_and(|bits| bits >> (number % 64) & 1 == 1)
        })
    }
}

/// How words begin, as a set of three letters of either case that says too much yes: it is cheaper to see that none of the words is there.
#[derive(Debug)]
pub(super) struct Beginnings([u64; 64]);

impl Beginnings {
    pub(super) const fn new() -> Self {
        Self([0; 64])
    }

    /// Adds a word of three letters or more.
    pub(super) const fn add(&mut self, word: &[u8]) {
        let (mut three, mut at) = (0, 0);
        while at < 3 {
            three = Self::with(three, word[at]);
            at += 1;
        }
        self.0[three / 64] |= 1 << (three % 64);
    }

    /// Whether one of the places in `text` where a word may begin is one where it does, as `begins` says.
    pub(super) fn any(&self, text: &[u8], begins: impl Fn(usize) -> bool) -> bool {
        let (mut three, mut at) = (0, 0);
        let mut may_begin = |byte: &u8| {
            three = Self::with(three, *byte);
            self.0[three / 64] >> (three % 64) & 1 == 1
        };
        while let Some(end) = text[at..].iter().position(&mut may_begin) {
            at += end + 1;
            if at >= 3 && begins(at - 3) {
                return true;
            }
        }
        false
    }

    /// Whether one of these words, in either case, begins at one of the places in `text`.
    pub(super) fn any_of<W: AsRef<[u8]>>(&self, text: &[u8], words: &[W]) -> bool {
        self.any(text, |at| {
            let rest = &text[at..];
            words.iter().map(AsRef::as_ref).any(|word| {
                rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word)
            })
        })
    }

    /// Twelve bits of the last three letters: those of the first two, and of one more.
    const fn with(two: usize, byte: u8) -> usize {
        (two << 4 ^ byte as usize & 31) & 0xFFF
    }
}

/// Room for all words; a test sees to it that they fit.
pub(super) const WORDS: usize = 1536;

/// Whether two neighbours are of one word.
fn joined(one: u8, next: u8) -> bool {
    one.is_ascii_alphanumeric()
        && next.is_ascii_alphanumeric()
        && !(one.is_ascii_lowercase() && next.is_ascii_uppercase())
}

/// `word`, `Word`, `WORD`, `twoWords` or `TwoWords`: no piece of random characters.
fn in_one_case(found: &[u8], word: &str) -> bool {
    // Random characters seldom are so long a word.
    if found.len() == word.len() && (word.contains([' ', '-']) || word.len() >= 6) {
        return true;
    }
    let upper = found.iter().skip(1).any(u8::is_ascii_uppercase);
    if !(upper && found.iter().any(u8::is_ascii_lowercase)) {
        return true;
    }
    // Capitals stand where the words begin, each once.
    let letters = word.bytes().filter(|byte| *byte != b' ');
    let begins = word
        .bytes()
        .zip([b' '].into_iter().chain(word.bytes()))
        .filter(|(byte, _)| *byte != b' ')
        .map(|(_, before)| before == b' ');
    found.len() < word.len()
        && letters
            .zip(begins)
            .zip(found)
            .enumerate()
            .all(|(at, ((_, begins), byte))| at == 0 || byte.is_ascii_uppercase() == begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_where_they_may() {
        let mut all = Beginnings::new();
        for word in ["key", "token"] {
            all.add(word.as_bytes());
        }
        for (text, at) in [("key", 0), ("a KEY", 2), ("\u{1}tOken", 1), ("zzzkeys", 3)] {
            assert!(all.any(text.as_bytes(), |begin| begin == at), "{text}");
        }
        for text in ["", "k", "ke", "kek", "to ken", "k e y"] {
            assert!(!all.any(text.as_bytes(), |_| true), "{text}");
        }
    }

    #[test]
    fn whole_words_are_found_in_any_case() {
        let mut words = Words::default();
        let (sin, key) = (words.number("sin"), words.number("api key"));
        assert_eq!(words.number("sin"), sin);
        let words = words.ready();
        for (text, has) in [
            ("my SIN: ", true),
            ("mySin=", true),
            ("SIN_NUMBER", true),
            ("sinNumber", true),
            ("since ", false),
            ("using ", false),
            ("", false),
        ] {
            assert_eq!(words.said(text.as_bytes()).any(&[sin, key]), has, "{text}");
        }
        for text in [
            "the API key",
            "api_key",
            "my-api-key",
            "myApiKey",
            "ApiKey",
            "APIKEY",
            "apikey",
            "API KEY",
        ] {
            assert!(words.said(text.as_bytes()).any(&[key]), "{text}");
        }
        for text in ["the aPiKeY", "apIkey", "xapikey", "apikeys"] {
            assert!(!words.said(text.as_bytes()).any(&[key]), "{text}");
        }
    }
}
