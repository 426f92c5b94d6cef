//! Messages of a server, as the events of a stream.

use bytes::{Bytes, BytesMut};

use super::{Head, Opcode, Peer, Piece, Reader};
use crate::protocol::sse::{Event, SseError};

/// Cuts what a server sends into messages. What is in none, such as a ping, is an event without data.
#[derive(Debug)]
pub struct Framer {
    reader: Reader,
    raw: BytesMut,
    says: BytesMut,
    /// The opcode of the message that is under way, and whether its last frame is.
    kind: Option<Opcode>,
    last: bool,
    max_event: usize,
    failed: Option<SseError>,
}

impl Framer {
    /// A framer for messages of at most `max_event` bytes, none of them compressed.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            reader: Reader::new(Peer::Server, false),
            raw: BytesMut::new(),
            says: BytesMut::new(),
            kind: None,
            last: false,
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
            self.failed = self.frame(bytes, events).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Ends the stream, which does not end in the middle of a message.
    ///
    /// # Errors
    /// It does.
    pub fn finish(&mut self) -> Result<(), SseError> {
        let broken = self.reader.in_message() || !self.rest().is_empty();
        match self.failed {
            Some(error) => Err(error),
            None if broken => Err(SseError::Message("is cut off")),
            None => Ok(()),
        }
    }

    /// What has come of a message that is not whole.
    pub fn rest(&mut self) -> Bytes {
        let mut rest = self.raw.split();
        rest.extend_from_slice(&self.reader.rest());
        rest.freeze()
    }

    fn frame(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        let mut pieces = Vec::new();
        let read = self.reader.push(bytes, &mut pieces);
        for piece in pieces {
            match piece {
                Piece::Begin { head, wire } => {
                    self.kind.get_or_insert(head.opcode);
                    self.last = head.fin;
                    self.raw.extend_from_slice(&wire);
                }
                Piece::Payload { wire, end } => {
                    self.raw.extend_from_slice(&wire);
                    self.says.extend_from_slice(&wire);
                    if end && self.last {
                        events.push(self.message()?);
                    }
                }
                Piece::Control { wire, .. } => events.push(Event::frame(wire, None)),
            }
            if self.raw.len() > self.max_event {
                return Err(SseError::TooLong(self.max_event));
            }
        }
        read.map_err(|_| SseError::Message("is no WebSocket frame"))
    }

    fn message(&mut self) -> Result<Event, SseError> {
        let (raw, says) = (self.raw.split().freeze(), self.says.split());
        if raw.len() > self.max_event {
            return Err(SseError::TooLong(self.max_event));
        }
        let data = match self.kind.take() {
            Some(Opcode::Text) => {
                let text = std::str::from_utf8(&says).map_err(|_| SseError::NotUtf8)?;
                Some(text.to_owned())
            }
            _ => None,
        };
        Ok(Event::frame(raw, data))
    }
}

/// A whole message of a server.
#[must_use]
pub fn text(says: &str) -> Bytes {
    let head = Head {
        fin: true,
        compressed: false,
        opcode: Opcode::Text,
        mask: None,
        length: says.len() as u64,
    };
    let mut frame = BytesMut::new();
    head.write_frame(says.as_bytes(), &mut frame);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn messages_are_found_wherever_they_are_cut() {
        let long = "x".repeat(300);
        let stream = [
            text("{\"a\":1}"),
            Bytes::from_static(b"\x01\x03hel"),
            // A ping inside a message.
            Bytes::from_static(b"\x89\x01p"),
            Bytes::from_static(b"\x80\x02lo"),
            Bytes::from_static(b"\x82\x02\xff\x00"),
            text(&long),
        ]
        .concat();
        let run = |pieces: &[&[u8]]| {
            let (mut framer, mut events) = (Framer::new(1000), Vec::new());
            for piece in pieces {
                framer.push(piece, &mut events).unwrap();
            }
            framer.finish().unwrap();
            events
        };
        let whole = run(&[&stream]);
        for at in 0..=stream.len() {
            assert_eq!(run(&[&stream[..at], &stream[at..]]), whole, "{at}");
        }
        let data: Vec<Option<&str>> = whole.iter().map(|event| event.data.as_deref()).collect();
        assert_eq!(
            data,
            [Some("{\"a\":1}"), None, Some("hello"), None, Some(&*long)]
        );
        assert_eq!(whole[0].with_data("{}"), text("{}"));
        let mut framer = Framer::new(1000);
        framer.push(b"\x81\x05he", &mut Vec::new()).unwrap();
        assert!(framer.finish().is_err());
        let mut framer = Framer::new(1000);
        assert!(framer.push(b"\x83\x00", &mut Vec::new()).is_err());
        let mut framer = Framer::new(10);
        assert!(framer.push(&text(&long), &mut Vec::new()).is_err());
    }
}
