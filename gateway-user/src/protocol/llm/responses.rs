//! OpenAI responses over a WebSocket: the client asks for each answer in a message of its own, with what the body of a request over HTTP has.
//!
//! In: the head of the handshake, then each message of the client. Out: the call that the handshake is, which has no prompt and names no model
//! unless its address does; and what an [`Event`] asks for. An event of any other type is refused: nobody could say what it asks for.
//! Source: the OpenAI API reference, client events of responses.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call::{self, Call, LlmError, Said, document};
use super::input::Input;
use super::realtime::models;
use super::{Endpoint, Family, GENERATE};
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

/// What a message of the client asks for.
#[derive(Debug)]
pub struct Event {
    /// The lane in which it is answered; lanes are answered beside each other.
    pub lane: String,
    /// What it asks for there.
    pub asks: Asks,
}

/// What is asked for.
#[derive(Debug)]
pub enum Asks {
    /// An answer.
    Answer(Box<Call>),
    /// That an answer takes this many more texts into account, under the settings that it was asked for with.
    Heed(usize),
}

/// The handshake of such a WebSocket. Nothing in it but its path tells, so it is one at a listed provider alone.
pub(super) fn called(segments: &[&str], listed: bool) -> Option<Endpoint> {
    (listed && matches!(segments, [.., "responses"])).then_some(ENDPOINT)
}

/// The call that a handshake is.
pub(super) fn opened(endpoint: Endpoint, head: &Head, facts: Facts) -> Result<Call, LlmError> {
    let named = call::in_path(endpoint, head).into_iter();
    let named: BTreeSet<String> = named.chain(models(head)).collect();
    if named.len() > 1 {
        return Err(missing("one model"));
    }
    let said = Said {
        model: named.into_iter().next().unwrap_or_default(),
        stream: true,
        texts: Input::texts(0),
        offered: Fact::Set(BTreeSet::new()),
        limit: None,
        answers: 1,
    };
    Ok(said.into_call(endpoint, head, facts))
}

/// Reads a message of the client; `head` is that of the handshake, and `facts` what else is known.
///
/// # Errors
/// [`LlmError`] when it is no such event.
pub fn event(head: &Head, message: &[u8], facts: Facts) -> Result<Event, LlmError> {
    let raw: Raw = document(Family::OpenAiResponses, message)?;
    let asks = match &*raw.kind {
        // As in the realtime API: a provider that took it would be asked for what nobody has read.
        CREATE if raw.response.is_some() => return Err(missing("settings at its top alone")),
        CREATE => {
            let mut call = call::of_body(ENDPOINT, head, message, facts)?;
            call.stream = true;
            call.action.facts.set("stream", true);
            Asks::Answer(Box::new(call))
        }
        STEER => Asks::Heed(raw.input.unwrap_or_default().count),
        _ => return Err(missing("type that is understood")),
    };
    let lane = raw.stream_id.unwrap_or_default();
    Ok(Event { lane, asks })
}

fn missing(field: &'static str) -> LlmError {
    LlmError::Missing {
        family: Family::OpenAiResponses,
        field,
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    stream_id: Option<String>,
    response: Option<IgnoredAny>,
    input: Option<Input>,
}

const ENDPOINT: Endpoint = Endpoint {
    family: Family::OpenAiResponses,
    action: GENERATE,
    stream: None,
};
const CREATE: &str = "response.create";
const STEER: &str = "response.steer";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use ::http::Method;
    use serde_json::{Value, json};

    use super::*;

    fn head(target: &str) -> Head {
        Head {
            method: Method::GET,
            host: "api.openai.com".to_owned(),
            path: target.split('?').next().unwrap().to_owned(),
            target: target.to_owned(),
            authority: "api.openai.com".to_owned(),
            websocket: true,
        }
    }

    fn read(value: &Value) -> Result<Event, LlmError> {
        event(
            &head("/v1/responses"),
            value.to_string().as_bytes(),
            Facts::default(),
        )
    }

    #[test]
    fn an_answer_is_asked_for_with_the_facts_of_a_request_over_http() {
        let create = json!({
            "type": "response.create", "stream_id": "a", "model": "gpt-5", "max_output_tokens": 9,
            "input": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}],
            "tools": [{"type": "web_search"}, {"type": "function", "name": "weather"}],
        });
        let event = read(&create).unwrap();
        let Asks::Answer(call) = event.asks else {
            panic!("no answer is asked for");
        };
        assert_eq!((&*event.lane, &*call.model), ("a", "gpt-5"));
        assert!(call.stream && call.limit == Some(9));
        let facts = &call.action.facts.0;
        let tools = ["weather", "web_search"].map(str::to_owned);
        for (name, fact) in [
            ("model", Fact::from("gpt-5")),
            ("stream", Fact::from(true)),
            ("messages", Fact::from(2)),
            ("max_tokens", Fact::from(9)),
            ("tools", tools.into_iter().collect()),
        ] {
            assert_eq!(facts.get(name), Some(&fact), "{name}");
        }
        let steer = json!({"type": "response.steer", "previous_response_id": "resp_1", "input": [{"role": "user"}]});
        assert!(matches!(read(&steer).unwrap().asks, Asks::Heed(1)));
    }

    #[test]
    fn what_nobody_could_decide_on_is_refused() {
        for event in [
            json!({"type": "response.create", "input": "no model"}),
            json!({"type": "response.create", "model": "m", "response": {"model": "n"}}),
            json!({"type": "response.create", "model": "m", "stream_id": 1}),
            json!({"type": "session.update", "session": {}}),
            json!({"model": "m", "input": "x"}),
            json!([]),
        ] {
            assert!(read(&event).is_err(), "{event}");
        }
        let twice = br#"{"type":"response.create","model":"m","model":"n"}"#;
        assert!(event(&head("/v1/responses"), twice, Facts::default()).is_err());
    }

    #[test]
    fn the_opening_names_a_model_where_its_address_does() {
        let opened = |target| opened(ENDPOINT, &head(target), Facts::default());
        assert_eq!(opened("/v1/responses").unwrap().model, "");
        assert_eq!(opened("/v1/responses?model=gpt-5").unwrap().model, "gpt-5");
        let azure = "/openai/deployments/mine/responses";
        assert_eq!(opened(azure).unwrap().model, "mine");
        assert!(opened("/v1/responses?model=a&model=b").is_err());
    }
}
