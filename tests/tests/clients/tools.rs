//! A call of a tool that policy refuses raises the library's own exception and never reaches the agent; one that it permits does.

use serde_json::{Value, json};
use tests::harness::Daemon;

use crate::calls::{chats, is_refusal, provider, ways};
use crate::world::{IDENTITY, World, text};

const POLICIES: &str = r#"
@id("calls")
permit (principal, action == Action::"llm.tool_call", resource in ServiceGroup::"llm");

@id("no-atlantis")
@message("nobody goes there")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.tool == "weather" && context.text like "*Atlantis*" };

@id("elsewhere")
@patch("{\"city\": \"Porto\"}")
permit (principal, action == Action::"llm.tool_call", resource in ServiceGroup::"llm")
when { context.tool == "weather" && context.text like "*Brest*" };
"#;

#[test]
fn a_refused_call_raises_the_librarys_exception() -> anyhow::Result<()> {
    let world = world()?;
    for (script, clients) in chats()? {
        let calls = calls(clients, "weather in Atlantis");
        let control = world.untagged(&script, &calls)?;
        for result in &control {
            assert!(
                result["error"].is_null(),
                "the control run failed: {result:#}"
            );
            assert!(text_of_tools(result).contains("Atlantis"), "{result:#}");
        }
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let results = world.tagged(&script, &calls)?;
        for (call, result) in calls.iter().zip(&results) {
            // A framework that streams its own steps may ask the model for an answer in one piece.
            let of_framework = call["client"] == "langgraph" && result["status"] == 403;
            let inside = call["stream"] == true && !of_framework;
            assert!(
                is_refusal(call, result, inside),
                "{call}: {result:#}\n{}",
                world.daemon.log()
            );
            let message = text(result, "message").replace('\\', "");
            let service = provider(text(call, "client"));
            let told = format!(
                "Tollgate refused llm.tool_call of \"weather\" on {service} for {IDENTITY}: policy \"no-atlantis\" forbids it: nobody goes there. Id "
            );
            assert!(message.contains(&told), "{call}: {message}\n{told}");
        }
        assert_eq!(
            world.upstream.take().len(),
            calls.len(),
            "a client tried again"
        );
        let exchanges = world.daemon.ended_after(seen, 2 * calls.len())?;
        assert_eq!(exchanges.len(), 2 * calls.len(), "{exchanges:#?}");
        for exchange in &exchanges {
            assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
            let (decision, policies) = match text(exchange, "action") {
                "llm.tool_call" => ("deny", json!(["no-atlantis"])),
                _ => ("permit", json!(["chat", "mask-pii"])),
            };
            assert_eq!(exchange["decision"], decision, "{exchange:#}");
            assert_eq!(exchange["policies"], policies, "{exchange:#}");
        }
    }
    Ok(())
}

#[test]
fn a_permitted_call_arrives_as_without_tollgate() -> anyhow::Result<()> {
    let world = world()?;
    for (script, clients) in chats()? {
        let calls = calls(clients, "weather in Lisbon");
        let control = world.untagged(&script, &calls)?;
        let seen = world.daemon.exchanges()?.len();
        assert_eq!(
            world.tagged(&script, &calls)?,
            control,
            "{}",
            world.daemon.log()
        );
        let exchanges = world.daemon.exchanges()?.split_off(seen);
        let permitted = exchanges.iter().filter(|exchange| {
            exchange["action"] == "llm.tool_call" && exchange["decision"] == "permit"
        });
        assert_eq!(permitted.count(), calls.len(), "{exchanges:#?}");
    }
    Ok(())
}

#[test]
fn a_call_arrives_as_policy_edits_it() -> anyhow::Result<()> {
    let world = world()?;
    for (script, clients) in chats()? {
        let control = world.untagged(&script, &calls(clients, "weather in Porto"))?;
        let calls = calls(clients, "weather in Brest");
        for result in &world.untagged(&script, &calls)? {
            assert!(text_of_tools(result).contains("Brest"), "{result:#}");
        }
        let seen = world.daemon.exchanges()?.len();
        let results = world.tagged(&script, &calls)?;
        assert_eq!(results, control, "{}", world.daemon.log());
        let exchanges = world.daemon.exchanges()?.split_off(seen);
        let of_calls = exchanges
            .iter()
            .filter(|exchange| exchange["action"] == "llm.tool_call");
        let edited = of_calls.filter(|exchange| {
            let obligations = exchange["obligations"].to_string();
            exchange["outcome"] == "completed" && obligations.contains("patch:city")
        });
        assert_eq!(edited.count(), calls.len(), "{exchanges:#?}");
    }
    Ok(())
}

fn world() -> anyhow::Result<World> {
    World::run_by("", |lab| {
        lab.write("policies/tools.cedar", POLICIES)?;
        Daemon::start(lab)
    })
}

/// Each client's ways in which it offers a tool.
fn calls(clients: &[(&str, &str)], prompt: &str) -> Vec<Value> {
    let ways = clients
        .iter()
        .flat_map(|(client, model)| ways(client, model, prompt));
    ways.filter(|call| call["tools"] == true).collect()
}

fn text_of_tools(result: &Value) -> String {
    result["tools"].to_string()
}
