//! OpenAI's realtime API: a WebSocket in which client and model send each other events, one in each message.
//!
//! In: the head of the handshake, then each message of the client. Out: the call that the handshake is, and what an [`Event`] asks for beside
//! what was said before. What stands in an event of another type than the one that it belongs to, no provider heeds, and so it counts for
//! nothing here. Source: the OpenAI API reference, client events of the realtime API; Azure's paths of it.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::call::{Call, LlmError, Said, document};
use super::input::Input;
use super::tool::Tool;
use super::{Endpoint, Family, GENERATE};
use crate::protocol::form;
use crate::protocol::http::Head;
use crate::protocol::{Fact, Facts};

pub use super::limit::Limit;

/// What a message of the client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The models that it names.
    pub models: BTreeSet<String>,
    /// The models that are to write down what is heard.
    pub transcribers: BTreeSet<String>,
    /// What is to hold from now on.
    pub session: Option<Change>,
    /// What is to hold for one answer.
    pub response: Option<Change>,
    /// Texts that it adds to the conversation.
    pub texts: usize,
    /// It asks for an answer.
    pub answers: bool,
    /// It says something to the model, other than sound.
    pub speaks: bool,
}

/// What of a session is told anew; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The names of the tools that the model may use.
    pub tools: Option<BTreeSet<String>>,
    /// How long an answer may be.
    pub limit: Option<Limit>,
    /// Whether a template that the provider keeps says more of it, tools that cannot be seen among that.
    pub template: Option<bool>,
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
    let raw: Raw = document(Family::OpenAiRealtime, message)?;
    let mut event = Event {
        texts: usize::from(raw.item.is_some()),
        answers: raw.kind == CREATE,
        speaks: !raw.kind.starts_with(SOUND),
        ..Event::default()
    };
    let of_session = raw.session.filter(|_| UPDATES.contains(&&*raw.kind));
    event.session = of_session.map(|session| session.add_to(&mut event));
    let of_response = raw.response.filter(|_| raw.kind == CREATE);
    event.response = of_response.map(|response| response.add_to(&mut event));
    Ok(event)
}

/// What holds in a session, as the provider tells; nothing where that is not understood.
#[must_use]
pub fn session(told: Value) -> Option<Change> {
    let session: Settings = serde_json::from_value(told).ok()?;
    Some(session.add_to(&mut Event::default()))
}

/// The models that the target names: OpenAI's `model`, Azure's `deployment`.
pub(super) fn models(head: &Head) -> BTreeSet<String> {
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
    #[serde(default, deserialize_with = "is_there")]
    prompt: Option<bool>,
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

    /// The longer one counts.
    fn limit(&self) -> Option<Limit> {
        let limits = [&self.max_output_tokens, &self.max_response_output_tokens];
        let limits = limits.into_iter().flatten();
        limits.map(Limit::of).max()
    }

    fn add_to(self, event: &mut Event) -> Change {
        event.texts += self.texts();
        let limit = self.limit();
        let heard = self.audio.and_then(|audio| audio.input);
        let heard = heard.and_then(|input| input.transcription);
        let transcribers = [heard, self.input_audio_transcription];
        let transcribers = transcribers.into_iter().flatten();
        let named = transcribers.filter_map(|transcription| transcription.model);
        event.transcribers.extend(named);
        event.models.extend(self.model);
        let tools = self.tools.map(|tools| {
            let mut names = BTreeSet::new();
            for tool in tools {
                tool.add_to(&mut names);
            }
            names
        });
        Change {
            tools,
            limit,
            template: self.prompt,
        }
    }
}

/// Of a member that is told: whether it is something.
fn is_there<'de, D: Deserializer<'de>>(member: D) -> Result<Option<bool>, D::Error> {
    let member = Option::<IgnoredAny>::deserialize(member)?;
    Ok(Some(member.is_some()))
}

const NAMES: [&str; 2] = ["model", "deployment"];
const CREATE: &str = "response.create";
const UPDATES: [&str; 2] = ["session.update", "transcription_session.update"];
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
        assert!(event.models.iter().eq(["gpt-realtime"]));
        assert!(event.transcribers.iter().eq(["gpt-4o-transcribe"]));
        let change = event.session.unwrap();
        let tools = change.tools.unwrap();
        assert!(tools.iter().eq(["mcp", "weather"]), "{tools:?}");
        assert_eq!((change.limit, event.texts), (Some(Limit::Tokens(100)), 1));
        assert!(event.speaks && !event.answers);
    }

    #[test]
    fn a_limit_is_told_or_lifted_or_stays() {
        for (settings, limit) in [
            (json!({"voice": "x"}), None),
            (json!({"max_output_tokens": null}), None),
            (json!({"max_output_tokens": 5}), Some(Limit::Tokens(5))),
            (
                json!({"max_response_output_tokens": "inf"}),
                Some(Limit::None),
            ),
            (
                json!({"max_output_tokens": 5, "max_response_output_tokens": 6}),
                Some(Limit::Tokens(6)),
            ),
            (
                json!({"max_output_tokens": "inf", "max_response_output_tokens": 6}),
                Some(Limit::None),
            ),
            (json!({"max_output_tokens": "6"}), Some(Limit::None)),
            (json!({"max_output_tokens": -1}), Some(Limit::None)),
        ] {
            let change = Some(Change {
                limit,
                ..Change::default()
            });
            let updates = read(&json!({"type": "session.update", "session": settings}));
            assert_eq!(updates.session, change, "{settings}");
            let creates = read(&json!({"type": "response.create", "response": settings}));
            assert_eq!(creates.response, change, "{settings}");
            assert_eq!(session(settings), change);
        }
        assert_eq!(session(json!({"tools": "none"})), None);
    }

    #[test]
    fn an_answer_is_asked_for_with_tools_of_its_own() {
        let event = read(&json!({"type": "response.create", "response": {
            "instructions": "x", "input": [{"type": "message"}, {"type": "message"}], "max_output_tokens": 5,
            "tools": [{"type": "function", "name": "weather"}],
        }}));
        assert_eq!((event.texts, event.session), (3, None));
        let tools = event.response.unwrap().tools.unwrap();
        assert!(tools.iter().eq(["weather"]) && event.answers);
        let item = read(
            &json!({"type": "conversation.item.create", "item": {"type": "message", "content": []}}),
        );
        assert_eq!(item.texts, 1);
        assert!(!read(&json!({"type": "input_audio_buffer.append", "audio": "AAAA"})).speaks);
    }

    #[test]
    fn a_template_of_the_providers_is_told_wherever_it_is_used() {
        let prompt = json!({"id": "pmpt_1", "version": "2", "variables": {"city": "Rome"}});
        for (settings, template) in [
            (json!({"prompt": prompt}), Some(true)),
            (json!({"prompt": null}), Some(false)),
            (json!({"tools": []}), None),
        ] {
            let updates = read(&json!({"type": "session.update", "session": settings}));
            assert_eq!(updates.session.unwrap().template, template, "{settings}");
            let creates = read(&json!({"type": "response.create", "response": settings}));
            assert_eq!(creates.response.unwrap().template, template, "{settings}");
            assert_eq!(session(settings).unwrap().template, template);
        }
    }

    #[test]
    fn what_stands_in_the_wrong_event_counts_for_nothing() {
        let settings = json!({"tools": [], "model": "x", "max_output_tokens": 1});
        for kind in [
            "input_audio_buffer.commit",
            "response.create",
            "conversation.item.create",
            "made.up",
        ] {
            let event = read(&json!({"type": kind, "session": settings}));
            assert_eq!((event.session, event.models.len()), (None, 0), "{kind}");
        }
        for kind in ["session.update", "response.cancel"] {
            let event = read(&json!({"type": kind, "response": settings}));
            assert_eq!((event.response, event.models.len()), (None, 0), "{kind}");
        }
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
