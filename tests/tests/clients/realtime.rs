//! Conversations over WebSocket by OpenAI's library: the same as without Tollgate, masked across their pieces, refused in its own exceptions.

use serde_json::{Value, json};
use tests::{
    harness::Daemon,
    upstream::{LEAKED_CARD, LEAKED_EMAIL, SOUND},
};

use crate::world::{IDENTITY, Script, World, text};

const POLICIES: &str = r#"
@id("talks")
permit (principal, action == Action::"llm.generate", resource == Service::"openai")
when { context.model == "gpt-realtime" };

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
        lab.write("policies/realtime.cedar", POLICIES)?;
        Daemon::start(lab)
    })
}

fn talks(model: &str, prompt: &str, tools: bool) -> Vec<Value> {
    let ways = [(false, false), (true, false), (true, true)];
    let call = |(asynchronous, spoken)| json!({"client": "openai-realtime", "model": model, "prompt": prompt, "async": asynchronous, "spoken": spoken, "tools": tools});
    ways.map(call).to_vec()
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
fn a_conversation_is_what_it_is_without_tollgate() -> anyhow::Result<()> {
    let world = world()?;
    let calls = [
        talks("gpt-realtime", "hello", false),
        talks("gpt-realtime", "weather in Lisbon", true),
    ]
    .concat();
    let (control, results) = both(&world, &calls)?;
    assert_eq!(results, control, "{}", world.daemon.log());
    assert!(text(&control[5], "text").contains("sunny in Lisbon"));
    let exchanges = world.daemon.ended_after(0, calls.len() + 3)?;
    let calls = |action| {
        let found = exchanges
            .iter()
            .filter(move |found| found["action"] == action);
        found.filter(|found| found["outcome"] == "completed")
    };
    assert_eq!(calls("llm.tool_call").count(), 3);
    for (exchange, result) in calls("llm.generate").zip(&control) {
        assert_eq!(exchange["protocol"], "openai-realtime");
        let usage = json!([exchange["usage"]["input"], exchange["usage"]["output"]]);
        assert_eq!(usage, result["usage"], "{exchange:#}");
    }
    Ok(())
}

#[test]
fn a_call_in_a_conversation_arrives_as_policy_edits_it() -> anyhow::Result<()> {
    let world = world()?;
    let talks = |city: &str| talks("gpt-realtime", &format!("weather in {city}"), true);
    let expected = world.untagged(&Script::python()?, &talks("Porto"))?;
    let (control, results) = both(&world, &talks("Brest"))?;
    assert!(text(&control[0], "text").contains("sunny in Brest"));
    assert_eq!(results, expected, "{}", world.daemon.log());
    Ok(())
}

#[test]
fn a_conversation_is_masked_both_ways() -> anyhow::Result<()> {
    let world = world()?;
    let prompt = format!("charge {LEAKED_CARD} and tell {LEAKED_EMAIL}");
    let calls = [
        talks("gpt-realtime", "please leak the record", false),
        talks("gpt-realtime", &prompt, false),
    ]
    .concat();
    let (control, results) = both(&world, &calls)?;
    for (result, expected) in results.iter().zip(&control) {
        let masked = text(expected, "text")
            .replace(LEAKED_CARD, "[REDACTED:credit-card]")
            .replace(LEAKED_EMAIL, "[REDACTED:email]");
        assert_eq!(
            text(result, "text"),
            masked,
            "{result:#}\n{}",
            world.daemon.log()
        );
        if !text(expected, "text").starts_with("You said") {
            assert_eq!(result["events"], expected["events"]);
        }
        let mut sound = result["sound"].as_array().into_iter().flatten();
        assert!(sound.all(|sound| sound == SOUND));
    }
    for talk in world.upstream.take() {
        let said = talk.text();
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
fn what_is_refused_raises_the_librarys_exceptions() -> anyhow::Result<()> {
    let world = world()?;
    let secret = concat!("log in with AKIA", "IOSFODNN7EXAMPLE");
    let cases = [
        (talks("gpt-5", "hello", false), "InvalidStatus", "HTTP 403"),
        (
            talks("gpt-realtime", secret, false),
            "OpenAIError",
            "Tollgate refused llm.generate on openai for research-agent: policy \"no-secrets\" forbids it",
        ),
        (
            talks("gpt-realtime", "weather in Atlantis", true),
            "OpenAIError",
            "Tollgate refused llm.tool_call of \"weather\" on openai for research-agent: policy \"no-atlantis\" forbids it: nobody goes there. Id ",
        ),
        (
            talks("gpt-realtime", "please say it twice", false),
            "OpenAIError",
            "withheld what the model said",
        ),
    ];
    for (calls, error, told) in cases {
        let (_, results) = both(&world, &calls)?;
        for result in &results {
            assert_eq!(result["error"], error, "{result:#}\n{}", world.daemon.log());
            let message = text(result, "message").replace('\\', "");
            assert!(message.contains(told), "{IDENTITY}: {message}");
        }
    }
    Ok(())
}
