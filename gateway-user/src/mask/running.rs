//! A text of any bytes that is masked while it passes.
//!
//! Invariant: what may still become a finding does not leave before it is one, or none. What is no UTF-8 in it stays, and ends what is around it.

use bytes::{Buf, BytesMut};

use super::Set;
use super::text::{Part, Text};
use crate::detect::Finding;

/// A text that is masked while it passes.
pub struct Running {
    set: Set,
    text: Option<Text>,
    /// What has come and not left.
    held: BytesMut,
    /// The start of a character whose rest has not come.
    begun: usize,
    findings: Vec<Finding>,
}

impl Running {
    /// A text in which that is masked.
    #[must_use]
    pub fn new(set: Set) -> Self {
        Self {
            set,
            text: None,
            held: BytesMut::new(),
            begun: 0,
            findings: Vec::new(),
        }
    }

    /// Takes the next bytes and appends what is settled to `out`.
    pub fn push(&mut self, data: &[u8], last: bool, out: &mut BytesMut) {
        let from = self.held.len() - self.begun;
        self.held.extend_from_slice(data);
        let new = self.held.split_off(from);
        self.begun = 0;
        let mut chunks = new.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.go_on(chunk.valid(), out);
            let invalid = chunk.invalid();
            let ends = chunks.peek().is_none();
            if invalid.is_empty() {
                continue;
            }
            if ends && !last && is_begun(invalid) {
                self.begun = invalid.len();
                self.held.extend_from_slice(invalid);
            } else {
                self.end(out);
                out.extend_from_slice(invalid);
            }
        }
        if last {
            self.end(out);
        }
    }

    /// Whether it may leave as something else than it came.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        !self.set.is_empty()
    }

    /// What was masked so far.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn go_on(&mut self, says: &str, out: &mut BytesMut) {
        self.held.extend_from_slice(says.as_bytes());
        let text = self.text.get_or_insert_with(Text::plain);
        let mut parts = Vec::new();
        text.push(says, says, &self.set, &mut self.findings, &mut parts);
        self.settle(parts, out);
    }

    fn end(&mut self, out: &mut BytesMut) {
        let mut parts = Vec::new();
        if let Some(mut text) = self.text.take() {
            text.finish(&self.set, &mut self.findings, &mut parts);
        }
        self.settle(parts, out);
    }

    fn settle(&mut self, parts: Vec<Part>, out: &mut BytesMut) {
        for part in parts {
            match part {
                Part::Keep(width) => out.extend_from_slice(&self.held.split_to(width)),
                Part::Replace(width, new) => {
                    self.held.advance(width);
                    out.extend_from_slice(new.as_bytes());
                }
            }
        }
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
    use crate::mask::Witness;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Witness for Heard {
        fn saw(&self, finding: &Finding, value: &str) {
            let told = format!("{}: {value}", finding.detector);
            self.0.lock().unwrap().push(told);
        }
    }

    fn watched() -> (Running, Arc<Heard>) {
        let heard = Arc::new(Heard::default());
        let set = Set::default().told(Some(Arc::clone(&heard) as Arc<dyn Witness>));
        (Running::new(set), heard)
    }

    fn next(text: &mut Running, data: &[u8], last: bool) -> Vec<u8> {
        let mut out = BytesMut::new();
        text.push(data, last, &mut out);
        out.to_vec()
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
            let mut out = next(&mut watch, &says[..cut], false);
            let early = String::from_utf8_lossy(&out).into_owned();
            for told in &all {
                let (_, value) = told.split_once(": ").unwrap();
                let left = early.contains(value);
                assert!(!left || heard.0.lock().unwrap().contains(told), "{cut}");
            }
            out.extend(next(&mut watch, &says[cut..], false));
            out.extend(next(&mut watch, &[], true));
            assert_eq!(out, says, "{cut}");
            assert_eq!(*heard.0.lock().unwrap(), all, "{cut}");
        }
    }

    #[test]
    fn what_is_masked_does_not_depend_on_how_the_bytes_came() {
        let says = b"card 4111 1111 1111 1111, na\xc3\xafve\xff anna.smith@corp.com\xe2\x82";
        let leaves = b"card [REDACTED:credit-card], na\xc3\xafve\xff [REDACTED:email]\xe2\x82";
        for cut in 0..=says.len() {
            let mut text = Running::new(Set::all());
            let mut out = next(&mut text, &says[..cut], false);
            assert!(leaves.starts_with(&out), "{cut}");
            out.extend(next(&mut text, &says[cut..], false));
            out.extend(next(&mut text, &[], true));
            assert_eq!(out, leaves, "{cut}");
            assert_eq!(text.findings().len(), 2, "{cut}");
        }
    }

    #[test]
    fn what_cannot_become_a_value_does_not_wait() {
        let mut text = Running::new(Set::all());
        let said = next(&mut text, b"The answer is 42. ", false);
        assert_eq!(said, b"The answer is 42. ");
        assert_eq!(next(&mut text, b"Mail anna.sm", false), b"Mail ");
        assert_eq!(next(&mut text, b"", true), b"anna.sm");
    }
}
