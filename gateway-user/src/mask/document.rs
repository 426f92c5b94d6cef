//! Whole documents: JSON with JSON in its strings, and plain text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::above::{Above, announce};
use super::places::{coded, is_likelihoods, is_sound, is_vector};
use super::{MaskError, Set, Shape, head, otlp, parts, protobuf, wide};
use crate::base64;
use crate::detect::{self, Finding};
use crate::protocol::json::{self, JsonError, Keys, Kind, Step};
pub(super) use crate::protocol::json::{Edit, splice};

/// A masked body.
#[derive(Debug)]
pub struct Masked {
    /// The body; the very same bytes where nothing was masked.
    pub bytes: Bytes,
    /// What was masked.
    pub findings: Vec<Finding>,
}

/// What of a set is found in a body: in its decoded strings and keys, in those of JSON documents that are strings themselves, in numbers.
///
/// # Errors
/// [`MaskError`] when the body is not what `shape` says.
pub fn findings(body: &[u8], shape: Shape, set: &Set) -> Result<Vec<Finding>, MaskError> {
    let mut found = Vec::new();
    edited(body, shape, set, &mut found)?;
    Ok(found)
}

/// Masks a whole body.
///
/// # Errors
/// [`MaskError`] when the body is not what `shape` says.
pub fn body(body: &Bytes, shape: Shape, set: &Set) -> Result<Masked, MaskError> {
    let mut findings = Vec::new();
    let bytes = edited(body, shape, set, &mut findings)?.map_or_else(|| body.clone(), Bytes::from);
    Ok(Masked { bytes, findings })
}

fn edited(
    body: &[u8],
    shape: Shape,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    match shape {
        Shape::Text => {
            wide::search(body, set)?;
            return Ok(binary(body, set, found));
        }
        Shape::Wide(order) => return wide::masked(body, order, set, found),
        Shape::Parts(boundary) => return parts::masked(body, boundary, set, found),
        Shape::Export(signal) => return otlp::masked(body, signal, set, found),
        Shape::ExportCall(signal) => return otlp::calls(body, signal, set, found),
        Shape::Sealed => return protobuf::search(body, set, found).map(|()| None),
        Shape::SealedCall => return protobuf::search_calls(body, set, found).map(|()| None),
        Shape::Form => {
            return Ok(match std::str::from_utf8(body) {
                Ok(text) => head::parameters(text, |_| false, set, found).map(String::into_bytes),
                Err(_) => binary(body, set, found),
            });
        }
        _ => {}
    }
    let text = std::str::from_utf8(body).map_err(|_| MaskError::NotUtf8)?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    Ok(document(text, shape, NESTED, set, found)?.map(String::into_bytes))
}

/// Masks what of `bytes` is text.
pub(super) fn binary(bytes: &[u8], set: &Set, found: &mut Vec<Finding>) -> Option<Vec<u8>> {
    let (mut out, mut changed) = (Vec::new(), false);
    for chunk in bytes.utf8_chunks() {
        match plain(chunk.valid(), set, found) {
            Some(new) => {
                out.extend_from_slice(new.as_bytes());
                changed = true;
            }
            None => out.extend_from_slice(chunk.valid().as_bytes()),
        }
        out.extend_from_slice(chunk.invalid());
    }
    changed.then_some(out)
}

/// Masks one text; `None` where nothing is to be masked.
fn plain(text: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    let edits: Vec<Edit> = masked(text, set)
        .map(|finding| edit(text, finding, set, found))
        .collect();
    (!edits.is_empty()).then(|| splice(text, edits))
}

/// Masks what may be JSON or not; `None` where nothing is to be masked.
pub(super) fn any(text: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    attempt(text, NESTED, set, found).unwrap_or_else(|_| plain(text, set, found))
}

/// Masks what has to be JSON; `None` where nothing is to be masked.
pub(super) fn only(
    text: &str,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<String>, MaskError> {
    Ok(attempt(text, NESTED, set, found)?)
}

/// Masks what may be JSON or not and has a name that tells what it is; `None` where nothing is to be masked.
pub(super) fn named(text: &str, name: &str, set: &Set, found: &mut Vec<Finding>) -> Option<String> {
    if let Ok(new) = attempt(text, NESTED, set, found) {
        return new;
    }
    let name = announce(name);
    let announced = format!("{name}{text}");
    let inside = masked(&announced, set).filter(|finding| finding.range.start >= name.len());
    let edits: Vec<Edit> = inside
        .map(|finding| {
            let Edit { range, new } = edit(&announced, finding, set, found);
            let range = range.start - name.len()..range.end - name.len();
            Edit { range, new }
        })
        .collect();
    (!edits.is_empty()).then(|| splice(text, edits))
}

/// [`document`] that finds nothing in what is not JSON.
fn attempt(
    text: &str,
    nested: u8,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<String>, JsonError> {
    let mut inside = Vec::new();
    let new = document(text, Shape::Json, nested, set, &mut inside)?;
    found.append(&mut inside);
    Ok(new)
}

/// Masks the strings, keys and numbers of a JSON document, and of documents in its strings down to `nested` levels.
fn document(
    text: &str,
    shape: Shape,
    nested: u8,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<String>, JsonError> {
    let keys = if shape.is_model_call() {
        Keys::Unique
    } else {
        Keys::Any
    };
    let (mut edits, mut likelihoods, mut renamed) = (Vec::new(), Vec::new(), HashMap::new());
    let (mut failed, mut above) = (None, Above::default());
    json::walk(text, keys, |path, kind, range| {
        if kind != Kind::Key {
            above.place(path);
        }
        if kind == Kind::Container && is_likelihoods(shape, path) {
            likelihoods.push(range);
        } else if shape == Shape::OpenAiRealtime
            && kind == Kind::String
            && is_sound(path, &text[range.clone()])
        {
            // No text is in it that anybody would read.
        } else if shape == Shape::Vectors && is_vector(path) {
            // Numbers, or their bytes in base64: nothing of it is text.
        } else if let Some(inside) = coded(&text[range.clone()], path, kind, shape) {
            match document(&inside, shape, nested, set, found) {
                Ok(Some(new)) => {
                    let new = String::from_utf8_lossy(&base64::padded(new.as_bytes())).into_owned();
                    edits.push(Edit {
                        range,
                        new: json::encode(&new),
                    });
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        } else {
            let written = &text[range.clone()];
            if let Some(mut new) = literal(written, &above, kind, nested, set, found) {
                if kind == Kind::Key {
                    new = distinct(new, path, &mut renamed);
                }
                edits.push(Edit { range, new });
            }
            match kind {
                Kind::String => above.says(|| json::decode(written)),
                Kind::Number | Kind::Word | Kind::Container => above.says(|| ""),
                Kind::Key => {}
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if edits.is_empty() {
        return Ok(None);
    }
    for range in likelihoods {
        blank(range, shape, &mut edits);
    }
    Ok(Some(splice(text, edits)))
}

/// A masked key with a number if another key of its object became the same: of two that are equal, parsers keep different ones.
fn distinct(
    key: String,
    object: &[Step<'_>],
    renamed: &mut HashMap<(String, String), u32>,
) -> String {
    let place = (format!("{object:?}"), key.clone());
    let count = renamed.entry(place).or_default();
    *count += 1;
    if *count == 1 {
        return key;
    }
    format!("{} ({count})\"", &key[..key.len() - 1])
}

/// Masks one literal of a JSON text; `None` where it stays as it is.
pub(super) fn literal(
    written: &str,
    above: &Above,
    kind: Kind,
    nested: u8,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<String> {
    match kind {
        Kind::String => string(written, above.announce(), nested, set, found),
        Kind::Key => string(written, String::new(), nested, set, found),
        Kind::Number => number(written, || above.announce(), set, found),
        Kind::Word | Kind::Container => None,
    }
}

/// A number that is a finding, by itself or behind what announces it, becomes a string, unless its surrogate is a number too.
pub(super) fn number(
    written: &str,
    announce: impl FnOnce() -> String,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<String> {
    let shortest = set.detectors().shortest_custom();
    let shortest = shortest.unwrap_or(SHORTEST_NUMBER).min(SHORTEST_NUMBER);
    let whole = whole(written);
    let mut read = String::new();
    let mut finding = None;
    if whole.len() >= shortest {
        read.push_str(&whole);
        finding = masked(&read, set).next();
    }
    let digits = || whole.bytes().all(|byte| byte.is_ascii_digit());
    if finding.is_none() && whole.len() >= SHORTEST_ANNOUNCED && digits() {
        read = announce();
        let name = read.len();
        if name > 0 {
            read.push_str(&whole);
            finding = masked(&read, set).find(|finding| finding.range.start >= name);
        }
    }
    let finding = finding?;
    let new = set.replacement(&finding, &read[finding.range.clone()]);
    found.push(finding);
    let is_number = serde_json::from_str::<serde_json::Number>(&new).is_ok();
    Some(if is_number { new } else { json::encode(&new) })
}

/// A whole number without its fraction or exponent; any other as it is written.
fn whole(written: &str) -> Cow<'_, str> {
    if let Some((whole, fraction)) = written.split_once('.')
        && fraction.bytes().all(|byte| byte == b'0')
    {
        return Cow::Borrowed(whole);
    }
    let exact = written.contains(['e', 'E']).then(|| written.parse::<f64>());
    match exact.map(|number| number.map(|number| number.to_string())) {
        Some(Ok(whole)) if whole.len() <= LONGEST_WHOLE && !whole.contains('.') => {
            Cow::Owned(whole)
        }
        _ => Cow::Borrowed(written),
    }
}

/// Masks a string, behind a `key` that tells what it is; `None` where it stays as it is.
pub(super) fn string(
    written: &str,
    key: String,
    nested: u8,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<String> {
    let decoded = json::decode(written);
    if nested > 0
        && decoded.trim_ascii_start().starts_with(['{', '['])
        && let Ok(new) = attempt(&decoded, nested - 1, set, found)
    {
        return new.map(|new| json::encode(&new));
    }
    let (before, announced) = (key.len(), Cow::from(key) + decoded);
    let inside = masked(&announced, set).filter(|finding| finding.range.start >= before);
    // What is not part of a finding keeps its escape sequences.
    let (mut from, mut at) = (before, 1);
    let edits: Vec<Edit> = inside
        .map(|finding| {
            let start = at + json::written(&written[at..], finding.range.start - from);
            at = start + json::written(&written[start..], finding.range.len());
            from = finding.range.end;
            Edit {
                range: start..at,
                ..edit(&announced, finding, set, found)
            }
        })
        .collect();
    (!edits.is_empty()).then(|| splice(written, edits))
}

/// Empties a range of likelihoods; edits inside it are void.
pub(super) fn blank(range: Range<usize>, shape: Shape, edits: &mut Vec<Edit>) {
    edits.retain(|edit| edit.range.end <= range.start || range.end <= edit.range.start);
    let empty = match shape {
        Shape::OpenAiResponses => "[]",
        _ => "null",
    };
    edits.push(Edit {
        range,
        new: empty.to_owned(),
    });
}

/// The text with those lines replaced for which `new` has another; `None` where it has none.
pub(super) fn lines<E>(
    text: &str,
    mut new: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Option<String>, E> {
    let (mut out, mut changed) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        let inside = line.trim_end_matches(['\r', '\n']);
        let new = new(inside)?;
        changed |= new.is_some();
        out.push_str(new.as_deref().unwrap_or(inside));
        out.push_str(&line[inside.len()..]);
    }
    Ok(changed.then_some(out))
}

fn masked<'a>(text: &'a str, set: &'a Set) -> impl Iterator<Item = Finding> + use<'a> {
    let found = detect::scan(text, set.detectors()).into_iter();
    found.filter(move |finding| set.takes(finding, || text[finding.range.clone()].to_owned()))
}

fn edit(text: &str, finding: Finding, set: &Set, found: &mut Vec<Finding>) -> Edit {
    let range = finding.range.clone();
    let new = set.replacement(&finding, &text[range.clone()]);
    found.push(finding);
    Edit { range, new }
}

/// Tool arguments are JSON in a string; their own strings may be documents again.
pub(super) const NESTED: u8 = 4;
/// Names that tell what a value is are shorter; a stream keeps no more of a key.
pub(super) const LONGEST_KEY: usize = 64;
/// No shorter number is a card or an account.
const SHORTEST_NUMBER: usize = 9;
/// A shorter one is a count, whatever it is called.
const SHORTEST_ANNOUNCED: usize = 6;
/// No number that is found is longer.
const LONGEST_WHOLE: usize = 24;
