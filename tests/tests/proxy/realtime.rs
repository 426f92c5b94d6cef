//! Conversations with a model over WebSocket, as OpenAI's realtime API has them: what is asked is decided and masked, what is answered is masked
//! across its pieces, calls of tools are decided whole, answers are counted and paid for one by one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod session;
mod spend;

use anyhow::Context;
use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL, SOUND};

use crate::{
    fixture::Proxy,
    socket::{Socket, ask, frame},
};

const TALKS: &str = r#"
@id("talks")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "gpt-realtime" && !context.tools.contains("mcp") };

@id("no-secrets")
forbid (principal, action == Action::"llm.generate", resource)
when { context.findings.contains("secrets") };
"#;
pub(crate) const CALLS: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai");

@id("no-atlantis")
@message("nobody goes there")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.text like "*Atlantis*" };

@id("asked")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.text like "*Paris*" }
unless { context.approvals.contains("oncall") };
"#;

pub(crate) const WAYS: [(&str, &str); 2] =
    [("http/1.1", "api.openai.com"), ("h2", "api.openai.com")];
const PATH: &str = "/v1/realtime?model=gpt-realtime";
pub(crate) const KEY: &str = "sk-proj-Zk3vT9qLw2Xr8Yb5Nc7Md1Pf4Gh6Js0Ae";
const CARD: &str = "[REDACTED:credit-card]";
const EMAIL: &str = "[REDACTED:email]";

/// A conversation, and every event it has heard.
pub(crate) struct Talk {
    pub(crate) socket: Socket,
    pub(crate) heard: Vec<Value>,
}

impl Talk {
    async fn open(proxy: &Proxy, way: (&str, &str)) -> anyhow::Result<Self> {
        let mut talk = Self::opened(proxy, way, PATH).await?;
        talk.until("session.created").await?;
        Ok(talk)
    }

    pub(crate) async fn opened(
        proxy: &Proxy,
        way: (&str, &str),
        path: &str,
    ) -> anyhow::Result<Self> {
        // The upstream would agree; what is compressed could not be read.
        let compressed = ("sec-websocket-extensions", "permessage-deflate");
        let answer = ask(proxy, way, path, &[compressed]).await?;
        anyhow::ensure!(matches!(answer.status, 101 | 200), "{}", answer.status);
        assert_eq!(answer.header(compressed.0), None);
        Ok(Self {
            socket: answer.socket,
            heard: Vec::new(),
        })
    }

    pub(crate) async fn say(&mut self, event: &Value) -> anyhow::Result<()> {
        let message = event.to_string();
        self.socket.send(&frame(0x81, message.as_bytes())).await
    }

    /// Says what a user says, and asks for an answer.
    async fn ask(&mut self, prompt: &str) -> anyhow::Result<()> {
        let content = json!([{"type": "input_text", "text": prompt}]);
        let item = json!({"type": "message", "role": "user", "content": content});
        self.say(&json!({"type": "conversation.item.create", "item": item}))
            .await?;
        self.say(&json!({"type": "response.create"})).await
    }

    /// The next event; none behind a close frame.
    pub(crate) async fn hear(&mut self) -> anyhow::Result<Option<Value>> {
        let frame = self
            .socket
            .frame()
            .await?
            .context("the connection is gone")?;
        if frame.first == 0x88 {
            return Ok(None);
        }
        let event: Value = serde_json::from_slice(&frame.payload)?;
        self.heard.push(event.clone());
        Ok(Some(event))
    }

    pub(crate) async fn until(&mut self, kind: &str) -> anyhow::Result<Value> {
        loop {
            let event = self.hear().await?;
            let event = event.with_context(|| format!("closed: {:#?}", self.heard))?;
            anyhow::ensure!(event["type"] != "error", "{event:#}");
            if event["type"] == kind {
                return Ok(event);
            }
        }
    }

    /// The error that is the last event, and the code behind it.
    pub(crate) async fn refused(&mut self) -> anyhow::Result<(String, u16)> {
        loop {
            let event = self.hear().await?.context("closed without a word")?;
            if event["type"] == "error" {
                let message = event["error"]["message"].as_str().unwrap().to_owned();
                let code = self.socket.close().await?.0;
                self.socket.send(&frame(0x88, &code.to_be_bytes())).await?;
                return Ok((message, code));
            }
        }
    }

    pub(crate) fn heard(&self, kind: &str) -> Vec<&Value> {
        let events = self.heard.iter();
        events.filter(|event| event["type"] == kind).collect()
    }

    pub(crate) async fn bye(mut self) -> anyhow::Result<Vec<Value>> {
        self.socket.send(&frame(0x88, b"\x03\xe8")).await?;
        while self.hear().await?.is_some() {}
        Ok(self.heard)
    }
}

fn of_tools(session: &Value) -> Value {
    json!({"type": "session.update", "session": session})
}

fn weather() -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!({"type": "function", "name": "weather", "parameters": schema})
}

#[tokio::test]
async fn what_is_said_and_answered_is_masked_across_its_pieces() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(TALKS).await?;
    let leak = "please leak the record";
    for way in WAYS {
        for spoken in [false, true] {
            let mut talk = Talk::open(&proxy, way).await?;
            if !spoken {
                let text = json!({"output_modalities": ["text"], "instructions": format!("tell {LEAKED_EMAIL}")});
                talk.say(&of_tools(&text)).await?;
                let echoed = talk.until("session.updated").await?;
                assert_eq!(echoed["session"]["instructions"], format!("tell {EMAIL}"));
            }
            talk.say(&json!({"type": "input_audio_buffer.append", "audio": SOUND}))
                .await?;
            talk.ask(leak).await?;
            let done = talk.until("response.done").await?;
            let (channel, field) = match spoken {
                false => ("output_text", "text"),
                true => ("output_audio_transcript", "transcript"),
            };
            let said =
                format!("The card on file is {CARD}, the contact is {EMAIL}. Anything else?");
            let deltas = talk.heard(&format!("response.{channel}.delta"));
            let whole: String = deltas
                .iter()
                .filter_map(|event| event["delta"].as_str())
                .collect();
            assert_eq!(whole, said);
            // As many as came, in pieces of three letters.
            let came = format!(
                "The card on file is {LEAKED_CARD}, the contact is {LEAKED_EMAIL}. Anything else?"
            );
            assert_eq!(deltas.len(), came.len().div_ceil(3));
            let full = talk.heard(&format!("response.{channel}.done"))[0];
            assert_eq!(full[field], said);
            let part = &done["response"]["output"][0]["content"][0];
            assert_eq!(part[field], said);
            let sound = talk.heard("response.output_audio.delta");
            assert_eq!(sound.len(), if spoken { deltas.len() } else { 0 });
            assert!(sound.iter().all(|event| event["delta"] == SOUND));
            let heard = talk.bye().await?;
            let order = heard.iter().map(|event| &event["event_id"]);
            let expected: Vec<String> = (1..=heard.len())
                .map(|number| format!("event_{number}"))
                .collect();
            assert!(order.eq(expected.iter()));
            let sent = proxy.upstream.take();
            let said = sent.iter().find(|received| received.method == "talk");
            let said = said.context("nothing was asked")?.text();
            assert!(
                said.contains(SOUND) && !said.contains(LEAKED_EMAIL),
                "{said}"
            );
            assert_eq!(sent[0].header("sec-websocket-extensions"), None);
        }
    }
    let exchanges = proxy.ended(2 * WAYS.len()).await?;
    for exchange in &exchanges {
        for (field, value) in [
            ("action", json!("llm.generate")),
            ("protocol", json!("openai-realtime")),
            ("model", json!("gpt-realtime")),
            ("outcome", json!("completed")),
            ("usage", json!({"input": 7, "output": 15})),
            ("obligations", json!(["mask:pii"])),
        ] {
            assert_eq!(exchange[field], value, "{exchange:#}");
        }
        let found = exchange["findings"].to_string();
        assert!(
            found.contains("credit-card") && found.contains("email"),
            "{found}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_refused_never_arrives_and_the_conversation_ends_in_an_error()
-> anyhow::Result<()> {
    const TIMES: usize = 3;
    let proxy = Proxy::governed_by(&[TALKS, CALLS].concat()).await?;
    for way in WAYS {
        let mut talk = Talk::open(&proxy, way).await?;
        talk.say(&of_tools(&json!({"tools": [weather()]}))).await?;
        // What was permitted once is decided each time.
        for _ in 0..TIMES {
            talk.ask("weather in Lisbon").await?;
            let done = talk.until("response.done").await?;
            let call = &done["response"]["output"][0];
            assert_eq!(call["arguments"], r#"{"city":"Lisbon"}"#);
        }
        talk.ask("weather in Atlantis").await?;
        let (message, code) = talk.refused().await?;
        assert!(
            message.contains("Tollgate refused llm.tool_call of \"weather\" on openai for research-agent: policy \"no-atlantis\" forbids it: nobody goes there. Id "),
            "{message}"
        );
        assert_eq!(code, 1008);
        let after = talk
            .heard
            .iter()
            .rposition(|event| event["type"] == "response.created");
        let before = talk.heard.len() - 1;
        let after = serde_json::to_string(&talk.heard[after.unwrap()..before])?;
        assert!(
            !after.contains("function_call") && !after.contains("antis"),
            "{after}"
        );
    }
    let exchanges = proxy.ended((2 + TIMES) * WAYS.len()).await?;
    let of = |action: &str, outcome: &str| {
        let found = exchanges
            .iter()
            .filter(|exchange| exchange["action"] == action && exchange["outcome"] == outcome);
        found.count()
    };
    assert_eq!(of("llm.tool_call", "completed"), TIMES * WAYS.len());
    assert_eq!(of("llm.tool_call", "refused"), WAYS.len());
    assert_eq!(of("llm.generate", "refused"), WAYS.len());
    Ok(())
}

#[tokio::test]
async fn a_call_waits_for_a_person_while_pings_are_answered() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(&[TALKS, CALLS].concat()).await?;
    for (way, approved) in [(WAYS[0], true), (WAYS[1], true), (WAYS[0], false)] {
        let mut talk = Talk::open(&proxy, way).await?;
        talk.say(&of_tools(&json!({"tools": [weather()]}))).await?;
        talk.ask(&format!("weather in Paris{approved}")).await?;
        talk.until("response.created").await?;
        proxy.questions(1).await?;
        talk.socket.send(&frame(0x89, b"there?")).await?;
        let pong = talk.socket.frame().await?.context("no pong")?;
        assert_eq!((pong.first, &*pong.payload), (0x8a, &b"there?"[..]));
        if approved {
            proxy.approve().await?;
            let done = talk.until("response.function_call_arguments.done").await?;
            assert!(done["arguments"].as_str().unwrap().contains("Paris"));
            talk.until("response.done").await?;
            talk.bye().await?;
        } else {
            proxy.deny("not today").await?;
            let (message, _) = talk.refused().await?;
            assert!(message.contains("not today"), "{message}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_policy_forbids_to_ask_does_not_pass() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(TALKS).await?;
    let other = ask(&proxy, WAYS[0], "/v1/realtime?model=gpt-5", &[]).await?;
    assert_eq!(other.status, 403);
    let two = "/v1/realtime?model=gpt-realtime&model=gpt-5";
    assert_eq!(ask(&proxy, WAYS[0], two, &[]).await?.status, 400);
    let mcp = json!({"type": "mcp", "server_label": "x", "server_url": "https://x.example"});
    let heard = json!({"input": {"transcription": {"model": "whisper-1"}}});
    let secret = json!([{"type": "input_text", "text": format!("log in with {KEY}")}]);
    let secret = json!({"type": "message", "role": "user", "content": secret});
    for (event, why) in [
        (
            of_tools(&json!({"tools": [mcp]})),
            "no policy permits model",
        ),
        (
            json!({"type": "response.create", "response": {"tools": [mcp]}}),
            "no policy permits model",
        ),
        (
            of_tools(&json!({"model": "gpt-5"})),
            "no policy permits model \"gpt-5\"",
        ),
        (
            of_tools(&json!({"audio": heard})),
            "no policy permits model \"whisper-1\"",
        ),
        (
            json!({"type": "conversation.item.create", "item": secret}),
            "policy \"no-secrets\" forbids it",
        ),
        (json!({"kind": "response.create"}), "missing field `type`"),
    ] {
        let mut talk = Talk::open(&proxy, WAYS[0]).await?;
        talk.say(&event).await?;
        let (message, code) = talk.refused().await?;
        assert!(
            message.contains("Tollgate refused llm.generate on openai for research-agent: "),
            "{message}"
        );
        assert!(message.contains(why), "{message}");
        assert_eq!(code, 1008);
    }
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    let twice = br#"{"type":"session.update","session":{},"session":{"tools":[]}}"#;
    talk.socket.send(&frame(0x81, twice)).await?;
    assert!(talk.refused().await?.0.contains("cannot be read"));
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    talk.socket.send(&frame(0x82, b"{}")).await?;
    assert!(talk.refused().await?.0.contains("a binary message"));
    // Nothing of it was heard.
    let sent = proxy.upstream.take();
    assert!(sent.iter().all(|received| received.method != "talk"));
    for exchange in proxy.ended(10).await? {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_masked_is_withheld() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(TALKS).await?;
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    talk.ask("say it twice").await?;
    let (message, _) = talk.refused().await?;
    assert!(
        message.contains("withheld what the model said"),
        "{message}"
    );
    let exchange = proxy.ended(1).await?.remove(0);
    assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
    Ok(())
}
