//! The body of a call of a model, as far as policy needs it.

mod offered;

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::input::Input;
use super::lenient::{self, Listed};
use super::limit::Limit;
use super::tool::{Compound, Named, Search, Tool};
use super::{Endpoint, Family, GENERATE, bedrock, cohere, google, mistral, realtime, responses};
use crate::protocol::frames::Framing;
use crate::protocol::http::{Head, with_request};
use crate::protocol::{Action, Fact, Facts};

/// A call of a model, as far as policy and record need it.
#[derive(Debug)]
pub struct Call {
    /// Its format.
    pub family: Family,
    /// The model that is asked.
    pub model: String,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether a text is sent as the numbers of its tokens, which no detector can read.
    pub tokens: bool,
    /// The longest answer it asks for, in tokens.
    pub limit: Option<u64>,
    /// How many answers it asks for.
    pub answers: u64,
    /// The action with its facts.
    pub action: Action,
}

/// Bodies that are refused because they cannot be understood.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum LlmError {
    #[error("the body is not a {} request: {source}", family.name())]
    Body {
        family: Family,
        source: serde_json::Error,
    },
    #[error("the body is not a {} request: it has no {field}", family.name())]
    Missing { family: Family, field: &'static str },
}

/// What a body says of a call, whatever its format.
pub(super) struct Said {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) texts: Input,
    /// The names of the tools the model may use.
    pub(super) offered: Fact,
    pub(super) limit: Option<Limit>,
    pub(super) answers: u64,
}

impl Said {
    pub(super) fn into_call(self, endpoint: Endpoint, head: &Head, facts: Facts) -> Call {
        let mut facts = with_request(head, facts);
        facts.set("model", self.model.as_str());
        facts.set("stream", self.stream);
        let messages = i64::try_from(self.texts.count).unwrap_or(i64::MAX);
        facts.set("messages", messages);
        facts.set("tools", self.offered);
        let limit = self.limit.and_then(Limit::tokens);
        if let Some(limit) = limit {
            facts.set("max_tokens", limit);
        }
        Call {
            family: endpoint.family,
            model: self.model,
            stream: self.stream,
            tokens: self.texts.tokens,
            limit: limit.map(i64::unsigned_abs),
            answers: self.answers,
            action: Action {
                name: endpoint.action,
                facts,
            },
        }
    }
}

/// Whether a body is one of a call: elsewhere than at a listed provider, where only the path says so.
#[must_use]
pub fn agrees(endpoint: Endpoint, head: &Head, body: &[u8]) -> bool {
    if [Family::OpenAiRealtime, Family::MistralConversations].contains(&endpoint.family) {
        // Its head has told.
        return true;
    }
    serde_json::from_slice::<HashMap<String, IgnoredAny>>(body).is_ok_and(|members| {
        let has = |name: &str| members.contains_key(name);
        let said = match endpoint.family {
            Family::Gemini => CONTENTS.iter().copied().any(has),
            Family::Cohere => cohere::looks_the_part(has),
            // A model is loaded by a call without a prompt.
            Family::Ollama => true,
            family if is_bedrock(family) => bedrock::looks_the_part(family, has),
            _ => has("messages") || has("input") || has("prompt"),
        };
        let named = has("model") || has("agent_id") && endpoint.family == Family::OpenAiChat;
        said && (named || in_path(endpoint, head).is_some())
    })
}

/// Reads a call. serde refuses a second `model`, `messages`, `stream` or `tools`, so policy and provider see the same one.
///
/// # Errors
/// [`LlmError`] when the body is not an object of that format.
pub fn read(endpoint: Endpoint, head: &Head, body: &[u8], facts: Facts) -> Result<Call, LlmError> {
    let family = endpoint.family;
    if is_bedrock(family) {
        return bedrock::read(endpoint, head, body, facts);
    }
    if family == Family::Cohere {
        return cohere::read(endpoint, head, body, facts);
    }
    if family == Family::MistralConversations {
        return mistral::read(endpoint, head, body, facts);
    }
    if family == Family::OpenAiRealtime {
        return realtime::read(endpoint, head, facts);
    }
    if head.websocket {
        return responses::opened(endpoint, head, facts);
    }
    of_body(endpoint, head, body, facts)
}

/// Reads a call whose body has members that several formats share.
pub(super) fn of_body(
    endpoint: Endpoint,
    head: &Head,
    body: &[u8],
    facts: Facts,
) -> Result<Call, LlmError> {
    let family = endpoint.family;
    let mut raw: Raw = document(family, body)?;
    // Google's assistants for code put it one level deeper.
    if let Some(inner) = raw.request.take().filter(|_| family == Family::Gemini) {
        raw = Raw {
            model: raw.model,
            ..document(family, inner.get().as_bytes())?
        };
    }
    let offered = raw.offered(family);
    let limit = raw.limit(family)?;
    let missing = |field| LlmError::Missing { family, field };
    // Azure and Google take the model from the path, whatever the body says.
    let model = in_path(endpoint, head).or(raw.named());
    let model = model.ok_or(missing("model"))?;
    let texts = match family {
        Family::Gemini => {
            let named = raw.generate_content_request.take();
            let contents = raw.contents.or(named.and_then(|inner| inner.contents));
            let content = raw.content.map(|_| Input::texts(1));
            let requests = raw.requests.map(|requests| Input::texts(requests.len()));
            let instances = raw.instances.map(|instances| Input::texts(instances.len()));
            let texts = contents.or(content).or(requests).or(instances);
            Some(texts.ok_or(missing("contents"))?)
        }
        Family::Ollama => {
            let texts = raw.messages.map(|messages| Input::texts(messages.len()));
            let mut texts = texts.or(raw.prompt).or(raw.input).unwrap_or_default();
            // What an earlier answer said, as the numbers of its tokens.
            texts.tokens |= raw.context.is_some_and(|context| context.tokens);
            Some(texts)
        }
        Family::OpenAiChat | Family::OpenRouterChat | Family::AnthropicMessages => {
            let messages = raw.messages.ok_or(missing("messages"))?;
            Some(Input::texts(messages.len()))
        }
        Family::OpenAiEmbeddings => Some(raw.input.ok_or(missing("input"))?),
        // What is not said here is kept at the provider, or nothing.
        Family::OpenAiResponses => raw.input,
        _ => raw.prompt,
    }
    .unwrap_or_default();
    // Each prompt of a list is answered.
    let prompts = match family {
        Family::OpenAiCompletions => texts.count.max(1),
        _ => 1,
    };
    let candidates = raw.generation_config.and_then(|config| config.candidates);
    let asked = raw.n.max(raw.best_of).max(candidates).unwrap_or(1);
    // Vectors and counts come in one piece, whatever is asked. Ollama streams unless it is told not to.
    let said = raw.stream.unwrap_or(family == Family::Ollama);
    let stream = endpoint.action == GENERATE && endpoint.stream.unwrap_or(said);
    let said = Said {
        model,
        stream,
        texts,
        offered,
        limit,
        answers: asked.saturating_mul(prompts as u64),
    };
    Ok(said.into_call(endpoint, head, facts))
}

/// The document that a body, or a message, is.
pub(super) fn document<'a, T: Deserialize<'a>>(
    family: Family,
    body: &'a [u8],
) -> Result<T, LlmError> {
    serde_json::from_slice(body).map_err(|source| LlmError::Body { family, source })
}

impl Call {
    /// How the stream that it asks for is framed.
    #[must_use]
    pub fn framing(&self, head: &Head) -> Framing {
        match self.family {
            Family::Ollama => Framing::Lines,
            Family::Cohere if cohere::is_older(&head.path) => Framing::Lines,
            Family::BedrockConverse | Family::BedrockInvoke => Framing::Messages,
            Family::OpenAiRealtime => Framing::Frames,
            Family::OpenAiResponses if head.websocket => Framing::Frames,
            Family::Gemini if !google::asks_for_events(&head.target) => Framing::Array,
            _ => Framing::Events,
        }
    }
}

/// The model that the path names.
pub(super) fn in_path(endpoint: Endpoint, head: &Head) -> Option<String> {
    match endpoint.stream {
        Some(_) if is_bedrock(endpoint.family) => bedrock::model(&head.path),
        Some(_) => google::model(&head.path).map(str::to_owned),
        None => deployment(head).map(str::to_owned),
    }
}

fn is_bedrock(family: Family) -> bool {
    matches!(family, Family::BedrockConverse | Family::BedrockInvoke)
}

/// The model that an Azure path names: `/openai/deployments/MODEL/…`.
fn deployment(head: &Head) -> Option<&str> {
    let mut segments = head.path.split('/').filter(|segment| !segment.is_empty());
    let mut is = |name: &str| {
        segments
            .next()
            .is_some_and(|segment| segment.eq_ignore_ascii_case(name))
    };
    (is("openai") && is("deployments")).then_some(())?;
    segments.next()
}

#[derive(Deserialize)]
struct Raw {
    model: Option<String>,
    messages: Option<Vec<IgnoredAny>>,
    input: Option<Input>,
    prompt: Option<Input>,
    stream: Option<bool>,
    max_tokens: Option<Limit>,
    max_completion_tokens: Option<Limit>,
    max_output_tokens: Option<Limit>,
    /// What some servers call the same.
    max_tokens_to_sample: Option<Limit>,
    max_new_tokens: Option<Limit>,
    n_predict: Option<Limit>,
    /// How many answers to each prompt, and how many the provider chooses from.
    n: Option<u64>,
    best_of: Option<u64>,
    tools: Option<Listed<Tool>>,
    /// OpenAI's older form of tools.
    functions: Option<Vec<Named>>,
    /// Gemini's, each of which its servers read under two names.
    contents: Option<Input>,
    content: Option<IgnoredAny>,
    requests: Option<Vec<IgnoredAny>>,
    request: Option<Box<RawValue>>,
    #[serde(rename = "generateContentRequest", alias = "generate_content_request")]
    generate_content_request: Option<Box<Raw>>,
    #[serde(rename = "generationConfig", alias = "generation_config")]
    generation_config: Option<Generation>,
    /// Vertex's, of models that predict.
    instances: Option<Vec<IgnoredAny>>,
    /// Mistral's, in place of a model: with both, policy sees both.
    agent_id: Option<String>,
    /// OpenRouter's: models that answer where the first does not, and what it runs itself.
    models: Option<Vec<String>>,
    plugins: Option<Vec<Plugin>>,
    /// Ollama's.
    options: Option<Box<RawValue>>,
    context: Option<Input>,
    /// Tools that the provider runs, beside the list of tools: Anthropic's and OpenAI's.
    mcp_servers: Option<Vec<IgnoredAny>>,
    web_search_options: Option<IgnoredAny>,
    /// xAI's.
    search_parameters: Option<Search>,
    /// Groq's.
    compound_custom: Option<Compound>,
    /// What is kept at the provider, tools with it: OpenRouter's and Gemini's.
    preset: Option<IgnoredAny>,
    #[serde(rename = "cachedContent", alias = "cached_content")]
    cached_content: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Generation {
    #[serde(
        default,
        rename = "maxOutputTokens",
        alias = "max_output_tokens",
        deserialize_with = "lenient::number"
    )]
    limit: Option<Limit>,
    #[serde(
        default,
        rename = "candidateCount",
        alias = "candidate_count",
        deserialize_with = "lenient::number"
    )]
    candidates: Option<u64>,
}

#[derive(Deserialize)]
struct Options {
    num_predict: Option<Limit>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Plugin {
    Id(String),
    Set { id: String, enabled: Option<bool> },
}

impl Raw {
    /// The model that is asked; of several, all: a policy that permits some of them permits no such call.
    fn named(&mut self) -> Option<String> {
        let first = self.model.take().into_iter();
        let mut named: Vec<String> = first.chain(self.agent_id.take()).collect();
        for model in self.models.take().into_iter().flatten() {
            if !named.contains(&model) {
                named.push(model);
            }
        }
        (!named.is_empty()).then(|| named.join(","))
    }

    /// The longest of its limits, if one of them is the format's own: which of several a server heeds is the server's own.
    fn limit(&self, family: Family) -> Result<Option<Limit>, LlmError> {
        let google = self.generation_config.as_ref();
        let google = google.and_then(|config| config.limit);
        let ollama = self.options.as_ref();
        let ollama = ollama.map(|options| document::<Options>(family, options.get().as_bytes()));
        let ollama = match ollama.transpose() {
            Err(error) if family == Family::Ollama => return Err(error),
            options => options.ok().flatten(),
        };
        let ollama = ollama.and_then(|options| options.num_predict);
        let own = match family {
            Family::OpenAiResponses => self.max_output_tokens,
            Family::Gemini => google,
            Family::Ollama => ollama,
            Family::AnthropicMessages => self.max_tokens,
            _ => self.max_completion_tokens.or(self.max_tokens),
        };
        let all = [
            self.max_tokens,
            self.max_completion_tokens,
            self.max_output_tokens,
            self.max_tokens_to_sample,
            self.max_new_tokens,
            self.n_predict,
            google,
            ollama,
        ];
        Ok(own.and(all.into_iter().max().flatten()))
    }
}

/// What a call of Gemini is about.
const CONTENTS: &[&str] = &[
    "contents",
    "content",
    "request",
    "requests",
    "generateContentRequest",
    "generate_content_request",
    "instances",
];
