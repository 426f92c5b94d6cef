//! One direction of a WebSocket: what becomes of each frame.
//!
//! In: what one end sends, cut anywhere. Out: what the other end gets, or why nothing more may pass. Where nothing has to be looked
//! for, frames pass as they come. Echoes of a held credential are taken out as they pass, in frames of our own. Where policy masks or
//! reads findings, a message is held until it is whole, then passes as it came, or masked as one frame, or not at all.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::answering::Answering;
use super::asking::{Asking, Judged};
use super::message::{Message, Passed, Whole};
use super::talk::{Judging, Verdict};
use super::terms::{Stop, Terms};
use crate::keeper::Scrub;
use crate::mask::{self, Shape};
use crate::pipeline::inspect::counted;
use crate::pipeline::shape::reads_as_json;
use crate::protocol::websocket::{
    self, Close, FrameError, Head, Opcode, Peer, Piece, Reader, toggle,
};
use crate::record::{Finding, Outcome, Usage};

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
    /// A message that waits for a verdict, and what finds that; what came behind it; what its sender is told.
    waits: Option<(Whole, Option<Judging>)>,
    behind: VecDeque<Whole>,
    told: BytesMut,
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
            waits: None,
            behind: VecDeque::new(),
            told: BytesMut::new(),
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
        if let Some((_, verdict)) = &mut self.waits {
            return verdict.take();
        }
        self.answering.as_mut()?.judging()
    }

    /// That is decided.
    pub(super) fn judged(&mut self, verdict: Verdict, out: &mut BytesMut) -> Result<(), Stop> {
        match (verdict, self.waits.take()) {
            (Verdict::Calls(judged), _) => match &mut self.answering {
                Some(answering) => return answering.judged(judged, out),
                None => return Ok(()),
            },
            (Verdict::Asked(masks, settings), Some((whole, _))) => {
                let Some(asking) = &mut self.asking else {
                    return Ok(());
                };
                asking.settle_on(settings);
                let shape = asking.shape();
                self.pass(&whole, shape, &masks, out)?;
            }
            (Verdict::Told(event), _) => self.told.extend_from_slice(&event),
            (Verdict::Asked(..), None) => {}
        }
        while self.waits.is_none()
            && let Some(next) = self.behind.pop_front()
        {
            self.decide(next, out)?;
        }
        Ok(())
    }

    /// What whoever sends has to hear of it.
    pub(super) fn told(&mut self) -> BytesMut {
        self.told.split()
    }

    /// Tokens that a model counted, and what was masked in what it said; it has nothing more to say.
    pub(super) fn summarise(&mut self, outcome: Outcome) -> (Option<Usage>, Vec<Finding>) {
        let answering = self.answering.take();
        let summary = answering.map(|answering| answering.summarise(outcome));
        summary.unwrap_or_default()
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
            return message.hold(&self.terms, wire, &[]);
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
            self.message.hold(&self.terms, wire, &says)?;
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

    /// A message is whole: it passes, waits, or ends it all.
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
        let wire = (says == came).then(|| self.message.wire.split().freeze());
        if let Some(answering) = &mut self.answering {
            let own = || websocket::text(std::str::from_utf8(&says).unwrap_or_default());
            let wire = wire.unwrap_or_else(own);
            return answering.push(says, wire, out);
        }
        let whole = Whole {
            first,
            says,
            wire,
            _share: self.message.share.take(),
        };
        if self.waits.is_some() {
            self.behind.push_back(whole);
            return Ok(());
        }
        self.decide(whole, out)
    }

    /// Lets a whole message pass, as it came or masked, or has it wait for a verdict.
    fn decide(&mut self, whole: Whole, out: &mut BytesMut) -> Result<(), Stop> {
        let says = &whole.says;
        let shape = match whole.first.opcode == Opcode::Text {
            true => match &self.asking {
                Some(asking) => asking.shape(),
                None if reads_as_json(says) => Shape::Json,
                None => Shape::Text,
            },
            false => Shape::Text,
        };
        if self.from == Peer::Client
            && let Some(asking) = &mut self.asking
        {
            let looked = self.terms.look(says, shape)?;
            let found = counted(&looked.found);
            match asking.judge(says, looked)? {
                Judged::Passes(masks) => {
                    self.found(found);
                    return self.pass(&whole, shape, &masks, out);
                }
                Judged::Waits(verdict) => {
                    self.waits = Some((whole, Some(verdict)));
                    return Ok(());
                }
            }
        }
        let masks = self.terms_of(says, shape)?;
        self.pass(&whole, shape, &masks, out)
    }

    fn pass(
        &mut self,
        whole: &Whole,
        shape: Shape,
        masks: &mask::Set,
        out: &mut BytesMut,
    ) -> Result<(), Stop> {
        if whole.first.opcode != Opcode::Text && !masks.is_empty() {
            return Err(Stop::refused("a binary message cannot be masked"));
        }
        let masked = mask::body(&whole.says, shape, masks)
            .map_err(|error| Stop::refused(&format!("a message cannot be masked: {error}")))?;
        if self.from == Peer::Server {
            self.found(counted(&masked.findings));
        }
        whole.pass(&masked.bytes, out);
        Ok(())
    }

    /// What has to be masked in what one end says; policy is asked again where it wants to know what was found.
    fn terms_of(&mut self, says: &Bytes, shape: Shape) -> Result<mask::Set, Stop> {
        if self.from == Peer::Server {
            return Ok(self.terms.answers());
        }
        let looked = self.terms.look(says, shape)?;
        self.found(counted(&looked.found));
        self.terms.of(looked)
    }

    fn found(&mut self, found: Vec<Finding>) {
        for new in found {
            let same = |known: &&mut Finding| known.detector == new.detector;
            match self.findings.iter_mut().find(same) {
                Some(known) => known.count += new.count,
                None => self.findings.push(new),
            }
        }
    }
}
