//! Multipart bodies: traces and uploads that carry what was said to a model. Each part is masked as what it is, and keeps its headers.
//!
//! Lines of JSON, as batches are uploaded, are masked line by line. Source: RFC 2046, section 5.1.1.

use std::convert::Infallible;

use super::Set;
use super::document::{any, binary, lines};
use crate::detect::Finding;
use crate::protocol::multipart::{self, Boundary};

/// Masks the parts of a body; `None` where nothing is to be masked. A body that readers could split in different ways is one text.
pub(super) fn masked(
    body: &[u8],
    boundary: Boundary,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Option<Vec<u8>> {
    let Some(parts) = multipart::split(body, boundary) else {
        return binary(body, set, found);
    };
    let (mut out, mut copied) = (Vec::new(), 0);
    for range in parts {
        if let Some(new) = part(&body[range.clone()], set, found) {
            out.extend_from_slice(&body[copied..range.start]);
            out.extend_from_slice(&new);
            copied = range.end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(&body[copied..]);
    Some(out)
}

/// Headers, an empty line, content.
fn part(part: &[u8], set: &Set, found: &mut Vec<Finding>) -> Option<Vec<u8>> {
    let Some(end) = part.windows(4).position(|window| window == b"\r\n\r\n") else {
        return binary(part, set, found);
    };
    let (head, content) = part.split_at(end + 4);
    let new_head = binary(head, set, found);
    let new = narrow(content, set, found);
    if new_head.is_none() && new.is_none() {
        return None;
    }
    let head = new_head.as_deref().unwrap_or(head);
    let content = new.as_deref().unwrap_or(content);
    let mut out = with_length(head, content.len());
    out.extend_from_slice(content);
    Some(out)
}

/// Masks bytes of which no more is known than that they are not in UTF-16.
pub(super) fn narrow(content: &[u8], set: &Set, found: &mut Vec<Finding>) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(content) else {
        return binary(content, set, found);
    };
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        || !text.trim_start().starts_with('{')
    {
        return any(text, set, found).map(String::into_bytes);
    }
    let Ok(new) = lines(text, |line| Ok::<_, Infallible>(any(line, set, found)));
    new.map(String::into_bytes)
}

/// The head of a part whose content is so long now. Some clients tell the length in its type.
fn with_length(head: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + 8);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let told = line.windows(LENGTH.len()).position(|here| here == LENGTH);
        if name.len() < line.len() && name.eq_ignore_ascii_case(b"content-length") {
            out.extend_from_slice(name);
            out.extend_from_slice(format!(": {length}\r\n").as_bytes());
        } else if name.eq_ignore_ascii_case(b"content-type")
            && let Some(at) = told
        {
            let (before, after) = line.split_at(at + LENGTH.len());
            let digits = after
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            out.extend_from_slice(before);
            out.extend_from_slice(length.to_string().as_bytes());
            out.extend_from_slice(&after[digits..]);
        } else {
            out.extend_from_slice(line);
        }
    }
    out
}

/// A parameter of a type.
const LENGTH: &[u8] = b"; length=";
