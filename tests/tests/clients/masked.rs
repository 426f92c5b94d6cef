//! Personal data is masked on its way out and on its way back, in streams too, and is nowhere on record.

use serde_json::{Value, json};
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL, Received};

use crate::calls::{chats, embedded, measured, texts};
use crate::world::{Script, World, text};

const CARD: &str = "[REDACTED:credit-card]";
const EMAIL: &str = "[REDACTED:email]";

/// Calls for such a model, with such a prompt.
type Measured = fn(Option<&str>, &str) -> Vec<Value>;

#[test]
fn answers_are_masked_in_one_piece_and_in_streams() -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in chats()? {
        answers_are_masked(&world, &script, clients)?;
    }
    nothing_leaks(&world.daemon.log());
    Ok(())
}

fn answers_are_masked(
    world: &World,
    script: &Script,
    clients: &[(&str, &str)],
) -> anyhow::Result<()> {
    let seen = world.daemon.exchanges()?.len();
    let calls: Vec<Value> = clients
        .iter()
        .flat_map(|(client, model)| texts(client, model, "please leak the record"))
        .collect();
    let control = world.untagged(script, &calls)?;
    for result in &control {
        assert!(
            text(result, "text").contains(LEAKED_CARD)
                && text(result, "text").contains(LEAKED_EMAIL),
            "{result:#}"
        );
    }
    let results = world.tagged(script, &calls)?;
    for ((call, result), expected) in calls.iter().zip(&results).zip(&control) {
        let masked = text(expected, "text")
            .replace(LEAKED_CARD, CARD)
            .replace(LEAKED_EMAIL, EMAIL);
        assert_eq!(
            text(result, "text"),
            masked,
            "{call}\n{}",
            world.daemon.log()
        );
        assert_eq!(result["usage"], expected["usage"], "{call}");
    }
    let exchanges = world.daemon.ended_after(seen, calls.len())?;
    for exchange in &exchanges {
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
        assert_eq!(exchange["obligations"], json!(["mask:pii"]), "{exchange:#}");
        found(exchange, "credit-card");
        found(exchange, "email");
        let transcript = world
            .daemon
            .run(&["replay", text(exchange, "id")])?
            .success()?;
        assert!(
            transcript.contains(CARD) && transcript.contains(EMAIL),
            "{transcript}"
        );
        nothing_leaks(&transcript);
    }
    Ok(())
}

#[test]
fn prompts_are_masked_before_they_leave() -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in chats()? {
        prompts_are_masked(&world, &script, clients)?;
    }
    Ok(())
}

fn prompts_are_masked(
    world: &World,
    script: &Script,
    clients: &[(&str, &str)],
) -> anyhow::Result<()> {
    let seen = world.daemon.exchanges()?.len();
    let prompt = format!("charge {LEAKED_CARD} and tell {LEAKED_EMAIL}");
    let calls: Vec<Value> = clients
        .iter()
        .flat_map(|(client, model)| texts(client, model, &prompt))
        .collect();
    let results = world.tagged(script, &calls)?;
    for (call, result) in calls.iter().zip(&results) {
        assert_eq!(
            text(result, "text"),
            format!("You said: charge {CARD} and tell {EMAIL}"),
            "{call}: {result:#}\n{}",
            world.daemon.log()
        );
    }
    let received = world.upstream.take();
    assert_eq!(received.len(), calls.len());
    for request in &received {
        assert!(
            request
                .text()
                .contains(&format!("charge {CARD} and tell {EMAIL}")),
            "{}",
            request.text()
        );
        nothing_leaks(&request.text());
    }
    for exchange in world.daemon.ended_after(seen, calls.len())? {
        found(&exchange, "credit-card");
        nothing_leaks(
            &world
                .daemon
                .run(&["replay", text(&exchange, "id"), "--json"])?
                .success()?,
        );
    }
    Ok(())
}

#[test]
fn what_becomes_a_vector_or_is_counted_is_masked_too() -> anyhow::Result<()> {
    let world = World::new()?;
    let programs: [(Script, Measured); 2] = [
        (Script::python()?, measured),
        (Script::families()?, embedded),
    ];
    for (script, measured) in programs {
        let seen = world.daemon.exchanges()?.len();
        let calls = measured(None, &format!("charge {LEAKED_CARD} now"));
        let masked = measured(None, &format!("charge {CARD} now"));
        let control = world.untagged(&script, &masked)?;
        let expected: Vec<String> = world.upstream.take().iter().map(Received::text).collect();
        assert_ne!(control, world.untagged(&script, &calls)?);
        world.upstream.take();
        assert_eq!(
            world.tagged(&script, &calls)?,
            control,
            "{}",
            world.daemon.log()
        );
        let sent: Vec<String> = world.upstream.take().iter().map(Received::text).collect();
        assert_eq!(sent, expected);
        for exchange in world.daemon.ended_after(seen, sent.len())? {
            found(&exchange, "credit-card");
        }
    }
    Ok(())
}

#[test]
fn what_the_provider_keeps_is_masked_when_it_is_read() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    let calls = [json!({"client": "openai-kept", "id": "resp_0123456789"})];
    let mut control = world.untagged(&script, &calls)?;
    let kept = text(&control[0], "text").to_owned();
    assert!(kept.contains(LEAKED_CARD), "{control:#?}");
    control[0]["text"] = json!(kept.replace(LEAKED_CARD, CARD).replace(LEAKED_EMAIL, EMAIL));
    assert_eq!(
        world.tagged(&script, &calls)?,
        control,
        "{}",
        world.daemon.log()
    );
    let exchanges = world.daemon.ended_after(0, 4)?;
    let actions: Vec<&str> = exchanges
        .iter()
        .map(|exchange| text(exchange, "action"))
        .collect();
    assert_eq!(actions, ["llm.read", "llm.read", "llm.write", "llm.write"]);
    Ok(())
}

#[test]
fn a_conversation_that_mistral_keeps_is_decided_by_its_id_and_masked_when_it_is_read()
-> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::families()?;
    let calls = [json!({"client": "mistral-kept", "id": "conv_0123456789"})];
    let mut control = world.untagged(&script, &calls)?;
    let kept = control[0]["entries"][1].as_str().unwrap_or_default();
    assert!(kept.contains(LEAKED_CARD), "{control:#?}");
    control[0]["entries"][1] = json!(kept.replace(LEAKED_CARD, CARD));
    assert_eq!(
        world.tagged(&script, &calls)?,
        control,
        "{}",
        world.daemon.log()
    );
    let exchanges = world.daemon.ended_after(0, 4)?;
    let told = |exchange: &Value| [exchange["action"].clone(), exchange["model"].clone()];
    let told: Vec<_> = exchanges.iter().map(told).collect();
    let model = json!("conv_0123456789");
    assert_eq!(
        told,
        [
            [json!("llm.generate"), model.clone()],
            [json!("llm.generate"), model],
            [json!("llm.read"), Value::Null],
            [json!("llm.write"), Value::Null],
        ]
    );
    Ok(())
}

fn found(exchange: &Value, detector: &str) {
    let findings = exchange["findings"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    assert!(
        findings
            .iter()
            .any(|finding| finding["detector"] == detector && finding["count"].as_u64() > Some(0)),
        "{exchange:#}"
    );
}

fn nothing_leaks(text: &str) {
    assert!(
        !text.contains(LEAKED_CARD) && !text.contains(LEAKED_EMAIL),
        "{text}"
    );
}
