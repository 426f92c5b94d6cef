//! LLM APIs: which requests belong to one, what they do, and the facts policies decide on.
//!
//! In: a request head, then its whole body. Out: an [`Endpoint`], and for a request that carries a prompt a [`Call`], or a [`LlmError`] for
//! a body that two parsers could read differently. Paths are known on any host; elsewhere than at a listed provider the body has to
//! look the part too ([`agrees`]), for other services have paths that end the same.
//! Sources: the OpenAI, Anthropic, Gemini, Vertex, Ollama, Cohere, Mistral and Bedrock API references; Azure's paths of deployments.

pub mod bedrock;
mod call;
mod cohere;
mod counts;
mod google;
mod input;
mod lenient;
mod limit;
mod mistral;
pub mod realtime;
pub mod responses;
pub mod risks;
mod tool;

use ::http::{HeaderMap, Method};

use super::http::{self, Head};
use super::{Action, Facts};

pub use call::{Call, LlmError, agrees, read};
pub use counts::{asking_for_counts, wants_asking};

/// Whether what an answer gives as the reason why it ends is one. Servers send an empty text, or the word `null`, with each piece.
#[must_use]
pub fn is_finish(reason: &str) -> bool {
    !NO_FINISH
        .iter()
        .any(|none| reason.trim().eq_ignore_ascii_case(none))
}

/// The wire format of a request, its answer and its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI chat completions.
    OpenAiChat,
    /// The same at OpenRouter, whose errors have numbers and whose counts a price.
    OpenRouterChat,
    /// OpenAI responses, over a WebSocket as well.
    OpenAiResponses,
    /// OpenAI completions, the older API.
    OpenAiCompletions,
    /// OpenAI embeddings.
    OpenAiEmbeddings,
    /// OpenAI's list of models.
    OpenAiModels,
    /// OpenAI's realtime API, over a WebSocket.
    OpenAiRealtime,
    /// Anthropic messages, and their tokens.
    AnthropicMessages,
    /// Anthropic's list of models.
    AnthropicModels,
    /// Gemini: contents to candidates, tokens or vectors; its list of models.
    Gemini,
    /// Ollama: chats, generated texts, vectors; its list of models.
    Ollama,
    /// Cohere: chats, vectors, rankings.
    Cohere,
    /// Mistral's conversations, which it keeps.
    MistralConversations,
    /// Amazon Bedrock's format for all models, and its count of tokens.
    BedrockConverse,
    /// A model's own format at Amazon Bedrock.
    BedrockInvoke,
}

/// One operation of an LLM API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its format.
    pub family: Family,
    /// The action's name in the policy schema.
    pub action: &'static str,
    /// Whether the answer is a stream, where the path says so: of any other call the body does.
    pub stream: Option<bool>,
}

impl Family {
    /// The name a ledger entry gives the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenRouterChat => "openrouter-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiCompletions => "openai-completions",
            Self::OpenAiEmbeddings => "openai-embeddings",
            Self::OpenAiModels => "openai-models",
            Self::OpenAiRealtime => "openai-realtime",
            Self::AnthropicMessages => "anthropic-messages",
            Self::AnthropicModels => "anthropic-models",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Cohere => "cohere",
            Self::MistralConversations => "mistral-conversations",
            Self::BedrockConverse => "bedrock-converse",
            Self::BedrockInvoke => "bedrock-invoke",
        }
    }
}

impl Endpoint {
    /// Whether a body with a prompt comes with it.
    #[must_use]
    pub fn is_call(self) -> bool {
        [GENERATE, EMBED, COUNT].contains(&self.action)
    }
}

/// What a request is by its method and path; the body of a call then has to agree. What some server reads as such a path is one: in another
/// case, with doubled slashes, with parameters of a segment. `listed` tells that the service is known to be a provider: only there a
/// path alone makes a list of models.
#[must_use]
pub fn recognise(head: &Head, headers: &HeaderMap, listed: bool) -> Option<Endpoint> {
    let path = head.path.to_ascii_lowercase();
    let path = path.replace("%3b", ";").replace("%3a", ":");
    let segments: Vec<&str> = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .filter(|segment| !segment.is_empty())
        .collect();
    if head.websocket {
        return realtime::called(head, &segments, listed)
            .or_else(|| responses::called(&segments, listed));
    }
    let found = google::called(&head.method, &segments);
    let found = found
        .or_else(|| bedrock::called(&head.method, &segments))
        .or_else(|| cohere::called(&head.method, &segments))
        .or_else(|| mistral::called(head, &segments));
    if let Some(found) = found {
        return Some(found);
    }
    let found = called(&head.method, &segments)
        .or_else(|| kept(&head.method, &segments, listed))
        .or_else(|| models(&head.method, &segments, headers).filter(|_| listed));
    found.map(|(family, action)| Endpoint {
        family: match family {
            Family::OpenAiChat if head.host == OPENROUTER => Family::OpenRouterChat,
            family => family,
        },
        action,
        stream: None,
    })
}

/// The action of a request without a prompt, or of one that belongs to no LLM API.
#[must_use]
pub fn action(endpoint: Option<Endpoint>, head: &Head, facts: Facts) -> Action {
    let action = http::action(head, facts);
    match endpoint {
        Some(Endpoint { action: name, .. }) => Action { name, ..action },
        None => action,
    }
}

/// Requests that carry a prompt.
fn called(method: &Method, segments: &[&str]) -> Option<(Family, &'static str)> {
    let found = match segments {
        // Mistral's agents have a model of their own.
        [.., "chat" | "agents", "completions"] => (Family::OpenAiChat, GENERATE),
        [.., "completions"] => (Family::OpenAiCompletions, GENERATE),
        [.., "api", "embed" | "embeddings"] => (Family::Ollama, EMBED),
        [.., "embeddings"] => (Family::OpenAiEmbeddings, EMBED),
        [.., "responses"] | [.., "responses", "compact"] => (Family::OpenAiResponses, GENERATE),
        [.., "responses", "input_tokens"] => (Family::OpenAiResponses, COUNT),
        [before @ .., "messages"] if !before.contains(&"threads") => {
            (Family::AnthropicMessages, GENERATE)
        }
        [.., "api", "chat" | "generate"] => (Family::Ollama, GENERATE),
        [.., "messages", "count_tokens"] => (Family::AnthropicMessages, COUNT),
        _ => return None,
    };
    (*method == Method::POST).then_some(found)
}

/// Requests for answers that the provider keeps. Elsewhere than at a listed one, other things have such paths but not such ids.
fn kept(method: &Method, segments: &[&str], listed: bool) -> Option<(Family, &'static str)> {
    let (family, id, part) = match segments {
        [.., "chat", "completions"] => (Family::OpenAiChat, "", None),
        [.., "chat", "completions", id] => (Family::OpenAiChat, *id, None),
        [.., "chat", "completions", id, part] => (Family::OpenAiChat, *id, Some(*part)),
        [.., "responses", id] => (Family::OpenAiResponses, *id, None),
        [.., "responses", id, part] => (Family::OpenAiResponses, *id, Some(*part)),
        _ => return None,
    };
    let known = ["resp_", "chatcmpl-"]
        .iter()
        .any(|begin| id.starts_with(begin));
    let action = match part {
        _ if !listed && !known => return None,
        None | Some("input_items" | "messages") if reads(method) => READ,
        None if *method == Method::DELETE => WRITE,
        // Other metadata for a chat completion.
        None if *method == Method::POST && family == Family::OpenAiChat => WRITE,
        Some("cancel") if *method == Method::POST => WRITE,
        _ => return None,
    };
    Some((family, action))
}

/// Requests for the models there are.
fn models(
    method: &Method,
    segments: &[&str],
    headers: &HeaderMap,
) -> Option<(Family, &'static str)> {
    let family = match segments {
        [.., "api", "tags" | "ps" | "show" | "version"] => Family::Ollama,
        ["v1beta" | "v1alpha", ..] => Family::Gemini,
        _ if headers.contains_key("x-goog-api-key") => Family::Gemini,
        _ if headers.contains_key("anthropic-version") => Family::AnthropicModels,
        _ => Family::OpenAiModels,
    };
    let models = matches!(segments, [.., "models"] | [.., "models", _]) || family == Family::Ollama;
    // Ollama's own client posts the name of the model it asks about.
    let shows = matches!(segments, [.., "api", "show"]) && *method == Method::POST;
    (models && (reads(method) || shows)).then_some((family, READ))
}

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

const GENERATE: &str = "llm.generate";
/// The action of a call whose answer has vectors.
pub const EMBED: &str = "llm.embed";
const COUNT: &str = "llm.count";
const READ: &str = "llm.read";
const WRITE: &str = "llm.write";
const OPENROUTER: &str = "openrouter.ai";
/// What policy calls OpenAI's templates of prompts among the tools: which tools are in one, the provider alone knows.
pub const TEMPLATE: &str = "prompt_template";
/// The last is what Google's library calls a reason that is not given.
const NO_FINISH: [&str; 4] = ["", "null", "none", "finish_reason_unspecified"];

#[cfg(test)]
mod tests;
