//! An answer that passes as it came, searched on its way for values that somebody wants to hear of.
//!
//! Invariant: what may still become a finding does not leave before it is one, or none.

use bytes::{Bytes, BytesMut};

use crate::mask::{self, Passing};

/// Bytes of an answer, and as much of them as its search has let go of.
pub(in crate::pipeline) struct Watch {
    set: mask::Set,
    passing: Passing,
    held: BytesMut,
    /// The start of a character whose rest has not come.
    begun: usize,
}

impl Watch {
    pub(super) fn new(set: mask::Set) -> Self {
        Self {
            set,
            passing: Passing::default(),
            held: BytesMut::new(),
            begun: 0,
        }
    }

    /// Takes the next bytes; those leave that are searched.
    pub(super) fn push(&mut self, data: &[u8], last: bool) -> Bytes {
        let from = self.held.len() - self.begun;
        self.held.extend_from_slice(data);
        let mut chunks = self.held[from..].utf8_chunks().peekable();
        self.begun = 0;
        while let Some(chunk) = chunks.next() {
            self.passing.push(chunk.valid(), &self.set);
            let invalid = chunk.invalid();
            let ends = chunks.peek().is_none();
            if invalid.is_empty() {
                continue;
            }
            if ends && !last && is_begun(invalid) {
                self.begun = invalid.len();
            } else {
                self.passing.interrupt(invalid.len(), &self.set);
            }
        }
        if last {
            self.passing.interrupt(0, &self.set);
        }
        let leaves = self.passing.take();
        self.held.split_to(leaves).freeze()
    }
}

/// Whether more bytes could make this a character.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::detect::Finding;
    use crate::mask::Witness;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Witness for Heard {
        fn saw(&self, finding: &Finding, value: &str) {
            let told = format!("{}: {value}", finding.detector);
            self.0.lock().unwrap().push(told);
        }
    }

    fn watched() -> (Watch, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let set = mask::Set::default().told(Some(Arc::clone(&heard) as Arc<dyn Witness>));
        (Watch::new(set), heard)
    }

    #[test]
    fn bytes_pass_as_they_came_and_values_are_heard_of_before_they_leave() {
        let token = ["AK", "IA", "Q3EGTNR7XMS2KDLP"].concat();
        let mut says =
            format!("{{\"mail\": \"anna.smith@corp.com\", \"na\u{ef}ve\": \"{token}\"}}")
                .into_bytes();
        says.extend_from_slice(b"\xff\xfe\xe2\x82 4111 1111 1111 1111\xe2\x82");
        let all = [
            "email: anna.smith@corp.com".to_owned(),
            format!("aws-key: {token}"),
            "credit-card: 4111 1111 1111 1111".to_owned(),
        ];
        for cut in 0..=says.len() {
            let (mut watch, heard) = watched();
            let mut out = watch.push(&says[..cut], false).to_vec();
            let early = String::from_utf8_lossy(&out).into_owned();
            for told in &all {
                let (_, value) = told.split_once(": ").unwrap();
                let left = early.contains(value);
                assert!(!left || heard.0.lock().unwrap().contains(told), "{cut}");
            }
            out.extend_from_slice(&watch.push(&says[cut..], false));
            out.extend_from_slice(&watch.push(&[], true));
            assert_eq!(out, says, "{cut}");
            assert_eq!(*heard.0.lock().unwrap(), all, "{cut}");
        }
    }

    #[test]
    fn what_cannot_become_a_value_does_not_wait() {
        let (mut watch, _) = watched();
        assert_eq!(
            watch.push(b"The answer is 42. ", false),
            "The answer is 42. "
        );
        assert_eq!(watch.push(b"Mail anna.sm", false), "Mail ");
        assert_eq!(watch.push(b"", true), "anna.sm");
    }
}
