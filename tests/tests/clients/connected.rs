//! Responses over a WebSocket by OpenAI's libraries: the same as without Tollgate, masked across their pieces, refused in their own exceptions.

use serde_json::{Value, json};
use tests::{
    harness::Daemon,
    upstream::{LEAKED_CARD, LEAKED_EMAIL},
};

use crate::world::{IDENTITY, Script, World, text};

const POLICIES: &str = r#"
@id("opens")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "" };

@id("calls")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai");

@id("no-atlantis")
@message("nobody goes there")
forbid (principal, action == Action::"llm.tool_call", resource)
when { context.tool == "weather" && context.text like "*Atlantis*" };

@id("elsewhere") @patch("{\"city\": \"Porto\"}")
permit (principal, action == Action::"llm.tool_call", resource == Service::"openai")
when { context.tool == "weather" && context.text like "*Brest*" };
"#;

fn world() -> anyhow::Result<World> {
    World::run_by("", |lab| {
        lab.write("policies/connected.cedar", POLICIES)?;
        Daemon::start(lab)
    })
}

fn asks(model: &str, prompt: &str, tools: bool) -> Vec<Value> {
    let call = |asynchronous| json!({"client": "openai-connected", "model": model, "prompt": prompt, "async": asynchronous, "tools": tools});
    [false, true].map(call).to_vec()
}

/// The same calls without Tollgate, where each succeeds, and with it.
fn both(world: &World, calls: &[Value]) -> anyhow::Result<(Vec<Value>, Vec<Value>)> {
    let script = Script::python()?;
    let control = world.untagged(&script, calls)?;
    for result in &control {
        assert!(
            result["error"].is_null(),
            "the control run failed: {result:#}"
        );
    }
    world.upstream.take();
    Ok((control, world.tagged(&script, calls)?))
}

#[test]
fn an_answer_is_what_it_is_without_tollgate() -> anyhow::Result<()> {
    let world = world()?;
    let calls = [
        asks("gpt-5-mini", "hello", false),
        asks("gpt-5-mini", "weather in Lisbon", true),
    ]
    .concat();
    let (control, results) = both(&world, &calls)?;
    assert_eq!(results, control, "{}", world.daemon.log());
    assert!(text(&control[3], "text").contains("sunny in Lisbon"));
    let exchanges = world.daemon.ended_after(0, calls.len() + 2)?;
    let calls = |action| {
        let found = exchanges
            .iter()
            .filter(move |found| found["action"] == action);
        found.filter(|found| found["outcome"] == "completed")
    };
    assert_eq!(calls("llm.tool_call").count(), 2);
    for (exchange, result) in calls("llm.generate").zip(&control) {
        assert_eq!(exchange["protocol"], "openai-responses");
        let usage = json!([exchange["usage"]["input"], exchange["usage"]["output"]]);
        assert_eq!(usage, result["usage"], "{exchange:#}");
    }
    Ok(())
}

#[test]
fn a_call_in_it_arrives_as_policy_edits_it() -> anyhow::Result<()> {
    let world = world()?;
    let asks = |city: &str| asks("gpt-5-mini", &format!("weather in {city}"), true);
    let expected = world.untagged(&Script::python()?, &asks("Porto"))?;
    let (control, results) = both(&world, &asks("Brest"))?;
    assert!(text(&control[0], "text").contains("sunny in Brest"));
    assert_eq!(results, expected, "{}", world.daemon.log());
    Ok(())
}

#[test]
fn it_is_masked_both_ways() -> anyhow::Result<()> {
    let world = world()?;
    let prompt = format!("charge {LEAKED_CARD} and tell {LEAKED_EMAIL}");
    let calls = [
        asks("gpt-5-mini", "please leak the record", false),
        asks("gpt-5-mini", &prompt, false),
    ]
    .concat();
    let (control, results) = both(&world, &calls)?;
    for (result, expected) in results.iter().zip(&control) {
        let masked = text(expected, "text")
            .replace(LEAKED_CARD, "[REDACTED:credit-card]")
            .replace(LEAKED_EMAIL, "[REDACTED:email]");
        let log = world.daemon.log();
        assert_eq!(text(result, "text"), masked, "{result:#}\n{log}");
        if !text(expected, "text").starts_with("You said") {
            assert_eq!(result["events"], expected["events"]);
        }
    }
    for asked in world.upstream.take() {
        let said = asked.text();
        assert!(
            !said.contains(LEAKED_CARD) && !said.contains(LEAKED_EMAIL),
            "{said}"
        );
    }
    for exchange in world.daemon.ended_after(0, calls.len())? {
        let shown = ["replay", text(&exchange, "id"), "--json"];
        let shown = world.daemon.run(&shown)?.success()?;
        assert!(shown.contains("[REDACTED:credit-card]"), "{shown}");
        assert!(
            !shown.contains(LEAKED_CARD) && !shown.contains(LEAKED_EMAIL),
            "{shown}"
        );
    }
    Ok(())
}

#[test]
fn what_is_refused_raises_the_librarys_exception() -> anyhow::Result<()> {
    let world = world()?;
    let secret = concat!("log in with AKIA", "IOSFODNN7EXAMPLE");
    let refused = "Tollgate refused llm.generate on openai for research-agent: ";
    let forbidden = format!("{refused}policy \"no-secrets\" forbids it");
    let unknown = format!("{refused}no policy permits model \"gpt-4\"");
    let cases = [
        (asks("gpt-4", "hello", false), unknown.as_str()),
        (asks("gpt-5-mini", secret, false), forbidden.as_str()),
        (
            asks("gpt-5-mini", "weather in Atlantis", true),
            "Tollgate refused llm.tool_call of \"weather\" on openai for research-agent: policy \"no-atlantis\" forbids it: nobody goes there. Id ",
        ),
    ];
    for (calls, told) in cases {
        let (_, results) = both(&world, &calls)?;
        for result in &results {
            let log = world.daemon.log();
            assert_eq!(result["error"], "OpenAIError", "{result:#}\n{log}");
            let message = text(result, "message").replace('\\', "");
            assert!(message.contains(told), "{IDENTITY}: {message}");
        }
    }
    Ok(())
}
