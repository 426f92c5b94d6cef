//! Amazon's event streams (`application/vnd.amazon.eventstream`): bytes to messages, exactly as sent, and messages with other data.
//!
//! A message is its length, the length of its headers, and the CRC-32 of these two; headers; a payload; the CRC-32 of all that. In: a stream
//! cut anywhere. Out: [`Event`]s whose raw bytes, put together, are the stream. The data of one is its payload under its type, as in
//! `{"contentBlockDelta":{…}}`, for the payload alone does not tell that; of a `chunk`, it is the model's own document, which the payload
//! has in base64. Fails on a checksum that is wrong, on lengths beyond the format's limits, and on headers with text that nobody reads here.
//! Sources: the AWS "Amazon event stream" specification of Smithy; botocore, which has the same limits.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::json::{self, Keys, Kind, Step};
use super::sse::{Event, SseError};
use crate::base64;

/// The content type of such a stream.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Framer {
    /// What is not part of a message that is out.
    buffer: BytesMut,
    max_event: usize,
    failed: Option<SseError>,
}

/// Where the parts of a message are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    headers: Range<usize>,
    payload: Range<usize>,
    /// The literal in the payload of a `chunk` that has the data in base64.
    chunk: Option<Range<usize>>,
}

impl Framer {
    /// A framer for a stream whose messages have at most `max_event` bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_event,
            failed: None,
        }
    }

    /// Takes the next bytes and appends the messages they complete to `events`.
    ///
    /// # Errors
    /// [`SseError`], now and from now on; the messages before it are in `events`.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
            self.failed = self.frame(events).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// It ends in the middle of a message.
    pub fn finish(&mut self) -> Result<(), SseError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.buffer.is_empty() => Ok(()),
            None => Err(SseError::Message("has no end")),
        }
    }

    /// What has come of a message that is not whole.
    pub fn rest(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    fn frame(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        while let Some(lengths) = self.lengths()?
            && self.buffer.len() >= lengths.total
        {
            let raw = self.buffer.split_to(lengths.total).freeze();
            events.push(read(raw, lengths.headers)?);
        }
        Ok(())
    }

    /// Those of the message that has begun.
    fn lengths(&self) -> Result<Option<Lengths>, SseError> {
        let Some(prelude) = self.buffer.first_chunk::<PRELUDE>() else {
            return Ok(None);
        };
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| prelude[at + byte]));
        if crc32fast::hash(&prelude[..8]) != number(8) {
            return Err(SseError::Message("has lengths with a wrong checksum"));
        }
        let (total, headers) = (number(0) as usize, number(4) as usize);
        let payload = total.checked_sub(AROUND + headers);
        if headers > MAX_HEADERS || payload.is_none_or(|payload| payload > MAX_PAYLOAD) {
            return Err(SseError::Message("has lengths beyond the limits"));
        }
        if total > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        Ok(Some(Lengths { total, headers }))
    }
}

struct Lengths {
    total: usize,
    headers: usize,
}

impl Envelope {
    /// The message with other data; lengths and checksums are those of the new one.
    pub(super) fn with_data(&self, raw: &[u8], data: &str) -> Bytes {
        let (headers, payload) = (&raw[self.headers.clone()], &raw[self.payload.clone()]);
        match &self.chunk {
            Some(literal) => {
                let new = base64::padded(data.as_bytes());
                let (before, after) = (&payload[..literal.start], &payload[literal.end..]);
                message(headers, &[before, b"\"", &new, b"\"", after].concat())
            }
            // Behind the type, which has no quote in it, and without the brace that closes it.
            None => {
                let inside = data.split_once("\":").map_or("", |(_, inside)| inside);
                message(
                    headers,
                    inside.strip_suffix('}').unwrap_or(inside).as_bytes(),
                )
            }
        }
    }
}

/// A message of type `event`.
#[must_use]
pub fn event(kind: &str, payload: &str) -> Bytes {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    message(&written(&headers), payload.as_bytes())
}

/// A message of type `exception`. botocore shows the text of a kind that its model of the service does not list only from the headers.
#[must_use]
pub fn exception(kind: &str, text: &str, payload: &str) -> Bytes {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
        (":error-code", kind),
        (":error-message", text),
    ];
    message(&written(&headers), payload.as_bytes())
}

fn read(raw: Bytes, headers: usize) -> Result<Event, SseError> {
    let end = raw.len() - CHECKSUM;
    if crc32fast::hash(&raw[..end]).to_be_bytes() != raw[end..] {
        return Err(SseError::Message("has a wrong checksum"));
    }
    let headers = PRELUDE..PRELUDE + headers;
    let said = Said::read(&raw[headers.clone()]).ok_or(SseError::Message(
        "has headers that are broken or not understood",
    ))?;
    let (kind, is_event) = match (said.message, said.event, said.exception) {
        (Some("event"), Some(kind), None) => (kind, true),
        (Some("exception"), None, Some(kind)) => (kind, false),
        _ => return Err(SseError::Message("is neither an event nor an exception")),
    };
    if said
        .content
        .is_some_and(|content| content != "application/json")
    {
        return Err(SseError::Message("has content of another type"));
    }
    let plain = |byte: u8| byte.is_ascii_alphabetic() || b"-_".contains(&byte);
    if kind.is_empty() || kind.len() > LONGEST_TYPE || !kind.bytes().all(plain) {
        return Err(SseError::Message("has a type that is no name"));
    }
    let kind = kind.to_owned();
    let payload = headers.end..end;
    let text = str::from_utf8(&raw[payload.clone()]).map_err(|_| SseError::NotUtf8)?;
    let (data, chunk) = if text.trim_ascii().is_empty() {
        (None, None)
    } else if is_event && kind == CHUNK {
        let (data, literal) = chunk(text)?;
        (Some(data), Some(literal))
    } else {
        (Some(format!("{{\"{kind}\":{text}}}")), None)
    };
    let envelope = Envelope {
        headers,
        payload,
        chunk,
    };
    Ok(Event::message(raw, kind, data, envelope))
}

/// The document in a payload `{"bytes":"…","p":"…"}`, and the literal that has it.
fn chunk(payload: &str) -> Result<(String, Range<usize>), SseError> {
    let (mut found, mut strange) = (None, false);
    json::walk(payload, Keys::Unique, |path, kind, range| match path {
        [Step::Key(key)] if key == "bytes" && kind == Kind::String => found = Some(range),
        [Step::Key(key)] if key == "p" && kind == Kind::String => {
            strange |= !is_padding(&json::decode(&payload[range]));
        }
        [] => strange |= !matches!(kind, Kind::Key | Kind::Container),
        _ => strange = true,
    })
    .map_err(|_| SseError::Message("is a chunk that is no document"))?;
    let literal = found.filter(|_| !strange);
    let literal = literal.ok_or(SseError::Message("is a chunk that is not understood"))?;
    let bytes = base64::decode(json::decode(&payload[literal.clone()]).as_bytes());
    let bytes = bytes.ok_or(SseError::Message("is a chunk that is no base64"))?;
    let data = String::from_utf8(bytes).map_err(|_| SseError::NotUtf8)?;
    Ok((data, literal))
}

/// Whether a text is what Amazon makes messages of one length with: the beginning of a fixed one.
#[must_use]
pub fn is_padding(text: &str) -> bool {
    PADDING.starts_with(text)
}

/// What the headers of a message say.
#[derive(Default)]
struct Said<'a> {
    message: Option<&'a str>,
    event: Option<&'a str>,
    exception: Option<&'a str>,
    content: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// `None` where they cannot be read, one is there twice, or there is text in another.
    fn read(mut headers: &'a [u8]) -> Option<Self> {
        let mut said = Self::default();
        while let Some((length, rest)) = headers.split_first() {
            let (name, rest) = rest.split_at_checked((*length).into())?;
            let (kind, rest) = rest.split_first()?;
            // Numbers and the like say nothing of Bedrock's.
            if *kind != TEXT {
                return None;
            }
            let (length, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            let slot = match name {
                b":message-type" => &mut said.message,
                b":event-type" => &mut said.event,
                b":exception-type" => &mut said.exception,
                b":content-type" => &mut said.content,
                _ => return None,
            };
            if slot.replace(str::from_utf8(value).ok()?).is_some() {
                return None;
            }
            headers = rest;
        }
        Some(said)
    }
}

/// Headers with text; a text that is too long for one is cut.
fn written(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in headers {
        let value = &value[..value.floor_char_boundary(usize::from(u16::MAX))];
        out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.put_slice(name.as_bytes());
        out.put_u8(TEXT);
        out.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        out.put_slice(value.as_bytes());
    }
    out
}

fn message(headers: &[u8], payload: &[u8]) -> Bytes {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let total = AROUND + headers.len() + payload.len();
    let mut out = BytesMut::with_capacity(total);
    out.put_u32(length(total));
    out.put_u32(length(headers.len()));
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(headers);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// The kind of a header that is a text.
const TEXT: u8 = 7;
/// Longer than any type of an event or exception.
const LONGEST_TYPE: usize = 64;
/// What a message has around headers and payload.
const AROUND: usize = PRELUDE + CHECKSUM;
const MAX_HEADERS: usize = 128 << 10;
const MAX_PAYLOAD: usize = 24 << 20;
/// The event that has a model's own format.
const CHUNK: &str = "chunk";
const PADDING: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

#[cfg(test)]
mod tests;
