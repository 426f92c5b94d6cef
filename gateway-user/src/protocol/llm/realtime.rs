//! OpenAI's realtime API: a WebSocket in which client and model send each other events, one in each message.
//!
//! In: the head of the handshake, then each message of the client. Out: the call that the handshake is, and what an [`Event`] asks for beside
//! what was said before. Source: the OpenAI API reference, client events of the realtime API; Azure's paths of it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::call::{Call, LlmError, Said};
use super::input::Input;
use super::tool::Tool;
use super::{Endpoint, Family, GENERATE};
use crate::protocol::form;
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

/// What a message of the client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The model that it names.
    pub model: Option<String>,
    /// The models that are to write down what is heard.
    pub transcribers: Vec<String>,
    /// The names of the tools that the model may use from now on.
    pub tools: Option<BTreeSet<String>>,
    /// The same, for one answer.
    pub extra: BTreeSet<String>,
    /// The longest answer it asks for, in tokens.
    pub limit: Option<i64>,
    /// Texts that it adds to the conversation.
    pub texts: usize,
    /// It asks for an answer.
    pub answers: bool,
    /// It says something to the model, other than sound.
    pub speaks: bool,
}

/// The handshake of such a WebSocket. Elsewhere than at a listed provider it has to name a model: other things have such paths.
pub(super) fn called(head: &Head, segments: &[&str], listed: bool) -> Option<Endpoint> {
    let known = matches!(segments, [.., "realtime"]) && (listed || !models(head).is_empty());
    known.then_some(Endpoint {
        family: Family::OpenAiRealtime,
        action: GENERATE,
        stream: None,
    })
}

/// The call that a handshake is. A session that only transcribes, or that goes on with a call by telephone, names no model here.
pub(super) fn read(endpoint: Endpoint, head: &Head, facts: Facts) -> Result<Call, LlmError> {
    let named = models(head);
    if named.len() > 1 {
        return Err(LlmError::Missing {
            family: endpoint.family,
            field: "one model",
        });
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

/// Reads a message of the client. serde refuses a second of each member that it looks at.
///
/// # Errors
/// [`LlmError`] when it is no such event.
pub fn event(message: &[u8]) -> Result<Event, LlmError> {
    let family = Family::OpenAiRealtime;
    let raw: Raw =
        serde_json::from_slice(message).map_err(|source| LlmError::Body { family, source })?;
    let texts = usize::from(raw.item.is_some());
    let mut event = Event {
        texts,
        answers: raw.kind == CREATE,
        speaks: !raw.kind.starts_with(SOUND),
        ..Event::default()
    };
    if let Some(session) = raw.session {
        event.texts += session.texts();
        event.limit = session.limit();
        let (named, mut tools) = (session.tools.is_some(), BTreeSet::new());
        session.add_to(&mut event, &mut tools);
        event.tools = named.then_some(tools);
    }
    if let Some(response) = raw.response {
        event.texts += response.texts();
        event.limit = event.limit.max(response.limit());
        let mut tools = BTreeSet::new();
        response.add_to(&mut event, &mut tools);
        event.extra = tools;
    }
    Ok(event)
}

/// The models that the target names: OpenAI's `model`, Azure's `deployment`.
fn models(head: &Head) -> BTreeSet<String> {
    let (_, query) = head.target.split_once('?').unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = form::unescape(name, true)?;
        NAMES
            .contains(&name.as_str())
            .then(|| form::unescape(value, true))?
    });
    pairs.collect()
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    session: Option<Settings>,
    response: Option<Settings>,
    item: Option<IgnoredAny>,
}

/// Of a session, or of one answer.
#[derive(Deserialize)]
struct Settings {
    model: Option<String>,
    instructions: Option<IgnoredAny>,
    input: Option<Vec<IgnoredAny>>,
    tools: Option<Vec<Tool>>,
    max_output_tokens: Option<Value>,
    max_response_output_tokens: Option<Value>,
    audio: Option<Audio>,
    input_audio_transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct Audio {
    input: Option<Heard>,
}

#[derive(Deserialize)]
struct Heard {
    transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct Transcription {
    model: Option<String>,
}

impl Settings {
    fn texts(&self) -> usize {
        let input = self.input.as_ref().map_or(0, Vec::len);
        input + usize::from(self.instructions.is_some())
    }

    /// Either name counts; `"inf"` is none.
    fn limit(&self) -> Option<i64> {
        let limits = [&self.max_output_tokens, &self.max_response_output_tokens];
        limits.into_iter().flatten().filter_map(Value::as_i64).max()
    }

    fn add_to(self, event: &mut Event, tools: &mut BTreeSet<String>) {
        let heard = self.audio.and_then(|audio| audio.input);
        let heard = heard.and_then(|input| input.transcription);
        let transcribers = [heard, self.input_audio_transcription];
        let transcribers = transcribers.into_iter().flatten();
        event.model = self.model.or(event.model.take());
        let named = transcribers.filter_map(|transcription| transcription.model);
        event.transcribers.extend(named);
        for tool in self.tools.into_iter().flatten() {
            tool.add_to(tools);
        }
    }
}

const NAMES: [&str; 2] = ["model", "deployment"];
const CREATE: &str = "response.create";
/// What events about sound that is heard begin with.
const SOUND: &str = "input_audio_buffer.";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Event {
        event(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_session_says_which_tools_and_models_are_used_from_now_on() {
        let session = json!({"type": "session.update", "session": {
            "type": "realtime", "instructions": "be brief", "max_output_tokens": 100, "model": "gpt-realtime",
            "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}},
            "tools": [{"type": "function", "name": "weather"}, {"type": "mcp", "server_label": "s", "server_url": "https://x"}],
        }});
        let event = read(&session);
        assert_eq!(event.model.as_deref(), Some("gpt-realtime"));
        assert_eq!(event.transcribers, ["gpt-4o-transcribe"]);
        let tools = event.tools.unwrap();
        assert!(tools.iter().eq(["mcp", "weather"]), "{tools:?}");
        assert_eq!((event.limit, event.texts), (Some(100), 1));
        assert!(event.speaks && !event.answers);
        let none = read(
            &json!({"type": "session.update", "session": {"voice": "x", "max_response_output_tokens": "inf"}}),
        );
        assert_eq!((none.limit, none.tools), (None, None));
    }

    #[test]
    fn an_answer_is_asked_for_with_tools_of_its_own() {
        let event = read(&json!({"type": "response.create", "response": {
            "instructions": "x", "input": [{"type": "message"}, {"type": "message"}], "max_output_tokens": 5,
            "tools": [{"type": "function", "name": "weather"}],
        }}));
        assert_eq!((event.texts, event.limit, event.tools), (3, Some(5), None));
        assert!(event.extra.contains("weather") && event.answers);
        let item = read(
            &json!({"type": "conversation.item.create", "item": {"type": "message", "content": []}}),
        );
        assert_eq!(item.texts, 1);
        assert!(!read(&json!({"type": "input_audio_buffer.append", "audio": "AAAA"})).speaks);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for message in [
            r#"{"type":"response.create","type":"session.update"}"#,
            r#"{"type":"session.update","session":{},"session":{"tools":[]}}"#,
            r#"{"type":"session.update","session":{"tools":[],"tools":[]}}"#,
            r#"{"session":{}}"#,
            "[]",
            "",
        ] {
            assert!(event(message.as_bytes()).is_err(), "{message}");
        }
    }
}
