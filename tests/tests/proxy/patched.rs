//! Calls of tools that policy edits: the agent gets the new arguments wherever its library may read them, policy and people decide on those, and
//! the record has both.

use anyhow::{Context, ensure};
use gateway_user::config::Mode;
use serde_json::{Value, json};

use crate::{
    client::{direct, governed},
    fixture::Proxy,
    tools::{CHAT, MESSAGES, asking, recorded, ways},
};

const POLICIES: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.tool == "shell" && !context.programs.contains("alone") };

@id("rehearse")
@patch("{\"dry_run\": true}")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.programs.containsAny(["deploy", "make"]) };

@id("never-for-real")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("deploy") && !(context.arguments like "*dry_run*") };

@id("asked")
@approvers("oncall")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.programs.contains("make") }
unless { context.approvals.contains("oncall") };

@id("ping") @patch("{\"command\": \"pong\"}")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.programs.contains("ping") };

@id("pong") @patch("{\"command\": \"ping\"}")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.programs.contains("pong") };

@id("no-keys")
@mask("secrets")
forbid (principal, action == Action::"llm.tool_call", resource)
unless { context.masked.contains("secrets") };
"#;

const KEY: &str = concat!("AKIA", "IOSFODNN7EXAMPLE");

/// The arguments of the one call in an answer, as often as it tells them: the pieces of a stream together, and what repeats them.
fn told(path: &str, stream: bool, answer: &str) -> anyhow::Result<Vec<Value>> {
    let (mut pieces, mut full) = (String::new(), Vec::new());
    let data = answer
        .lines()
        .map(|line| line.strip_prefix("data: ").unwrap_or_default());
    let events = data.filter(|data| data.starts_with('{'));
    for event in if stream {
        events.collect()
    } else {
        vec![answer]
    } {
        let event: Value = serde_json::from_str(event)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let call = |said: &Value| text(&said["tool_calls"][0]["function"]["arguments"]);
        let choice = &event["choices"][0];
        let response = match event["response"].is_object() {
            true => &event["response"],
            false => &event,
        };
        full.push(call(&choice["message"]));
        full.extend([&event, &event["item"]].map(|told| text(&told["arguments"])));
        full.extend(
            response["output"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| text(&item["arguments"])),
        );
        let inputs = event["content"].as_array().into_iter().flatten();
        let inputs = inputs.map(|block| &block["input"]);
        full.extend(
            inputs
                .filter(|input| input.is_object())
                .map(|input| Some(input.to_string())),
        );
        let piece = call(&choice["delta"])
            .or(text(&event["delta"]["partial_json"]))
            .or(text(&event["delta"]).filter(|_| path != CHAT));
        pieces += &piece.unwrap_or_default();
    }
    let full = full.into_iter().flatten().filter(|text| !text.is_empty());
    let all = full.chain((!pieces.is_empty()).then_some(pieces));
    let all: Vec<Value> = all
        .map(|text| serde_json::from_str(&text))
        .collect::<Result<_, _>>()?;
    ensure!(!all.is_empty(), "{answer}");
    Ok(all)
}

fn count(answer: &str) -> usize {
    answer.matches("data: ").count()
}

#[tokio::test]
async fn a_call_arrives_as_policy_edits_it_and_the_record_has_both() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for (path, stream) in ways() {
        let control = direct(
            &proxy.upstream,
            path,
            asking(path, "shell", "deploy", stream),
        )
        .await?;
        for said in told(path, stream, &control)? {
            assert_eq!(
                said,
                json!({"command": "deploy"}),
                "the control run: {control}"
            );
        }
        for version in ["http/1.1", "h2"] {
            let body = asking(path, "shell", "deploy", stream);
            let (status, headers, answer) = governed(&proxy, version, path, body).await?;
            assert_eq!(status, 200, "{path}: {answer}");
            let said = told(path, stream, &answer)?;
            assert_eq!(said.len(), told(path, stream, &control)?.len(), "{answer}");
            for said in said {
                let expected = json!({"command": "deploy", "dry_run": true});
                assert_eq!(said, expected, "{path}: {answer}");
            }
            assert_eq!(count(&answer), count(&control), "{path}: {answer}");
            if !stream {
                let length = headers.get("content-length").context("no length")?;
                assert_eq!(length.to_str()?, answer.len().to_string());
            }
            let (record, call) = recorded(&proxy, seen).await?;
            seen += 2;
            assert_eq!(record["outcome"], "completed", "{record:#}");
            assert_eq!(
                call["policies"],
                json!(["calls", "rehearse", "no-keys"]),
                "{call:#}"
            );
            let obligations = call["obligations"].to_string();
            assert!(obligations.contains("patch:dry_run"), "{call:#}");
            let transcript = proxy.transcript(&call).await?.replace('\\', "");
            assert!(
                transcript.contains(r#"{"command":"deploy","dry_run":true}"#),
                "{transcript}"
            );
            assert!(
                transcript.contains(r#""written":"{"command":"deploy"}"#),
                "{transcript}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_person_is_asked_for_the_call_as_it_goes_on() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    for (nth, stream) in [false, true].into_iter().enumerate() {
        let answering = async {
            let questions = proxy.questions(1).await?;
            let summary = questions[0]["summary"].as_str().unwrap_or_default();
            assert_eq!(summary, "shell {\"command\":\"make\",\"dry_run\":true}");
            proxy.answer(questions.last(), None).await
        };
        let body = asking(MESSAGES, "shell", "make", stream);
        let asked = governed(&proxy, "h2", MESSAGES, body);
        let (answer, answered) = tokio::join!(asked, answering);
        answered?;
        let (status, _, answer) = answer?;
        assert_eq!(status, 200, "{answer}");
        let said = told(MESSAGES, stream, &answer)?;
        assert_eq!(said, [json!({"command": "make", "dry_run": true})]);
        let (_, call) = recorded(&proxy, 2 * nth).await?;
        assert!(!call["approval"].is_null(), "{call:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_policy_wants_masked_in_a_call_is_masked_in_it() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let mut seen = 0;
    for (path, stream) in ways() {
        let body = || asking(path, "shell", KEY, stream);
        let control = direct(&proxy.upstream, path, body()).await?;
        assert_eq!(
            told(path, stream, &control)?[0]["command"],
            KEY,
            "{control}"
        );
        let (status, _, answer) = governed(&proxy, "http/1.1", path, body()).await?;
        assert_eq!(status, 200, "{path}: {answer}");
        for said in told(path, stream, &answer)? {
            assert_eq!(said["command"], "[REDACTED:aws-key]", "{answer}");
        }
        assert!(!answer.contains(KEY), "{answer}");
        let (_, call) = recorded(&proxy, seen).await?;
        seen += 2;
        assert_eq!(call["outcome"], "completed", "{call:#}");
        assert!(!proxy.transcript(&call).await?.contains(KEY));
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_edited_is_refused() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    let body = asking(CHAT, "shell", "ping", true);
    let (_, _, answer) = governed(&proxy, "http/1.1", CHAT, body).await?;
    let told = "makes another put something else into them";
    assert!(
        answer.contains(told) && !answer.contains("command"),
        "{answer}"
    );
    let (record, call) = recorded(&proxy, 0).await?;
    assert_eq!(record["outcome"], "refused", "{record:#}");
    assert_eq!(call["outcome"], "refused", "{call:#}");
    Ok(())
}

#[tokio::test]
async fn an_observed_workloads_calls_are_not_edited() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(POLICIES).await?;
    proxy.switch(Mode::Observe)?;
    let mut seen = 0;
    for (path, stream) in ways() {
        let control = direct(
            &proxy.upstream,
            path,
            asking(path, "shell", "deploy", stream),
        )
        .await?;
        let body = asking(path, "shell", "deploy", stream);
        let (status, _, answer) = governed(&proxy, "http/1.1", path, body).await?;
        assert_eq!((status, answer), (200, control), "{path}");
        // What would go on is permitted, though what the model wrote is not.
        let (_, call) = recorded(&proxy, seen).await?;
        seen += 2;
        assert_ne!(call["would"], "deny", "{call:#}");
        let transcript = proxy.transcript(&call).await?.replace('\\', "");
        assert!(
            transcript.contains(r#""arguments":"{"command":"deploy"}""#),
            "{transcript}"
        );
    }
    Ok(())
}
