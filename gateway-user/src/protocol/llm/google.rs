//! Google's paths: a model and, behind a colon, what is asked of it. Vertex has models of others under them.
//!
//! Source: the Gemini API reference; Vertex AI's publishers and endpoints.

use http::Method;

use super::{COUNT, EMBED, Endpoint, Family, GENERATE};

/// A call of a model by its path, in lower case and cut into segments.
pub(super) fn called(method: &Method, segments: &[&str]) -> Option<Endpoint> {
    let (_, verb) = segments.last()?.rsplit_once(':')?;
    let anthropic = segments.contains(&"anthropic");
    let mistral = segments.contains(&"mistralai");
    let (family, action, stream) = match verb {
        "generatecontent" => (Family::Gemini, GENERATE, false),
        "streamgeneratecontent" => (Family::Gemini, GENERATE, true),
        "counttokens" if !anthropic => (Family::Gemini, COUNT, false),
        "embedcontent" | "batchembedcontents" => (Family::Gemini, EMBED, false),
        "rawpredict" if anthropic && segments.last()?.starts_with("count-tokens:") => {
            (Family::AnthropicMessages, COUNT, false)
        }
        "rawpredict" if mistral => (Family::OpenAiChat, GENERATE, false),
        "streamrawpredict" if mistral => (Family::OpenAiChat, GENERATE, true),
        "predict" if embeds(segments.last()?) => (Family::Gemini, EMBED, false),
        "rawpredict" if anthropic => (Family::AnthropicMessages, GENERATE, false),
        "streamrawpredict" if anthropic => (Family::AnthropicMessages, GENERATE, true),
        _ => return None,
    };
    (*method == Method::POST).then_some(Endpoint {
        family,
        action,
        stream: Some(stream),
    })
}

/// Models whose predictions are vectors.
fn embeds(called: &str) -> bool {
    ["embedding", "gecko"]
        .iter()
        .any(|name| called.contains(name))
}

/// The model that such a path names; one without anything before the model is that of the assistants for code, whose body names it.
pub(super) fn model(path: &str) -> Option<&str> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let last = segments.next_back()?;
    segments.next_back()?;
    let end = last
        .rfind(':')
        .or_else(|| last.to_ascii_lowercase().rfind("%3a"))?;
    Some(&last[..end]).filter(|model| !model.is_empty())
}

/// Whether a target asks for events: without that, a stream is one array.
pub(super) fn asks_for_events(target: &str) -> bool {
    let (_, query) = target.split_once('?').unwrap_or_default();
    let asks = ["alt=sse", "$alt=sse", "%24alt=sse"];
    query.split('&').any(|pair| asks.contains(&pair))
}
