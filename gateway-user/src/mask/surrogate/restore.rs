//! Surrogates back to the values they stand for: in JSON, in forms and targets, and in plain text.
//!
//! Invariants: what is not restored keeps its bytes; valid JSON stays valid, and a target keeps its segments and parameters: a value cannot
//! add to either. What looks like a surrogate and is known to nobody is an error: it would be taken for a value.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use secrecy::ExposeSecret;

use super::look::look;
use super::{Surrogates, forms};
use crate::detect::Name;
use crate::mask::document::{Edit, NESTED, lines, splice};
use crate::mask::head::Target;
use crate::protocol::form;
use crate::protocol::json::{self, JsonError, Keys, Kind};

/// What was restored: a detector and its class for each place.
pub type Restored = Vec<(Name, Name)>;

/// A request that cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum Unrestored {
    /// It has a surrogate that stands for nothing.
    #[error(
        "nobody knows what the surrogate {0:?} stands for: it was altered, belongs to another identity, or is of too long ago; read the value anew"
    )]
    Unknown(String),
    /// A value that would lead elsewhere.
    #[error("the value of a surrogate in the path is none that a path can have")]
    Path,
    /// The values would make the request larger than any that is inspected.
    #[error("the values of its surrogates make the request too large")]
    TooLarge,
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
    /// A document a line.
    Lines,
    /// `name=value&name=value`, with escapes.
    Form,
    /// Anything else that is text.
    Text,
}

/// One request being restored.
struct Restoring<'a> {
    surrogates: &'a Surrogates,
    /// How many bytes the values may still add.
    room: usize,
    /// Of all, if there are none.
    names: Option<&'a BTreeSet<String>>,
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
        self.body(body, written, Some(names), restored)
    }

    fn body(
        &self,
        body: &Bytes,
        written: Written,
        names: Option<&BTreeSet<String>>,
        restored: &mut Restored,
    ) -> Result<Bytes, Unrestored> {
        let text = std::str::from_utf8(body).map_err(|_| Unrestored::NotUtf8)?;
        if text.trim_ascii().is_empty() {
            return Ok(body.clone());
        }
        let mut restoring = self.restoring(names, restored);
        let new = match written {
            Written::Json => restoring.document(text, NESTED)?,
            Written::Lines => restoring.lines(text)?,
            Written::Form => restoring.form(text)?,
            Written::Text => restoring.text(text)?,
        };
        Ok(new.map_or_else(|| body.clone(), Bytes::from))
    }

    /// The detectors and classes of the values that a request would have, were all of it restored. What cannot be is refused when it leaves.
    #[must_use]
    pub fn stands_for(
        &self,
        target: &str,
        body: &Bytes,
        written: Option<Written>,
    ) -> BTreeSet<String> {
        let mut found = Restored::new();
        drop(self.target(target, None, &mut found));
        if let Some(written) = written {
            drop(self.body(body, written, None, &mut found));
        }
        let names = found.iter();
        names
            .flat_map(|(detector, class)| [detector.to_string(), class.to_string()])
            .collect()
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
        self.target(target, Some(names), restored)
    }

    fn target<'t>(
        &self,
        target: &'t str,
        names: Option<&BTreeSet<String>>,
        restored: &mut Restored,
    ) -> Result<Cow<'t, str>, Unrestored> {
        let mut restoring = self.restoring(names, restored);
        let parts = Target::of(target);
        let path = restoring.path(parts.path)?;
        let query = parts
            .query
            .map_or(Ok(None), |query| restoring.form(query))?;
        let new = parts.with(path, query);
        Ok(new.map_or(Cow::Borrowed(target), Cow::Owned))
    }

    fn restoring<'a>(
        &'a self,
        names: Option<&'a BTreeSet<String>>,
        restored: &'a mut Restored,
    ) -> Restoring<'a> {
        Restoring {
            surrogates: self,
            room: MOST_ADDED,
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

    fn lines(&mut self, text: &str) -> Result<Option<String>, Unrestored> {
        lines(text, |line| match line.trim_ascii().is_empty() {
            true => Ok(None),
            false => self.document(line, NESTED),
        })
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
        form::edited(text, form::FORM, |piece, _| self.text(piece))
    }

    /// A value that has a separator of its own leads elsewhere at servers that decode it.
    fn path(&mut self, path: &str) -> Result<Option<String>, Unrestored> {
        form::edited(path, form::PATH, |segment, _| {
            let new = self.text(segment)?;
            let leads_elsewhere = |new: &str| {
                matches!(new, "." | "..")
                    || new.contains(['/', '\\']) && !segment.contains(['/', '\\'])
            };
            match new {
                Some(new) if leads_elsewhere(&new) => Err(Unrestored::Path),
                new => Ok(new),
            }
        })
    }

    fn text(&mut self, text: &str) -> Result<Option<String>, Unrestored> {
        let mut edits = Vec::new();
        let known = |key: &str| self.surrogates.known(key).is_some();
        for seen in look(text, &known) {
            let Some(known) = self.surrogates.known(&seen.key) else {
                if seen.certain {
                    let shown = text[seen.range].chars().take(SHOWN).collect();
                    return Err(Unrestored::Unknown(shown));
                }
                continue;
            };
            let named = |name: &Name| self.names.is_none_or(|names| names.contains(&**name));
            if !named(&known.detector) && !named(&known.class) {
                continue;
            }
            let value = known.value.expose_secret();
            let new = if seen.grouped {
                forms::laid_out(&text[seen.range.clone()], value)
            } else {
                value.to_owned()
            };
            self.room = self
                .room
                .checked_sub(new.len())
                .ok_or(Unrestored::TooLarge)?;
            edits.push(Edit {
                range: seen.range,
                new,
            });
            self.restored.push((known.detector, known.class));
        }
        Ok((!edits.is_empty()).then(|| splice(text, edits)))
    }
}

/// As large as any body that is inspected.
const MOST_ADDED: usize = 32 << 20;
/// As much of what an agent wrote as an error repeats.
const SHOWN: usize = 64;
