//! How a stream of an answer is cut into the pieces that stand by themselves, each an [`Event`] with its bytes as sent.
//!
//! In: a stream cut anywhere, and how it is framed. Out: events whose raw bytes, put together, are the stream.
//! Sources: WHATWG HTML section 9.2.6 (server-sent events); NDJSON 1.0; Google's HTTP streams of one JSON array; Amazon's event streams; RFC 6455.

mod opening;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};

use super::eventstream;
use super::sse::{self, Event, SseError};
use super::websocket;

pub use opening::Opening;

/// How a stream is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Events,
    /// A JSON document in each line.
    Lines,
    /// One JSON array, whose elements come one by one.
    Array,
    /// Amazon's binary messages.
    Messages,
    /// Messages of a WebSocket.
    Frames,
}

/// Cuts a stream.
#[derive(Debug)]
pub enum Framer {
    /// See [`sse::Framer`].
    Events(sse::Framer),
    /// Lines, or elements.
    Documents(Documents),
    /// See [`eventstream::Framer`].
    Messages(eventstream::Framer),
    /// See [`websocket::Framer`].
    Frames(websocket::Framer),
}

/// Cuts a stream of JSON documents.
#[derive(Debug)]
pub struct Documents {
    framing: Framing,
    buffer: BytesMut,
    /// Where to look on.
    seen: usize,
    /// Where the element that is being read starts.
    start: usize,
    depth: usize,
    /// Inside a string, and behind a backslash there.
    string: bool,
    escaped: bool,
    max_event: usize,
    failed: Option<SseError>,
}

impl Framing {
    /// How an answer is framed by its content type; none if it is no stream. `streams` tells that one was asked for.
    #[must_use]
    pub fn of(headers: &HeaderMap, streams: bool) -> Option<Self> {
        match media_type(headers).as_str() {
            "text/event-stream" => Some(Self::Events),
            kind if LINES.contains(&kind) => Some(Self::Lines),
            eventstream::CONTENT_TYPE => Some(Self::Messages),
            kind => (streams && kind == "application/json").then_some(Self::Array),
        }
    }

    /// Whether something can stand between its events that means nothing to a client.
    #[must_use]
    pub fn has_comments(self) -> bool {
        matches!(self, Self::Events | Self::Messages)
    }
}

impl Framer {
    /// A framer for a stream whose events have at most `max_event` bytes.
    #[must_use]
    pub fn new(framing: Framing, max_event: usize) -> Self {
        match framing {
            Framing::Events => Self::Events(sse::Framer::new(max_event)),
            Framing::Messages => Self::Messages(eventstream::Framer::new(max_event)),
            Framing::Frames => Self::Frames(websocket::Framer::new(max_event)),
            Framing::Lines | Framing::Array => Self::Documents(Documents {
                framing,
                buffer: BytesMut::new(),
                seen: 0,
                start: 0,
                depth: 0,
                string: false,
                escaped: false,
                max_event,
                failed: None,
            }),
        }
    }

    /// Takes the next bytes and appends the events they complete to `events`.
    ///
    /// # Errors
    /// [`SseError`], now and from now on; the events before it are in `events`.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        match self {
            Self::Events(framer) => framer.push(bytes, events),
            Self::Documents(framer) => framer.push(bytes, events),
            Self::Messages(framer) => framer.push(bytes, events),
            Self::Frames(framer) => framer.push(bytes, events),
        }
    }

    /// Ends the stream: what is left becomes an event.
    ///
    /// # Errors
    /// What is left is the beginning of a message.
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        match self {
            Self::Events(framer) => framer.finish(events),
            Self::Documents(framer) => framer.finish(events),
            Self::Messages(framer) => return framer.finish(),
            Self::Frames(framer) => return framer.finish(),
        }
        Ok(())
    }

    /// Whether nothing but documents can be in it.
    #[must_use]
    pub fn has_documents(&self) -> bool {
        matches!(self, Self::Documents(_))
    }

    /// What has come of an event that is not whole.
    pub fn rest(&mut self) -> Bytes {
        match self {
            Self::Events(framer) => framer.rest(),
            Self::Documents(framer) => framer.buffer.split().freeze(),
            Self::Messages(framer) => framer.rest(),
            Self::Frames(framer) => framer.rest(),
        }
    }
}

impl Documents {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(bytes);
            self.failed = self.frame(events).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        if self.failed.is_none() && !self.buffer.is_empty() {
            let whole = self.framing == Framing::Lines || self.depth > 0;
            let start = if whole { self.start } else { self.buffer.len() };
            let end = self.buffer.len();
            events.extend(self.event(start, end, end));
        }
    }

    fn frame(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            match self.framing {
                Framing::Lines => {
                    if byte == b'\n' {
                        let end = self.seen;
                        events.push(self.event(0, end - 1, end)?);
                    }
                }
                _ => {
                    if self.element(byte)? {
                        let end = self.seen;
                        events.push(self.event(self.start, end, end)?);
                    }
                }
            }
        }
        if self.buffer.len() > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        Ok(())
    }

    /// Reads a byte of an array; whether an element ends with it.
    fn element(&mut self, byte: u8) -> Result<bool, SseError> {
        if self.string {
            self.string = byte != b'"' || self.escaped;
            self.escaped = byte == b'\\' && !self.escaped;
            return Ok(false);
        }
        match byte {
            b'"' if self.depth > 0 => self.string = true,
            b'{' | b'[' if self.depth > 0 => self.depth += 1,
            b'{' => {
                self.start = self.seen - 1;
                self.depth = 1;
            }
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return Ok(self.depth == 0);
            }
            // Between elements.
            b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if self.depth > 0 => {}
            _ => return Err(SseError::NoArray),
        }
        Ok(false)
    }

    /// Takes the event that ends at `next` out of the buffer; its document is `start..end`.
    fn event(&mut self, start: usize, end: usize, next: usize) -> Result<Event, SseError> {
        let raw = self.buffer.split_to(next).freeze();
        (self.seen, self.start) = (0, 0);
        if raw.len() > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        Event::document(raw, start..end)
    }
}

/// The type of a body, without its parameters, in small letters; the empty text where none is told.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// What lines of JSON are called; the third is Cohere's older name of it.
const LINES: [&str; 7] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/stream+json",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
    "application/json-lines",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn run(framing: Framing, pieces: &[&str]) -> Vec<Event> {
        let (mut framer, mut events) = (Framer::new(framing, 1000), Vec::new());
        for piece in pieces {
            framer.push(piece.as_bytes(), &mut events).unwrap();
        }
        framer.finish(&mut events).unwrap();
        events
    }

    #[test]
    fn documents_are_found_wherever_a_stream_is_cut() {
        let lines = "{\"a\":1}\n\r\n{\"b\":\"\\n}\"}\r\n{\"c\":2}";
        let array = "[{\"a\":\"}]\\\"{\"}\n,\r\n{\"b\":[{}]} ,{\"c\":{}}\n]\n";
        for (framing, stream, expected) in [
            (
                Framing::Lines,
                lines,
                vec!["{\"a\":1}", "{\"b\":\"\\n}\"}", "{\"c\":2}"],
            ),
            (
                Framing::Array,
                array,
                vec!["{\"a\":\"}]\\\"{\"}", "{\"b\":[{}]}", "{\"c\":{}}"],
            ),
        ] {
            let whole = run(framing, &[stream]);
            for at in 0..=stream.len() {
                let (one, other) = stream.split_at(at);
                assert_eq!(run(framing, &[one, other]), whole, "{at}");
            }
            let data: Vec<&str> = whole
                .iter()
                .filter_map(|event| event.data.as_deref())
                .collect();
            assert_eq!(data, expected);
            let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw.to_vec()).collect();
            assert_eq!(raw, stream.as_bytes());
            for event in &whole {
                if let Some(data) = &event.data {
                    assert_eq!(event.with_data(data), event.raw);
                    let other = String::from_utf8(event.with_data("X").to_vec()).unwrap();
                    let raw = String::from_utf8(event.raw.to_vec()).unwrap();
                    assert_eq!(other, raw.replace(data, "X"));
                }
            }
        }
    }

    #[test]
    fn what_is_no_array_is_not_read() {
        let mut framer = Framer::new(Framing::Array, 100);
        assert_eq!(
            framer.push(b"<html>", &mut Vec::new()),
            Err(SseError::NoArray)
        );
        let mut framer = Framer::new(Framing::Array, 100);
        let long = "[{".to_owned() + &" ".repeat(200);
        assert!(framer.push(long.as_bytes(), &mut Vec::new()).is_err());
    }
}
