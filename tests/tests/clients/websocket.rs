//! WebSockets of the Python library: the same through Tollgate as without it, masked both ways, refused as the library tells refusals.

use serde_json::{Value, json};
use tests::harness::{WAIT, finish};

use crate::world::{
    ECHO, FILES, FORBIDDEN, IDENTITY, Script, Server, World, clients, python, text,
};

#[test]
fn websockets_get_what_they_get_without_tollgate() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    let url = format!("wss://{FILES}/socket");
    let calls = [
        json!({"client": "websockets", "url": url, "send": ["hello", "", "\u{00fc}\u{1f980}"]}),
        json!({"client": "websockets", "url": url, "send": ["hello"], "binary": true, "code": 4000}),
        json!({"client": "websockets", "url": url, "send": ["0123456789abcdef"], "times": 65536, "code": 1001}),
        json!({"client": "websockets", "url": url, "send": ["0123456789abcdef"], "times": 65536, "binary": true}),
    ];
    let control = world.untagged(&script, &calls)?;
    assert!(
        control.iter().all(|result| result["subprotocol"] == "chat"),
        "the control run failed"
    );
    let results = world.tagged(&script, &calls)?;
    assert!(results == control, "{}", world.daemon.log());
    for exchange in world.daemon.ended_after(0, calls.len())? {
        assert_eq!(exchange["action"], "http.websocket", "{exchange:#}");
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
        assert_eq!(exchange["status"], 101, "{exchange:#}");
    }
    Ok(())
}

#[test]
fn websockets_are_masked_and_refused_in_the_librarys_terms() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = Script::python()?;
    let masked = format!("wss://{FILES}/socket/masked");
    let calls = [
        json!({"client": "websockets", "url": masked, "send": ["mail bob@corp.com", r#"{"to": "bob@corp.com"}"#]}),
        json!({"client": "websockets", "url": masked, "send": ["bytes"], "binary": true}),
        json!({"client": "websockets", "url": format!("wss://{FORBIDDEN}/socket"), "send": ["hello"]}),
    ];
    let control = world.untagged(&script, &calls)?;
    assert!(
        control.iter().all(|result| result["code"] == 1000),
        "{control:#?}"
    );
    world.upstream.take();
    let results = world.tagged(&script, &calls)?;
    let heard = json!([
        ["str", "mail [REDACTED:email]"],
        ["str", r#"{"to": "[REDACTED:email]"}"#]
    ]);
    assert_eq!(results[0]["heard"], heard, "{results:#?}");
    assert_eq!(results[1]["error"], "ConnectionClosedError", "{results:#?}");
    assert!(
        text(&results[1], "message").contains("a binary message cannot be masked"),
        "{results:#?}"
    );
    assert_eq!(results[2]["error"], "InvalidStatus", "{results:#?}");
    assert!(text(&results[2], "message").contains("403"), "{results:#?}");
    assert!(
        world
            .upstream
            .take()
            .iter()
            .all(|received| !received.text().contains("bob@corp.com"))
    );
    Ok(())
}

/// The cases of the Autobahn test suite against a strict server: what comes back is the same, to the closing code.
#[test]
fn frames_get_what_they_get_without_tollgate() -> anyhow::Result<()> {
    let world = World::new()?;
    let _server = Server::start(&world, "frames_server.py")?;
    let python = python()?;
    let run = |mut command: std::process::Command| -> anyhow::Result<Vec<Value>> {
        command.arg(clients("frames.py")).arg(format!("{ECHO}:443"));
        let printed = finish(&command, "", WAIT)?.success()?;
        Ok(printed
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?)
    };
    let control = run(world.daemon.untagged(&python))?;
    let closed_with = |code: u16| control.iter().filter(|case| case["close"] == code).count();
    assert!(
        control.len() > 80
            && closed_with(1000) > 30
            && closed_with(1002) > 35
            && closed_with(1007) > 6,
        "the control run failed: {control:#?}"
    );
    let results = run(world.daemon.tagged(IDENTITY, &python))?;
    assert_eq!(results.len(), control.len());
    let different: Vec<String> = results
        .iter()
        .zip(&control)
        .filter(|(result, expected)| result != expected)
        .map(|(result, expected)| format!("{result} without Tollgate: {expected}"))
        .collect();
    assert_eq!(different, Vec::<String>::new(), "{}", world.daemon.log());
    world.daemon.ended_after(0, control.len())?;
    Ok(())
}
