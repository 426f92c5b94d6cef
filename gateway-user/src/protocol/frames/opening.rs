//! What an answer is that its content type does not tell of, by how it begins.

use serde::de::IgnoredAny;

use super::Framing;
use crate::protocol::llm::Family;
use crate::protocol::sse;

/// What an answer is, as far as its beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A stream of that.
    Stream(Framing),
    /// Text like any.
    Text,
    /// A document, which only its end makes one.
    Document,
}

impl Framing {
    /// How a model's answer is framed that its content type does not tell of, by how it begins; none if it is no stream.
    #[must_use]
    pub fn begun(body: &[u8], family: Family) -> Option<Self> {
        let text = sse::begin(body);
        if !text.is_empty() && sse::begins(body) {
            return Some(Self::Events);
        }
        match text.first() {
            Some(b'[') => (family == Family::Gemini).then_some(Self::Array),
            Some(b'{') => {
                let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                let json = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
                (!json(text) && lines.all(|line| line.is_empty() || json(line)))
                    .then_some(Self::Lines)
            }
            _ => None,
        }
    }

    /// What an answer is of which no more has come, where its content type does not tell; none while it may be several things. Elsewhere than in
    /// the answer of a model, what looks like events is text.
    #[must_use]
    pub fn opening(body: &[u8], family: Option<Family>) -> Option<Opening> {
        let text = sse::begin(body);
        if family.is_some() {
            if !text.is_empty() && sse::begins(body) {
                return Some(Opening::Stream(Self::Events));
            }
            if sse::may_begin(text) {
                return None;
            }
        }
        match text.first()? {
            b'[' if family == Some(Family::Gemini) => Some(Opening::Stream(Self::Array)),
            b'[' => Some(Opening::Document),
            b'{' => {
                let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
                    return (text.len() > MAX_LINE).then_some(Opening::Document);
                };
                let (line, more) = text.split_at(end);
                if serde_json::from_slice::<IgnoredAny>(line).is_err() {
                    return Some(Opening::Document);
                }
                let more = more.trim_ascii_start();
                (!more.is_empty()).then_some(Opening::Stream(Self::Lines))
            }
            _ => Some(Opening::Text),
        }
    }
}

/// The first line of a stream has a few hundred bytes; one of so many is taken for a document.
const MAX_LINE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_it_begins_as() {
        use Opening::{Document, Stream, Text};
        let (chat, google) = (Some(Family::OpenAiChat), Some(Family::Gemini));
        for (begin, family, expected) in [
            ("", chat, None),
            ("da", chat, None),
            ("data: {", chat, Some(Stream(Framing::Events))),
            ("\u{feff}\n: hello\n", chat, Some(Stream(Framing::Events))),
            ("data: {", None, Some(Text)),
            ("dear", chat, Some(Text)),
            ("<html>", chat, Some(Text)),
            ("[{\"a\":1}", google, Some(Stream(Framing::Array))),
            ("[{\"a\":1}", chat, Some(Document)),
            ("{\"a\":1}", chat, None),
            ("{\"a\":1}\n\n", chat, None),
            ("{\"a\":1}\n{", chat, Some(Stream(Framing::Lines))),
            ("{\"a\":1}\r\n{", None, Some(Stream(Framing::Lines))),
            ("{\n", chat, Some(Document)),
            ("{\"a\":[\n", None, Some(Document)),
        ] {
            assert_eq!(
                Framing::opening(begin.as_bytes(), family),
                expected,
                "{begin}"
            );
        }
        assert_eq!(Framing::opening(b"\xef\xbb", chat), None);
    }
}
