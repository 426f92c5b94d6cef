//! Frames out of bytes that are cut anywhere.

use bytes::{Bytes, BytesMut};

use super::{Close, FrameError, Head, Opcode, Peer, toggle};

/// Reads what one end sends.
#[derive(Debug)]
pub struct Reader {
    from: Peer,
    compression: bool,
    /// A head or a control frame that is not whole yet, or what has just come.
    input: BytesMut,
    /// How much of a data frame's payload is still to come.
    payload: Option<u64>,
    /// A message has begun that has not ended.
    in_message: bool,
    closed: bool,
}

/// The next thing that one end has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A frame of a message begins. At least one [`Piece::Payload`] follows.
    Begin {
        /// Its head.
        head: Head,
        /// The same as it came.
        wire: Bytes,
    },
    /// More of the frame's payload.
    Payload {
        /// As it came: what a client sends is masked.
        wire: Bytes,
        /// Whether the frame ends here.
        end: bool,
    },
    /// A ping, pong or close frame.
    Control {
        /// Its head.
        head: Head,
        /// Its payload, without mask.
        payload: Bytes,
        /// The frame as it came.
        wire: Bytes,
    },
}

impl Reader {
    /// Reads what `from` sends; `compression` is whether the handshake agreed on it.
    #[must_use]
    pub fn new(from: Peer, compression: bool) -> Self {
        Self {
            from,
            compression,
            input: BytesMut::new(),
            payload: None,
            in_message: false,
            closed: false,
        }
    }

    /// Takes the next bytes and appends what they complete to `out`. Behind a close frame nothing counts (RFC 6455, 5.5.1).
    ///
    /// # Errors
    /// [`FrameError`]; what came before it is in `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Piece>) -> Result<(), FrameError> {
        if self.closed {
            return Ok(());
        }
        self.input.extend_from_slice(chunk);
        while !self.closed {
            let more = match self.payload {
                Some(left) => self.payload(left, out),
                None => self.head(out)?,
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// What has come and could not be read, or not yet.
    #[must_use]
    pub fn rest(&mut self) -> Bytes {
        self.input.split().freeze()
    }

    /// Whether the bytes so far end inside a frame of a message.
    #[must_use]
    pub fn in_frame(&self) -> bool {
        self.payload.is_some()
    }

    /// Whether they end inside a message.
    #[must_use]
    pub fn in_message(&self) -> bool {
        self.in_message || self.in_frame()
    }

    /// Reads a payload; whether it ended.
    fn payload(&mut self, left: u64, out: &mut Vec<Piece>) -> bool {
        let here =
            usize::try_from(left).map_or(self.input.len(), |left| left.min(self.input.len()));
        let left = left - here as u64;
        let end = left == 0;
        if here > 0 || end {
            let wire = self.input.split_to(here).freeze();
            out.push(Piece::Payload { wire, end });
        }
        self.payload = (!end).then_some(left);
        end
    }

    /// Reads a head, or a whole control frame; whether there was one.
    fn head(&mut self, out: &mut Vec<Piece>) -> Result<bool, FrameError> {
        let Some((head, length)) = Head::read(&self.input, self.from, self.compression)? else {
            return Ok(false);
        };
        if head.opcode.is_control() {
            return self.control(head, length, out);
        }
        match (head.opcode, self.in_message) {
            (Opcode::Continuation, false) => return Err(FrameError::Continuation),
            (Opcode::Text | Opcode::Binary, true) => return Err(FrameError::Interleaved),
            _ => self.in_message = !head.fin,
        }
        let wire = self.input.split_to(length).freeze();
        self.payload = Some(head.length);
        out.push(Piece::Begin { head, wire });
        Ok(true)
    }

    fn control(
        &mut self,
        head: Head,
        length: usize,
        out: &mut Vec<Piece>,
    ) -> Result<bool, FrameError> {
        // A control frame has a length of one byte.
        let end = length + head.length as usize;
        if self.input.len() < end {
            return Ok(false);
        }
        let mut payload = BytesMut::from(&self.input[length..end]);
        if let Some(mask) = head.mask {
            toggle(mask, 0, &mut payload);
        }
        let payload = payload.freeze();
        if head.opcode == Opcode::Close {
            Close::read(&payload)?;
            self.closed = true;
        }
        let wire = self.input.split_to(end).freeze();
        out.push(Piece::Control {
            head,
            payload,
            wire,
        });
        Ok(true)
    }
}
