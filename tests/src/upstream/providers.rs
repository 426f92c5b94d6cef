//! What the providers answer, by method and path.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::model::{Conversation, doubled};
use super::pieces::Pieces;
use super::serve::{json as document, stream, streamed};
use super::{
    anthropic, bedrock, cohere, compatible::Provider, completions, embeddings, gemini, mistral,
    ollama, openai, responses,
};

/// The answer to a request of a provider's API; `None` to any other.
pub(super) fn answer(
    method: &Method,
    uri: &Uri,
    from_anthropic: bool,
    name: Option<&str>,
    body: &Bytes,
    pace: Duration,
) -> Option<Response<Pieces>> {
    let path = uri.path();
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if let Some(called) = path.strip_prefix("/model/") {
        return amazon(called, &body, pace);
    }
    if path.starts_with("/guardrail/") {
        return bedrock::judged(&body).map(|judged| document(StatusCode::OK, &judged));
    }
    if path.starts_with("/v1beta") || path.contains(':') {
        return google(method, uri, &body, pace);
    }
    if let Some(provider) = Provider::of(path, name) {
        return compatible(provider, path, &body, pace);
    }
    if name == Some("api.mistral.ai")
        && let Some(answer) = conversation(method, path, &body, pace)
    {
        return Some(answer);
    }
    if path.starts_with("/api/") {
        return local(method, path, &body, pace);
    }
    if let Some(answer) = ranked(method, path, &body, pace) {
        return Some(answer);
    }
    let deployment = path.strip_prefix("/openai/deployments/");
    let azure = deployment.and_then(|path| path.split_once('/'));
    let azure = azure.map(|(_, rest)| format!("/v1/{rest}"));
    let path = azure.as_deref().unwrap_or(path);
    let with_usage = body["stream_options"]["include_usage"] == true;
    let said = |asked: Option<Conversation>,
                whole: fn(&Conversation) -> Value,
                events: &dyn Fn(&Conversation) -> Vec<Bytes>| {
        let asked = asked?;
        Some(if !asked.stream {
            document(StatusCode::OK, &whole(&asked))
        } else if asked.prompt.contains("twice") {
            stream(doubled(events(&asked)), pace)
        } else {
            stream(events(&asked), pace)
        })
    };
    let found = |answer: Value| Some(document(StatusCode::OK, &answer));
    let answer = match (method.as_str(), path) {
        ("POST", "/v1/chat/completions") => said(openai::read(&body), openai::whole, &|asked| {
            openai::events(asked, with_usage)
        }),
        ("POST", "/v1/completions") => {
            said(completions::read(&body), completions::whole, &|asked| {
                completions::events(asked, with_usage)
            })
        }
        ("POST", "/v1/responses") => {
            said(responses::read(&body), responses::whole, &responses::events)
        }
        ("POST", "/v1/embeddings") => embeddings::whole(&body).and_then(found),
        ("POST", "/v1/messages") => {
            said(anthropic::read(&body), anthropic::whole, &anthropic::events)
        }
        ("POST", "/v1/messages/count_tokens") => {
            anthropic::read(&body).and_then(|asked| found(json!({"input_tokens": asked.words})))
        }
        ("GET", "/v1/models") if from_anthropic => found(anthropic::models()),
        ("GET", "/v1/models") => found(openai::models()),
        ("GET", "/v1/models/gpt-5-mini") => found(openai::models()["data"][0].clone()),
        _ => return kept(method, path).map(|answer| document(StatusCode::OK, &answer)),
    };
    Some(answer.unwrap_or_else(|| {
        let message = "model and messages are required";
        let error = if from_anthropic {
            anthropic::error(message)
        } else {
            openai::error(message)
        };
        document(StatusCode::BAD_REQUEST, &error)
    }))
}

/// Gemini, also at Vertex AI: a model, and behind a colon what is asked of it.
fn google(method: &Method, uri: &Uri, body: &Value, pace: Duration) -> Option<Response<Pieces>> {
    let found = |answer: Value| Some(document(StatusCode::OK, &answer));
    let (_, called) = uri.path().split_once("/models")?;
    let (model, verb) = called
        .trim_start_matches('/')
        .split_once(':')
        .unwrap_or_default();
    let asked = |stream| gemini::read(body, model, stream);
    let answer = match (method.as_str(), verb) {
        ("GET", "") => found(gemini::models()),
        ("POST", "generateContent") => asked(false).and_then(|asked| found(gemini::whole(&asked))),
        ("POST", "countTokens") => asked(false).and_then(|asked| found(gemini::counted(&asked))),
        ("POST", "embedContent" | "batchEmbedContents") => gemini::vectors(body).and_then(found),
        ("POST", "streamGenerateContent") => asked(true).map(|asked| {
            let elements = gemini::elements(&asked);
            let twice = |pieces| match asked.prompt.contains("twice") {
                true => doubled(pieces),
                false => pieces,
            };
            if uri.query().is_some_and(|query| query.contains("alt=sse")) {
                streamed("text/event-stream", twice(gemini::events(&elements)), pace)
            } else {
                let array = twice(gemini::array(&elements));
                streamed("application/json; charset=UTF-8", array, pace)
            }
        }),
        _ => return None,
    };
    let error = || {
        document(
            StatusCode::BAD_REQUEST,
            &gemini::error("contents are required"),
        )
    };
    Some(answer.unwrap_or_else(error))
}

/// OpenAI's chat completions at another provider.
fn compatible(
    provider: Provider,
    path: &str,
    body: &Value,
    pace: Duration,
) -> Option<Response<Pieces>> {
    if provider == Provider::Mistral && !body["stream_options"].is_null() {
        let error = mistral::unknown("stream_options");
        return Some(document(StatusCode::UNPROCESSABLE_ENTITY, &error));
    }
    let asked = match path {
        "/v1/fim/completions" => mistral::code(body),
        "/v1/agents/completions" => mistral::agents(body),
        _ => openai::read(body),
    };
    let Some(asked) = asked else {
        let error = openai::error("model and messages are required");
        return Some(document(StatusCode::BAD_REQUEST, &error));
    };
    if !asked.stream {
        return Some(document(StatusCode::OK, &provider.whole(&asked)));
    }
    let with_usage = body["stream_options"]["include_usage"] == true;
    let events = provider.events(&asked, with_usage);
    let events = match asked.prompt.contains("twice") {
        true => doubled(events),
        false => events,
    };
    Some(stream(events, pace))
}

/// Mistral's conversations.
fn conversation(
    method: &Method,
    path: &str,
    body: &Value,
    pace: Duration,
) -> Option<Response<Pieces>> {
    let rest = path.strip_prefix("/v1/conversations")?;
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let rest = rest.strip_prefix(mistral::ID).unwrap_or(rest);
    match (method.as_str(), rest) {
        ("GET", "/history") => Some(document(StatusCode::OK, &mistral::history())),
        ("DELETE", "") => Some(document(StatusCode::NO_CONTENT, &Value::Null)),
        ("POST", "" | "/restart") => Some(match mistral::read(body) {
            None => document(StatusCode::UNPROCESSABLE_ENTITY, &openai::error("inputs")),
            Some(asked) if !asked.stream => document(StatusCode::OK, &mistral::whole(&asked)),
            Some(asked) if asked.prompt.contains("twice") => {
                stream(doubled(mistral::events(&asked)), pace)
            }
            Some(asked) => stream(mistral::events(&asked), pace),
        }),
        _ => None,
    }
}

/// Cohere, in both versions of its API.
fn ranked(method: &Method, path: &str, body: &Value, pace: Duration) -> Option<Response<Pieces>> {
    let found = |answer: Value| document(StatusCode::OK, &answer);
    let twice = |asked: &Conversation, pieces| match asked.prompt.contains("twice") {
        true => doubled(pieces),
        false => pieces,
    };
    let answer = match (method.as_str(), path) {
        ("POST", "/v2/chat") => cohere::read(body).map(|asked| match asked.stream {
            true => stream(twice(&asked, cohere::events(&asked)), pace),
            false => found(cohere::whole(&asked)),
        }),
        ("POST", "/v1/chat") => cohere::read_older(body).map(|asked| match asked.stream {
            true => {
                let lines = twice(&asked, cohere::older_lines(&asked));
                streamed("application/stream+json", lines, pace)
            }
            false => found(cohere::older(&asked)),
        }),
        ("POST", "/v2/embed") => cohere::vectors(body).map(found),
        ("POST", "/v2/rerank") => cohere::ranked(body).map(found),
        _ => return None,
    };
    let error = || document(StatusCode::BAD_REQUEST, &cohere::error("invalid request"));
    Some(answer.unwrap_or_else(error))
}

/// Amazon Bedrock: a model, and what is asked of it.
fn amazon(called: &str, body: &Value, pace: Duration) -> Option<Response<Pieces>> {
    let (model, operation) = called.split_once('/')?;
    let model = &model.replace("%3A", ":").replace("%2F", "/");
    let found = |answer: Value| document(StatusCode::OK, &answer);
    let messages =
        |messages: Vec<Bytes>| streamed("application/vnd.amazon.eventstream", messages, pace);
    let titan = bedrock::is_titan(model);
    let answer = match operation {
        "converse" => bedrock::read(body, model, false).map(|asked| found(bedrock::whole(&asked))),
        "converse-stream" => {
            bedrock::read(body, model, true).map(|asked| messages(bedrock::messages(&asked)))
        }
        "count-tokens" => {
            bedrock::to_count(&body["input"], model).map(|asked| found(bedrock::counted(&asked)))
        }
        "invoke" if model.contains("embed") => bedrock::vector(body).map(found),
        "invoke" => bedrock::read_own(body, model, false).map(|asked| {
            let answer = found(bedrock::own(&asked, titan));
            bedrock::with_counts(answer, &asked)
        }),
        "invoke-with-response-stream" => bedrock::read_own(body, model, true)
            .map(|asked| messages(bedrock::chunks(&asked, titan))),
        _ => return None,
    };
    let error = || {
        let error = bedrock::error("messages are required");
        document(StatusCode::BAD_REQUEST, &error)
    };
    Some(answer.unwrap_or_else(error))
}

/// Ollama.
fn local(method: &Method, path: &str, body: &Value, pace: Duration) -> Option<Response<Pieces>> {
    let said = |whole: fn(&Conversation) -> Value, lines: fn(&Conversation) -> Vec<Bytes>| {
        let asked = ollama::read(body)?;
        Some(match asked.stream {
            false => document(StatusCode::OK, &whole(&asked)),
            true => {
                let mut lines = lines(&asked);
                if asked.prompt.contains("twice") {
                    lines = doubled(lines);
                }
                streamed("application/x-ndjson", lines, pace)
            }
        })
    };
    let answer = match (method.as_str(), path) {
        ("POST", "/api/chat") => said(ollama::chat, ollama::chat_lines),
        ("POST", "/api/generate") => said(ollama::generated, ollama::generated_lines),
        ("POST", "/api/embed") => {
            ollama::vectors(body).map(|vectors| document(StatusCode::OK, &vectors))
        }
        ("GET", "/api/tags") => Some(document(StatusCode::OK, &ollama::models())),
        _ => return None,
    };
    let error = || document(StatusCode::BAD_REQUEST, &ollama::error("model is required"));
    Some(answer.unwrap_or_else(error))
}

/// The response that OpenAI keeps.
fn kept(method: &Method, path: &str) -> Option<Value> {
    let rest = path
        .strip_prefix("/v1/responses/")?
        .strip_prefix(responses::ID)?;
    Some(match (method.as_str(), rest) {
        ("GET", "") => responses::kept("completed"),
        ("GET", "/input_items") => responses::input_items(),
        ("POST", "/cancel") => responses::kept("cancelled"),
        ("DELETE", "") => json!({"id": responses::ID, "object": "response", "deleted": true}),
        _ => return None,
    })
}
