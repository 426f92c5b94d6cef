//! What stands in place of what a policy masks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What stands in place of a masked value; the one that tells least comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Style {
    /// The detector's name.
    #[default]
    Replace,
    /// The same, with a keyed hash: equal values of one identity look equal.
    Hash,
    /// A value of the same form that nobody has, which can be restored where policy says so.
    Surrogate,
    /// The detector's name, with the last four characters.
    Last4,
}

impl Style {
    /// Every style, by the name that annotations use.
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("replace", Self::Replace),
        ("hash", Self::Hash),
        ("surrogate", Self::Surrogate),
        ("last4", Self::Last4),
    ];
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, style)| style == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// Detectors and classes that are masked, and what stands in place of what they find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks(BTreeMap<String, Style>);

impl Masks {
    /// Whether nothing is masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The detectors and classes.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Each with its style.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Style)> {
        self.0.iter().map(|(name, style)| (name.as_str(), *style))
    }

    /// Whether all that `other` masks is masked here, and tells no more. A detector that is named here alone may be in a class that `other`
    /// names, and its style counts before that of the class.
    #[must_use]
    pub fn cover(&self, other: &Self) -> bool {
        let mut others = other.0.iter();
        let least = other.0.values().min();
        let mut alone = self
            .0
            .iter()
            .filter(|(name, _)| !other.0.contains_key(*name));
        others.all(|(name, style)| self.0.get(name).is_some_and(|own| own <= style))
            && alone.all(|(_, own)| least.is_none_or(|least| own <= least))
    }

    /// For the record: `mask:pii`, `mask:email (surrogate)`.
    pub(super) fn labels(&self) -> impl Iterator<Item = String> {
        self.iter().map(|(name, style)| match style {
            Style::Replace => format!("mask:{name}"),
            other => format!("mask:{name} ({other})"),
        })
    }
}

/// Of two that name the same, the one that tells less counts.
impl Extend<(String, Style)> for Masks {
    fn extend<I: IntoIterator<Item = (String, Style)>>(&mut self, more: I) {
        for (name, style) in more {
            let own = self.0.entry(name).or_insert(style);
            *own = style.min(*own);
        }
    }
}

impl FromIterator<(String, Style)> for Masks {
    fn from_iter<I: IntoIterator<Item = (String, Style)>>(all: I) -> Self {
        let mut masks = Self::default();
        masks.extend(all);
        masks
    }
}
