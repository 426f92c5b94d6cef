//! One direction of a WebSocket: what becomes of each frame.
//!
//! In: what one end sends, cut anywhere. Out: what the other end gets, or why nothing more may pass. Where nothing has to be looked
//! for, frames pass as they come. Echoes of a held credential are taken out as they pass, in frames of our own. Where policy masks or
//! reads findings, a message is held until it is whole, then passes as it came, or masked as one frame, or not at all.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::answering::Answering;
use super::asking::Asking;
use super::talk::Judging;
use super::terms::{Stop, Terms};
use crate::detect;
use crate::keeper::Scrub;
use crate::mask::{self, Shape};
use crate::pipeline::body::Share;
use crate::pipeline::inspect::counted;
use crate::pipeline::shape::reads_as_json;
use crate::protocol::calls;
use crate::protocol::websocket::{
    self, Close, FrameError, Head, Opcode, Peer, Piece, Reader, toggle,
};
use crate::record::{Finding, Usage};

/// What one end sends, on its way.
pub(super) struct Direction {
    from: Peer,
    reader: Reader,
    terms: Arc<Terms>,
    /// What takes echoes out of what an upstream sends.
    scrub: Option<Scrub>,
    /// Whether messages are held until they are whole.
    whole: bool,
    /// Where they are understood: what an agent says to a model, and what that answers.
    asking: Option<Asking>,
    answering: Option<Answering>,
    /// Whether bytes pass unread: what an observed workload says need not be frames.
    blind: bool,
    pieces: Vec<Piece>,
    message: Message,
    passed: Passed,
    findings: Vec<Finding>,
    closed: Option<Close>,
}

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
struct Message {
    /// The head of its first frame.
    first: Option<Head>,
    /// The frame that is under way: whether it is the last, its mask, how much of it came.
    fin: bool,
    mask: Option<[u8; 4]>,
    at: usize,
    /// Whether a frame of our own has left.
    begun: bool,
    /// Where it is held: its frames as they came, what they say, and their part of the workload's budget.
    wire: BytesMut,
    says: BytesMut,
    share: Option<Share>,
}

impl Direction {
    pub(super) fn new(
        from: Peer,
        compression: bool,
        terms: Arc<Terms>,
        scrub: Option<Scrub>,
    ) -> Self {
        Self {
            from,
            reader: Reader::new(from, compression),
            whole: match from {
                Peer::Client => terms.masks() || terms.inspect(),
                Peer::Server => terms.masks() || terms.answers().tells(),
            },
            asking: None,
            answering: None,
            blind: false,
            terms,
            scrub,
            pieces: Vec::new(),
            message: Message::default(),
            passed: Passed::default(),
            findings: Vec::new(),
            closed: None,
        }
    }

    /// What comes is said to a model.
    pub(super) fn asks(&mut self, asking: Asking) {
        self.whole = true;
        self.asking = Some(asking);
    }

    /// What comes is said by a model.
    pub(super) fn answers(&mut self, answering: Answering) {
        self.whole = true;
        self.answering = Some(answering);
    }

    /// What has to be decided before anything more goes on, if something has.
    pub(super) fn judging(&mut self) -> Option<Judging> {
        self.answering.as_mut()?.judging()
    }

    /// That is permitted.
    pub(super) fn permitted(
        &mut self,
        edits: &[calls::Edit],
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        match &mut self.answering {
            Some(answering) => answering.permitted(edits, out),
            None => Ok(()),
        }
    }

    /// Tokens that a model counted, and what was masked in what it said; it has nothing more to say.
    pub(super) fn summarise(&mut self) -> (Option<Usage>, Vec<Finding>) {
        let answering = self.answering.take();
        answering.map(Answering::summarise).unwrap_or_default()
    }

    /// Takes the next bytes and appends what may pass to `out`.
    pub(super) fn accept(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Stop> {
        if self.blind {
            out.extend_from_slice(chunk);
            return Ok(());
        }
        let read = self.reader.push(chunk, &mut self.pieces);
        for piece in std::mem::take(&mut self.pieces) {
            match piece {
                Piece::Begin { head, wire } => self.begin(head, &wire, out)?,
                Piece::Payload { wire, end } => self.payload(&wire, end, out)?,
                Piece::Control {
                    head,
                    payload,
                    wire,
                } => self.control(head, payload, &wire, out)?,
            }
        }
        match read {
            Err(_) if self.terms.observed() && self.scrub.is_none() => {
                self.blind = true;
                out.extend_from_slice(&self.reader.rest());
                Ok(())
            }
            read => read.map_err(|error| Stop::malformed(&error, self.from)),
        }
    }

    /// Reads on without passing anything, after nothing may pass any more; whether the other end has closed.
    pub(super) fn discard(&mut self, chunk: &[u8]) -> bool {
        let read = self.reader.push(chunk, &mut self.pieces);
        let closes = |piece: &Piece| matches!(piece, Piece::Control { head, .. } if head.opcode == Opcode::Close);
        let closed = self.pieces.drain(..).any(|piece| closes(&piece));
        closed || read.is_err()
    }

    /// How it was closed, once it was.
    pub(super) fn closed(&self) -> Option<&Close> {
        self.closed.as_ref()
    }

    /// Whether a close frame would be understood here.
    pub(super) fn may_close(&self) -> bool {
        !self.blind && self.closed.is_none() && self.between_frames()
    }

    /// Whether no frame is half out, as far as that is known.
    pub(super) fn between_frames(&self) -> bool {
        self.whole || self.scrub.is_some() || self.blind || !self.reader.in_frame()
    }

    /// Whether no message is half out.
    pub(super) fn between_messages(&self) -> bool {
        !self.reader.in_message()
    }

    pub(super) fn passed(&self) -> Passed {
        self.passed
    }

    pub(super) fn findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn begin(&mut self, head: Head, wire: &Bytes, out: &mut BytesMut) -> Result<(), Stop> {
        let message = &mut self.message;
        message.first.get_or_insert(head);
        (message.fin, message.mask, message.at) = (head.fin, head.mask, 0);
        if self.whole {
            return self.hold(wire, &[]);
        }
        if self.scrub.is_none() {
            out.extend_from_slice(wire);
        }
        Ok(())
    }

    fn payload(&mut self, wire: &Bytes, end: bool, out: &mut BytesMut) -> Result<(), Stop> {
        let last = end && self.message.fin;
        if self.whole {
            let mut says = BytesMut::from(&wire[..]);
            if let Some(mask) = self.message.mask {
                toggle(mask, self.message.at, &mut says);
            }
            self.message.at += wire.len();
            self.hold(wire, &says)?;
            if last {
                self.judge(out)?;
            }
        } else if let Some(scrub) = &mut self.scrub {
            let mut scrubbed = BytesMut::new();
            scrub.push(wire, &mut scrubbed);
            if last {
                scrub.finish(&mut scrubbed);
            }
            if last || !scrubbed.is_empty() {
                self.message.frame(last, &scrubbed, out);
            }
        } else {
            out.extend_from_slice(wire);
        }
        self.passed.bytes += wire.len() as u64;
        if last {
            self.passed.messages += 1;
            self.message = Message::default();
        }
        Ok(())
    }

    /// Control frames never wait for a message that is held.
    fn control(
        &mut self,
        head: Head,
        payload: Bytes,
        wire: &Bytes,
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        let scrubbed = match &self.scrub {
            Some(scrub) => Bytes::from(scrub.whole(&payload)),
            None => payload.clone(),
        };
        if self.whole && !scrubbed.is_empty() {
            let masks = self.terms_of(&scrubbed, Shape::Text)?;
            let masked = mask::body(&scrubbed, Shape::Text, &masks);
            // What a ping says has to come back in its pong.
            if !masked.is_ok_and(|masked| masked.bytes == scrubbed) {
                return Err(Stop::refused("a control frame has what policy masks"));
            }
        }
        if head.opcode == Opcode::Close {
            if let Some(answering) = &mut self.answering {
                answering.finish(out)?;
            }
            self.closed = Some(Close::read(&payload).unwrap_or_default());
        }
        if scrubbed == payload {
            out.extend_from_slice(wire);
        } else {
            head.write_frame(&scrubbed, out);
        }
        Ok(())
    }

    fn hold(&mut self, wire: &Bytes, says: &[u8]) -> Result<(), Stop> {
        let message = &mut self.message;
        if message.says.len() + says.len() > MAX_MESSAGE {
            return Err(Stop::too_large(MAX_MESSAGE));
        }
        let share = self.terms.room(wire.len() + says.len())?;
        match &mut message.share {
            Some(held) => held.merge(share),
            none => *none = Some(share),
        }
        message.wire.extend_from_slice(wire);
        message.says.extend_from_slice(says);
        Ok(())
    }

    /// Lets a whole message pass, as it came or masked, or stops.
    fn judge(&mut self, out: &mut BytesMut) -> Result<(), Stop> {
        let Some(first) = self.message.first else {
            return Ok(());
        };
        let came = std::mem::take(&mut self.message.says).freeze();
        let says = match &self.scrub {
            Some(scrub) => Bytes::from(scrub.whole(&came)),
            None => came.clone(),
        };
        let text = first.opcode == Opcode::Text;
        if text && std::str::from_utf8(&says).is_err() {
            return Err(Stop::malformed(&FrameError::NotUtf8, self.from));
        }
        if !text && (self.asking.is_some() || self.answering.is_some()) {
            return Err(Stop::refused("a binary message is none of this protocol"));
        }
        if let Some(answering) = &mut self.answering {
            let wire = match says == came {
                true => self.message.wire.split().freeze(),
                false => websocket::text(std::str::from_utf8(&says).unwrap_or_default()),
            };
            return answering.push(says, wire, out);
        }
        let shape = match text {
            true => match &self.asking {
                Some(asking) => asking.shape(),
                None if reads_as_json(&says) => Shape::Json,
                None => Shape::Text,
            },
            false => Shape::Text,
        };
        let masks = self.terms_of(&says, shape)?;
        if !text && !masks.is_empty() {
            return Err(Stop::refused("a binary message cannot be masked"));
        }
        let masked = mask::body(&says, shape, &masks)
            .map_err(|error| Stop::refused(&format!("a message cannot be masked: {error}")))?;
        if self.from == Peer::Server {
            self.found(&masked.findings);
        }
        if masked.bytes == came {
            out.extend_from_slice(&self.message.wire);
        } else {
            let length = masked.bytes.len() as u64;
            let head = Head {
                fin: true,
                length,
                ..first
            };
            head.write_frame(&masked.bytes, out);
        }
        Ok(())
    }

    /// What has to be masked in what one end says; policy is asked again where it wants to know what was found.
    fn terms_of(&mut self, says: &Bytes, shape: Shape) -> Result<mask::Set, Stop> {
        if self.from == Peer::Server {
            return Ok(self.terms.answers());
        }
        let looked = self.terms.look(says, shape)?;
        self.found(&looked.found);
        match &mut self.asking {
            Some(asking) if shape == asking.shape() => asking.judge(says, looked),
            _ => self.terms.of(looked),
        }
    }

    fn found(&mut self, found: &[detect::Finding]) {
        for new in counted(found) {
            let same = |known: &&mut Finding| known.detector == new.detector;
            match self.findings.iter_mut().find(same) {
                Some(known) => known.count += new.count,
                None => self.findings.push(new),
            }
        }
    }
}

impl Message {
    /// Appends a frame of our own to `out`.
    fn frame(&mut self, fin: bool, says: &[u8], out: &mut BytesMut) {
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

/// Twice what model providers take in one message; a message that has to be understood is held in memory while it is.
const MAX_MESSAGE: usize = 32 << 20;
