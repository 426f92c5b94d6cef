//! OpenAI's chat completions as Mistral, Groq and OpenRouter answer them: each with something of its own.
//!
//! Mistral and Groq send a call in one piece, Mistral in its last chunk; both count at the end of every stream. OpenRouter sends comments
//! before the model begins, and says what it charged.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{Answer, Conversation, deltas};

/// Whose answer it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    Mistral,
    Groq,
    OpenRouter,
}

impl Provider {
    /// The provider with such a path, at such a name.
    pub(super) fn of(path: &str, name: Option<&str>) -> Option<Self> {
        match (path, name) {
            (
                "/v1/chat/completions" | "/v1/fim/completions" | "/v1/agents/completions",
                Some("api.mistral.ai"),
            ) => Some(Self::Mistral),
            ("/openai/v1/chat/completions", _) => Some(Self::Groq),
            ("/api/v1/chat/completions", _) => Some(Self::OpenRouter),
            _ => None,
        }
    }

    /// The answer in one piece.
    pub(super) fn whole(self, asked: &Conversation) -> Value {
        let answer = asked.answer();
        let mut message = json!({"role": "assistant", "content": ""});
        match &answer {
            Answer::Text(text) => message["content"] = json!(text),
            Answer::Call { .. } => message["tool_calls"] = json!([call(&answer)]),
        }
        let mut choice = json!({"index": 0, "message": message, "finish_reason": finish(&answer)});
        let mut whole = json!({"id": self.id(), "object": "chat.completion", "created": CREATED, "model": asked.model});
        match self {
            Self::Mistral => choice["message"]["prefix"] = json!(false),
            Self::Groq => {
                choice["logprobs"] = Value::Null;
                whole["x_groq"] = json!({"id": REQUEST});
                whole["service_tier"] = json!("on_demand");
            }
            Self::OpenRouter => {
                choice["native_finish_reason"] = json!("stop");
                choice["message"]["refusal"] = Value::Null;
                choice["message"]["reasoning"] = Value::Null;
                whole["provider"] = json!("OpenAI");
                whole["system_fingerprint"] = Value::Null;
            }
        }
        whole["choices"] = json!([choice]);
        whole["usage"] = self.usage(asked, &answer);
        whole
    }

    /// The answer as server-sent events.
    pub(super) fn events(self, asked: &Conversation, with_usage: bool) -> Vec<Bytes> {
        let answer = asked.answer();
        let mut events = Vec::new();
        let mut add = |choices: Value, more: Value| {
            let mut chunk = json!({"id": self.id(), "object": "chat.completion.chunk", "created": CREATED, "model": asked.model, "choices": choices});
            if self == Self::OpenRouter {
                chunk["provider"] = json!("OpenAI");
            }
            for (name, value) in more.as_object().into_iter().flatten() {
                chunk[name] = value.clone();
            }
            events.push(Bytes::from(format!("data: {chunk}\n\n")));
        };
        let said = |delta: Value| json!([{"index": 0, "delta": delta, "finish_reason": null}]);
        let none = json!({});
        let first = match self {
            Self::Groq => json!({"x_groq": {"id": REQUEST}}),
            _ => none.clone(),
        };
        add(said(json!({"role": "assistant", "content": ""})), first);
        let mut last = json!({});
        match &answer {
            Answer::Text(text) => {
                for piece in deltas(text) {
                    add(said(json!({"content": piece})), none.clone());
                }
                if self != Self::Groq {
                    last = json!({"content": ""});
                }
            }
            Answer::Call { arguments, .. } if self == Self::OpenRouter => {
                let mut begun = call(&answer);
                begun["function"]["arguments"] = json!("");
                add(
                    said(json!({"content": null, "tool_calls": [begun]})),
                    none.clone(),
                );
                for piece in deltas(&arguments.to_string()) {
                    let piece = json!({"index": 0, "function": {"arguments": piece}});
                    add(said(json!({"tool_calls": [piece]})), none.clone());
                }
                last = json!({"content": ""});
            }
            Answer::Call { .. } if self == Self::Groq => {
                add(said(json!({"tool_calls": [call(&answer)]})), none.clone());
            }
            Answer::Call { .. } => last = json!({"content": "", "tool_calls": [call(&answer)]}),
        }
        let usage = self.usage(asked, &answer);
        let ended = json!([{"index": 0, "delta": last, "finish_reason": finish(&answer)}]);
        match self {
            Self::Mistral => add(ended, json!({"usage": usage})),
            Self::Groq => {
                add(ended, json!({"x_groq": {"id": REQUEST, "usage": usage}}));
                if with_usage {
                    add(json!([]), json!({"usage": usage}));
                }
            }
            Self::OpenRouter => {
                add(ended, none);
                add(json!([]), json!({"usage": usage}));
                let comment = Bytes::from_static(b": OPENROUTER PROCESSING\n\n");
                events.insert(0, comment);
            }
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn usage(self, asked: &Conversation, answer: &Answer) -> Value {
        let (read, wrote) = (asked.words, answer.words());
        let mut usage = json!({"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote});
        match self {
            Self::Mistral => {}
            Self::Groq => {
                usage["queue_time"] = json!(0.01);
                usage["total_time"] = json!(0.02);
            }
            Self::OpenRouter => {
                usage["cost"] = json!(CHARGED);
                usage["is_byok"] = json!(false);
                usage["cost_details"] = json!({"upstream_inference_cost": null, "upstream_inference_prompt_cost": 0.001, "upstream_inference_completions_cost": 0.002});
            }
        }
        usage
    }

    fn id(self) -> &'static str {
        match self {
            Self::Mistral => "cmpl-0123456789",
            Self::Groq => "chatcmpl-0123456789",
            Self::OpenRouter => "gen-0123456789",
        }
    }
}

/// What OpenRouter charges for a call, in dollars, whatever its tokens would cost elsewhere.
pub const CHARGED: f64 = 0.0375;

const CREATED: u64 = 1_760_000_000;
const REQUEST: &str = "req_0123456789";

fn call(answer: &Answer) -> Value {
    match answer {
        Answer::Call { tool, arguments } => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            json!({"index": 0, "id": "a1B2c3D4e", "type": "function", "function": function})
        }
        Answer::Text(_) => Value::Null,
    }
}

fn finish(answer: &Answer) -> &'static str {
    match answer {
        Answer::Text(_) => "stop",
        Answer::Call { .. } => "tool_calls",
    }
}
