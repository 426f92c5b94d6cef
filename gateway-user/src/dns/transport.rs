//! Messages on TCP: two bytes of length before each (RFC 1035 4.2.2).

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Framer {
    held: Vec<u8>,
}

/// A message is longer than a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is longer than any question")]
pub struct TooLong(pub usize);

impl Framer {
    /// Takes bytes as they come, gives the messages that are whole by now.
    ///
    /// # Errors
    /// A message is longer than any question.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        self.held.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while let &[high, low, ..] = self.held.as_slice() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length > MAX_QUESTION {
                return Err(TooLong(length));
            }
            let end = PREFIX + length;
            if self.held.len() < end {
                break;
            }
            whole.push(self.held[PREFIX..end].to_vec());
            self.held.drain(..end);
        }
        Ok(whole)
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        !self.held.is_empty()
    }
}

/// A message with its length before it; nothing for one that has no length.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    match u16::try_from(message.len()) {
        Ok(length) => [&length.to_be_bytes(), message].concat(),
        Err(_) => Vec::new(),
    }
}

const PREFIX: usize = 2;
/// The longest name with its type and options is a tenth of it.
pub const MAX_QUESTION: usize = 4096;
/// Room for one datagram; one that fills it is not a question.
pub const DATAGRAM: usize = MAX_QUESTION + 1;
