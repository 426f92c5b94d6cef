//! Content codings: what stands between the bytes of a body and what they say (RFC 9110, 8.4).
//!
//! In: headers, and pieces of a coded body cut anywhere. Out: decoded pieces of at most [`STEP`] bytes, so that a few bytes cannot
//! become many before somebody has room for them. Invariants: the output does not depend on the cuts; what a decoder could have said
//! with the bytes so far it has said, so that streams flow; a body that ends early or goes on behind its end is an error. Fails as
//! [`CodingError`]. Sources: RFC 1950 to 1952, RFC 7932 (windows of at most 16 MiB), RFC 8878, RFC 9659 (of at most 8 MiB).

use std::io;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::BytesMut;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};
use zstd::stream::raw::{DParameter, Operation};

/// A coding that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, `x-gzip`; may have several members.
    Gzip,
    /// `deflate`: with the zlib wrapper as specified, or bare as some send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`; may have several frames.
    Zstd,
}

/// A body that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CodingError {
    #[error("content coding {0:?} is not understood: use gzip, br, zstd, deflate or none")]
    Unknown(String),
    #[error("several content codings on one body are not understood: use one")]
    Several,
    #[error("the body is not what its content coding says")]
    Corrupt,
    #[error("the coded body ends early")]
    Truncated,
    #[error("something stands behind the end of the coded body")]
    Trailing,
    #[error("the coded body grows more than {MAX_RATIO} times")]
    Ratio,
    #[error("the decoder cannot be set up: {0}")]
    Setup(io::Error),
}

/// The coding of a body; `None` is identity.
///
/// # Errors
/// More than one coding, or one that is not understood.
pub fn of(headers: &HeaderMap) -> Result<Option<Coding>, CodingError> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let name = name.trim_ascii().to_ascii_lowercase();
            codings.push(match name.as_slice() {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Coding::Gzip,
                b"deflate" => Coding::Deflate,
                b"br" => Coding::Brotli,
                b"zstd" => Coding::Zstd,
                _ => {
                    let shown = &name[..name.len().min(MAX_SHOWN)];
                    return Err(CodingError::Unknown(
                        String::from_utf8_lossy(shown).into_owned(),
                    ));
                }
            });
        }
    }
    match codings.as_slice() {
        [] => Ok(None),
        [coding] => Ok(Some(*coding)),
        _ => Err(CodingError::Several),
    }
}

/// Decodes one body.
pub struct Decoder {
    engine: Engine,
    /// The bytes so far are a whole body.
    whole: bool,
    /// There may be more to say without another byte.
    pending: bool,
    read: u64,
    written: u64,
}

enum Engine {
    Gzip(Decompress),
    /// The first byte of two that tell whether there is a zlib wrapper.
    Undecided(Option<u8>),
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(zstd::stream::raw::Decoder<'static>),
}

impl Decoder {
    /// A decoder that has read nothing.
    ///
    /// # Errors
    /// The library has no memory for it.
    pub fn new(coding: Coding) -> Result<Self, CodingError> {
        let engine = match coding {
            Coding::Gzip => Engine::Gzip(Decompress::new_gzip(WINDOW_BITS)),
            Coding::Deflate => Engine::Undecided(None),
            Coding::Brotli => Engine::Brotli(Box::new(BrotliState::new_strict(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(CodingError::Setup)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .map_err(CodingError::Setup)?;
                Engine::Zstd(decoder)
            }
        };
        Ok(Self {
            engine,
            whole: false,
            pending: false,
            read: 0,
            written: 0,
        })
    }

    /// Whether [`Self::step`] may have more to say without another byte.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.pending
    }

    /// Takes bytes from the front of `input` and appends at most [`STEP`] bytes to `out`. Is called until `input` is empty and
    /// nothing is pending.
    ///
    /// # Errors
    /// The bytes are not of this coding, or go on behind its end.
    pub fn step(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<(), CodingError> {
        if let Engine::Undecided(first) = self.engine {
            return self.choose(first, input, out);
        }
        let start = out.len();
        out.resize(start + STEP, 0);
        let stepped = self.run(input, &mut out[start..]);
        let (used, made) = stepped
            .as_ref()
            .map_or((0, 0), |(used, made)| (*used, *made));
        out.truncate(start + made);
        stepped?;
        *input = &input[used..];
        self.read += used as u64;
        self.written += made as u64;
        self.pending = made == STEP;
        // A decoder that does nothing with what it has would be asked for ever.
        if used == 0 && made == 0 && !input.is_empty() {
            return Err(CodingError::Corrupt);
        }
        Ok(())
    }

    /// Whether more came out than anybody compresses in earnest; for bodies that are held in memory.
    ///
    /// # Errors
    /// It did.
    pub fn in_proportion(&self) -> Result<(), CodingError> {
        let allowed = self.read.saturating_mul(MAX_RATIO).max(RATIO_FLOOR);
        if self.written > allowed {
            return Err(CodingError::Ratio);
        }
        Ok(())
    }

    /// Whether the body was whole. No byte at all is a whole, empty body.
    ///
    /// # Errors
    /// It was not.
    pub fn finish(&self) -> Result<(), CodingError> {
        let nothing = self.read == 0 && !matches!(self.engine, Engine::Undecided(Some(_)));
        if self.whole || nothing {
            Ok(())
        } else {
            Err(CodingError::Truncated)
        }
    }

    /// The zlib wrapper starts with two bytes that are a multiple of 31 and name method 8; no bare stream that encoders make does.
    fn choose(
        &mut self,
        first: Option<u8>,
        input: &mut &[u8],
        out: &mut BytesMut,
    ) -> Result<(), CodingError> {
        let Some((&byte, rest)) = input.split_first() else {
            return Ok(());
        };
        *input = rest;
        let Some(first) = first else {
            self.engine = Engine::Undecided(Some(byte));
            return Ok(());
        };
        let wrapped = first & 0x0f == 8 && u16::from_be_bytes([first, byte]).is_multiple_of(31);
        self.engine = Engine::Deflate(Decompress::new(wrapped));
        let head = [first, byte];
        let mut head = head.as_slice();
        while !head.is_empty() {
            self.step(&mut head, out)?;
        }
        Ok(())
    }

    /// How many bytes were used and made.
    fn run(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), CodingError> {
        let more = !input.is_empty();
        match &mut self.engine {
            Engine::Undecided(_) => Ok((0, 0)),
            Engine::Gzip(gzip) => {
                if self.whole && more {
                    *gzip = Decompress::new_gzip(WINDOW_BITS);
                    self.whole = false;
                }
                inflate(gzip, input, out, &mut self.whole)
            }
            Engine::Deflate(deflate) => {
                if self.whole {
                    return if more {
                        Err(CodingError::Trailing)
                    } else {
                        Ok((0, 0))
                    };
                }
                inflate(deflate, input, out, &mut self.whole)
            }
            Engine::Brotli(state) => {
                if self.whole {
                    return if more {
                        Err(CodingError::Trailing)
                    } else {
                        Ok((0, 0))
                    };
                }
                let (mut left, mut used, mut room, mut made) = (input.len(), 0, out.len(), 0);
                let result = BrotliDecompressStream(
                    &mut left, &mut used, input, &mut room, &mut made, out, &mut 0, state,
                );
                match result {
                    BrotliResult::ResultFailure => return Err(CodingError::Corrupt),
                    BrotliResult::ResultSuccess => self.whole = true,
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                }
                Ok((used, made))
            }
            Engine::Zstd(zstd) => {
                if !more && !self.pending {
                    return Ok((0, 0));
                }
                let status = zstd
                    .run_on_buffers(input, out)
                    .map_err(|_| CodingError::Corrupt)?;
                self.whole = status.remaining == 0;
                Ok((status.bytes_read, status.bytes_written))
            }
        }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

fn inflate(
    state: &mut Decompress,
    input: &[u8],
    out: &mut [u8],
    whole: &mut bool,
) -> Result<(usize, usize), CodingError> {
    let (read, written) = (state.total_in(), state.total_out());
    let status = state
        .decompress(input, out, FlushDecompress::None)
        .map_err(|_| CodingError::Corrupt)?;
    *whole = matches!(status, Status::StreamEnd);
    let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(usize::MAX);
    Ok((
        count(state.total_in(), read),
        count(state.total_out(), written),
    ))
}

/// What comes out of one step at most: as much as a read from a socket brings.
pub const STEP: usize = 64 * 1024;
/// Prompts of repeated text stay below 100; gzip can do 1,000 and the others any number.
const MAX_RATIO: u64 = 256;
/// Below this nothing is a bomb.
const RATIO_FLOOR: u64 = 1 << 20;
/// The largest window of deflate.
const WINDOW_BITS: u8 = 15;
/// 8 MiB, which RFC 9659 makes the limit of HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;
/// More of a client's text does not belong into errors.
const MAX_SHOWN: usize = 32;

#[cfg(test)]
mod tests;
