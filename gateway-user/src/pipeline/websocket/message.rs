//! A message of a WebSocket that is under way, or held until it may pass.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::terms::{Stop, Terms};
use crate::pipeline::body::Share;
use crate::protocol::websocket::{Head, Opcode};

/// What has gone through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages ({} bytes)", self.messages, self.bytes)
    }
}

/// The message that is under way.
#[derive(Default)]
pub(super) struct Message {
    /// The head of its first frame.
    pub(super) first: Option<Head>,
    /// The frame that is under way: whether it is the last, its mask, how much of it came.
    pub(super) fin: bool,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) at: usize,
    /// Whether a frame of our own has left.
    begun: bool,
    /// Where it is held: its frames as they came, what they say, and their part of the workload's budget.
    pub(super) wire: BytesMut,
    pub(super) says: BytesMut,
    pub(super) share: Option<Share>,
}

/// A text that is there whole.
pub(super) struct Whole {
    /// The head of its first frame.
    pub(super) first: Head,
    pub(super) says: Bytes,
    /// Its frames as they came, where they say just that.
    pub(super) wire: Option<Bytes>,
    /// Its part of the workload's budget, for as long as it waits.
    pub(super) _share: Option<Share>,
}

impl Message {
    /// Keeps what has come of it.
    pub(super) fn hold(&mut self, terms: &Terms, wire: &Bytes, says: &[u8]) -> Result<(), Stop> {
        if self.says.len() + says.len() > MAX_MESSAGE {
            return Err(Stop::too_large(MAX_MESSAGE));
        }
        let share = terms.room(wire.len() + says.len())?;
        match &mut self.share {
            Some(held) => held.merge(share),
            none => *none = Some(share),
        }
        self.wire.extend_from_slice(wire);
        self.says.extend_from_slice(says);
        Ok(())
    }

    /// Appends a frame of our own to `out`.
    pub(super) fn frame(&mut self, fin: bool, says: &[u8], out: &mut BytesMut) {
        let opcode = match (self.begun, self.first) {
            (false, Some(first)) => first.opcode,
            _ => Opcode::Continuation,
        };
        self.begun = true;
        let head = Head {
            fin,
            compressed: false,
            opcode,
            mask: None,
            length: says.len() as u64,
        };
        head.write_frame(says, out);
    }
}

impl Whole {
    /// Appends it to `out`: as it came where it says the same, else as one frame.
    pub(super) fn pass(&self, says: &Bytes, out: &mut BytesMut) {
        if let Some(wire) = &self.wire
            && *says == self.says
        {
            out.extend_from_slice(wire);
            return;
        }
        let head = Head {
            fin: true,
            length: says.len() as u64,
            ..self.first
        };
        head.write_frame(says, out);
    }
}

/// Twice what model providers take in one message; a message that has to be understood is held in memory while it is.
const MAX_MESSAGE: usize = 32 << 20;
