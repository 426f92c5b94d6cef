//! Agents whose model sees surrogates: every library gets them whole, in streams too, and only the service that policy names gets the values.

use serde_json::{Value, json};
use tests::{
    harness::Daemon,
    upstream::{LEAKED_CARD, LEAKED_EMAIL},
};

use crate::calls::{chats, texts};
use crate::world::{FILES, Script, World, text};

const POLICIES: &str = r#"
@id("chat")
permit (principal, action in Action::"llm", resource in ServiceGroup::"llm");

@id("people-as-surrogates") @mask("pii") @style("surrogate")
forbid (principal, action in Action::"llm", resource)
unless { context.masked.contains("pii") };

@id("crm") @restore("email,credit-card")
permit (principal, action == Action::"http.write", resource == Service::"files");
"#;

fn world() -> anyhow::Result<World> {
    World::run_by("", |lab| {
        lab.write("policies/policies.cedar", POLICIES)?;
        Daemon::start(lab)
    })
}

#[test]
fn every_library_gets_surrogates_and_the_named_service_the_values() -> anyhow::Result<()> {
    let world = world()?;
    let mut seen: Option<(String, String)> = None;
    for (script, clients) in chats()? {
        let prompt = format!("pay {LEAKED_CARD} for {LEAKED_EMAIL}");
        let calls: Vec<Value> = clients
            .iter()
            .flat_map(|(client, model)| texts(client, model, &prompt))
            .collect();
        for (call, result) in calls.iter().zip(world.untagged(&script, &calls)?) {
            let said = format!("You said: {prompt}");
            assert_eq!(
                text(&result, "text"),
                said,
                "the control run failed: {call}"
            );
        }
        world.upstream.take();
        for (call, result) in calls.iter().zip(world.tagged(&script, &calls)?) {
            // The same of the same identity, whatever library asks whatever provider.
            let (card, mail) = surrogates(&result, call)?;
            let known = seen.get_or_insert((card.clone(), mail.clone()));
            assert_eq!(known, &(card, mail), "{call}");
        }
        for request in world.upstream.take() {
            let said = String::from_utf8_lossy(&request.body).into_owned();
            assert!(
                !said.contains(LEAKED_CARD) && !said.contains(LEAKED_EMAIL),
                "{said}"
            );
        }
    }
    Ok(())
}

#[test]
fn after_a_restart_the_surrogates_are_the_same_and_lead_back() -> anyhow::Result<()> {
    let mut world = world()?;
    let script = Script::python()?;
    let prompt = format!("pay {LEAKED_CARD} for {LEAKED_EMAIL}");
    let chat = [texts("openai", "gpt-5-mini", &prompt).remove(0)];
    let before = surrogates(&world.tagged(&script, &chat)?[0], &chat[0])?;
    let body = json!({"card": before.0, "to": before.1});
    let post = [
        json!({"client": "requests", "method": "POST", "url": format!("https://{FILES}/echo"), "json": body}),
    ];
    let real = json!({"card": LEAKED_CARD, "to": LEAKED_EMAIL});
    let sent = |world: &World| -> anyhow::Result<(i64, String)> {
        let result = world.tagged(&script, &post)?.remove(0);
        Ok((
            result["status"].as_i64().unwrap_or(0),
            text(&result, "body").to_owned(),
        ))
    };
    let (status, echoed) = sent(&world)?;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&echoed)?),
        (200, real.clone())
    );

    world.daemon.stop()?;
    world.restart()?;
    let (status, echoed) = sent(&world)?;
    assert_eq!(
        (status, serde_json::from_str::<Value>(&echoed)?),
        (200, real)
    );
    let after = surrogates(&world.tagged(&script, &chat)?[0], &chat[0])?;
    assert_eq!(after, before);
    // The ledger has them, and not what they stand for.
    let mut ledger = Vec::new();
    for file in std::fs::read_dir(world.lab.path("state/ledger"))? {
        ledger.append(&mut std::fs::read(file?.path())?);
    }
    let has = |text: &str| {
        ledger
            .windows(text.len())
            .any(|here| here == text.as_bytes())
    };
    assert!(has(&before.1));
    assert!(!has(LEAKED_EMAIL));
    Ok(())
}

/// Card and address of `You said: pay CARD for ADDRESS`.
fn surrogates(result: &Value, call: &Value) -> anyhow::Result<(String, String)> {
    let said = text(result, "text").strip_prefix("You said: pay ");
    let (card, mail) = said
        .and_then(|said| said.split_once(" for "))
        .unwrap_or_default();
    assert!(
        card.starts_with("9999 ") && card.len() == LEAKED_CARD.len(),
        "{call}: {result:#}"
    );
    assert!(mail.ends_with("@surrogate.example"), "{call}: {result:#}");
    Ok((card.to_owned(), mail.to_owned()))
}
