//! Calls of tools in a model's answer: each is decided before any of it arrives, in whole answers and in streams, and is on record.

use anyhow::{Context, ensure};
use gateway_user::config::Mode;
use http_body_util::BodyExt;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    client::{direct, governed},
    fixture::{Proxy, SOON},
};

const POLICIES: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.tool == "shell" };

@id("no-rm")
@message("nothing is removed")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("rm") };

@id("asked")
@approvers("oncall")
@within("10m")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("make") }
unless { context.approvals.contains("oncall") };
"#;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

/// A request whose answer is a call of a tool with `word` as its command.
pub(crate) fn asking(path: &str, tool: &str, word: &str, stream: bool) -> String {
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let prompt = format!("now {word}");
    let tool = match path {
        CHAT => json!({"type": "function", "function": {"name": tool, "parameters": schema}}),
        MESSAGES => json!({"name": tool, "input_schema": schema}),
        _ => json!({"type": "function", "name": tool, "parameters": schema}),
    };
    let mut body =
        json!({"model": "gpt-5-mini", "stream": stream, "max_tokens": 9, "tools": [tool]});
    match path {
        RESPONSES => body["input"] = json!(prompt),
        _ => body["messages"] = json!([{"role": "user", "content": prompt}]),
    }
    body.to_string()
}

/// Every path, in one piece and as a stream.
pub(crate) fn ways() -> impl Iterator<Item = (&'static str, bool)> {
    let paths = [CHAT, MESSAGES, RESPONSES].into_iter();
    paths.flat_map(|path| [(path, false), (path, true)])
}

/// The record of the answer, and that of the call in it.
pub(crate) async fn recorded(proxy: &Proxy, seen: usize) -> anyhow::Result<(Value, Value)> {
    let mut exchanges = proxy.ended(seen + 2).await?.split_off(seen);
    ensure!(exchanges.len() == 2, "{exchanges:#?}");
    let call = exchanges.pop().context("no call")?;
    let answer = exchanges.pop().context("no answer")?;
    assert_eq!(call["action"], "llm.tool_call", "{call:#}");
    assert_eq!(answer["action"], "llm.generate", "{answer:#}");
    assert_eq!(call["service"], "openai", "{call:#}");
    assert_eq!(call["model"], "gpt-5-mini", "{call:#}");
    Ok((answer, call))
}

#[tokio::test]
async fn a_permitted_call_arrives_byte_for_byte_and_is_on_record() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for (path, stream) in ways() {
        let control = direct(&proxy.upstream, path, asking(path, "shell", "ls", stream)).await?;
        ensure!(control.contains("shell"), "{control}");
        for version in ["http/1.1", "h2"] {
            let body = asking(path, "shell", "ls", stream);
            let (status, _, answer) = governed(&proxy, version, path, body).await?;
            assert_eq!((status, answer.as_str()), (200, control.as_str()), "{path}");
            let (answer, call) = recorded(&proxy, seen).await?;
            assert_eq!(answer["outcome"], "completed", "{answer:#}");
            assert_eq!(call["decision"], "permit", "{call:#}");
            assert_eq!(call["policies"], json!(["calls"]), "{call:#}");
            assert_eq!(call["outcome"], "completed", "{call:#}");
            assert_eq!(call["stream"], stream, "{call:#}");
            seen += 2;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_call_never_arrives_and_the_answer_ends_in_the_providers_error()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for (path, stream) in ways() {
        for (tool, word, reason) in [
            (
                "shell",
                "rm",
                "policy \"no-rm\" forbids it: nothing is removed",
            ),
            (
                "deploy",
                "ls",
                "no policy permits a call of tool \"deploy\"",
            ),
        ] {
            let control = direct(&proxy.upstream, path, asking(path, tool, word, stream)).await?;
            ensure!(control.contains(tool), "{control}");
            let body = asking(path, tool, word, stream);
            let (status, _, answer) = governed(&proxy, "http/1.1", path, body).await?;
            let (record, call) = recorded(&proxy, seen).await?;
            seen += 2;
            let told = format!(
                "Tollgate refused llm.tool_call of \"{tool}\" on openai for research-agent: {reason}. Id {}",
                call["id"].as_str().unwrap_or_default()
            );
            let (last, before) = if stream {
                assert_eq!(status, 200, "{path}: {answer}");
                let events: Vec<&str> = answer.split_inclusive("\n\n").collect();
                let (last, before) = events.split_last().context("no events")?;
                let data = last.lines().find_map(|line| line.strip_prefix("data: "));
                let before = before.concat();
                // What came before is what the provider sent.
                assert!(control.starts_with(&before), "{path}: {answer}");
                (data.unwrap_or_default(), before)
            } else {
                assert_eq!(status, 403, "{path}: {answer}");
                (answer.as_str(), String::new())
            };
            let last: Value = serde_json::from_str(last)?;
            let message = last["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with(&told), "{path}: {message}\n{told}");
            for part in [
                tool,
                "command",
                "tool_use",
                "\"tool_calls\"",
                "call_id",
                "[DONE]",
            ] {
                assert!(!before.contains(part), "{path}: {part} arrived: {answer}");
            }
            assert_eq!(record["outcome"], "refused", "{record:#}");
            assert_eq!(record["decision"], "permit", "{record:#}");
            assert_eq!(record["status"], status, "{record:#}");
            assert_eq!(call["decision"], "deny", "{call:#}");
            assert_eq!(call["outcome"], "refused", "{call:#}");
            let transcript = proxy.transcript(&call).await?;
            assert!(transcript.contains(tool), "{transcript}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_person_decides_on_a_call() -> anyhow::Result<()> {
    for (path, stream) in ways() {
        let proxy = Proxy::governed_by(POLICIES).await?;
        let control = direct(&proxy.upstream, path, asking(path, "shell", "make", stream)).await?;
        for (round, no) in [None, Some("not today")].into_iter().enumerate() {
            let body = asking(path, "shell", "make", stream);
            let answering = async {
                let questions = proxy.questions(1).await?;
                let summary = questions[0]["summary"].as_str().unwrap_or_default();
                assert_eq!(summary, "shell {\"command\":\"make\"}");
                proxy.answer(questions.last(), no).await
            };
            let asked = governed(&proxy, "http/1.1", path, body);
            let (answer, answered) = tokio::join!(asked, answering);
            answered?;
            let (status, _, answer) = answer?;
            let (record, call) = recorded(&proxy, 2 * round).await?;
            assert!(!call["approval"].is_null(), "{call:#}");
            if let Some(no) = no {
                assert_eq!(status, if stream { 200 } else { 403 }, "{path}: {answer}");
                assert!(
                    answer.contains(no) && !answer.contains("command"),
                    "{answer}"
                );
                assert_eq!(call["decision"], "deny", "{call:#}");
                assert_eq!(record["outcome"], "refused", "{record:#}");
            } else {
                assert_eq!((status, answer.as_str()), (200, control.as_str()), "{path}");
                assert_eq!(call["decision"], "permit", "{call:#}");
                assert_eq!(record["outcome"], "completed", "{record:#}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_is_kept_alive_while_a_person_decides_on_its_call() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let control = direct(&proxy.upstream, CHAT, asking(CHAT, "shell", "make", true)).await?;
    let (origin, name) = (proxy.tls_origin(), "api.openai.com");
    let mut client = proxy.client(origin, name, "http/1.1").await?;
    let host = format!("{name}:{}", origin.port());
    let body = asking(CHAT, "shell", "make", true);
    let mut request = client.request("POST", &host, CHAT, body)?;
    let patience = HeaderValue::from_static("1.2");
    request
        .headers_mut()
        .insert("x-stainless-read-timeout", patience);
    let mut answer = client.start(request).await?.into_body();
    let mut read = String::new();
    while read.matches(": waiting for approval").count() < 3 {
        let frame = timeout(SOON, answer.frame()).await?.context("it ended")??;
        read += std::str::from_utf8(&frame.into_data().unwrap_or_default())?;
    }
    assert!(!read.contains("shell"), "{read}");
    proxy.approve().await?;
    let rest = timeout(SOON, answer.collect()).await??.to_bytes();
    read += std::str::from_utf8(&rest)?;
    let events = read.split_inclusive("\n\n");
    let said: String = events.filter(|event| !event.starts_with(':')).collect();
    assert_eq!(said, control);
    Ok(())
}

#[tokio::test]
async fn an_observed_workloads_calls_pass_and_what_would_be_said_is_on_record() -> anyhow::Result<()>
{
    let proxy = Proxy::governed_by(POLICIES).await?;
    proxy.switch(Mode::Observe)?;
    let mut seen = 0;
    for (path, stream) in ways() {
        let control = direct(&proxy.upstream, path, asking(path, "shell", "rm", stream)).await?;
        let body = asking(path, "shell", "rm", stream);
        let (status, _, answer) = governed(&proxy, "http/1.1", path, body).await?;
        assert_eq!((status, answer), (200, control), "{path}");
        let (_, call) = recorded(&proxy, seen).await?;
        seen += 2;
        assert_eq!(call["decision"], "permit", "{call:#}");
        assert_eq!(call["would"], "deny", "{call:#}");
    }
    Ok(())
}

#[tokio::test]
async fn calls_are_nobodys_business_until_a_policy_names_them() -> anyhow::Result<()> {
    let proxy = Proxy::start().await?;
    for (nth, (path, stream)) in ways().enumerate() {
        let control = direct(&proxy.upstream, path, asking(path, "shell", "rm", stream)).await?;
        let body = asking(path, "shell", "rm", stream);
        let (status, _, answer) = governed(&proxy, "http/1.1", path, body).await?;
        assert_eq!((status, answer), (200, control), "{path}");
        let exchanges = proxy.ended(nth + 1).await?;
        assert_eq!(exchanges.len(), nth + 1, "{exchanges:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_under_way_ends_when_a_policy_begins_to_name_calls() -> anyhow::Result<()> {
    let proxy = Proxy::paced(std::time::Duration::from_millis(100)).await?;
    let (origin, name) = (proxy.tls_origin(), "api.openai.com");
    let mut client = proxy.client(origin, name, "http/1.1").await?;
    let host = format!("{name}:{}", origin.port());
    let body = asking(CHAT, "shell", "rm", true);
    let answer = client
        .start(client.request("POST", &host, CHAT, body)?)
        .await?;
    let suite = include_str!("policies.cedar");
    proxy.govern(&[suite, POLICIES].concat())?;
    let read = timeout(SOON, answer.into_body().collect()).await?;
    let text = read.map(|read| String::from_utf8_lossy(&read.to_bytes()).into_owned());
    assert!(
        text.as_ref()
            .map_or(true, |text| text.contains("decided on from now on")),
        "{text:?}"
    );
    let exchange = proxy.ended(1).await?.remove(0);
    assert_eq!(exchange["outcome"], "aborted", "{exchange:#}");
    Ok(())
}
