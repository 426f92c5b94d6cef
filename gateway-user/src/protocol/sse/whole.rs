//! A stream cut into whole events: what goes out ends at the end of an event, so that another can follow; and one kind is taken out.

use bytes::Bytes;
use serde_json::Value;

use super::{Event, SseError};
use crate::protocol::frames::{Framer, Framing};

/// Holds the beginning of an event back until its end is there.
#[derive(Debug)]
pub struct Whole {
    framer: Framer,
    /// The event with the token counts goes to nobody: the client did not ask for it.
    without_counts: bool,
}

impl Whole {
    /// Nothing held. `without_counts` takes out the last chunk of an OpenAI stream, which has token counts and no choices.
    #[must_use]
    pub fn new(framing: Framing, without_counts: bool) -> Self {
        Self {
            framer: Framer::new(framing, MAX_EVENT),
            without_counts,
        }
    }

    /// Takes the next bytes, and gives what of the stream is whole.
    ///
    /// # Errors
    /// The stream cannot be read further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Bytes, SseError> {
        let mut events = Vec::new();
        self.framer.push(bytes, &mut events)?;
        Ok(self.kept(&events))
    }

    /// Ends the stream, and gives what is left of it, but for the beginning of a message without its end.
    pub fn finish(&mut self) -> Bytes {
        let mut events = Vec::new();
        let _ = self.framer.finish(&mut events);
        self.kept(&events)
    }

    fn kept(&self, events: &[Event]) -> Bytes {
        let kept = events
            .iter()
            .filter(|event| !(self.without_counts && has_counts_alone(event)));
        let raw: Vec<&[u8]> = kept.map(|event| &*event.raw).collect();
        Bytes::from(raw.concat())
    }
}

fn has_counts_alone(event: &Event) -> bool {
    // Most events have no counts, and are not parsed for it.
    let counts = |data: &&String| data.contains("\"usage\"");
    event.data.as_ref().filter(counts).is_some_and(|data| {
        serde_json::from_str::<Value>(data).is_ok_and(|chunk| {
            chunk["usage"].is_object() && chunk["choices"].as_array().is_some_and(Vec::is_empty)
        })
    })
}

/// As much as is held of an event.
const MAX_EVENT: usize = 8 << 20;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\n: ping\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";

    fn cut(stream: &str, at: usize, without_counts: bool) -> Vec<String> {
        let mut whole = Whole::new(Framing::Events, without_counts);
        let (one, other) = stream.split_at(at);
        let pieces = [one, other].map(|piece| whole.push(piece.as_bytes()).unwrap());
        let pieces = pieces.into_iter().chain([whole.finish()]);
        pieces
            .map(|piece| String::from_utf8_lossy(&piece).into_owned())
            .collect()
    }

    #[test]
    fn only_whole_events_go_out_and_nothing_is_lost_wherever_the_stream_is_cut() {
        for at in 0..=STREAM.len() {
            let pieces = cut(STREAM, at, false);
            assert_eq!(pieces.concat(), STREAM);
            assert!(
                pieces[0].is_empty()
                    || pieces[0].ends_with("\n\n")
                    || pieces[0].ends_with("\r\n\r\n")
            );
        }
        let open = format!("{STREAM}data: open");
        assert_eq!(cut(&open, 7, false).concat(), open);
    }

    #[test]
    fn the_counts_are_taken_out_wherever_the_stream_is_cut() {
        let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let without = STREAM.replace(counts, "");
        for at in 0..=STREAM.len() {
            assert_eq!(cut(STREAM, at, true).concat(), without, "{at}");
        }
    }
}
