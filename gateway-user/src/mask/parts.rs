//! Multipart bodies: traces and uploads that carry what was said to a model. Each part is masked as what it is, and keeps its headers.
//!
//! Lines of JSON, as batches are uploaded, are masked line by line. Source: RFC 2046, section 5.1.1.

use std::convert::Infallible;

use super::document::{any, binary, lines};
use super::{MaskError, Order, Set, wide};
use crate::detect::Finding;
use crate::protocol::multipart::{self, Boundary};

/// Masks the parts of a body; `None` where nothing is to be masked. A body that readers could split in different ways is one text.
pub(super) fn masked(
    body: &[u8],
    boundary: Boundary,
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<Option<Vec<u8>>, MaskError> {
    let Some(parts) = multipart::split(body, boundary) else {
        return Ok(binary(body, set, found));
    };
    let (mut out, mut copied) = (Vec::new(), 0);
    for range in parts {
        if let Some(new) = part(&body[range.clone()], set, found)? {
            out.extend_from_slice(&body[copied..range.start]);
            out.extend_from_slice(&new);
            copied = range.end;
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    out.extend_from_slice(&body[copied..]);
    Ok(Some(out))
}

/// Headers, an empty line, content.
fn part(part: &[u8], set: &Set, found: &mut Vec<Finding>) -> Result<Option<Vec<u8>>, MaskError> {
    let Some(end) = part.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(binary(part, set, found));
    };
    let (head, content) = part.split_at(end + 4);
    let new_head = binary(head, set, found);
    let new = if let Some(order) = order(head, content) {
        wide::masked(content, order, set, found)?
    } else {
        wide::search(content, set)?;
        narrow(content, set, found)
    };
    if new_head.is_none() && new.is_none() {
        return Ok(None);
    }
    let head = new_head.as_deref().unwrap_or(head);
    let content = new.as_deref().unwrap_or(content);
    let mut out = with_length(head, content.len());
    out.extend_from_slice(content);
    Ok(Some(out))
}

/// That of a content in UTF-16.
fn order(head: &[u8], content: &[u8]) -> Option<Order> {
    let lines = head.split(|byte| *byte == b'\n');
    let mut kinds = lines.filter_map(|line| {
        let (name, kind) = str::from_utf8(line).ok()?.split_once(':')?;
        let named = name.trim().eq_ignore_ascii_case("content-type");
        named.then_some(kind)
    });
    let told = kinds.find_map(|kind| Order::told(kind.trim(), content));
    told.or_else(|| Order::of(None, content))
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
