//! What the two providers answer, by method and path.

use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::model::{Conversation, doubled};
use super::pieces::Pieces;
use super::serve::{json as document, stream};
use super::{anthropic, completions, embeddings, openai, responses};

/// The answer to a request of a provider's API; `None` to any other.
pub(super) fn answer(
    method: &Method,
    path: &str,
    from_anthropic: bool,
    body: &Bytes,
    pace: Duration,
) -> Option<Response<Pieces>> {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
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
