//! One direction of a WebSocket with its two ends.
//!
//! Invariant: a step that is given up loses nothing: what has been read and not written is written by the next.

use std::io;

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::direction::Direction;
use super::talk::{Judging, Verdict};
use super::terms::Stop;
use crate::pipeline::ConnectionError;
use crate::record::{Finding, Outcome, Usage};

/// From one end to the other.
pub(super) struct Leg {
    from: ReadHalf<TokioIo<Upgraded>>,
    to: WriteHalf<TokioIo<Upgraded>>,
    direction: Direction,
    input: BytesMut,
    out: BytesMut,
    /// What is being decided before anything more goes on.
    judging: Option<Judging>,
    /// How much was read meanwhile.
    ahead: usize,
    over: bool,
}

/// What came of reading once.
pub(super) enum Step {
    /// Something passed, or is held.
    Passed,
    /// A close frame passed.
    Closed,
    /// The end that is read is gone.
    Gone,
    /// The end that is written to is gone.
    Unheard,
    /// Nothing more may pass.
    Stop(Stop),
}

enum Next {
    Read(io::Result<usize>),
    Judged(Result<Verdict, ConnectionError>),
}

impl Leg {
    pub(super) fn new(
        from: ReadHalf<TokioIo<Upgraded>>,
        to: WriteHalf<TokioIo<Upgraded>>,
        direction: Direction,
    ) -> Self {
        Self {
            from,
            to,
            direction,
            input: BytesMut::new(),
            out: BytesMut::new(),
            judging: None,
            ahead: 0,
            over: false,
        }
    }

    pub(super) fn direction(&self) -> &Direction {
        &self.direction
    }

    pub(super) fn findings(&mut self) -> Vec<Finding> {
        self.direction.findings()
    }

    /// Tokens that a model counted, and what was masked in what it said.
    pub(super) fn summarise(&mut self, outcome: Outcome) -> (Option<Usage>, Vec<Finding>) {
        self.direction.summarise(outcome)
    }

    /// What the end that is read has to be told of what it sent.
    pub(super) fn told(&mut self) -> BytesMut {
        self.direction.told()
    }

    /// Tells the end that is written to something of our own, behind what has passed: where messages are held until they are whole, that
    /// is between two of them.
    pub(super) fn tell(&mut self, frames: &[u8]) {
        self.out.extend_from_slice(frames);
    }

    /// Whether it has ended.
    pub(super) fn over(&self) -> bool {
        self.over
    }

    /// Passes on what comes with the next read.
    pub(super) async fn step(&mut self) -> Step {
        let step = self.pass().await;
        self.over = !matches!(step, Step::Passed);
        step
    }

    async fn pass(&mut self) -> Step {
        if self.flush().await.is_err() {
            return Step::Unheard;
        }
        if self.direction.closed().is_some() {
            return Step::Closed;
        }
        let went_on = match self.next().await {
            Next::Read(Ok(0) | Err(_)) => return Step::Gone,
            Next::Read(Ok(_)) => self.direction.accept(&self.input, &mut self.out),
            Next::Judged(Ok(verdict)) => self.direction.judged(verdict, &mut self.out),
            Next::Judged(Err(error)) => Err(Stop::unavailable(&error.to_string())),
        };
        if let Err(stop) = went_on {
            return Step::Stop(stop);
        }
        match self.flush().await {
            Err(_) => Step::Unheard,
            Ok(()) if self.direction.closed().is_some() => Step::Closed,
            Ok(()) => Step::Passed,
        }
    }

    /// The next bytes, or the verdict on what waits for one. A read that is given up has read nothing.
    async fn next(&mut self) -> Next {
        if self.judging.is_none() {
            self.judging = self.direction.judging();
            self.ahead = 0;
        }
        self.input.clear();
        self.input.reserve(READ);
        let Some(judging) = &mut self.judging else {
            return Next::Read(self.from.read_buf(&mut self.input).await);
        };
        let next = tokio::select! {
            verdict = judging => Next::Judged(verdict),
            read = self.from.read_buf(&mut self.input), if self.ahead < MAX_AHEAD => Next::Read(read),
        };
        match &next {
            Next::Judged(_) => self.judging = None,
            Next::Read(read) => self.ahead += read.as_ref().copied().unwrap_or(0),
        }
        next
    }

    /// Ends it with a close frame, where one has not passed and can be understood; whether its end has one now.
    pub(super) async fn end(&mut self, close: &Bytes) -> bool {
        self.over = true;
        let told = self.direction.may_close();
        if told {
            self.out.extend_from_slice(close);
        }
        let flushed = self.flush().await;
        flushed.is_ok() && (told || self.direction.closed().is_some())
    }

    /// Reads on until the end that is read has closed too, or is gone.
    pub(super) async fn drain(&mut self) {
        while self.direction.closed().is_none()
            && matches!(self.read().await, Ok(1..))
            && !self.direction.discard(&self.input)
        {}
    }

    /// Tells the end that is written to that nothing more comes.
    pub(super) async fn shut(&mut self) {
        drop(self.to.shutdown().await);
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input.clear();
        self.input.reserve(READ);
        self.from.read_buf(&mut self.input).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            self.to.write_buf(&mut self.out).await?;
        }
        self.to.flush().await
    }
}

/// What is said while a person decides; pings have to be heard meanwhile.
const MAX_AHEAD: usize = 8 << 20;
/// One TLS record.
const READ: usize = 16 * 1024;
