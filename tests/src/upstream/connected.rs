//! OpenAI responses over a WebSocket: each message asks for an answer, which comes as the events of a stream, one in each message.
//!
//! Each message of the client is one entry of the journal. An answer that is asked for in a lane comes in that; where its prompt says so, half of
//! it comes behind the next answer, which has to be of another lane.

use std::io;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::responses;
use super::websocket::{read, write};
use super::{Journal, Received};

/// Where it is.
pub(super) const PATH: &str = "/v1/responses";

/// Answers until the client closes.
pub(super) async fn talk(
    io: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &str,
    journal: &Journal,
) -> io::Result<()> {
    let mut late = Vec::new();
    loop {
        let (first, payload) = read(io).await?;
        let mut answer = BytesMut::new();
        match first {
            0x88 => {
                write(first, &payload, &mut answer);
                io.write_all(&answer).await?;
                return io.shutdown().await;
            }
            0x89 => write(0x8a, &payload, &mut answer),
            0x81 => {
                for event in answered(&payload, &mut late) {
                    write(0x81, event.to_string().as_bytes(), &mut answer);
                }
                journal.received(Received::said(target, payload));
            }
            _ => {}
        }
        io.write_all(&answer).await?;
        io.flush().await?;
    }
}

/// The events that answer a message; `late` are those that still have to come.
fn answered(payload: &[u8], late: &mut Vec<Value>) -> Vec<Value> {
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    let asked = responses::read(&event).filter(|_| event["type"] == "response.create");
    let Some(asked) = asked else {
        let kind = event["type"].as_str().unwrap_or_default();
        let error = json!({"type": "invalid_request_error", "message": format!("cannot answer {kind}"), "code": null, "param": null});
        return vec![json!({"type": "error", "status": 400, "error": error})];
    };
    let events = responses::events(&asked);
    let mut events: Vec<Value> = events.iter().map(data).collect();
    for answer in &mut events {
        if let Some(lane) = event["stream_id"].as_str() {
            answer["stream_id"] = json!(lane);
        }
    }
    let behind = std::mem::take(late);
    if asked.prompt.contains("in halves") {
        *late = events.split_off(events.len() / 2);
    }
    // Lanes come beside each other.
    let (mut all, mut behind) = (Vec::new(), behind.into_iter());
    for event in events {
        all.push(event);
        all.extend(behind.next());
    }
    all.extend(behind);
    all
}

/// The data of a server-sent event.
fn data(event: &Bytes) -> Value {
    let text = String::from_utf8_lossy(event);
    let data = text.split_once("data: ").map_or("", |(_, data)| data);
    serde_json::from_str(data.trim()).unwrap_or_default()
}
