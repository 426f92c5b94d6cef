//! What was said in one direction, as far as it is kept: the first [`LIMIT`] bytes, and whether there was more.

use serde::{Deserialize, Serialize};

use super::error::LedgerError;

/// The decoded bytes of one direction, collected chunk by chunk.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    kept: Vec<u8>,
    total: u64,
}

/// A finished transcript as it lies in the ledger.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Body {
    /// Travels beside the JSON of the rest.
    #[serde(skip)]
    pub(super) zstd: Vec<u8>,
    /// Bytes that were said, kept or not.
    pub(super) total: u64,
    pub(super) truncated: bool,
}

impl Transcript {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let room = LIMIT - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.total += chunk.len() as u64;
    }

    /// Compresses what was kept; nothing said is nothing stored.
    pub(super) fn finish(self) -> Option<Body> {
        if self.total == 0 {
            return None;
        }
        let truncated = self.total > self.kept.len() as u64;
        match zstd::bulk::compress(&self.kept, LEVEL) {
            Ok(zstd) => Some(Body {
                zstd,
                total: self.total,
                truncated,
            }),
            Err(error) => {
                // The outcome still has to be written; an empty body marked as cut says that something is missing.
                tracing::error!(%error, "a transcript cannot be compressed and is left out of the ledger");
                Some(Body {
                    zstd: Vec::new(),
                    total: self.total,
                    truncated: true,
                })
            }
        }
    }
}

/// The kept bytes of a stored body as text; bytes that are no UTF-8 become U+FFFD.
pub(super) fn text(zstd: &[u8], id: &str) -> Result<String, LedgerError> {
    if zstd.is_empty() {
        return Ok(String::new());
    }
    let bytes = zstd::bulk::decompress(zstd, LIMIT).map_err(|_| LedgerError::Damaged {
        id: id.to_owned(),
        field: "body",
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Enough for a long conversation; a bound on what one exchange can hold in memory and add to the file.
pub(super) const LIMIT: usize = 1 << 20;

/// The library's own default: better levels cost more time than they save space on short JSON.
const LEVEL: i32 = 3;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn keeps_the_beginning_and_says_so() {
        let mut transcript = Transcript::default();
        for _ in 0..1025 {
            transcript.push(&[b'a'; 1024]);
        }
        let body = transcript.finish().unwrap();
        assert!(body.truncated);
        assert_eq!(body.total, 1025 * 1024);
        assert_eq!(text(&body.zstd, "x").unwrap().len(), LIMIT);
    }

    #[test]
    fn exactly_the_limit_is_whole() {
        let mut transcript = Transcript::default();
        transcript.push(&vec![b'a'; LIMIT]);
        assert!(!transcript.finish().unwrap().truncated);
    }

    #[test]
    fn nothing_said_is_nothing_stored() {
        assert!(Transcript::default().finish().is_none());
    }

    #[test]
    fn any_bytes_become_text() {
        let mut transcript = Transcript::default();
        transcript.push(b"caf\xc3");
        transcript.push(b"\xa9 \xff");
        let body = transcript.finish().unwrap();
        assert_eq!(text(&body.zstd, "x").unwrap(), "café \u{fffd}");
        assert!(text(b"not zstd", "x").is_err());
    }
}
