//! A streamed answer that cannot be masked to its end: the library raises its own exception, after one request.

use serde_json::Value;

use crate::world::{CHAT, NODE_CHAT, Script, World, provider, text, texts};

#[test]
fn a_stream_that_cannot_be_masked_ends_with_the_librarys_exception() -> anyhow::Result<()> {
    let world = World::new()?;
    for (script, clients) in [(Script::python()?, CHAT), (Script::node()?, NODE_CHAT)] {
        let calls: Vec<Value> = clients
            .iter()
            .flat_map(|(client, model)| texts(client, model, "please say it twice"))
            // LangGraph's own streams are of its states; the model it asks for a whole answer.
            .filter(|call| call["stream"] == true && call["client"] != "langgraph")
            .collect();
        let control = world.untagged(&script, &calls)?;
        for result in &control {
            let said = "You said: please say it twice";
            assert_eq!(
                text(result, "text"),
                said,
                "the control run failed: {result:#}"
            );
        }
        world.upstream.take();
        let seen = world.daemon.exchanges()?.len();
        let results = world.tagged(&script, &calls)?;
        let exchanges = world.daemon.ended_after(seen, calls.len())?;
        assert_eq!(
            exchanges.len(),
            calls.len(),
            "a client tried again: {exchanges:#?}"
        );
        assert_eq!(world.upstream.take().len(), calls.len());
        for ((call, result), exchange) in calls.iter().zip(&results).zip(&exchanges) {
            let client = text(call, "client");
            let error = match provider(client) {
                "anthropic" => "APIStatusError",
                _ => "APIError",
            };
            assert!(
                text(result, "error").ends_with(error),
                "{call}: {result:#}\n{}",
                world.daemon.log()
            );
            let message = text(result, "message");
            let id = text(exchange, "id");
            assert!(
                message.contains("Tollgate withheld the rest of the answer"),
                "{message}"
            );
            assert!(
                message.contains(&format!("tollgate replay {id}")),
                "{message}"
            );
            assert_eq!(exchange["outcome"], "failed", "{exchange:#}");
            assert!(
                text(exchange, "reason").contains("\"twice\" twice"),
                "{exchange:#}"
            );
        }
    }
    Ok(())
}
