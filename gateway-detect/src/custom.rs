//! Detectors of the operator: a pattern or words, and what has to hold beside them.
//!
//! In: a [`Spec`]. Out: a [`Rule`] that answers for one place of a text as the built-in detectors do. Invariants: a match has a longest
//! length, so that what is held of a stream has one; it begins and ends between characters; the answer is final as soon as the
//! automaton can go no further, whatever follows. Fails as [`SpecError`], before anything is scanned.

use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition,
};

use super::place::Place;
use super::validate::Validator;

/// What an operator says of a detector.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Its name in policies, records and placeholders.
    pub id: String,
    /// The class it belongs to.
    pub class: String,
    /// What it finds; either this or `words`.
    pub regex: Option<String>,
    /// Words or phrases it finds, as whole words.
    pub words: Vec<String>,
    /// Whether ASCII letters match in both cases.
    pub ignore_case: bool,
    /// One of these has to stand in a match, in any case; none = no condition.
    pub keywords: Vec<String>,
    /// One of these words has to stand shortly before a match, in any case; none = no condition.
    pub context: Vec<String>,
    /// What has to hold of a match: `luhn`, `iban`, `entropy >= 3.5`.
    pub validator: Option<String>,
}

/// A detector that cannot be used as it is described.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SpecError {
    #[error("\"{0}\" is no name: use up to 40 lower-case letters, digits and hyphens")]
    Name(String),
    #[error("\"{0}\" is the name of a built-in detector or class: choose another")]
    Taken(String),
    #[error("give either regex or words")]
    Pattern,
    #[error("an empty string in {0} is in every text")]
    EmptyWord(&'static str),
    #[error("the pattern cannot be read: {0}")]
    Syntax(String),
    #[error(
        "{0} cannot be used in a pattern: matches start anywhere in a text; of the assertions there are \\b and \\B"
    )]
    Assertion(&'static str),
    #[error("the pattern speaks of bytes that are no text")]
    NotText,
    #[error("a part of the pattern matches no ASCII character, and classes have no other")]
    EmptyClass,
    #[error("the pattern matches the empty text")]
    Empty,
    #[error("a match has no longest length: bound every repetition, as {{1,64}} instead of + or *")]
    Unbounded,
    #[error(
        "a match can have {0} bytes, more than the {MAX_MATCH} that can be held of a stream: bound its repetitions more tightly"
    )]
    TooLong(usize),
    #[error("the pattern is too large: {0}")]
    TooLarge(String),
    #[error("there is no validator \"{0}\": luhn, iban, or entropy >= N with bits per character")]
    Validator(String),
}

/// A detector of the operator.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) id: Arc<str>,
    pub(super) class: Arc<str>,
    dfa: Arc<dense::DFA<Vec<u32>>>,
    pub(super) shortest: usize,
    keywords: Vec<String>,
    context: Vec<String>,
    validator: Option<Validator>,
}

impl Rule {
    /// Checks and builds a detector.
    ///
    /// # Errors
    /// [`SpecError`].
    pub fn new(spec: &Spec) -> Result<Self, SpecError> {
        for name in [&spec.id, &spec.class] {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
                return Err(SpecError::Name(name.clone()));
            }
        }
        if super::is_built_in(&spec.id) || super::is_built_in_detector(&spec.class) {
            return Err(SpecError::Taken(spec.id.clone()));
        }
        let pattern = match (&spec.regex, spec.words.as_slice()) {
            (Some(regex), []) => regex.clone(),
            (None, [_, ..]) => words(&spec.words)?,
            _ => return Err(SpecError::Pattern),
        };
        let (dfa, shortest) = automaton(&pattern, spec.ignore_case)?;
        let lower = |words: &[String], name| -> Result<Vec<String>, SpecError> {
            if words.iter().any(|word| word.trim().is_empty()) {
                return Err(SpecError::EmptyWord(name));
            }
            Ok(words.iter().map(|word| word.to_ascii_lowercase()).collect())
        };
        let validator = spec.validator.as_deref();
        let validator = validator
            .map(|text| Validator::parse(text).ok_or_else(|| SpecError::Validator(text.to_owned())))
            .transpose()?;
        Ok(Self {
            id: spec.id.as_str().into(),
            class: spec.class.as_str().into(),
            dfa: Arc::new(dfa),
            shortest,
            keywords: lower(&spec.keywords, "keywords")?,
            context: lower(&spec.context, "context")?,
            validator,
        })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The class it belongs to.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// Whether a match can begin with this byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        [None, Some(b'a'), Some(b' ')].into_iter().any(|before| {
            self.start(before)
                .is_some_and(|state| !self.dfa.is_dead_state(self.dfa.next_state(state, byte)))
        })
    }

    /// The length of the match that starts here; `None` while that can change.
    pub(super) fn at(&self, place: Place<'_>) -> Option<Option<usize>> {
        let Some(mut state) = self.start(place.before()) else {
            return Some(None);
        };
        let ahead = place.ahead();
        let mut ends = Vec::new();
        let mut alive = true;
        // A match is told one byte after its end.
        for (end, &byte) in ahead.iter().enumerate() {
            state = self.dfa.next_state(state, byte);
            if self.dfa.is_match_state(state) {
                ends.push(end);
            } else if self.dfa.is_dead_state(state) {
                alive = false;
                break;
            }
        }
        if alive {
            if !place.whole {
                return None;
            }
            if self.dfa.is_match_state(self.dfa.next_eoi_state(state)) {
                ends.push(ahead.len());
            }
        }
        let accepted = ends
            .into_iter()
            .rev()
            .find(|end| self.accepts(&ahead[..*end], place.behind()));
        Some(accepted)
    }

    fn start(&self, before: Option<u8>) -> Option<regex_automata::util::primitives::StateID> {
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(before);
        self.dfa.start_state(&config).ok()
    }

    fn accepts(&self, found: &[u8], before: &[u8]) -> bool {
        let among = |words: &[String], text: &[u8], whole: bool| {
            words.is_empty()
                || words
                    .iter()
                    .any(|word| stands_in(word.as_bytes(), text, whole))
        };
        among(&self.keywords, found, false)
            && among(&self.context, before, true)
            && self
                .validator
                .is_none_or(|validator| validator.accepts(found))
    }
}

/// Whether `word`, which is lower case, stands in `text` in any case.
fn stands_in(word: &[u8], text: &[u8], whole: bool) -> bool {
    let letter = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
    text.windows(word.len()).enumerate().any(|(at, window)| {
        window.eq_ignore_ascii_case(word)
            && !(whole && (at > 0 && letter(text.get(at - 1)) || letter(text.get(at + word.len()))))
    })
}

/// Whole words: none begins or ends in the middle of another.
fn words(words: &[String]) -> Result<String, SpecError> {
    let one = |word: &String| {
        let edge = |at: Option<char>| match at {
            Some(edge) if edge.is_ascii_alphanumeric() => "\\b",
            _ => "",
        };
        if word.trim().is_empty() {
            return Err(SpecError::EmptyWord("words"));
        }
        let (first, last) = (edge(word.chars().next()), edge(word.chars().last()));
        Ok(format!("{first}{}{last}", regex_syntax::escape(word)))
    };
    let all: Vec<String> = words.iter().map(one).collect::<Result<_, _>>()?;
    Ok(all.join("|"))
}

/// The automaton of a pattern, and the length of its shortest match.
fn automaton(pattern: &str, ignore_case: bool) -> Result<(dense::DFA<Vec<u32>>, usize), SpecError> {
    let parsed = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(ignore_case)
        .nest_limit(MAX_NESTED)
        .build()
        .parse(pattern)
        // The library draws the place in several lines; its last one says what it is.
        .map_err(|error| SpecError::Syntax(last_line(&error.to_string())))?;
    let hir = text_only(&parsed)?;
    let (shortest, longest) = (
        hir.properties().minimum_len(),
        hir.properties().maximum_len(),
    );
    let shortest = shortest
        .filter(|length| *length > 0)
        .ok_or(SpecError::Empty)?;
    match longest {
        None => return Err(SpecError::Unbounded),
        Some(length) if length > MAX_MATCH => return Err(SpecError::TooLong(length)),
        Some(_) => {}
    }
    let large = |error: &dyn std::fmt::Display| SpecError::TooLarge(last_line(&error.to_string()));
    let config = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAX_AUTOMATON));
    let nfa = thompson::Compiler::new()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|error| large(&error))?;
    let config = dense::Config::new()
        // Every end of a match, so that a validator can choose the longest that it accepts.
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(MAX_AUTOMATON))
        .determinize_size_limit(Some(4 * MAX_AUTOMATON));
    let dfa = dense::Builder::new()
        .configure(config)
        .build_from_nfa(&nfa)
        .map_err(|error| large(&error))?;
    Ok((dfa, shortest))
}

fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// The pattern without what could match a part of a character: classes have ASCII only, literals are whole characters.
fn text_only(hir: &Hir) -> Result<Hir, SpecError> {
    let all = |hirs: &[Hir]| hirs.iter().map(text_only).collect::<Result<Vec<_>, _>>();
    Ok(match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).map_err(|_| SpecError::NotText)?;
            hir.clone()
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            class.intersect(&ClassBytes::new([ClassBytesRange::new(0, 0x7f)]));
            if class.ranges().is_empty() {
                return Err(SpecError::EmptyClass);
            }
            Hir::class(Class::Bytes(class))
        }
        HirKind::Class(Class::Unicode(_)) => return Err(SpecError::NotText),
        HirKind::Look(look) => match look {
            Look::WordAscii
            | Look::WordAsciiNegate
            | Look::WordStartAscii
            | Look::WordEndAscii
            | Look::WordStartHalfAscii
            | Look::WordEndHalfAscii => hir.clone(),
            Look::Start | Look::StartLF | Look::StartCRLF => return Err(SpecError::Assertion("^")),
            Look::End | Look::EndLF | Look::EndCRLF => return Err(SpecError::Assertion("$")),
            _ => return Err(SpecError::Assertion("(?u)")),
        },
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(text_only(&repetition.sub)?),
            ..repetition.clone()
        }),
        HirKind::Capture(Capture { sub, .. }) => text_only(sub)?,
        HirKind::Concat(parts) => Hir::concat(all(parts)?),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)?),
    })
}

/// Half of what a scanner holds: the rest is for the byte that tells an end, and for what was cut off before.
pub(super) const MAX_MATCH: usize = 256;
const MAX_NAME: usize = 40;
/// A pattern that people can read.
const MAX_NESTED: u32 = 50;
/// Thousands of words fit.
const MAX_AUTOMATON: usize = 8 << 20;

#[cfg(test)]
mod tests;
