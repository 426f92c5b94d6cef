//! The spool before the store: steps are appended to a file at once, and reach SQLite later, many at a time.
//!
//! In: steps, in order. Out: their numbers; at the next start, those that the store has not seen. A write(2) that returned is in the
//! page cache and survives the death of this process, so a step is on record as soon as [`Spool::append`] returns. A power loss may
//! take the last ones, as it may take the last commits of a store in WAL mode.
//!
//! Two files take turns: the one not written to is emptied once the store has everything in it. A frame is
//! `length: u32, check: [u8; 8], number: u64, steps: u32, request: u32, JSON, request, answer`, little endian; `check` is the
//! beginning of the SHA-256 of what follows it. A frame that a kill cut short is the last one of its file, and nobody was told that it
//! is on record. A failed append (ENOSPC, EIO) leaves the end where it was, and the next one begins there again.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;

use super::error::LedgerError;
use super::step::Step;
use super::store::{beside, prepare, private_file};

/// The two files.
#[derive(Debug)]
pub(super) struct Spool {
    files: [Segment; 2],
    active: usize,
    next: u64,
    /// The last number that the store has; the writer moves it.
    applied: Arc<AtomicU64>,
    frame: Vec<u8>,
    /// Held for as long as this process writes the ledger.
    _lock: Arc<File>,
}

#[derive(Debug)]
struct Segment {
    file: File,
    length: u64,
    /// The number of the last step in it.
    last: u64,
}

impl Spool {
    /// Opens the files beside the ledger, and returns what is in them beyond `applied`, in order. They are emptied by
    /// [`Spool::clear`], once that is in the store.
    pub(super) fn open(
        ledger: &Path,
        lock: Arc<File>,
        applied: Arc<AtomicU64>,
    ) -> Result<(Self, Vec<(u64, Step)>), LedgerError> {
        let seen = applied.load(Ordering::Acquire);
        let mut left = Vec::new();
        let mut open = |suffix| {
            let path = beside(ledger, suffix);
            let file = private_file(&path)?;
            left.extend(read(&file, seen).map_err(|source| prepare(&path, source))?);
            let length = file.metadata().map_err(|source| prepare(&path, source))?;
            Ok(Segment {
                file,
                length: length.len(),
                last: u64::MAX,
            })
        };
        let files = [open(SUFFIXES[0])?, open(SUFFIXES[1])?];
        left.sort_by_key(|(number, _)| *number);
        let last = left.last().map_or(seen, |(number, _)| *number);
        let spool = Self {
            files,
            active: 0,
            next: last + 1,
            applied,
            frame: Vec::new(),
            _lock: lock,
        };
        Ok((spool, left))
    }

    /// Empties both files: the store has everything.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.files.iter_mut().try_for_each(Segment::clear)
    }

    /// Puts a step on record; its number.
    pub(super) fn append(&mut self, step: &Step) -> io::Result<u64> {
        let other = 1 - self.active;
        if self.files[self.active].length >= SEGMENT
            && self.files[other].last <= self.applied.load(Ordering::Acquire)
        {
            self.files[other].clear()?;
            self.active = other;
        }
        let segment = &mut self.files[self.active];
        if segment.length >= LIMIT {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let number = self.next;
        encode(number, step, &mut self.frame)?;
        segment.file.write_all_at(&self.frame, segment.length)?;
        segment.length += self.frame.len() as u64;
        segment.last = number;
        self.next += 1;
        Ok(number)
    }
}

impl Segment {
    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.last = 0;
        Ok(())
    }
}

fn encode(number: u64, step: &Step, frame: &mut Vec<u8>) -> io::Result<()> {
    frame.clear();
    frame.resize(HEADER, 0);
    serde_json::to_writer(&mut *frame, step)?;
    let json = frame.len() - HEADER;
    let [request, answer] = step.bodies();
    let request = request.map_or(&[][..], |body| &body.zstd);
    frame.extend_from_slice(request);
    frame.extend_from_slice(answer.map_or(&[][..], |body| &body.zstd));
    let small = |length: usize| u32::try_from(length).map_err(io::Error::other);
    let length = small(frame.len() - PREFIX)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[PREFIX..PREFIX + 8].copy_from_slice(&number.to_le_bytes());
    frame[PREFIX + 8..PREFIX + 12].copy_from_slice(&small(json)?.to_le_bytes());
    frame[PREFIX + 12..HEADER].copy_from_slice(&small(request.len())?.to_le_bytes());
    let check = check(&frame[PREFIX..]);
    frame[4..PREFIX].copy_from_slice(&check);
    Ok(())
}

/// The steps of one file after number `seen`, up to the first frame that is not whole.
fn read(file: &File, seen: u64) -> io::Result<Vec<(u64, Step)>> {
    let mut input = BufReader::new(file);
    input.seek(SeekFrom::Start(0))?;
    let (mut steps, mut before) = (Vec::new(), 0);
    while let Some(frame) = whole(&mut input)? {
        // What an aborted append left behind a shorter frame cannot pass for the next one.
        let Some((number, step)) = decode(&frame).filter(|(number, _)| *number > before) else {
            break;
        };
        before = number;
        if number > seen {
            steps.push((number, step));
        }
    }
    Ok(steps)
}

/// The next frame without its prefix, if it is whole.
fn whole(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; PREFIX];
    let mut frame = Vec::new();
    if !fill(input, &mut prefix)? {
        return Ok(None);
    }
    let [a, b, c, d, sum @ ..] = prefix;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(HEADER - PREFIX..=MAX_FRAME).contains(&length) {
        return Ok(None);
    }
    frame.resize(length, 0);
    Ok((fill(input, &mut frame)? && check(&frame) == sum).then_some(frame))
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn decode(frame: &[u8]) -> Option<(u64, Step)> {
    let (number, rest) = frame.split_first_chunk()?;
    let (json, rest) = rest.split_first_chunk()?;
    let (request, rest) = rest.split_first_chunk()?;
    let (json, rest) = rest.split_at_checked(u32::from_le_bytes(*json) as usize)?;
    let (request, answer) = rest.split_at_checked(u32::from_le_bytes(*request) as usize)?;
    let mut step: Step = serde_json::from_slice(json).ok()?;
    for (body, bytes) in step.bodies_mut().into_iter().zip([request, answer]) {
        if let Some(body) = body {
            bytes.clone_into(&mut body.zstd);
        }
    }
    Some((u64::from_le_bytes(*number), step))
}

fn check(bytes: &[u8]) -> [u8; 8] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut beginning = [0; 8];
    beginning.copy_from_slice(&digest.as_ref()[..8]);
    beginning
}

const SUFFIXES: [&str; 2] = [".spool-0", ".spool-1"];
/// Length and check.
const PREFIX: usize = 12;
/// Prefix, number, and the lengths of the JSON and of the request.
const HEADER: usize = PREFIX + 16;
/// Two transcripts that do not compress, and what is known of an exchange.
const MAX_FRAME: usize = 8 << 20;
/// A file of this size is left for the other one, when that is empty.
const SEGMENT: u64 = 4 << 20;
/// A store that is this far behind has failed; nothing goes on until it works.
const LIMIT: u64 = 256 << 20;

#[cfg(test)]
mod tests;
