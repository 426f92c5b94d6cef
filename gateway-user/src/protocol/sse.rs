//! Server-sent events: bytes to events, exactly as sent.
//!
//! In: a stream cut anywhere. Out: [`Event`]s whose raw bytes, put together, are the stream. An event ends with an empty line, and
//! comments and unknown fields belong to the event they stand in. A line may end with LF, CRLF or CR; behind a CR the next byte
//! tells, so an event that ends in a bare CR is complete only with the next byte.
//! Fails on an event longer than the cap and on one that is not UTF-8.
//! Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".

mod whole;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::eventstream::Envelope;
use super::websocket;

pub use whole::Whole;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its bytes as sent, with the empty line that ends it.
    pub raw: Bytes,
    /// What its last `event` field says, unless that is empty.
    pub name: Option<String>,
    /// Its `data` fields, joined by line feeds; `None` = it has none, it is a comment or a setting.
    pub data: Option<String>,
    layout: Layout,
}

/// Where the data of an event stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    /// In lines with fields, which start here: behind the byte order mark a stream may begin with.
    Lines(usize),
    /// Here, of a stream that has documents instead.
    Document(Range<usize>),
    /// In a message.
    Message(Envelope),
    /// In frames of a WebSocket.
    Frame,
}

/// A stream that is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event without an end in sight.
    #[error("an event is longer than {0} bytes")]
    TooLong(usize),
    /// Bytes that clients would read in different ways.
    #[error("an event is not UTF-8")]
    NotUtf8,
    /// A stream that should be one array of documents.
    #[error("the stream is no array of documents")]
    NoArray,
    /// A message that is not what its format says.
    #[error("a message of the stream {0}")]
    Message(&'static str),
}

/// Cuts a stream into events.
#[derive(Debug)]
pub struct Framer {
    /// What is not part of an event that is out.
    buffer: BytesMut,
    /// Start of the line that is being read.
    line: usize,
    /// Where to look on for its end.
    seen: usize,
    max_event: usize,
    started: bool,
    failed: Option<SseError>,
}

impl Framer {
    /// A framer for a stream whose events have at most `max_event` bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            line: 0,
            seen: 0,
            max_event,
            started: false,
            failed: None,
        }
    }

    /// Takes the next bytes and appends the events they complete to `events`.
    ///
    /// # Errors
    /// [`SseError`], now and from now on; the events before it are in `events`.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
            self.failed = self.frame(events).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Ends the stream: what is left becomes an event, for some clients read one without its empty line. What is left of a stream
    /// that cannot be read is dropped.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        if self.failed.is_none() && !self.buffer.is_empty() {
            let event = self.event(self.buffer.len());
            events.extend(event);
        }
    }

    /// What has come of an event that is not whole.
    pub fn rest(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }

    fn frame(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        while let Some((end, next)) = line_end(&self.buffer, self.seen) {
            if end > self.line {
                self.line = next;
                self.seen = next;
            } else {
                events.push(self.event(next)?);
            }
        }
        // A CR at the end is looked at again together with the byte behind it.
        self.seen = self.line.max(self.buffer.len().saturating_sub(1));
        if self.buffer.len() > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        Ok(())
    }

    /// Takes the event that ends at `end` out of the buffer.
    fn event(&mut self, end: usize) -> Result<Event, SseError> {
        let raw = self.buffer.split_to(end).freeze();
        (self.line, self.seen) = (0, 0);
        if raw.len() > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        let text = str::from_utf8(&raw).map_err(|_| SseError::NotUtf8)?;
        let start = match std::mem::replace(&mut self.started, true) {
            false if text.starts_with(MARK) => MARK.len(),
            _ => 0,
        };
        let mut name = None;
        let mut data: Option<String> = None;
        for line in lines(&text[start..]) {
            match line.field {
                "event" => name = Some(line.value.to_owned()).filter(|name| !name.is_empty()),
                "data" => match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(line.value);
                    }
                    None => data = Some(line.value.to_owned()),
                },
                _ => {}
            }
        }
        Ok(Event {
            raw,
            name,
            data,
            layout: Layout::Lines(start),
        })
    }
}

impl Event {
    /// An event of a stream of documents: `range` of its bytes is one, or there is none in it.
    pub(super) fn document(raw: Bytes, range: Range<usize>) -> Result<Self, SseError> {
        let text = str::from_utf8(&raw).map_err(|_| SseError::NotUtf8)?;
        let found = text[range.clone()].trim_ascii();
        let start =
            range.start + (text[range.clone()].len() - text[range].trim_ascii_start().len());
        let data = (!found.is_empty()).then(|| found.to_owned());
        let document = start..start + found.len();
        Ok(Self {
            name: None,
            data,
            layout: Layout::Document(document),
            raw,
        })
    }

    /// An event that is a message of Amazon's.
    pub(super) fn message(
        raw: Bytes,
        name: String,
        data: Option<String>,
        envelope: Envelope,
    ) -> Self {
        Self {
            raw,
            name: Some(name),
            data,
            layout: Layout::Message(envelope),
        }
    }

    /// An event that is a message of a WebSocket; `None` = it has no text.
    pub(super) fn frame(raw: Bytes, data: Option<String>) -> Self {
        Self {
            raw,
            name: None,
            data,
            layout: Layout::Frame,
        }
    }

    /// The same event, with other data in it.
    #[must_use]
    pub fn edited(self, data: String) -> Self {
        let raw = self.with_data(&data);
        let layout = match self.layout {
            Layout::Document(at) => Layout::Document(at.start..at.start + data.len()),
            layout => layout,
        };
        let (data, name) = (Some(data), self.name);
        Self {
            raw,
            name,
            data,
            layout,
        }
    }

    /// The same event with other texts in place of what is no data: of an event that has none all of it, else comments, names, ids and
    /// fields that nobody knows, line by line. `new` is asked for each; `None` = it stays.
    ///
    /// # Errors
    /// Those of `new`.
    pub fn beside<E>(
        self,
        mut new: impl FnMut(&str) -> Result<Option<String>, E>,
    ) -> Result<Self, E> {
        let Layout::Lines(start) = self.layout else {
            return Ok(self);
        };
        let text = str::from_utf8(&self.raw).unwrap_or_default();
        let (mark, text) = text.split_at(start);
        let (mut out, mut changed) = (mark.to_owned(), false);
        if self.data.is_none() {
            let new = new(text)?;
            changed = new.is_some();
            out.push_str(new.as_deref().unwrap_or_default());
        }
        for line in lines(text).filter(|_| self.data.is_some()) {
            let said = &line.raw[..line.raw.len() - line.ending.len()];
            let new = match line.field {
                "data" => None,
                _ => new(said)?,
            };
            changed |= new.is_some();
            out.push_str(new.as_deref().unwrap_or(said));
            out.push_str(line.ending);
        }
        let raw = if changed { Bytes::from(out) } else { self.raw };
        Ok(Self { raw, ..self })
    }

    /// The bytes of the event with other data: every other line stays as it is, and so do the line endings.
    #[must_use]
    pub fn with_data(&self, data: &str) -> Bytes {
        let text = str::from_utf8(&self.raw).unwrap_or_default();
        let start = match &self.layout {
            Layout::Message(envelope) => return envelope.with_data(&self.raw, data),
            Layout::Document(document) => {
                let (before, after) = (&text[..document.start], &text[document.end..]);
                return Bytes::from([before, data, after].concat());
            }
            Layout::Frame => return websocket::text(data),
            Layout::Lines(start) => *start,
        };
        let (mark, text) = text.split_at(start);
        let mut out = String::with_capacity(self.raw.len() + data.len());
        out.push_str(mark);
        let mut left = lines(text).filter(|line| line.field == "data").count();
        let mut new = data.split('\n');
        for line in lines(text) {
            if line.field != "data" {
                out.push_str(line.raw);
                continue;
            }
            left -= 1;
            // The last `data` line takes all that is left.
            let count = if left == 0 { usize::MAX } else { 1 };
            for value in new.by_ref().take(count) {
                line.write(value, &mut out);
            }
        }
        Bytes::from(out)
    }
}

/// Whether clients read bytes as server-sent events, and not as a document in whatever coding of characters.
pub(super) fn begins(body: &[u8]) -> bool {
    let body = begin(body);
    body.is_empty()
        || FIELDS
            .iter()
            .any(|field| body.starts_with(field.as_bytes()))
}

/// Whether more could make them such.
pub(super) fn may_begin(text: &[u8]) -> bool {
    let beginnings = FIELDS.iter().chain([&MARK]);
    let mut beginnings = beginnings.map(|field| field.as_bytes());
    beginnings.any(|field| field.starts_with(text))
}

/// Bytes from the first on that says something.
pub(super) fn begin(body: &[u8]) -> &[u8] {
    let body = body.strip_prefix(MARK.as_bytes()).unwrap_or(body);
    body.trim_ascii_start()
}

/// A line of an event.
struct Line<'a> {
    raw: &'a str,
    field: &'a str,
    value: &'a str,
    ending: &'a str,
}

impl Line<'_> {
    /// Writes the line with another value.
    fn write(&self, value: &str, out: &mut String) {
        let content = &self.raw[..self.raw.len() - self.ending.len()];
        let spaced = content[self.field.len()..].starts_with(": ");
        out.push_str(self.field);
        out.push_str(if spaced || value.starts_with(' ') {
            ": "
        } else {
            ":"
        });
        out.push_str(value);
        out.push_str(self.ending);
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let (content, after) = rest.split_at(end);
        let ending = ["\r\n", "\n", "\r"]
            .into_iter()
            .find(|ending| after.starts_with(ending))
            .unwrap_or_default();
        let raw = &rest[..end + ending.len()];
        rest = &after[ending.len()..];
        let (field, value) = content.split_once(':').unwrap_or((content, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        Some(Line {
            raw,
            field,
            value,
            ending,
        })
    })
}

/// Where the line around `from` ends and the next one starts.
fn line_end(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let end = from
        + text[from..]
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))?;
    match (text[end], text.get(end + 1)) {
        (b'\n', _) => Some((end, end + 1)),
        (_, Some(b'\n')) => Some((end, end + 2)),
        (_, Some(_)) => Some((end, end + 1)),
        (_, None) => None,
    }
}

/// U+FEFF, once, at the very beginning.
const MARK: &str = "\u{feff}";
/// How a stream of server-sent events begins.
const FIELDS: &[&str] = &["data", "event", "id", "retry", ":"];

#[cfg(test)]
mod tests;
