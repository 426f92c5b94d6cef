//! The head of a frame (RFC 6455, 5.2), read and written.

use bytes::{BufMut, BytesMut};

use super::code;

/// What comes before the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether it ends its message.
    pub fin: bool,
    /// Whether its message is compressed (RFC 7692).
    pub compressed: bool,
    /// What it is.
    pub opcode: Opcode,
    /// The key a client's payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// How long the payload is.
    pub length: u64,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "these are the names of the RFC")]
pub enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// Who sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Who opened the WebSocket; masks what it sends.
    Client,
    /// Who accepted it.
    Server,
}

/// Bytes that are no frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum FrameError {
    #[error("a frame has reserved bits set")]
    Reserved,
    #[error("a frame has opcode {0:#x}, which is not defined")]
    Opcode(u8),
    #[error("a frame of the client is not masked")]
    Unmasked,
    #[error("a frame of the server is masked")]
    Masked,
    #[error("a control frame is fragmented or longer than 125 bytes")]
    Control,
    #[error("a length is not in its shortest form")]
    Length,
    #[error("a frame has {0} bytes")]
    TooLarge(u64),
    #[error("a continuation continues nothing")]
    Continuation,
    #[error("a message begins inside another")]
    Interleaved,
    #[error("a close frame has half a code")]
    HalfCode,
    #[error("{0} is not a code to close with")]
    Code(u16),
    #[error("a text is not UTF-8")]
    NotUtf8,
}

impl Head {
    /// Reads a head from the start of `bytes`, and how long it is; `None` while it is not whole. `compression` is whether the
    /// handshake agreed on it.
    ///
    /// # Errors
    /// [`FrameError`], as soon as the byte is there that is wrong.
    pub fn read(
        bytes: &[u8],
        from: Peer,
        compression: bool,
    ) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let opcode = Opcode::read(first & 0x0f)?;
        let fin = first & FIN != 0;
        let compressed = first & COMPRESSED != 0;
        let begins = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & OTHER_RESERVED != 0 || compressed && !(compression && begins) {
            return Err(FrameError::Reserved);
        }
        if opcode.is_control() && !fin {
            return Err(FrameError::Control);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let masked = second & MASKED != 0;
        match (from, masked) {
            (Peer::Client, false) => return Err(FrameError::Unmasked),
            (Peer::Server, true) => return Err(FrameError::Masked),
            _ => {}
        }
        let short = second & !MASKED;
        if opcode.is_control() && short > LONGEST_SHORT {
            return Err(FrameError::Control);
        }
        let Some((length, rest)) = length(short, rest)? else {
            return Ok(None);
        };
        let (mask, rest) = match (masked, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((key, rest))) => (Some(*key), rest),
            (true, None) => return Ok(None),
        };
        let head = Self {
            fin,
            compressed,
            opcode,
            mask,
            length,
        };
        Ok(Some((head, bytes.len() - rest.len())))
    }

    /// Appends the head to `out`.
    pub fn write(&self, out: &mut BytesMut) {
        let fin = if self.fin { FIN } else { 0 };
        let compressed = if self.compressed { COMPRESSED } else { 0 };
        out.put_u8(fin | compressed | self.opcode.bits());
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(short), _) if short <= LONGEST_SHORT => out.put_u8(masked | short),
            (_, Ok(long)) => {
                out.put_u8(masked | TWO_BYTES);
                out.put_u16(long);
            }
            _ => {
                out.put_u8(masked | EIGHT_BYTES);
                out.put_u64(self.length);
            }
        }
        if let Some(mask) = self.mask {
            out.put_slice(&mask);
        }
    }

    /// Appends a whole frame to `out`: the head, and `payload`, which is as long as the head says, masked with its key.
    pub fn write_frame(&self, payload: &[u8], out: &mut BytesMut) {
        self.write(out);
        let start = out.len();
        out.put_slice(payload);
        if let Some(mask) = self.mask {
            toggle(mask, 0, &mut out[start..]);
        }
    }
}

impl Opcode {
    fn read(bits: u8) -> Result<Self, FrameError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            other => return Err(FrameError::Opcode(other)),
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    /// Whether it stands by itself, also between the frames of a message.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl FrameError {
    /// The code to close with.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::TooLarge(_) => code::TOO_LARGE,
            Self::NotUtf8 => code::NOT_UTF8,
            _ => code::PROTOCOL_ERROR,
        }
    }
}

/// Masks a payload, or takes its mask off; `offset` is how much of the frame's payload came before.
pub fn toggle(mut mask: [u8; 4], offset: usize, payload: &mut [u8]) {
    mask.rotate_left(offset % 4);
    let (words, rest) = payload.as_chunks_mut::<4>();
    let key = u32::from_ne_bytes(mask);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask) {
        *byte ^= key;
    }
}

/// The length that `short` says or announces.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, FrameError> {
    let (length, rest, shortest) = match short {
        TWO_BYTES => match rest.split_first_chunk() {
            Some((long, rest)) => (
                u64::from(u16::from_be_bytes(*long)),
                rest,
                u64::from(LONGEST_SHORT),
            ),
            None => return Ok(None),
        },
        EIGHT_BYTES => match rest.split_first_chunk() {
            Some((long, rest)) => (u64::from_be_bytes(*long), rest, u64::from(u16::MAX)),
            None => return Ok(None),
        },
        short => return Ok(Some((u64::from(short), rest))),
    };
    if length <= shortest {
        return Err(FrameError::Length);
    }
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    Ok(Some((length, rest)))
}

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const OTHER_RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
/// The longest length that fits into the second byte.
const LONGEST_SHORT: u8 = 125;
const TWO_BYTES: u8 = 126;
const EIGHT_BYTES: u8 = 127;
/// No server takes a message near this; what announces more is out of step.
pub(super) const MAX_FRAME: u64 = 1 << 30;
