//! Conversations over WebSocket by OpenAI's library: the same as without Tollgate, masked across their pieces, refused in its own exceptions.

use serde_json::json;

use crate::talks::{NO_ATLANTIS, NO_SECRETS, SECRET, Talks};

const REALTIME: Talks = Talks {
    client: "openai-realtime",
    model: "gpt-realtime",
    opening: "gpt-realtime",
    protocol: "openai-realtime",
    ways: || {
        let ways = [(false, false), (true, false), (true, true)];
        ways.map(|(asynchronous, spoken)| json!({"async": asynchronous, "spoken": spoken}))
            .to_vec()
    },
};

#[test]
fn a_conversation_is_what_it_is_without_tollgate() -> anyhow::Result<()> {
    REALTIME.are_the_same()
}

#[test]
fn a_call_in_a_conversation_arrives_as_policy_edits_it() -> anyhow::Result<()> {
    REALTIME.are_edited()
}

#[test]
fn a_conversation_is_masked_both_ways() -> anyhow::Result<()> {
    REALTIME.are_masked()
}

#[test]
fn what_is_refused_raises_the_librarys_exceptions() -> anyhow::Result<()> {
    let calls = |model, prompt, tools| REALTIME.calls(model, prompt, tools);
    REALTIME.are_refused(&[
        (calls("gpt-5", "hello", false), "InvalidStatus", "HTTP 403"),
        (
            calls("gpt-realtime", SECRET, false),
            "OpenAIError",
            NO_SECRETS,
        ),
        (
            calls("gpt-realtime", "weather in Atlantis", true),
            "OpenAIError",
            NO_ATLANTIS,
        ),
        (
            calls("gpt-realtime", "please say it twice", false),
            "OpenAIError",
            "withheld what the model said",
        ),
    ])
}
