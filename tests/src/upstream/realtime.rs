//! OpenAI's realtime API: a conversation in a WebSocket, its events as the provider writes them.
//!
//! What the client has said by the time it asks for an answer is one entry of the journal. With `output_modalities` of `["text"]` the answer is
//! text, else speech.

use std::io;

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::model::{Answer, Conversation, Tool, deltas, doubled, text};
use super::websocket::{read, write};
use super::{Journal, Received};

/// Where it is.
pub(super) const PATH: &str = "/v1/realtime";

/// Sound in base64, with a card number in it.
pub const SOUND: &str = concat!(
    "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAAQEBAQ",
    "IDAwMDAwMDA0MTExMTExMTExMTExMTEx/4111111111111111/AAAABBBBCCCCDDDD",
);

/// Talks until the client closes.
pub(super) async fn talk(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &str,
    journal: &Journal,
) -> io::Result<()> {
    let model = target.split_once("model=").map_or("", |(_, model)| model);
    let mut talk = Talk {
        session: json!({"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": model, "output_modalities": ["audio"], "tools": []}),
        ..Talk::default()
    };
    let session = talk.session.clone();
    talk.add("session.created", json!({"session": session}));
    loop {
        for event in talk.events.drain(..) {
            let mut frame = BytesMut::new();
            write(0x81, event.as_bytes(), &mut frame);
            io.write_all(&frame).await?;
            io.flush().await?;
        }
        let (first, payload) = read(io).await?;
        let mut answer = BytesMut::new();
        match first {
            0x88 => {
                write(first, &payload, &mut answer);
                io.write_all(&answer).await?;
                return io.shutdown().await;
            }
            0x89 => {
                write(0x8a, &payload, &mut answer);
                io.write_all(&answer).await?;
            }
            0x81 => {
                talk.said.extend_from_slice(&payload);
                talk.said.push(b'\n');
                let event = serde_json::from_slice(&payload).unwrap_or_default();
                if talk.hear(&event) {
                    journal.received(Received::said(target, std::mem::take(&mut talk.said)));
                }
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Talk {
    session: Value,
    items: Vec<Value>,
    /// What the client has said since it last asked for an answer.
    said: Vec<u8>,
    events: Vec<String>,
    count: usize,
}

impl Talk {
    fn add(&mut self, kind: &str, mut event: Value) {
        self.count += 1;
        event["type"] = json!(kind);
        event["event_id"] = json!(format!("event_{}", self.count));
        self.events.push(event.to_string());
    }

    /// Answers an event; whether it asked for an answer of the model.
    fn hear(&mut self, event: &Value) -> bool {
        match event["type"].as_str().unwrap_or_default() {
            "session.update" => {
                for (name, value) in event["session"].as_object().into_iter().flatten() {
                    self.session[name] = value.clone();
                }
                let session = self.session.clone();
                self.add("session.updated", json!({"session": session}));
            }
            "conversation.item.create" => {
                let mut item = event["item"].clone();
                item["id"] = json!(format!("item_user_{}", self.items.len()));
                self.items.push(item.clone());
                self.add("conversation.item.added", json!({"item": item}));
                self.add("conversation.item.done", json!({"item": item}));
            }
            "response.create" => {
                self.answer(&event["response"]);
                return true;
            }
            "input_audio_buffer.append" => {}
            other => {
                let message = format!("unknown event {other}");
                self.add(
                    "error",
                    json!({"error": {"type": "invalid_request_error", "message": message}}),
                );
            }
        }
        false
    }

    fn asked(&self, response: &Value) -> Conversation {
        let tools = [&response["tools"], &self.session["tools"]];
        let tools = tools.into_iter().find_map(Value::as_array);
        let last = self.items.last().cloned().unwrap_or_default();
        Conversation {
            model: text(&self.session["model"]),
            stream: true,
            prompt: self
                .items
                .iter()
                .rfind(|item| item["role"] == "user")
                .map(|item| text(&item["content"]))
                .unwrap_or_default(),
            tool_result: (last["type"] == "function_call_output").then(|| text(&last["output"])),
            tools: tools
                .into_iter()
                .flatten()
                .filter_map(|tool| {
                    Some(Tool {
                        name: tool["name"].as_str()?.to_owned(),
                        schema: tool["parameters"].clone(),
                    })
                })
                .collect(),
            words: 7,
        }
    }

    fn answer(&mut self, response: &Value) {
        let asked = self.asked(response);
        let answer = asked.answer();
        let first = self.events.len();
        let id = format!("resp_{}", self.items.len());
        let item_id = format!("item_{}", self.items.len());
        let with = |mut event: Value| {
            event["response_id"] = json!(id);
            event["item_id"] = json!(item_id);
            event["output_index"] = json!(0);
            event
        };
        let begun =
            json!({"id": id, "object": "realtime.response", "status": "in_progress", "output": []});
        self.add("response.created", json!({"response": begun}));
        let item = match &answer {
            Answer::Text(said) => self.speak(&item_id, said, &with),
            Answer::Call { tool, arguments } => {
                self.call(&item_id, tool, &arguments.to_string(), &with)
            }
        };
        self.items.push(item.clone());
        self.add("conversation.item.done", json!({"item": item}));
        let done = json!({"response_id": id, "output_index": 0, "item": item});
        self.add("response.output_item.done", done);
        let (read, wrote) = (asked.words, answer.words());
        let usage = json!({
            "total_tokens": read + wrote, "input_tokens": read, "output_tokens": wrote,
            "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": 2},
        });
        let done = json!({"id": id, "object": "realtime.response", "status": "completed", "output": [item], "usage": usage});
        self.add("response.done", json!({"response": done}));
        if asked.prompt.contains("twice") {
            let events = self.events.split_off(first);
            let events = events.into_iter().map(Into::into).collect();
            let events = doubled(events).into_iter();
            self.events
                .extend(events.map(|event| String::from_utf8_lossy(&event).into_owned()));
        }
    }

    /// The events of an answer in words, and its item.
    fn speak(&mut self, item_id: &str, said: &str, with: &impl Fn(Value) -> Value) -> Value {
        let written = self.session["output_modalities"] == json!(["text"]);
        let (channel, field, kind) = match written {
            true => ("output_text", "text", "output_text"),
            false => ("output_audio_transcript", "transcript", "output_audio"),
        };
        let item = |status: &str, content: Value| json!({"id": item_id, "object": "realtime.item", "type": "message", "status": status, "role": "assistant", "content": content});
        let begun = item("in_progress", json!([]));
        self.add("response.output_item.added", with(json!({"item": begun})));
        self.add("conversation.item.added", json!({"item": begun}));
        let at = |mut event: Value| {
            event["content_index"] = json!(0);
            with(event)
        };
        let part = json!({"type": kind, field: ""});
        self.add("response.content_part.added", at(json!({"part": part})));
        for piece in deltas(said) {
            let event = at(json!({"delta": piece}));
            self.add(&format!("response.{channel}.delta"), event);
            if !written {
                self.add("response.output_audio.delta", at(json!({"delta": SOUND})));
            }
        }
        if !written {
            self.add("response.output_audio.done", at(json!({})));
        }
        self.add(
            &format!("response.{channel}.done"),
            at(json!({field: said})),
        );
        let part = json!({"type": kind, field: said});
        self.add("response.content_part.done", at(json!({"part": part})));
        item("completed", json!([part]))
    }

    /// The events of a call, and its item.
    fn call(
        &mut self,
        item_id: &str,
        tool: &str,
        arguments: &str,
        with: &impl Fn(Value) -> Value,
    ) -> Value {
        let item = |status: &str, arguments: &str| json!({"id": item_id, "object": "realtime.item", "type": "function_call", "status": status, "name": tool, "call_id": "call_1", "arguments": arguments});
        let begun = item("in_progress", "");
        self.add("response.output_item.added", with(json!({"item": begun})));
        self.add("conversation.item.added", json!({"item": begun}));
        for piece in deltas(arguments) {
            let event = with(json!({"call_id": "call_1", "delta": piece}));
            self.add("response.function_call_arguments.delta", event);
        }
        let event = with(json!({"call_id": "call_1", "name": tool, "arguments": arguments}));
        self.add("response.function_call_arguments.done", event);
        item("completed", arguments)
    }
}
