//! Protocol buffers: what of any message can be read without its schema, and the messages of a gRPC call.
//!
//! In: bytes. Out: findings in their texts, and whether something is to be masked, which nobody here could do: lengths stand around every text.
//! Source: protocol buffers, encoding; gRPC over HTTP/2, "Length-Prefixed-Message"; gRPC-Web.

use std::io::Read;
use std::ops::Range;

use super::document::binary;
use super::{MaskError, Set};
use crate::detect::Finding;

/// Searches any message in protocol buffers, which nobody here could change: `Err` where there is something to mask.
pub(super) fn search(body: &[u8], set: &Set, found: &mut Vec<Finding>) -> Result<(), MaskError> {
    if texts(body, NESTED, set, found) && !set.all {
        return Err(MaskError::Sealed);
    }
    Ok(())
}

/// The same for the messages of a gRPC call.
pub(super) fn search_calls(
    body: &[u8],
    set: &Set,
    found: &mut Vec<Finding>,
) -> Result<(), MaskError> {
    for frame in frames(body)? {
        search(frame.plain.as_deref().unwrap_or(frame.payload), set, found)?;
    }
    Ok(())
}

/// Whether something is to be masked in the texts of a message: in its fields where it can be read as one, for the length before a text would
/// be taken for a part of it.
fn texts(bytes: &[u8], nested: u8, set: &Set, found: &mut Vec<Finding>) -> bool {
    let Some(fields) = fields(bytes).filter(|_| nested > 0) else {
        return binary(bytes, set, found).is_some();
    };
    let mut any = false;
    for range in fields {
        let inside = &bytes[range];
        let is_text = inside.utf8_chunks().all(|chunk| chunk.invalid().is_empty())
            && !inside
                .iter()
                .any(|byte| *byte < b' ' && !b"\t\r\n".contains(byte));
        any |= match is_text {
            true => binary(inside, set, found).is_some(),
            false => texts(inside, nested - 1, set, found),
        };
    }
    any
}

/// What of a message has a length, if all of it can be read.
fn fields(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let tag = varint(bytes, &mut at).ok()?;
        all.extend(content(bytes, tag, &mut at).ok()?);
    }
    Some(all)
}

/// One message of a gRPC call.
pub(super) struct Frame<'a> {
    pub(super) head: &'a [u8; 5],
    pub(super) payload: &'a [u8],
    /// Where it was compressed.
    pub(super) plain: Option<Vec<u8>>,
}

/// The messages of a body, whose sizes together are limited.
pub(super) fn frames(body: &[u8]) -> Result<Vec<Frame<'_>>, MaskError> {
    let (mut all, mut room, mut rest) = (Vec::new(), LARGEST, body);
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        let [flag, length @ ..] = *head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let (payload, after) = after.split_at_checked(length).ok_or(CUT)?;
        let plain = match flag {
            // The trailers of gRPC-Web are a message of their own.
            0 | 0x80 => None,
            1 | 0x81 => Some(inflate(payload, &mut room)?),
            _ => return Err(UNKNOWN),
        };
        all.push(Frame {
            head,
            payload,
            plain,
        });
        rest = after;
    }
    rest.is_empty().then_some(all).ok_or(CUT)
}

/// gzip, with all members that a reader would take; what is compressed otherwise is not read.
fn inflate(payload: &[u8], room: &mut u64) -> Result<Vec<u8>, MaskError> {
    let mut out = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(payload);
    let read = decoder.take(*room + 1).read_to_end(&mut out);
    *room = match read {
        Ok(length) => room.checked_sub(length as u64).ok_or(UNKNOWN)?,
        Err(_) => return Err(UNKNOWN),
    };
    Ok(out)
}

/// Passes over what follows a tag; where that has a length, its range.
pub(super) fn content(
    bytes: &[u8],
    tag: u64,
    at: &mut usize,
) -> Result<Option<Range<usize>>, MaskError> {
    let length = match tag & 7 {
        0 => {
            varint(bytes, at)?;
            return Ok(None);
        }
        1 => 8,
        5 => 4,
        2 => usize::try_from(varint(bytes, at)?).map_err(|_| CUT)?,
        _ => return Err(UNKNOWN),
    };
    let end = at.checked_add(length).filter(|end| *end <= bytes.len());
    let range = *at..end.ok_or(CUT)?;
    *at = range.end;
    Ok((tag & 7 == 2).then_some(range))
}

pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, MaskError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or(CUT)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(UNKNOWN)
}

pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

const CUT: MaskError = MaskError::Export("it ends in the middle");
pub(super) const UNKNOWN: MaskError = MaskError::Export("it is not in a form that is known");
/// Messages in messages, as they are searched.
const NESTED: u8 = 8;
/// As large as any body that is inspected.
const LARGEST: u64 = 32 << 20;
