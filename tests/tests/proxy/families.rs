//! Gemini and Ollama in every framing: masked, calls decided, refused in the provider's own words, held for a person, counted.

use anyhow::{Context, ensure};
use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL};
use tokio::time::timeout;

use crate::{
    client::{direct, governed},
    fixture::{Proxy, SOON},
    setup::Setup,
};

const POLICIES: &str = r#"
@id("asked-models")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "reviewed" };

@id("review")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "reviewed" }
unless { context.approvals.contains("oncall") };

@id("vectors")
permit (principal, action in [Action::"llm.embed", Action::"llm.count"], resource == Service::"openai")
when { context.model == "gpt-5-mini" };
"#;

const CALLS: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.tool == "shell" };

@id("no-rm")
@message("nothing is removed")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("rm") };
"#;

/// A way to ask a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Gemini,
    GeminiEvents,
    GeminiArray,
    Chat,
    ChatLines,
    Generate,
    GenerateLines,
}

use Way::{Chat, ChatLines, Gemini, GeminiArray, GeminiEvents, Generate, GenerateLines};

const WAYS: [Way; 7] = [
    Gemini,
    GeminiEvents,
    GeminiArray,
    Chat,
    ChatLines,
    Generate,
    GenerateLines,
];

impl Way {
    fn streams(self) -> bool {
        matches!(self, GeminiEvents | GeminiArray | ChatLines | GenerateLines)
    }

    fn is_gemini(self) -> bool {
        matches!(self, Gemini | GeminiEvents | GeminiArray)
    }

    fn path(self, model: &str) -> String {
        match self {
            Gemini => format!("/v1beta/models/{model}:generateContent"),
            GeminiEvents => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            GeminiArray => format!("/v1beta/models/{model}:streamGenerateContent"),
            Chat | ChatLines => "/api/chat".to_owned(),
            Generate | GenerateLines => "/api/generate".to_owned(),
        }
    }

    fn body(self, model: &str, prompt: &str, tool: Option<&str>) -> String {
        let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
        let mut body = match self {
            Gemini | GeminiEvents | GeminiArray => {
                json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}], "generationConfig": {"maxOutputTokens": 9}})
            }
            Chat | ChatLines => {
                json!({"model": model, "messages": [{"role": "user", "content": prompt}], "options": {"num_predict": 9}})
            }
            Generate | GenerateLines => {
                json!({"model": model, "prompt": prompt, "options": {"num_predict": 9}})
            }
        };
        if let Some(name) = tool {
            let function = json!({"name": name, "parameters": schema});
            body["tools"] = match self.is_gemini() {
                true => json!([{ "functionDeclarations": [function] }]),
                false => json!([{"type": "function", "function": function}]),
            };
        }
        // Ollama streams unless it is told not to.
        if matches!(self, Chat | Generate) {
            body["stream"] = json!(false);
        }
        body.to_string()
    }

    /// The documents of an answer.
    fn documents(self, answer: &str) -> anyhow::Result<Vec<Value>> {
        let parse = |text: &str| serde_json::from_str::<Value>(text);
        Ok(match self {
            Gemini | Chat | Generate => vec![parse(answer)?],
            GeminiArray => serde_json::from_str(answer)?,
            GeminiEvents => {
                let data = answer
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "));
                data.map(parse).collect::<Result<_, _>>()?
            }
            ChatLines | GenerateLines => answer.lines().map(parse).collect::<Result<_, _>>()?,
        })
    }

    /// What the documents say, put together.
    fn said(self, documents: &[Value]) -> String {
        let texts = documents.iter().filter_map(|document| {
            let at = match self {
                Gemini | GeminiEvents | GeminiArray => "/candidates/0/content/parts/0/text",
                Chat | ChatLines => "/message/content",
                Generate | GenerateLines => "/response",
            };
            document.pointer(at)?.as_str()
        });
        texts.collect()
    }

    /// The message of the provider's error.
    fn error(self, document: &Value) -> anyhow::Result<&str> {
        if !self.is_gemini() {
            return document["error"].as_str().context("no error");
        }
        assert_eq!(document["error"]["code"], 403, "{document}");
        assert_eq!(document["error"]["status"], "PERMISSION_DENIED");
        document["error"]["message"].as_str().context("no error")
    }
}

#[tokio::test]
async fn prompts_and_answers_are_masked_and_counted_in_every_framing() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for way in WAYS {
        let (path, prompt) = (way.path("gpt-5-mini"), "leak for bob@example.com");
        let body = way.body("gpt-5-mini", prompt, None);
        let control = way.documents(&direct(&proxy.upstream, &path, body.clone()).await?)?;
        let plain = way.said(&control);
        ensure!(plain.contains(LEAKED_CARD), "{plain}");
        for version in ["http/1.1", "h2"] {
            let (status, _, answer) = governed(&proxy, version, &path, body.clone()).await?;
            assert_eq!(status, 200, "{way:?}: {answer}");
            let documents = way.documents(&answer)?;
            assert_eq!(documents.len(), control.len(), "{way:?}");
            let masked = plain
                .replace(LEAKED_EMAIL, "[REDACTED:email]")
                .replace(LEAKED_CARD, "[REDACTED:credit-card]");
            assert_eq!(way.said(&documents), masked, "{way:?}");
            let sent = proxy.upstream.take().pop().context("not sent")?.text();
            assert!(sent.contains("leak for [REDACTED:email]"), "{sent}");
            seen += 1;
            let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
            assert_eq!(exchange["action"], "llm.generate", "{exchange:#}");
            assert_eq!(exchange["model"], "gpt-5-mini", "{exchange:#}");
            assert_eq!(exchange["stream"], way.streams(), "{exchange:#}");
            assert_eq!(exchange["usage"], json!({"input": 3, "output": 15}));
            let transcript = proxy.transcript(&exchange).await?;
            assert!(transcript.contains("The card on file is [REDACTED:credit-card]"));
        }
    }
    for (path, body) in [
        (
            "/v1beta/models/gpt-5-mini:countTokens",
            json!({"contents": [{"parts": [{"text": "for bob@example.com"}]}]}),
        ),
        (
            "/v1beta/models/gpt-5-mini:embedContent",
            json!({"content": {"parts": [{"text": "for bob@example.com"}]}}),
        ),
        (
            "/v1beta/models/gpt-5-mini:batchEmbedContents",
            json!({"requests": [{"content": {"parts": [{"text": "for bob@example.com"}]}}]}),
        ),
        (
            "/api/embed",
            json!({"model": "gpt-5-mini", "input": ["for bob@example.com"]}),
        ),
    ] {
        let (status, _, answer) = governed(&proxy, "h2", path, body.to_string()).await?;
        assert_eq!(status, 200, "{path}: {answer}");
        let sent = proxy.upstream.take().pop().context("not sent")?.text();
        assert!(sent.contains("for [REDACTED:email]"), "{path}: {sent}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_ends_a_stream_in_the_providers_error() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in WAYS.into_iter().filter(|way| way.streams()) {
        let body = way.body("gpt-5-mini", "say it twice", None);
        let path = way.path("gpt-5-mini");
        let (status, _, answer) = governed(&proxy, "http/1.1", &path, body).await?;
        assert_eq!(status, 200, "{way:?}: {answer}");
        let documents = way.documents(&answer)?;
        let last = documents.last().context("nothing")?;
        assert!(last["error"].to_string().contains("withheld"), "{answer}");
        assert!(!answer.contains("\"twice\""), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_permitted_call_arrives_byte_for_byte_and_a_refused_one_never() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(CALLS).await?;
    let mut seen = 0;
    for way in [Gemini, GeminiEvents, GeminiArray, Chat, ChatLines] {
        let path = way.path("gpt-5-mini");
        for (tool, word, permitted) in [
            ("shell", "ls", true),
            ("shell", "rm", false),
            ("deploy", "ls", false),
        ] {
            let body = way.body("gpt-5-mini", &format!("now {word}"), Some(tool));
            let control = direct(&proxy.upstream, &path, body.clone()).await?;
            ensure!(control.contains(tool), "{control}");
            let (status, _, answer) = governed(&proxy, "http/1.1", &path, body).await?;
            let exchanges = proxy.ended(seen + 2).await?.split_off(seen);
            seen += 2;
            let (record, call) = (&exchanges[0], &exchanges[1]);
            assert_eq!(call["action"], "llm.tool_call", "{call:#}");
            if permitted {
                assert_eq!((status, &answer), (200, &control), "{way:?}");
                assert_eq!(call["decision"], "permit", "{call:#}");
                assert_eq!(record["outcome"], "completed", "{record:#}");
                continue;
            }
            assert_eq!(status, if way.streams() { 200 } else { 403 }, "{answer}");
            let documents = way.documents(&answer)?;
            let (last, before) = documents.split_last().context("nothing")?;
            let message = way.error(last)?;
            let id = call["id"].as_str().context("no id")?;
            assert!(message.contains(id), "{message}");
            let reason = match tool {
                "shell" => "policy \"no-rm\" forbids it: nothing is removed",
                _ => "no policy permits a call of tool \"deploy\"",
            };
            assert!(message.contains(reason), "{message}");
            let before = json!(before).to_string();
            assert_eq!(before.contains("Let me see."), way.streams(), "{answer}");
            assert!(!before.contains(tool) && !before.contains("command"));
            assert_eq!(record["outcome"], "refused", "{record:#}");
            assert_eq!(call["decision"], "deny", "{call:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_has_the_providers_status_and_envelope() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in WAYS {
        let body = way.body("other", "hello", None);
        let (status, headers, answer) =
            governed(&proxy, "http/1.1", &way.path("other"), body).await?;
        assert_eq!(status, 403, "{way:?}: {answer}");
        assert_eq!(headers["x-should-retry"], "false");
        let document = serde_json::from_str(&answer)?;
        let message = way.error(&document)?;
        assert!(message.starts_with("Tollgate refused llm.generate on openai"));
        assert!(message.contains(headers["x-tollgate-id"].to_str()?));
    }
    assert_eq!(proxy.upstream.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_held_stream_is_kept_alive_by_what_says_nothing_in_it() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for way in [GeminiEvents, GeminiArray, ChatLines] {
        let (path, body) = (way.path("reviewed"), way.body("reviewed", "hello", None));
        let control = direct(&proxy.upstream, &path, body.clone()).await?;
        for denied in [None, Some("not today")] {
            let (origin, name) = (proxy.tls_origin(), "api.openai.com");
            let mut client = proxy.client(origin, name, "http/1.1").await?;
            let host = format!("{name}:{}", origin.port());
            let mut request = client.request("POST", &host, &path, body.clone())?;
            let patience = HeaderValue::from_static("1.2");
            let header = "x-stainless-read-timeout";
            request.headers_mut().insert(header, patience);
            let answer = timeout(SOON, client.start(request)).await??;
            assert_eq!(answer.status(), 200);
            let mut answer = answer.into_body();
            let mut read = String::new();
            while read.len() < 3 {
                let frame = timeout(SOON, answer.frame()).await?.context("it ended")??;
                read += std::str::from_utf8(&frame.into_data().unwrap_or_default())?;
            }
            assert!(read.trim().is_empty(), "{read:?}");
            proxy
                .answer(proxy.questions(1).await?.last(), denied)
                .await?;
            let rest = timeout(SOON, answer.collect()).await??.to_bytes();
            let rest = std::str::from_utf8(&rest)?;
            if let Some(reason) = denied {
                let documents = way.documents(rest.trim_start())?;
                assert_eq!(documents.len(), 1, "{rest}");
                let message = way.error(&documents[0])?;
                assert!(message.contains(reason), "{message}");
            } else {
                assert_eq!(rest.trim_start(), control, "{way:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_that_goes_past_its_budget_ends_in_the_providers_error() -> anyhow::Result<()> {
    let budget = "\n[[budget]]\nname = \"agents\"\ngroup = \"agents\"\nusd = 1\nper = \"day\"\n";
    let proxy = Proxy::with(Setup {
        policies: POLICIES.to_owned(),
        services: budget.to_owned(),
        ..Setup::default()
    })
    .await?;
    let mut seen = 0;
    for way in WAYS {
        for (prompt, fits) in [("short", true), ("a b c d e f g h i j k l", false)] {
            let body = way.body("gpt-5-mini", prompt, None);
            let path = way.path("gpt-5-mini");
            let (status, _, answer) = governed(&proxy, "http/1.1", &path, body).await?;
            assert_eq!(status, 200, "{way:?}: {answer}");
            seen += 1;
            let exchange = proxy.ended(seen).await?.pop().context("no exchange")?;
            if fits || !way.streams() {
                assert_eq!(exchange["outcome"], "completed", "{way:?}: {exchange:#}");
                assert!(exchange["cost_usd"].as_f64() > Some(0.0), "{exchange:#}");
                continue;
            }
            assert_eq!(exchange["outcome"], "aborted", "{way:?}: {exchange:#}");
            let documents = way.documents(&answer)?;
            let message = way.error(documents.last().context("nothing")?)?;
            assert!(message.contains("longer than what its budget"), "{message}");
        }
    }
    Ok(())
}
