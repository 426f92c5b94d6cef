//! Resolvers of different kinds, each asked without Tollgate and with it: libc, Node's (c-ares), and by hand as Go and musl ask.

use anyhow::ensure;
use serde_json::{Value, json};
use tests::harness::{
    Resolver,
    resolver::{address, text},
};

use crate::world::{IDENTITY, Script, World};

/// A name that policy permits, one that it does not, and one that does not exist.
const LISTED: &str = "looked-up.example.test";
const UNLISTED: &str = "carried-out.example.test";
const ABSENT: &str = "absent.looked-up.example.test";

#[test]
fn every_kind_of_resolver_finds_what_it_finds_without_tollgate() -> anyhow::Result<()> {
    let mut records = vec![
        address(LISTED, [127, 0, 0, 9].into()),
        address(UNLISTED, [127, 0, 0, 9].into()),
    ];
    // More than goes into a small datagram.
    records.extend((0..5).map(|_| text(LISTED, &"x".repeat(200))));
    let (operators, own) = (Resolver::start(records.clone())?, Resolver::start(records)?);
    let world = World::with(
        &[],
        &format!(
            "\n[dns]\nresolvers = [\"{}\"]\n\n[[service]]\nname = \"looked-up\"\nhosts = [\"{LISTED}\", \"*.{LISTED}\"]\n",
            operators.addr
        ),
    )?;
    world.lab.resolve_by(own.addr.ip())?;
    let policy = "@id(\"look-up\") permit (principal in Group::\"agents\", action in Action::\"http\", resource == Service::\"looked-up\");";
    world.lab.write("policies/look-up.cedar", policy)?;
    world.daemon.run(&["policy", "reload"])?.success()?;

    let server = own.addr.ip();
    let pool = |types: &[&str], room: u16| json!({"how": "pool", "server": server, "name": LISTED, "types": types, "room": room});
    let same = [
        json!({"how": "libc", "name": LISTED}),
        json!({"how": "libc", "name": ABSENT}),
        pool(&["A", "AAAA"], 0),
        pool(&["TXT"], 0),
        json!({"how": "many", "servers": [server, operators.addr.ip()], "name": LISTED}),
        json!({"how": "tcp", "server": server, "name": LISTED, "types": ["A", "TXT", "AAAA"]}),
    ];
    let python = Script::python_lookups()?;
    let control = world.untagged(&python, &same)?;
    ensure!(
        control[0] == json!({"addresses": ["127.0.0.9"]}),
        "{control:#?}"
    );
    ensure!(control[1]["no-name"] == true, "{control:#?}");
    let carried = [json!({"how": "libc", "name": UNLISTED})];
    let control_of_it = world.untagged(&python, &carried)?;
    ensure!(control_of_it == control[..1], "{control_of_it:#?}");
    ensure!(control[3]["answers"][0]["cut"] == true, "{control:#?}");
    ensure!(!own.take().is_empty() && !operators.take().is_empty());
    let results = world.tagged(&python, &same)?;
    for ((call, result), expected) in same.iter().zip(&results).zip(&control) {
        ensure!(
            alike(result) == alike(expected),
            "{call}: {result}, not {expected}"
        );
    }

    // What there is room for comes whole; a name without a permit does not exist, whoever is asked.
    let more = [
        pool(&["TXT"], 1232),
        json!({"how": "libc", "name": UNLISTED}),
        json!({"how": "tcp", "server": server, "name": UNLISTED, "types": ["A"]}),
    ];
    let results = world.tagged(&python, &more)?;
    ensure!(results[0]["answers"][0]["answers"] == 5, "{results:#?}");
    ensure!(results[1]["no-name"] == true, "{results:#?}");
    ensure!(results[2]["answers"][0]["code"] == 3, "{results:#?}");

    let ask = |name: &str, kind: &str| json!({"server": server, "name": name, "type": kind});
    let calls = [
        ask(LISTED, "A"),
        ask(LISTED, "AAAA"),
        ask(LISTED, "TXT"),
        ask(ABSENT, "A"),
    ];
    let node = Script::node_lookups();
    let _ = own.take();
    let control = world.untagged(&node, &calls)?;
    let codes = [
        json!(["127.0.0.9"]),
        Value::Null,
        json!(vec![vec!["x".repeat(200)]; 5]),
        Value::Null,
    ];
    for (result, expected) in control.iter().zip(&codes) {
        ensure!(
            result["found"] == *expected,
            "the control run: {control:#?}"
        );
    }
    ensure!(!own.take().is_empty());
    let results = world.tagged(&node, &calls)?;
    ensure!(results == control, "{results:#?}, not {control:#?}");
    ensure!(world.tagged(&node, &[ask(UNLISTED, "A")])?[0]["error"] == "ENOTFOUND");

    let asked = operators.take();
    ensure!(
        own.take().is_empty(),
        "the resolver that it addressed was asked"
    );
    ensure!(
        !asked.is_empty() && asked.iter().all(|(name, _)| name != UNLISTED),
        "{asked:?}"
    );
    let lookups = world.daemon.lookups()?;
    ensure!(lookups.iter().all(|lookup| lookup["identity"] == IDENTITY));
    for lookup in lookups.iter().filter(|lookup| lookup["path"] == UNLISTED) {
        ensure!(lookup["outcome"] == "refused", "{lookup:#}");
    }
    Ok(())
}

/// A result without what says nothing about names.
fn alike(result: &Value) -> Value {
    let mut result = result.clone();
    for answer in result["answers"].as_array_mut().into_iter().flatten() {
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("bytes");
        }
    }
    result
}
