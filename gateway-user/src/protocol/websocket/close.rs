//! Close frames (RFC 6455, 5.5.1 and 7.4).

use bytes::{Bytes, BytesMut};

use super::{FrameError, Head, Opcode};

/// Codes that Tollgate closes with.
pub mod code {
    /// The gateway shuts down, or has waited long enough.
    pub const GOING_AWAY: u16 = 1001;
    /// Bytes that are no frames.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A text that is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// Policy does not permit what was sent.
    pub const POLICY: u16 = 1008;
    /// A message is larger than what is inspected.
    pub const TOO_LARGE: u16 = 1009;
    /// The gateway has no room for it now.
    pub const TRY_AGAIN: u16 = 1013;
}

/// What a close frame says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    /// Why, by number; a close frame may have none.
    pub code: Option<u16>,
    /// Why, in words.
    pub reason: String,
}

impl Close {
    /// Reads the payload of a close frame, unmasked.
    ///
    /// # Errors
    /// Half a code, a code that must not be sent, a reason that is not UTF-8.
    pub fn read(payload: &[u8]) -> Result<Self, FrameError> {
        if payload.is_empty() {
            return Ok(Self::default());
        }
        let (code, reason) = payload.split_first_chunk().ok_or(FrameError::HalfCode)?;
        let code = u16::from_be_bytes(*code);
        // 1004 to 1006 and 1015 are never sent; what IANA has not given out is not used.
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(FrameError::Code(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
        Ok(Self {
            code: Some(code),
            reason: reason.to_owned(),
        })
    }

    /// The frame; one that goes to a server has a mask. A reason that is too long is cut.
    #[must_use]
    pub fn frame(&self, mask: Option<[u8; 4]>) -> Bytes {
        let mut payload = BytesMut::new();
        if let Some(code) = self.code {
            payload.extend_from_slice(&code.to_be_bytes());
            let end = self.reason.floor_char_boundary(LONGEST_REASON);
            payload.extend_from_slice(&self.reason.as_bytes()[..end]);
        }
        let head = Head {
            fin: true,
            compressed: false,
            opcode: Opcode::Close,
            mask,
            length: payload.len() as u64,
        };
        let mut frame = BytesMut::new();
        head.write_frame(&payload, &mut frame);
        frame.freeze()
    }
}

/// The payload of a control frame has 125 bytes, the code two of them.
const LONGEST_REASON: usize = 123;
