//! Responses over a WebSocket by OpenAI's libraries: the same as without Tollgate, masked across their pieces, refused in their own exceptions.

use std::{panic::resume_unwind, slice::from_ref, thread};

use serde_json::json;

use crate::{
    talks::{NO_ATLANTIS, NO_SECRETS, SECRET, Talks},
    world::{Script, text},
};

const RESPONSES: Talks = Talks {
    client: "openai-connected",
    model: "gpt-5-mini",
    opening: "",
    protocol: "openai-responses",
    ways: || [false, true].map(|way| json!({"async": way})).to_vec(),
};

#[test]
fn an_answer_is_what_it_is_without_tollgate() -> anyhow::Result<()> {
    RESPONSES.are_the_same()
}

#[test]
fn a_call_in_it_arrives_as_policy_edits_it() -> anyhow::Result<()> {
    RESPONSES.are_edited()
}

#[test]
fn it_is_masked_both_ways() -> anyhow::Result<()> {
    RESPONSES.are_masked()
}

#[test]
fn what_is_refused_raises_the_librarys_exception() -> anyhow::Result<()> {
    let calls = |model, prompt, tools| RESPONSES.calls(model, prompt, tools);
    RESPONSES.are_refused(&[
        (
            calls("gpt-4", "hello", false),
            "OpenAIError",
            "Tollgate refused llm.generate on openai for research-agent: no policy permits model \"gpt-4\"",
        ),
        (calls("gpt-5-mini", SECRET, false), "OpenAIError", NO_SECRETS),
        (
            calls("gpt-5-mini", "weather in Atlantis", true),
            "OpenAIError",
            NO_ATLANTIS,
        ),
    ])
}

#[test]
fn an_answer_waits_for_a_person() -> anyhow::Result<()> {
    let world = RESPONSES.world()?;
    let script = Script::python()?;
    for call in RESPONSES.calls("gpt-5-review", "hello", false) {
        let control = world.untagged(&script, from_ref(&call))?;
        for verdict in ["approve", "deny"] {
            world.upstream.take();
            let results = thread::scope(|scope| {
                let running = scope.spawn(|| world.tagged(&script, from_ref(&call)));
                let approval = world.daemon.approval()?;
                let said = world.upstream.received().into_iter();
                assert_eq!(said.filter(|sent| sent.method == "talk").count(), 0);
                world
                    .daemon
                    .run(&[verdict, &approval.id, "--reason", "not today"])?
                    .success()?;
                running.join().unwrap_or_else(|panic| resume_unwind(panic))
            })?;
            if verdict == "approve" {
                assert_eq!(results, control, "{}", world.daemon.log());
                continue;
            }
            assert_eq!(results[0]["error"], "OpenAIError", "{:#}", results[0]);
            assert!(text(&results[0], "message").contains("not today"));
        }
    }
    Ok(())
}
