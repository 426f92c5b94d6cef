//! Names of values in markup and in blocks: tags and their attributes, the `name` beside a `value`, rows of tables, blocks of variables.

use super::Said;
use super::names::names;
use super::said::{ends_with_word, single, word};

/// What a tag says, by its name, or by its last attribute where that is one: `<property name="password">`.
pub(super) fn tag(behind: &[u8]) -> Said {
    let inside = &behind[..behind.len() - 1];
    let Some(open) = inside.iter().rposition(|byte| *byte == b'<') else {
        return Said::Nothing;
    };
    let inside = &inside[open + 1..];
    let name = inside
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"_-.:".contains(byte)));
    match name {
        Some(end) if inside[end] != b' ' || inside.ends_with(b"/") => Said::Nothing,
        Some(end) => match names(&inside[..end]) {
            Said::Nothing => names(named(inside)),
            said => said,
        },
        None => match names(inside) {
            Said::Nothing if is_one(inside, &VALUES) => {
                names(before_value(&behind[..open], &NAMES))
            }
            Said::Nothing if is_one(inside, &CELLS) => names(before_value(&behind[..open], &HEADS)),
            said => said,
        },
    }
}

/// The text of the element that stands right before the one of a value: `<name>db.password</name><value>`.
fn before_value<'a>(front: &'a [u8], elements: &[&str]) -> &'a [u8] {
    let Some(front) = front.trim_ascii_end().strip_suffix(b">") else {
        return b"";
    };
    let Some(open) = front.windows(2).rposition(|pair| pair == b"</") else {
        return b"";
    };
    let text = &front[..open];
    let from = text.iter().rposition(|byte| *byte == b'>');
    match is_one(&front[open + 2..], elements) && !text.ends_with(b">") {
        true => text[from.map_or(0, |at| at + 1)..].trim_ascii(),
        false => b"",
    }
}

fn is_one(name: &[u8], all: &[&str]) -> bool {
    all.iter()
        .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
}

pub(super) fn is_value(word: &[u8]) -> bool {
    matches!(word, [.., b'e' | b'E']) && ends_with_word(word, b"value")
}

/// The name that stands before the name `value`: `"name": "…", "value": `, `<add key="…" value=`.
pub(super) fn named(front: &[u8]) -> &[u8] {
    let trimmed = |text: &'_ [u8]| -> usize {
        let quiet = |byte: &&u8| matches!(byte, b'"' | b'\'' | b' ' | b'\n' | b'\r' | b'\t' | b',');
        text.len() - text.iter().rev().take_while(quiet).count()
    };
    let mut front = front;
    // Between the two there may be one or two others: `"type": "plain"`.
    for _ in 0..3 {
        front = &front[..trimmed(front)];
        let name = word(front);
        let before = &front[..front.len() - name.len()];
        let before = &before[..trimmed(before)];
        let Some((b'=' | b':', before)) = before.split_last() else {
            return b"";
        };
        let before = &before[..trimmed(before)];
        let key = single(before);
        if is_one(key, &NAMES) {
            return name;
        }
        front = &before[..before.len() - key.len()];
    }
    b""
}

/// The name that stands beside a value, behind the quote that ends it: `", "name": "…"`. Nothing, if that depends on what comes; an empty
/// name where there is none.
pub(super) fn name_behind(rest: &[u8]) -> Option<&[u8]> {
    let quote = *rest.first()?;
    let mut parts = rest[1..].splitn(4, |byte| *byte == quote);
    let joins = |part: &[u8], sign: u8| part.trim_ascii() == [sign];
    let (joint, key) = (parts.next()?, parts.next());
    let Some(key) = key else {
        return if joint.trim_ascii().is_empty() || joins(joint, b',') {
            None
        } else {
            Some(b"")
        };
    };
    let (equal, name) = (parts.next(), parts.next());
    let fits = joins(joint, b',') && key.len() <= LONGEST_KEY;
    match (equal, name) {
        _ if !fits => Some(b""),
        (None, _) if NAMES.iter().any(|name| starts(name, key)) => None,
        (Some(equal), None) if is_one(key, &NAMES) && b":".starts_with(equal.trim_ascii()) => None,
        (Some(equal), Some(name)) if is_one(key, &NAMES) && joins(equal, b':') => {
            let end = name.iter().position(|byte| *byte == quote);
            end.map(|end| &name[..end])
        }
        _ => Some(b""),
    }
}

fn starts(name: &str, part: &[u8]) -> bool {
    name.len() >= part.len() && name.as_bytes()[..part.len()].eq_ignore_ascii_case(part)
}

pub(super) fn is_default(word: &[u8]) -> bool {
    matches!(word, [.., b't' | b'T']) && word.eq_ignore_ascii_case(b"default")
}

/// The variable whose default stands in a block that is open here: `variable "db_password" { default = `.
pub(super) fn block(front: &[u8]) -> &[u8] {
    let begin = front
        .windows(VARIABLE.len())
        .rposition(|part| part == VARIABLE);
    let Some(begin) = begin else {
        return b"";
    };
    let front = &front[begin + VARIABLE.len()..];
    let name = front.iter().position(|byte| *byte == b'"');
    match name.map(|end| front.split_at(end)) {
        Some((name, rest)) if rest.contains(&b'{') && !rest.contains(&b'}') => name,
        _ => b"",
    }
}

/// The first cell of a row, where this is what stands before the second: `| **Password** `.
pub(super) fn cell(before: &[u8]) -> Option<&[u8]> {
    let from = before.iter().rposition(|byte| *byte == b'|')?;
    let (row, name) = (&before[..from], &before[from + 1..]);
    let begins = row.trim_ascii_end();
    let first = begins.is_empty() || row[begins.len()..].contains(&b'\n');
    (first && name.starts_with(b" ")).then_some(name)
}

/// What the name of a value is called beside it.
const NAMES: [&str; 10] = [
    "name",
    "key",
    "id",
    "parameterkey",
    "parametername",
    "field",
    "label",
    "title",
    "variable",
    "var",
];
const LONGEST_KEY: usize = 16;
/// And the value, where these are elements.
const VALUES: [&str; 3] = ["value", "string", "val"];
/// The cells of a table and of a list, and what says in these what the next one is.
const CELLS: [&str; 2] = ["td", "dd"];
const HEADS: [&str; 3] = ["th", "dt", "td"];
const VARIABLE: &[u8] = b"variable \"";
