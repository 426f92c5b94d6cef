//! The real gRPC client against the real gRPC server: one message, streams both ways at once, statuses, and its own error when refused.

use serde_json::{Value, json};

use crate::world::{ECHO, IDENTITY, Script, Server, World, text};

#[test]
fn grpc_calls_return_what_they_return_without_tollgate() -> anyhow::Result<()> {
    let world = World::new()?;
    let _server = Server::start(&world, "grpc_server.py")?;
    let long = "x".repeat(100_000);
    let calls = [
        call("/test.Echo/Unary", &["hello"], false),
        call("/test.Echo/Unary", &[&long], false),
        call("/test.Echo/Stream", &["one", "two", &long, "four"], true),
        call("/test.Echo/Fail", &["why"], false),
        call("/test.Echo/Missing", &["x"], false),
    ];
    let script = Script::python()?;
    let control = world.untagged(&script, &calls)?;
    let codes: Vec<&str> = control.iter().map(|result| text(result, "code")).collect();
    assert_eq!(
        codes,
        ["OK", "OK", "OK", "FAILED_PRECONDITION", "UNIMPLEMENTED"],
        "the control run failed: {control:#?}"
    );
    let results = world.tagged(&script, &calls)?;
    for ((call, result), expected) in calls.iter().zip(&results).zip(&control) {
        assert_eq!(
            result,
            expected,
            "{}\n{}",
            call["method"],
            world.daemon.log()
        );
    }
    let exchanges = world.daemon.ended_after(0, calls.len())?;
    for (exchange, call) in exchanges.iter().zip(&calls) {
        assert_eq!(exchange["path"], call["method"], "{exchange:#}");
        assert_eq!(exchange["service"], "echo", "{exchange:#}");
        assert_eq!(exchange["decision"], "permit", "{exchange:#}");
        assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
    }
    Ok(())
}

#[test]
fn a_refused_grpc_call_raises_permission_denied() -> anyhow::Result<()> {
    let world = World::new()?;
    let _server = Server::start(&world, "grpc_server.py")?;
    let calls = [
        call("/test.Other/Unary", &["hello"], false),
        call("/test.Other/Stream", &["hello"], true),
    ];
    let script = Script::python()?;
    for result in world.untagged(&script, &calls)? {
        assert_eq!(
            result["code"], "UNIMPLEMENTED",
            "the control run did not arrive: {result:#}"
        );
    }
    for result in world.tagged(&script, &calls)? {
        assert_eq!(result["code"], "PERMISSION_DENIED", "{result:#}");
        let refused = format!("Tollgate refused http.write on echo for {IDENTITY}: ");
        assert!(text(&result, "details").contains(&refused), "{result:#}");
    }
    let exchanges = world.daemon.ended_after(0, calls.len())?;
    assert_eq!(
        exchanges.len(),
        calls.len(),
        "the client tried again: {exchanges:#?}"
    );
    for exchange in exchanges {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

fn call(method: &str, messages: &[&str], stream: bool) -> Value {
    json!({"client": "grpc", "target": format!("{ECHO}:443"), "method": method, "messages": messages, "stream": stream})
}
