//! Replaces what detectors find by placeholders, in bodies and in streams of events.
//!
//! In: the bytes of a request or an answer, what they look like ([`Shape`]), and what to mask ([`Set`]). Out: the same bytes,
//! except for the string literals in which something was found. Invariants: valid JSON stays valid; a stream comes out the same
//! however it was cut; nothing leaves a stream that may still become a finding; what cannot be read is an error, never passed on.
//! Sources: RFC 8259; the streams of OpenAI chat completions, completions and responses, of its realtime API, of Anthropic messages, Gemini, Ollama and Bedrock.
//! Pure: no I/O, no clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::detect::{Detectors, Finding};
use crate::policy::{Permit, Style};
use crate::protocol::json::JsonError;
use crate::protocol::multipart::Boundary;
use crate::protocol::sse::SseError;

mod above;
mod arguments;
mod clean;
mod content;
mod document;
mod event;
pub mod head;
mod otlp;
mod parts;
mod places;
mod protobuf;
mod queue;
mod running;
mod stream;
mod surrogate;
#[cfg(test)]
mod tests;
mod text;
mod wide;

pub use clean::Clean;
pub use document::{Masked, body, findings};
pub use otlp::Signal;
pub use running::Running;
pub use stream::Stream;
pub use surrogate::{Keep, Restored, Sealed, Surrogates, Unrestored, Written, canonical};
pub use wide::Order;

/// What to mask, and what stands in its place.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// Detector ids and classes.
    names: BTreeMap<String, Style>,
    all: bool,
    detectors: Arc<Detectors>,
    surrogates: Option<Arc<Surrogates>>,
    witness: Option<Arc<dyn Witness>>,
}

/// Hears of values that are found and pass.
pub trait Witness: fmt::Debug + Send + Sync {
    /// This was found, and is not replaced. May be told of the same value more than once.
    fn saw(&self, finding: &Finding, value: &str);
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// OpenAI chat completions and completions: one JSON document, or events.
    OpenAiChat,
    /// OpenAI responses: one JSON document, or events.
    OpenAiResponses,
    /// OpenAI's realtime API: one JSON document, or messages.
    OpenAiRealtime,
    /// Anthropic messages: one JSON document, or events.
    AnthropicMessages,
    /// Gemini: one JSON document, or elements of a stream.
    Gemini,
    /// Ollama: one JSON document, or lines.
    Ollama,
    /// Cohere: one JSON document, events, or lines.
    Cohere,
    /// Mistral's conversations: one JSON document, or events.
    Mistral,
    /// Amazon Bedrock, in any model's format: one JSON document, or messages.
    Bedrock,
    /// An answer with vectors: one JSON document.
    Vectors,
    /// The parts of a form or batch, between these boundaries.
    Parts(Boundary),
    /// An export of OpenTelemetry in protocol buffers.
    Export(Signal),
    /// The same in a gRPC call.
    ExportCall(Signal),
    /// Another message in protocol buffers: it can be searched, not changed.
    Sealed,
    /// The same in a gRPC call.
    SealedCall,
    /// Names and values with escapes, as browsers send forms.
    Form,
    /// Any other JSON document.
    Json,
    /// Text in UTF-16.
    Wide(Order),
    /// Anything else.
    Text,
}

/// Bytes that cannot be masked, so they must not be passed on.
#[derive(Debug, thiserror::Error)]
pub enum MaskError {
    /// JSON that is not UTF-8.
    #[error("the JSON is not UTF-8")]
    NotUtf8,
    /// Text that is not in the coding it is in by its head.
    #[error("the text is not UTF-16")]
    NotUtf16,
    /// A document that is not valid JSON, too deep, or ambiguous.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Bytes that are not a stream of events.
    #[error(transparent)]
    Sse(#[from] SseError),
    /// An export that is not what it should be.
    #[error("not an OpenTelemetry export that can be masked: {0}")]
    Export(&'static str),
    /// Something to mask in bytes whose lengths nobody here knows.
    #[error("what policy wants masked in a message of protocol buffers cannot be masked there")]
    Sealed,
    /// An index that does not tell which part of the answer a piece of text continues.
    #[error("`{0}` is {1}, not a whole number")]
    Index(&'static str, String),
    /// One part of the answer stopped in the middle of what may be a finding while others went on.
    #[error("more than {} MiB wait for one part of the answer to go on", stream::MAX_QUEUED >> 20)]
    Stalled,
}

impl Set {
    /// The detectors and classes with these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            names: names
                .into_iter()
                .map(|name| (name.to_owned(), Style::default()))
                .collect(),
            ..Self::default()
        }
    }

    /// What a permit asks for, with the surrogates of its identity.
    #[must_use]
    pub fn of(permit: &Permit, surrogates: Option<Arc<Surrogates>>) -> Self {
        let named = permit.masks().iter();
        Self {
            names: named
                .map(|(name, style)| (name.to_owned(), style))
                .collect(),
            all: false,
            detectors: Arc::clone(permit.detectors()),
            surrogates,
            witness: None,
        }
    }

    /// Every detector.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// The same, searched for with these detectors.
    #[must_use]
    pub fn with(self, detectors: &Arc<Detectors>) -> Self {
        Self {
            detectors: Arc::clone(detectors),
            ..self
        }
    }

    /// The same, with somebody who hears of what passes.
    #[must_use]
    pub fn told(self, witness: Option<Arc<dyn Witness>>) -> Self {
        Self { witness, ..self }
    }

    /// Whether somebody hears of what passes.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.witness.is_some()
    }

    /// Whatever the same detectors find.
    #[must_use]
    pub fn everything(&self) -> Self {
        Self::all().with(&self.detectors)
    }

    fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    /// Whether nothing is to be masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.names.is_empty()
    }

    /// Whether a finding of this value is to be masked. What a search for everything finds passes too, as far as it can tell.
    fn takes(&self, finding: &Finding, value: impl FnOnce() -> String) -> bool {
        let named = self.style(finding).is_some();
        if let Some(witness) = &self.witness
            && !named
        {
            witness.saw(finding, &value());
        }
        named || self.all
    }

    /// Of the detector, if that is named, else of its class.
    fn style(&self, finding: &Finding) -> Option<Style> {
        let detector = self.names.get(&*finding.detector);
        detector.or(self.names.get(&*finding.class)).copied()
    }

    /// What stands in place of `value`, in which that was found. It needs no escape sequence in JSON.
    fn replacement(&self, finding: &Finding, value: &str) -> String {
        let detector = &finding.detector;
        let replaced = match (self.style(finding), &self.surrogates) {
            (Some(Style::Surrogate), Some(surrogates)) => surrogates.mint(finding, value),
            (Some(Style::Hash), Some(surrogates)) => {
                let hash = surrogates.hash(finding, value);
                Some(format!("[REDACTED:{detector}:{hash}]"))
            }
            (Some(Style::Last4), _) => {
                last(value).map(|last| format!("[REDACTED:{detector}:{last}]"))
            }
            _ => None,
        };
        replaced.unwrap_or_else(|| placeholder(finding))
    }
}

impl Shape {
    /// Whether agents and providers give every key a meaning, so that one that is there twice is refused.
    fn is_model_call(self) -> bool {
        !matches!(
            self,
            Self::Json
                | Self::Text
                | Self::Parts(_)
                | Self::Export(_)
                | Self::ExportCall(_)
                | Self::Sealed
                | Self::SealedCall
                | Self::Form
                | Self::Wide(_)
        )
    }
}

/// The last four letters and digits of a value of which they are a third at most.
fn last(value: &str) -> Option<String> {
    let all: Vec<char> = value.chars().filter(char::is_ascii_alphanumeric).collect();
    (all.len() >= 12).then(|| all[all.len() - 4..].iter().collect())
}

/// What stands in place of a finding of which nothing is to be told.
fn placeholder(finding: &Finding) -> String {
    format!("[REDACTED:{}]", finding.detector)
}
