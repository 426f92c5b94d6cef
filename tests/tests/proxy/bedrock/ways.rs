//! Ways to ask a model at Amazon Bedrock, and what comes back.

use anyhow::{Context, ensure};
use bytes::Bytes;
use gateway_user::protocol::frames::{Framer, Framing};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fixture::{AMAZON, Proxy, SOON};

/// A way to ask a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Converse,
    ConverseStream,
    Claude,
    ClaudeStream,
    Titan,
    TitanStream,
}

pub(super) use Way::{Claude, ClaudeStream, Converse, ConverseStream, Titan, TitanStream};

pub(super) const WAYS: [Way; 6] = [
    Converse,
    ConverseStream,
    Claude,
    ClaudeStream,
    Titan,
    TitanStream,
];

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Way {
    pub(super) fn streams(self) -> bool {
        matches!(self, ConverseStream | ClaudeStream | TitanStream)
    }

    pub(super) fn model(self) -> &'static str {
        match self {
            Converse | ConverseStream => "us.amazon.nova-lite-v1:0",
            Claude | ClaudeStream => "anthropic.claude-haiku-4-5-20251001-v1:0",
            Titan | TitanStream => "amazon.titan-text-express-v1",
        }
    }

    pub(super) fn path(self, model: &str) -> String {
        let operation = match self {
            Converse => "converse",
            ConverseStream => "converse-stream",
            Claude | Titan => "invoke",
            ClaudeStream | TitanStream => "invoke-with-response-stream",
        };
        format!("/model/{}/{operation}", model.replace(':', "%3A"))
    }

    pub(super) fn body(self, prompt: &str, tool: Option<&str>) -> String {
        let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
        let mut body = match self {
            Converse | ConverseStream => {
                json!({"messages": [{"role": "user", "content": [{"text": prompt}]}], "inferenceConfig": {"maxTokens": 9}})
            }
            Claude | ClaudeStream => {
                json!({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": prompt}]})
            }
            Titan | TitanStream => json!({"inputText": prompt}),
        };
        match (self, tool) {
            (Converse | ConverseStream, Some(name)) => {
                let spec = json!({"name": name, "inputSchema": {"json": schema}});
                body["toolConfig"] = json!({"tools": [{ "toolSpec": spec }]});
            }
            (_, Some(name)) => body["tools"] = json!([{"name": name, "input_schema": schema}]),
            _ => {}
        }
        body.to_string()
    }

    /// The documents of an answer.
    pub(super) fn documents(self, answer: &[u8]) -> anyhow::Result<Vec<Value>> {
        if !self.streams() {
            return Ok(vec![serde_json::from_slice(answer)?]);
        }
        Ok(messages(answer)?
            .into_iter()
            .map(|(_, data)| data)
            .collect())
    }

    /// What the documents say, put together.
    pub(super) fn said(self, documents: &[Value]) -> String {
        let at = match self {
            Converse => "/output/message/content/0/text",
            ConverseStream => "/contentBlockDelta/delta/text",
            Claude => "/content/0/text",
            ClaudeStream => "/delta/text",
            Titan => "/results/0/outputText",
            TitanStream => "/outputText",
        };
        let texts = documents
            .iter()
            .filter_map(|document| document.pointer(at)?.as_str());
        texts.collect()
    }
}

/// The messages of a stream, each whole and with right checksums.
pub(super) fn messages(stream: &[u8]) -> anyhow::Result<Vec<(String, Value)>> {
    let (mut framer, mut events) = (Framer::new(Framing::Messages, 1 << 20), Vec::new());
    framer.push(stream, &mut events)?;
    framer.finish(&mut events)?;
    let read = events.into_iter().map(|event| {
        let data = serde_json::from_str(event.data.as_deref().unwrap_or("null"))?;
        Ok((event.name.unwrap_or_default(), data))
    });
    read.collect()
}

/// The text of the exception that is the last of a stream: its payload, which this gateway writes with headers that it would not read.
pub(super) fn exception(stream: &[u8]) -> anyhow::Result<(Vec<u8>, String)> {
    let mut rest = stream;
    loop {
        let total = rest.first_chunk().context("no exception")?;
        let total = u32::from_be_bytes(*total) as usize;
        let (message, after) = rest.split_at_checked(total).context("a message is cut")?;
        if let Some(start) = message
            .windows(11)
            .position(|part| part == b"{\"message\":")
        {
            ensure!(after.is_empty(), "something follows");
            let text = String::from_utf8_lossy(message).into_owned();
            ensure!(
                text.contains(":exception-type") && text.contains("accessDeniedException"),
                "{text}"
            );
            let payload: Value = serde_json::from_slice(&message[start..total - 4])?;
            let said = payload["message"].as_str().context("no text")?.to_owned();
            return Ok((stream[..stream.len() - total].to_vec(), said));
        }
        rest = after;
    }
}

/// By way of the gateway to Amazon.
pub(super) async fn governed(
    proxy: &Proxy,
    version: &str,
    path: &str,
    body: String,
    headers: &[(&'static str, &str)],
) -> anyhow::Result<Answer> {
    let origin = proxy.tls_origin();
    let mut client = proxy.client(origin, AMAZON, version).await?;
    let mut request = client.request("POST", &format!("{AMAZON}:{}", origin.port()), path, body)?;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(*name, HeaderValue::from_str(value)?);
    }
    let answer = timeout(SOON, client.start(request)).await??;
    let (head, body) = answer.into_parts();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: timeout(SOON, body.collect()).await??.to_bytes(),
    })
}
