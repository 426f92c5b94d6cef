//! The clients of the suite, what they call, and what a refusal is to each of them.

use serde_json::{Value, json};

use crate::world::{Script, text};

/// Clients, each with a model that policy permits.
pub(crate) type Clients = &'static [(&'static str, &'static str)];

/// Chat clients in Python, each with a model that policy permits.
pub(crate) const CHAT: &[(&str, &str)] = &[
    ("openai", "gpt-5-mini"),
    ("openai-azure", "gpt-5-mini"),
    ("anthropic", "claude-haiku-4-5"),
    ("langchain-openai", "gpt-5-mini"),
    ("langchain-anthropic", "claude-haiku-4-5"),
    ("langgraph", "gpt-5-mini"),
    ("openai-responses", "gpt-5-mini"),
    ("openai-completions", "gpt-5-mini"),
    ("langchain-responses", "gpt-5-mini"),
];

/// The model for vectors that policy permits.
pub(crate) const EMBEDDER: &str = "text-embedding-3-small";

/// Chat clients in Node.
pub(crate) const NODE_CHAT: &[(&str, &str)] = &[
    ("openai", "gpt-5-mini"),
    ("openai-responses", "gpt-5-mini"),
    ("langchain-openai", "gpt-5-mini"),
    ("aws-converse", NOVA),
    ("aws-invoke", HAIKU),
];

/// Chat clients in Python of Gemini, Ollama, Cohere, Mistral, Groq, OpenRouter and Bedrock.
pub(crate) const FAMILIES: &[(&str, &str)] = &[
    ("google-genai", "gemini-2.5-flash"),
    ("google-vertex", "gemini-2.5-flash"),
    ("langchain-google-genai", "gemini-2.5-flash"),
    ("ollama", "llama3.2"),
    ("ollama-generate", "llama3.2"),
    ("langchain-ollama", "llama3.2"),
    ("cohere", "command-a-03-2025"),
    ("cohere-older", "command-a-03-2025"),
    ("mistral", "mistral-small-latest"),
    ("mistral-conversation", "mistral-medium-latest"),
    ("groq", "llama-3.3-70b-versatile"),
    ("openrouter", "openai/gpt-5-mini"),
    ("boto3-converse", NOVA),
    ("boto3-invoke", HAIKU),
    ("langchain-aws", NOVA),
];

/// Amazon's own model, by its inference profile.
const NOVA: &str = "us.amazon.nova-lite-v1:0";

/// Anthropic's, called in its own format.
const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";

/// HTTP clients in Python.
pub(crate) const HTTP: &[&str] = &[
    "requests", "httpx", "httpx2", "aiohttp", "urllib3", "urllib",
];

/// HTTP clients in Node.
pub(crate) const NODE_HTTP: &[&str] = &["fetch", "undici", "axios"];

/// The provider that a chat client calls.
pub(crate) fn provider(client: &str) -> &'static str {
    match client {
        _ if client.contains("anthropic") => "anthropic",
        _ if client.contains("azure") => "azure-openai",
        _ if client.contains("vertex") => "vertex",
        _ if client.contains("google") => "gemini",
        _ if client.contains("ollama") => "ollama",
        _ if client.contains("cohere") => "cohere",
        _ if client.starts_with("mistral") => "mistral",
        "groq" => "groq",
        "openrouter" => "openrouter",
        _ if is_amazons(client) => "bedrock",
        _ => "openai",
    }
}

/// Whether a result is the library's own exception for a refusal. One that is told inside a stream has no status in most libraries.
pub(crate) fn is_refusal(call: &Value, result: &Value, inside: bool) -> bool {
    let (error, status) = (text(result, "error"), result["status"].as_i64());
    match (text(call, "client"), inside) {
        (client, _) if client.starts_with("google") => {
            (error, status) == ("ClientError", Some(403))
        }
        (client, false) if is_amazons(client) => {
            (error, status) == ("AccessDeniedException", Some(403))
        }
        // JavaScript's has no class for what its model of streams does not name.
        (client, true) if client.starts_with("aws") => error == "accessDeniedException",
        (client, true) if is_amazons(client) => error == "EventStreamError",
        (client, false) if client.starts_with("cohere") => {
            (error, status) == ("ForbiddenError", Some(403))
        }
        (client, true) if client.starts_with("cohere") => error == "ApiError",
        (client, false) if client.starts_with("mistral") => {
            (error, status) == ("SDKError", Some(403))
        }
        ("openrouter", false) => (error, status) == ("ForbiddenResponseError", Some(403)),
        // What is no chunk of theirs fails; `body` has it.
        (client, true) if client.starts_with("mistral") || client == "openrouter" => {
            error == "ResponseValidationError"
        }
        // It asks for a stream, whatever it is asked.
        ("langchain-ollama", _) => error == "ResponseError",
        ("langchain-google-genai", _) => error == "GooglePermissionDeniedError",
        (client, false) if client.contains("ollama") => {
            (error, status) == ("ResponseError", Some(403))
        }
        (client, true) if client.contains("ollama") => error == "ResponseError",
        (_, false) => error.ends_with("PermissionDeniedError") && status == Some(403),
        (client, true) if client.contains("anthropic") => error.ends_with("APIStatusError"),
        (_, true) => error.ends_with("APIError"),
    }
}

fn is_amazons(client: &str) -> bool {
    client.starts_with("boto3") || client.starts_with("aws") || client == "langchain-aws"
}

/// Every program with chat clients, and its clients.
pub(crate) fn chats() -> anyhow::Result<[(Script, Clients); 3]> {
    Ok([
        (Script::python()?, CHAT),
        (Script::families()?, FAMILIES),
        (Script::node()?, NODE_CHAT),
    ])
}

/// Every way of a chat client: blocking or not, whole or streamed, with or without a tool (which texts without a chat do not have).
pub(crate) fn ways(client: &str, model: &str, prompt: &str) -> Vec<Value> {
    let mut calls = Vec::new();
    for asynchronous in [false, true] {
        for stream in [false, true] {
            for tools in [false, true] {
                if tools && ["openai-completions", "ollama-generate"].contains(&client) {
                    continue;
                }
                calls.push(json!({
                    "client": client, "model": model, "prompt": prompt, "async": asynchronous, "stream": stream, "tools": tools,
                }));
            }
        }
    }
    calls
}

/// The ways of a client that knows no blocking calls.
pub(crate) fn asynchronous_ways(client: &str, model: &str, prompt: &str) -> Vec<Value> {
    ways(client, model, prompt)
        .into_iter()
        .filter(|call| call["async"] == true)
        .collect()
}

/// The ways without a tool, in which the answer is text.
pub(crate) fn texts(client: &str, model: &str, prompt: &str) -> Vec<Value> {
    ways(client, model, prompt)
        .into_iter()
        .filter(|call| call["tools"] == false)
        .collect()
}

/// Calls that turn texts into vectors or count their tokens: each library, blocking and not. `model` replaces the permitted ones.
pub(crate) fn measured(model: Option<&str>, prompt: &str) -> Vec<Value> {
    let call = |asynchronous: bool, client: &str, permitted: &str, prompt: Value| {
        let model = model.unwrap_or(permitted);
        json!({"client": client, "model": model, "prompt": prompt, "async": asynchronous})
    };
    let both = [false, true].into_iter().flat_map(|asynchronous| {
        let texts = json!([prompt, "and this"]);
        let mut floats = call(asynchronous, "openai-embeddings", EMBEDDER, json!(prompt));
        floats["with"] = json!({"encoding_format": "float"});
        [
            floats,
            call(asynchronous, "openai-embeddings", EMBEDDER, texts.clone()),
            call(asynchronous, "langchain-embeddings", EMBEDDER, texts),
            call(
                asynchronous,
                "anthropic-count",
                "claude-haiku-4-5",
                json!(prompt),
            ),
        ]
    });
    both.collect()
}

/// The same by the libraries of Gemini, Ollama, Cohere and Bedrock.
pub(crate) fn embedded(model: Option<&str>, prompt: &str) -> Vec<Value> {
    let clients = [
        ("google-measured", "gemini-embedding-001"),
        ("ollama-embed", "embeddinggemma"),
        ("cohere-measured", "embed-v4.0"),
        ("boto3-count", NOVA),
        ("boto3-count-own", HAIKU),
        ("boto3-guardrail", "gr0123456789"),
        (
            "boto3-guardrail",
            "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr0123456789",
        ),
    ];
    let both = [false, true].into_iter().flat_map(|asynchronous| {
        clients.map(|(client, permitted)| {
            let model = model.unwrap_or(permitted);
            json!({"client": client, "model": model, "prompt": prompt, "async": asynchronous})
        })
    });
    both.collect()
}
