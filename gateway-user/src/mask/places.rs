//! Places of a document whose strings are no plain text: likelihoods, which spell it again, sound, vectors, and what comes in base64.

use super::Shape;
use crate::base64;
use crate::protocol::json::{self, Kind, Step};

/// The likelihoods of a choice spell its text token by token.
pub(super) fn is_logprobs(path: &[Step<'_>]) -> bool {
    matches!(path, [.., Step::Key(choices), Step::Index(_), Step::Key(logprobs)]
        if choices == "choices" && logprobs == "logprobs")
}

/// The likelihoods of a part of a response do, too: in its item, in an event by itself, or beside a delta.
pub(super) fn is_part_logprobs(path: &[Step<'_>]) -> bool {
    let [before @ .., Step::Key(logprobs)] = path else {
        return false;
    };
    logprobs == "logprobs"
        && match before {
            [] => true,
            [Step::Key(part)] => part == "part",
            [.., Step::Key(content), Step::Index(_)] => content == "content",
            _ => false,
        }
}

/// Those of a candidate of Gemini.
pub(super) fn is_candidate_logprobs(path: &[Step<'_>]) -> bool {
    matches!(path, [.., Step::Key(candidates), Step::Index(_), Step::Key(result)]
        if candidates == "candidates" && (result == "logprobsResult" || result == "logprobs_result"))
}

/// Those of Ollama and Cohere.
pub(super) fn is_top_logprobs(path: &[Step<'_>]) -> bool {
    matches!(path, [Step::Key(logprobs)] if logprobs == "logprobs")
}

/// The likelihoods of a shape.
pub(super) fn is_likelihoods(shape: Shape, path: &[Step<'_>]) -> bool {
    match shape {
        Shape::OpenAiChat | Shape::Bedrock => is_logprobs(path),
        Shape::OpenAiResponses | Shape::OpenAiRealtime => is_part_logprobs(path),
        Shape::Gemini => is_candidate_logprobs(path),
        Shape::Ollama | Shape::Cohere => is_top_logprobs(path),
        _ => false,
    }
}

/// Sound in base64: of the microphone, or of an item of a conversation.
pub(super) fn is_sound(path: &[Step<'_>], written: &str) -> bool {
    let [before @ .., Step::Key(audio)] = path else {
        return false;
    };
    let place = match before {
        [] => true,
        [.., Step::Key(content), Step::Index(_)] => content == "content",
        _ => false,
    };
    let inside = written.trim_matches('"').trim_end_matches('=');
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    audio == "audio" && place && inside.len() >= SHORTEST_SOUND && inside.bytes().all(base64)
}

/// A vector, or a number of one.
pub(super) fn is_vector(path: &[Step<'_>]) -> bool {
    match path {
        [Step::Key(data), Step::Index(_), Step::Key(embedding), ..] if data == "data" => {
            embedding == "embedding"
        }
        // Vertex's.
        [
            Step::Key(predictions),
            Step::Index(_),
            Step::Key(embeddings),
            Step::Key(values),
            ..,
        ] if predictions == "predictions" => embeddings == "embeddings" && values == "values",
        [Step::Key(one), ..] => one == "embedding" || one == "embeddings",
        _ => false,
    }
}

/// The body of a call whose tokens Amazon is to count, which comes in base64.
pub(super) fn coded(written: &str, path: &[Step<'_>], kind: Kind, shape: Shape) -> Option<String> {
    let [Step::Key(input), Step::Key(invoke), Step::Key(body)] = path else {
        return None;
    };
    let is_body = input == "input" && invoke == "invokeModel" && body == "body";
    if shape != Shape::Bedrock || kind != Kind::String || !is_body {
        return None;
    }
    String::from_utf8(base64::decode(json::decode(written).as_bytes())?).ok()
}

/// What is shorter may be something else: it is a thousandth of a second.
const SHORTEST_SOUND: usize = 100;
