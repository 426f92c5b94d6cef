//! Amazon Bedrock: paths that name a model and what is asked of it, the two kinds of bodies, and whose format an answer has.
//!
//! Converse has one format for all models. `invoke` passes a model's own through: Anthropic's, OpenAI's, Converse's (Amazon Nova), or one that
//! only its maker uses, whose prompts and limits have many names.
//! Source: the API reference of Amazon Bedrock's runtime; botocore's model of it, for how a client writes a path.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::{Call, LlmError, Said, document};
use super::input::Input;
use super::limit::Limit;
use super::tool::Tool;
use super::{COUNT, EMBED, Endpoint, Family, GENERATE};
use crate::base64;
use crate::protocol::form;
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

/// The format of an answer, or of an event of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Converse's, where an event is a member named after its type.
    Converse,
    /// Anthropic messages.
    Anthropic,
    /// OpenAI chat completions.
    OpenAi,
    /// Another maker's.
    Other,
}

impl Format {
    /// That of an event with this `type` and these members.
    #[must_use]
    pub fn of_event(kind: Option<&str>, has: impl Fn(&str) -> bool) -> Self {
        if kind.is_some_and(|kind| ANTHROPIC_EVENTS.contains(&kind)) {
            Self::Anthropic
        } else if CONVERSE_EVENTS.iter().any(|name| has(name)) {
            Self::Converse
        } else if has("choices") {
            Self::OpenAi
        } else {
            Self::Other
        }
    }

    /// That of a whole answer.
    #[must_use]
    pub fn of_document(document: &serde_json::Value) -> Self {
        if document["output"]["message"].is_object() {
            Self::Converse
        } else if document["type"] == "message" {
            Self::Anthropic
        } else if document["choices"].is_array() {
            Self::OpenAi
        } else {
            Self::Other
        }
    }
}

/// The normal form of a path that names a model, or a guardrail, by its ARN, the slashes in that encoded; `None` for any other.
#[must_use]
pub fn normal_path(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let (id, rest) = match segments[..] {
        ["", "model", id, operation] => (id, operation_of(operation).map(|_| &segments[3..])?),
        ["", "guardrail", id, "version", version, "apply"] => {
            let plain = version.bytes().all(|byte| byte.is_ascii_alphanumeric());
            (
                id,
                Some(&segments[3..]).filter(|_| plain && !version.is_empty())?,
            )
        }
        _ => return None,
    };
    let id = decoded(id).filter(|id| id.starts_with("arn:"))?;
    let id = id.replace(':', "%3A").replace('/', "%2F");
    Some(format!("/{}/{id}/{}", segments[1], rest.join("/")))
}

/// A call of a model by its path, in lower case and cut into segments.
pub(super) fn called(method: &Method, segments: &[&str]) -> Option<Endpoint> {
    let (id, (family, action, stream)) = match segments {
        [.., "guardrail", id, "version", _, "apply"] => {
            (id, (Family::BedrockConverse, EMBED, false))
        }
        [.., "model", id, operation] => (id, operation_of(operation)?),
        _ => return None,
    };
    // No other model answers with vectors.
    let embeds = ["amazon.titan-embed", "cohere.embed"];
    let embeds = family == Family::BedrockInvoke
        && !id.starts_with("arn")
        && embeds.iter().any(|name| id.contains(name));
    (*method == Method::POST).then_some(Endpoint {
        family,
        action: if embeds { EMBED } else { action },
        stream: Some(stream),
    })
}

/// The model that such a path names, or the guardrail that is to judge.
pub(super) fn model(path: &str) -> Option<String> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments: Vec<&str> = segments.collect();
    let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
    match segments[..] {
        [.., guardrail, id, _, _, apply] if is(guardrail, "guardrail") && is(apply, "apply") => {
            decoded(id)
        }
        [.., id, _] => decoded(id),
        _ => None,
    }
}

/// Whether a body looks like one of these calls.
pub(super) fn looks_the_part(family: Family, has: impl Fn(&str) -> bool) -> bool {
    match family {
        Family::BedrockConverse => has("messages") || has("input") || has("content"),
        _ => PROMPTS.iter().any(|name| has(name)),
    }
}

/// Reads a call.
pub(super) fn read(
    endpoint: Endpoint,
    head: &Head,
    body: &[u8],
    facts: Facts,
) -> Result<Call, LlmError> {
    let family = endpoint.family;
    let missing = |field| LlmError::Missing { family, field };
    let mut raw: Raw = if endpoint.action == COUNT {
        let Count { input } = document(family, body)?;
        match (input.converse, input.invoke) {
            (Some(converse), None) => converse,
            (None, Some(invoke)) => {
                // Masks look into what is UTF-8 alone.
                let body = base64::decode(invoke.body.as_bytes());
                let body = body.and_then(|body| String::from_utf8(body).ok());
                let body = body.ok_or(missing("input.invokeModel.body in base64"))?;
                document(family, body.as_bytes())?
            }
            _ => return Err(missing("input.converse, or input.invokeModel alone")),
        }
    } else {
        document(family, body)?
    };
    let model = model(&head.path).ok_or(missing("model"))?;
    let texts = raw.texts();
    let limit = raw.limit();
    let said = Said {
        model,
        stream: endpoint.stream == Some(true),
        texts,
        limit,
        answers: raw.num_generations.or(raw.n).unwrap_or(1),
        offered: raw.offered(),
    };
    Ok(said.into_call(endpoint, head, facts))
}

fn operation_of(name: &str) -> Option<(Family, &'static str, bool)> {
    Some(match name {
        "converse" => (Family::BedrockConverse, GENERATE, false),
        "converse-stream" => (Family::BedrockConverse, GENERATE, true),
        "count-tokens" => (Family::BedrockConverse, COUNT, false),
        "invoke" => (Family::BedrockInvoke, GENERATE, false),
        "invoke-with-response-stream" => (Family::BedrockInvoke, GENERATE, true),
        _ => return None,
    })
}

/// A model's name or ARN; `None` for what is neither, or hides how many segments it has.
fn decoded(id: &str) -> Option<String> {
    let text = form::unescape(id, false)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/".contains(c);
    let whole = |segment: &str| !["", ".", ".."].contains(&segment);
    (text.chars().all(plain) && text.split('/').all(whole)).then_some(text)
}

/// What the formats call what policy looks at. serde refuses any of them twice.
#[derive(Deserialize)]
struct Raw {
    messages: Option<Vec<IgnoredAny>>,
    prompt: Option<Input>,
    #[serde(rename = "inputText")]
    input_text: Option<Input>,
    texts: Option<Vec<IgnoredAny>>,
    inputs: Option<Vec<IgnoredAny>>,
    /// What a guardrail judges.
    content: Option<Input>,
    #[serde(rename = "inferenceConfig")]
    inference: Option<Limits>,
    #[serde(rename = "textGenerationConfig")]
    generation: Option<Limits>,
    max_tokens: Option<Limit>,
    max_completion_tokens: Option<Limit>,
    max_tokens_to_sample: Option<Limit>,
    max_gen_len: Option<Limit>,
    num_generations: Option<u64>,
    n: Option<u64>,
    #[serde(rename = "toolConfig")]
    tool_config: Option<ToolConfig>,
    tools: Option<Vec<Tool>>,
    mcp_servers: Option<Vec<IgnoredAny>>,
    #[serde(rename = "additionalModelRequestFields")]
    additional: Option<Additional>,
}

#[derive(Deserialize)]
struct Count {
    input: Counted,
}

/// A call whose tokens are counted.
#[derive(Deserialize)]
struct Counted {
    converse: Option<Raw>,
    #[serde(rename = "invokeModel")]
    invoke: Option<Invoke>,
}

#[derive(Deserialize)]
struct Invoke {
    body: String,
}

#[derive(Deserialize)]
struct Limits {
    #[serde(
        rename = "maxTokens",
        alias = "max_new_tokens",
        alias = "maxTokenCount"
    )]
    limit: Option<Limit>,
}

#[derive(Deserialize)]
struct ToolConfig {
    tools: Option<Vec<Offered>>,
}

#[derive(Deserialize)]
struct Offered {
    #[serde(rename = "toolSpec")]
    spec: Option<Named>,
    #[serde(rename = "systemTool")]
    system: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// What models take beside the format of Converse. What is of another type here is refused: it could hide the others.
#[derive(Default, Deserialize)]
struct Additional {
    tools: Option<Vec<Tool>>,
    mcp_servers: Option<Vec<IgnoredAny>>,
    #[serde(rename = "inferenceConfig")]
    inference: Option<Limits>,
    max_tokens: Option<Limit>,
    max_completion_tokens: Option<Limit>,
    max_tokens_to_sample: Option<Limit>,
    max_gen_len: Option<Limit>,
}

impl Additional {
    fn limit(&self) -> Option<Limit> {
        let limits = [
            self.inference.as_ref().and_then(|config| config.limit),
            self.max_tokens,
            self.max_completion_tokens,
            self.max_tokens_to_sample,
            self.max_gen_len,
        ];
        limits.into_iter().max().flatten()
    }
}

impl Raw {
    fn texts(&mut self) -> Input {
        let counts = [&self.messages, &self.texts, &self.inputs];
        let count = counts.into_iter().flatten().map(Vec::len).next();
        let listed = count.map(Input::texts);
        let said = self.prompt.take().or(self.input_text.take());
        let said = said.or(self.content.take());
        listed.or(said).unwrap_or_default()
    }

    fn limit(&self) -> Option<Limit> {
        let nested = [&self.inference, &self.generation];
        let nested = nested.into_iter().flatten().map(|config| config.limit);
        let own = nested.chain([
            self.max_completion_tokens,
            self.max_tokens,
            self.max_tokens_to_sample,
            self.max_gen_len,
        ]);
        let own = own.flatten().max();
        let more = self.additional.as_ref().and_then(Additional::limit);
        // Which one a model heeds is its own.
        own.and(own.max(more))
    }

    /// The names of the tools the model may use.
    fn offered(&mut self) -> Fact {
        let mut names = BTreeSet::new();
        let offered = self.tool_config.take().and_then(|config| config.tools);
        for tool in offered.into_iter().flatten() {
            names.extend(
                tool.spec
                    .into_iter()
                    .chain(tool.system)
                    .map(|tool| tool.name),
            );
        }
        let additional = self.additional.take().unwrap_or_default();
        let tools = [self.tools.take(), additional.tools];
        for tool in tools.into_iter().flatten().flatten() {
            tool.add_to(&mut names);
        }
        let servers = [self.mcp_servers.take(), additional.mcp_servers];
        if servers.iter().flatten().any(|servers| !servers.is_empty()) {
            names.insert("mcp".to_owned());
        }
        Fact::Set(names)
    }
}

const ANTHROPIC_EVENTS: &[&str] = &[
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
];
const CONVERSE_EVENTS: &[&str] = &[
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];
/// What the formats call their prompts.
const PROMPTS: &[&str] = &[
    "anthropic_version",
    "messages",
    "prompt",
    "inputText",
    "inputs",
    "message",
    "texts",
];
