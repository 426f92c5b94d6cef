//! Surrogates back to the values they stand for: in JSON, in forms and targets, and in plain text.
//!
//! Invariants: what is not restored keeps its bytes; valid JSON stays valid, and a target keeps its segments and parameters: a value cannot
//! add to either. What looks like a surrogate and is known to nobody is an error: it would be taken for a value.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use secrecy::ExposeSecret;

use super::{Surrogates, forms};
use crate::detect::Name;
use crate::mask::document::{Edit, NESTED, splice};
use crate::protocol::json::{self, JsonError, Keys, Kind};

/// What was restored: a detector for each place.
pub type Restored = Vec<Name>;

/// A request that cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum Unrestored {
    /// It has a surrogate that stands for nothing.
    #[error(
        "nobody knows what the surrogate {0:?} stands for: it was altered, or made before the gateway started; read the value anew"
    )]
    Unknown(String),
    /// A value that would lead elsewhere.
    #[error("the value of a surrogate in the path is none that a path can have")]
    Path,
    /// The body is not JSON, though it says so.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The body is not text.
    #[error("the body is not UTF-8")]
    NotUtf8,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// One JSON document.
    Json,
    /// `name=value&name=value`, with escapes.
    Form,
    /// Anything else that is text.
    Text,
}

/// Finds surrogates in texts.
pub(super) struct Finder {
    automaton: AhoCorasick,
    surrogates: Vec<Arc<str>>,
}

impl Finder {
    pub(super) fn new(surrogates: Vec<Arc<str>>) -> Option<Self> {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(surrogates.iter().map(|surrogate| surrogate.as_bytes()))
            .ok()?;
        Some(Self {
            automaton,
            surrogates,
        })
    }
}

/// One request being restored.
struct Restoring<'a> {
    surrogates: &'a Surrogates,
    finder: Option<Arc<Finder>>,
    names: &'a BTreeSet<String>,
    restored: &'a mut Restored,
}

impl Surrogates {
    /// A body with the values of these detectors and classes; the very same bytes where there is nothing to restore.
    ///
    /// # Errors
    /// [`Unrestored`] when it cannot be read, or has a surrogate that stands for nothing.
    pub fn restore(
        &self,
        body: &Bytes,
        written: Written,
        names: &BTreeSet<String>,
        restored: &mut Restored,
    ) -> Result<Bytes, Unrestored> {
        let text = std::str::from_utf8(body).map_err(|_| Unrestored::NotUtf8)?;
        if text.trim_ascii().is_empty() {
            return Ok(body.clone());
        }
        let mut restoring = self.restoring(names, restored);
        let new = match written {
            Written::Json => restoring.document(text, NESTED)?,
            Written::Form => restoring.form(text)?,
            Written::Text => restoring.text(text)?,
        };
        Ok(new.map_or_else(|| body.clone(), Bytes::from))
    }

    /// A request target, path and query, with the values.
    ///
    /// # Errors
    /// [`Unrestored`] when it has a surrogate that stands for nothing, or a value that no path can have.
    pub fn restore_target<'t>(
        &self,
        target: &'t str,
        names: &BTreeSet<String>,
        restored: &mut Restored,
    ) -> Result<Cow<'t, str>, Unrestored> {
        let mut restoring = self.restoring(names, restored);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let new_path = restoring.pieces(path, &['/'], false)?;
        if new_path.as_deref().is_some_and(leads_elsewhere) {
            return Err(Unrestored::Path);
        }
        let new_query = query.map_or(Ok(None), |query| restoring.form(query))?;
        if new_path.is_none() && new_query.is_none() {
            return Ok(Cow::Borrowed(target));
        }
        let path = new_path.as_deref().unwrap_or(path);
        Ok(Cow::Owned(match (new_query.as_deref(), query) {
            (Some(query), _) | (None, Some(query)) => format!("{path}?{query}"),
            (None, None) => path.to_owned(),
        }))
    }

    fn restoring<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
        restored: &'a mut Restored,
    ) -> Restoring<'a> {
        Restoring {
            surrogates: self,
            finder: self.finder(),
            names,
            restored,
        }
    }
}

impl Restoring<'_> {
    /// Restores strings, keys and numbers of a JSON document, and of documents in its strings down to `nested` levels.
    fn document(&mut self, text: &str, nested: u8) -> Result<Option<String>, Unrestored> {
        let (mut edits, mut failed) = (Vec::new(), None);
        json::walk(text, Keys::Any, |_, kind, range| {
            let literal = &text[range.clone()];
            let new = match kind {
                _ if failed.is_some() => return,
                Kind::Key | Kind::String => self.string(literal, nested),
                Kind::Number => self.number(literal),
                Kind::Word | Kind::Container => return,
            };
            match new {
                Ok(Some(new)) => edits.push(Edit { range, new }),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        Ok((!edits.is_empty()).then(|| splice(text, edits)))
    }

    fn string(&mut self, literal: &str, nested: u8) -> Result<Option<String>, Unrestored> {
        let decoded = json::decode(literal);
        if nested > 0 && decoded.trim_ascii_start().starts_with(['{', '[']) {
            match self.document(&decoded, nested - 1) {
                Ok(new) => return Ok(new.map(|new| json::encode(&new))),
                Err(Unrestored::Json(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.text(&decoded)?.map(|new| json::encode(&new)))
    }

    /// What was a number stays one, if it can.
    fn number(&mut self, literal: &str) -> Result<Option<String>, Unrestored> {
        let new = self.text(literal)?;
        Ok(new.map(|new| {
            let is_number = serde_json::from_str::<serde_json::Number>(&new).is_ok();
            if is_number { new } else { json::encode(&new) }
        }))
    }

    fn form(&mut self, text: &str) -> Result<Option<String>, Unrestored> {
        self.pieces(text, &['&', '=', ';'], true)
    }

    /// Restores what is written with escapes between separators; `plus` stands for a space.
    fn pieces(
        &mut self,
        text: &str,
        separators: &[char],
        plus: bool,
    ) -> Result<Option<String>, Unrestored> {
        let (mut out, mut changed) = (String::with_capacity(text.len()), false);
        for piece in text.split_inclusive(separators) {
            let inside = piece.trim_end_matches(separators);
            let decoded = unescape(inside, plus);
            match decoded.map_or(Ok(None), |decoded| self.text(&decoded))? {
                Some(new) => {
                    escape(&new, &mut out);
                    out.push_str(&piece[inside.len()..]);
                    changed = true;
                }
                None => out.push_str(piece),
            }
        }
        Ok(changed.then_some(out))
    }

    fn text(&mut self, text: &str) -> Result<Option<String>, Unrestored> {
        let (mut edits, mut known) = (Vec::new(), Vec::new());
        if let Some(finder) = self.finder.clone() {
            for found in finder.automaton.find_iter(text) {
                let range = found.range();
                let surrogate = &finder.surrogates[found.pattern().as_usize()];
                let entry = self.surrogates.known(surrogate);
                let Some(entry) = entry.filter(|_| stands_alone(text, range.clone())) else {
                    continue;
                };
                known.push(range.clone());
                let named = |name: &Name| self.names.contains(&**name);
                if named(&entry.detector) || named(&entry.class) {
                    let new = entry.value.expose_secret().to_owned();
                    edits.push(Edit { range, new });
                    self.restored.push(entry.detector);
                }
            }
        }
        let unknown = forms::marked(text).find(|(start, end)| {
            let mut known = known.iter();
            !known.any(|range| range.start <= *start && *end <= range.end)
        });
        if let Some((start, end)) = unknown {
            let shown: String = text[start..end].chars().take(SHOWN).collect();
            return Err(Unrestored::Unknown(shown));
        }
        Ok((!edits.is_empty()).then(|| splice(text, edits)))
    }
}

/// Whether no letter or digit touches it: then it is part of something longer.
fn stands_alone(text: &str, range: std::ops::Range<usize>) -> bool {
    let before = text[..range.start].chars().next_back();
    let after = text[range.end..].chars().next();
    ![before, after]
        .into_iter()
        .flatten()
        .any(char::is_alphanumeric)
}

fn leads_elsewhere(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// RFC 3986 section 2.1; none where the escapes do not read as text.
fn unescape(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                u8::try_from(value).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// As much of what an agent wrote as an error repeats.
const SHOWN: usize = 64;
