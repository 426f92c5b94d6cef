//! What holds in a conversation is what the provider may have accepted, not what the agent says last.

use serde_json::{Value, json};
use tests::upstream::SOUND;

use super::{KEY, Talk, WAYS, of_tools, weather};
use crate::{fixture::Proxy, socket::frame};

const CRM: &str = r#"
@id("talks")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { ["gpt-realtime", "gpt-realtime-mini"].contains(context.model) };

@id("nothing-secret-beside-the-crm")
forbid (principal, action == Action::"llm.generate", resource)
when { context.tools.contains("crm") && context.findings.contains("secrets") };

@id("small-models-do-not-search")
forbid (principal, action == Action::"llm.generate", resource)
when { context.model == "gpt-realtime" && context.tools.contains("search") };

@id("weather-is-short")
forbid (principal, action == Action::"llm.generate", resource)
when { context.tools.contains("weather") }
unless { context has max_tokens && context.max_tokens <= 100 };

@id("mail-is-masked") @mask("secrets")
forbid (principal, action == Action::"llm.generate", resource)
when { context.tools.contains("mail") }
unless { context.masked.contains("secrets") };
"#;

fn tool(name: &str) -> Value {
    json!({"type": "function", "name": name})
}

fn secret() -> Value {
    let content = json!([{"type": "input_text", "text": format!("log in with {KEY}")}]);
    json!({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}})
}

#[tokio::test]
async fn what_the_agent_takes_back_counts_until_the_provider_has_accepted_that()
-> anyhow::Result<()> {
    let proxy = Proxy::governed_by(CRM).await?;
    let crm = of_tools(&json!({"tools": [tool("crm")]}));
    let none = of_tools(&json!({"tools": []}));
    for way in WAYS {
        for taken_back in [
            json!({"type": "input_audio_buffer.append", "audio": SOUND, "session": {"tools": []}}),
            json!({"type": "response.create", "session": {"tools": []}}),
            // Nobody has heard by then whether it is accepted.
            none.clone(),
        ] {
            let mut talk = Talk::open(&proxy, way).await?;
            talk.say(&crm).await?;
            talk.until("session.updated").await?;
            let events = [&taken_back, &secret()];
            let frames = events.map(|event| frame(0x81, event.to_string().as_bytes()));
            talk.socket.send(&frames.concat()).await?;
            let (message, _) = talk.refused().await?;
            assert!(
                message.contains("\"nothing-secret-beside-the-crm\" forbids it"),
                "{message}"
            );
        }
        let mut talk = Talk::open(&proxy, way).await?;
        for update in [&crm, &none] {
            talk.say(update).await?;
            talk.until("session.updated").await?;
        }
        talk.say(&secret()).await?;
        talk.until("conversation.item.done").await?;
        talk.bye().await?;
    }
    let exchanges = proxy.ended(4 * WAYS.len()).await?;
    let refused = exchanges
        .iter()
        .filter(|exchange| exchange["outcome"] == "refused");
    assert_eq!(refused.count(), 3 * WAYS.len());
    Ok(())
}

#[tokio::test]
async fn every_model_and_limit_that_may_hold_has_to_be_permitted() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(CRM).await?;
    let short = of_tools(&json!({"tools": [weather()], "max_output_tokens": 50}));
    let asks = |response: Value| json!({"type": "response.create", "response": response});
    let weather = || json!([weather()]);
    for (accepted, refused, why) in [
        (
            vec![of_tools(&json!({"model": "gpt-realtime-mini"}))],
            of_tools(&json!({"tools": [tool("search")]})),
            "small-models-do-not-search",
        ),
        (
            vec![short.clone()],
            of_tools(&json!({"max_output_tokens": "inf"})),
            "weather-is-short",
        ),
        (
            vec![short, asks(json!({"max_output_tokens": 20}))],
            asks(json!({"max_output_tokens": "inf"})),
            "weather-is-short",
        ),
        // The limit of one answer is not that of the next.
        (
            vec![asks(json!({"tools": weather(), "max_output_tokens": 20}))],
            asks(json!({"tools": weather()})),
            "weather-is-short",
        ),
    ] {
        let mut talk = Talk::open(&proxy, WAYS[0]).await?;
        for event in accepted {
            talk.say(&event).await?;
            let answered = match event["type"] == "session.update" {
                true => "session.updated",
                false => "response.done",
            };
            talk.until(answered).await?;
        }
        talk.say(&refused).await?;
        let (message, _) = talk.refused().await?;
        assert!(
            message.contains(&format!("{why:?} forbids it")),
            "{message}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_mask_that_the_answers_do_not_have_ends_the_conversation() -> anyhow::Result<()> {
    let proxy = Proxy::governed_by(CRM).await?;
    let mut talk = Talk::open(&proxy, WAYS[0]).await?;
    talk.say(&of_tools(&json!({"tools": [tool("mail")]})))
        .await?;
    let (message, code) = talk.refused().await?;
    assert!(
        message.contains("a mask of a conversation has to hold from its opening"),
        "{message}"
    );
    assert_eq!(code, 1008);
    let sent = proxy.upstream.take();
    assert!(sent.iter().all(|received| received.method != "talk"));
    assert_eq!(proxy.ended(1).await?[0]["outcome"], "refused");
    Ok(())
}

#[tokio::test]
async fn a_template_of_the_providers_counts_among_the_tools() -> anyhow::Result<()> {
    let listed = r#"
@id("talks")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "gpt-realtime" && ["weather"].containsAll(context.tools) };
"#;
    let proxy = Proxy::governed_by(listed).await?;
    let prompt = json!({"prompt": {"id": "pmpt_1", "variables": {"city": "Rome"}}});
    for event in [
        of_tools(&prompt),
        json!({"type": "response.create", "response": prompt}),
    ] {
        let mut talk = Talk::open(&proxy, WAYS[0]).await?;
        talk.say(&of_tools(&json!({"tools": [weather()], "prompt": null})))
            .await?;
        talk.until("session.updated").await?;
        talk.say(&event).await?;
        let (message, _) = talk.refused().await?;
        assert!(message.contains("no policy permits"), "{message}");
    }
    Ok(())
}
