//! What a model's provider tells: as much of an event as the rest of the conversation depends on.
//!
//! Fails on what is no event, or could be read in two ways: an answer that nobody counted would pass with it.

use serde::Deserialize;
use serde_json::Value;

use super::terms::Stop;
use crate::protocol::llm::Family;
use crate::protocol::transcript::Usage;
use crate::protocol::{Tier, Why};
use crate::record::Outcome;

/// An event.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) response: Option<Response>,
    pub(super) session: Option<Value>,
    /// The lane that it belongs to.
    pub(super) stream_id: Option<String>,
    /// Of an error, the status that it would have over HTTP.
    status: Option<Value>,
}

/// An answer.
#[derive(Debug, Deserialize)]
pub(super) struct Response {
    usage: Option<Value>,
    service_tier: Option<Value>,
}

/// Reads an event. serde refuses a second of each member that it looks at.
pub(super) fn read(says: &[u8]) -> Result<Told, Stop> {
    serde_json::from_slice(says).map_err(|error| withheld(&error))
}

impl Told {
    /// Whether an answer begins with it.
    pub(super) fn begins(&self) -> bool {
        self.kind == "response.created" && self.response.is_some()
    }

    /// The status that it tells.
    pub(super) fn status(&self) -> Option<u16> {
        self.status.as_ref()?.as_u64()?.try_into().ok()
    }

    /// Whether nothing more comes of a response.
    pub(super) fn ends(&self) -> bool {
        ENDS.contains(&&*self.kind)
    }

    /// Whether an answer of this format ends with it, and says what it counted.
    pub(super) fn ends_in(&self, family: Family) -> bool {
        let ends = match family {
            Family::OpenAiResponses => self.ends(),
            _ => self.kind == "response.done",
        };
        ends && self.response.is_some()
    }
}

impl Response {
    /// What it counted.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.usage.as_ref()?;
        // The one of the realtime API, the other of responses.
        let details = ["input_token_details", "input_tokens_details"].map(|name| &usage[name]);
        let count = |name: &str| details.iter().find_map(|details| details[name].as_u64());
        let counted = Usage {
            input: usage["input_tokens"].as_u64(),
            output: usage["output_tokens"].as_u64(),
            cached: count("cached_tokens").unwrap_or(0),
            stored: count("cache_write_tokens").unwrap_or(0),
            hour: 0,
            tier: self.service_tier.as_ref().and_then(Tier::told),
        };
        Some(counted.within(usage["total_tokens"].as_u64()))
    }
}

/// The model has said what cannot be judged.
pub(super) fn withheld(error: &dyn std::fmt::Display) -> Stop {
    Stop {
        why: Why::Withheld,
        outcome: Outcome::Failed,
        ..Stop::refused(&format!("withheld what the model said: {error}"))
    }
}

/// After these nothing comes.
const ENDS: &[&str] = &[
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_answer_that_nobody_could_count_is_withheld() {
        let done = r#"{"type":"response.done","response":{"usage":{"input_tokens":7,"output_tokens":4,"input_token_details":{"cached_tokens":2}}}}"#;
        let told = read(done.as_bytes()).unwrap();
        let usage = told.response.unwrap().usage().unwrap();
        assert_eq!(
            (usage.input, usage.output, usage.cached),
            (Some(7), Some(4), 2)
        );
        for event in [
            r#"{"type":"response.created","response":{},"type":"x"}"#,
            r#"{"type":"response.created","response":{},"response":{}}"#,
            r#"{"type":"response.done","response":{"usage":{},"usage":{"input_tokens":1}}}"#,
            r#"{"response":{}}"#,
            r#"{"type":"response.created","response":{}"#,
            "x",
        ] {
            let stop = read(event.as_bytes()).unwrap_err();
            assert!(matches!(stop.why, Why::Withheld), "{event}");
        }
    }
}
