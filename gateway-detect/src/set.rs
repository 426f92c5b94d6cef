//! The detectors that are in use: the built-in ones, and those of the operator.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::catalogue::{CATALOGUE, SECRETS};
use super::custom::Rule;
use super::place::{Class, Place, Verdict};
use super::{Detector, Finding};

/// A name of a detector or class. Cheap to clone.
#[derive(Clone)]
pub enum Name {
    /// Of a built-in detector.
    BuiltIn(&'static str),
    /// Of one of the operator's.
    Custom(Arc<str>),
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::BuiltIn(name) => name,
            Self::Custom(name) => name,
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// All detectors. The default has the built-in ones.
#[derive(Debug, Default)]
pub struct Detectors {
    custom: Vec<Rule>,
    /// What matches of `custom` can begin with.
    begins: Class,
}

impl Detectors {
    /// The built-in detectors and these.
    #[must_use]
    pub fn new(custom: Vec<Rule>) -> Self {
        let begins = Class::of(|byte| custom.iter().any(|rule| rule.begins(byte)));
        Self { custom, begins }
    }

    /// The operator's own.
    #[must_use]
    pub fn custom(&self) -> &[Rule] {
        &self.custom
    }

    /// Whether `name` is a detector or a class.
    #[must_use]
    pub fn known(&self, name: &str) -> bool {
        super::is_built_in(name)
            || self
                .custom
                .iter()
                .any(|rule| rule.id() == name || rule.class() == name)
    }

    /// Whether `name` is the class of secrets, or a detector in it.
    #[must_use]
    pub fn is_secret(&self, name: &str) -> bool {
        let own = self.custom.iter().map(|rule| (rule.id(), rule.class()));
        let built_in = CATALOGUE.all.iter().map(|known| (known.id, known.class));
        let mut all = own.chain(built_in);
        name == SECRETS || all.any(|(id, class)| id == name && class == SECRETS)
    }

    /// The classes, and the operator's detectors.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let custom = self.custom.iter();
        let own = custom.clone().map(Rule::class).chain(custom.map(Rule::id));
        let mut names: Vec<&str> = Vec::new();
        for name in ["pii", "secrets"].into_iter().chain(own) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The length of the shortest text in which one of the operator's detectors finds something.
    #[must_use]
    pub fn shortest_custom(&self) -> Option<usize> {
        self.custom.iter().map(|rule| rule.shortest).min()
    }

    /// Whether the operator has any.
    pub(super) fn has_custom(&self) -> bool {
        !self.custom.is_empty()
    }

    /// Whether a match of the operator's detectors can begin with this byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        self.begins.has(byte)
    }

    /// What the operator's detectors say of a place.
    pub(super) fn at(&self, place: Place<'_>) -> Verdict {
        let mut verdict = Verdict::No;
        for (index, rule) in self.custom.iter().enumerate() {
            let found = match rule.at(place) {
                None => Verdict::More,
                Some(None) => Verdict::No,
                Some(Some(length)) => Verdict::Match(
                    Detector::Custom(u16::try_from(index).unwrap_or(u16::MAX)),
                    length,
                ),
            };
            verdict = verdict.or(found);
        }
        verdict
    }

    /// The finding of a match, from its first bytes and its last (for a short one: all of it, twice).
    pub(super) fn finding(
        &self,
        detector: Detector,
        range: Range<usize>,
        (head, tail): (&str, &str),
    ) -> Finding {
        let (id, class, sample) = match detector {
            Detector::Custom(index) => match self.custom.get(usize::from(index)) {
                Some(rule) => (
                    Name::Custom(Arc::clone(&rule.id)),
                    Name::Custom(Arc::clone(&rule.class)),
                    sample(tail),
                ),
                None => (
                    Name::BuiltIn("custom"),
                    Name::BuiltIn("custom"),
                    sample(tail),
                ),
            },
            Detector::BuiltIn(index) => {
                let known = CATALOGUE.all.get(usize::from(index));
                let (id, class) = known.map_or(("", ""), |known| (known.id, known.class));
                (
                    Name::BuiltIn(id),
                    Name::BuiltIn(class),
                    super::sample(detector, head, tail),
                )
            }
        };
        Finding {
            detector: id,
            class,
            range,
            sample,
        }
    }
}

/// A quarter of the value, and four characters at most.
fn sample(value: &str) -> String {
    let shown = (value.len() / 4).min(4);
    let from = value.ceil_char_boundary(value.len() - shown);
    format!("…{}", &value[from..])
}
