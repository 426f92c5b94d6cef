//! Requests to Bedrock, by boto3 and by the library for JavaScript. Those that are signed with a key of AWS: with the agent's own they pass as they are or not at all; where one is held they are
//! signed with that, whatever was masked. Signatures are checked by botocore's own signer.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::harness::{Daemon, WAIT, finish};
use tests::upstream::{LEAKED_EMAIL, Received};

use crate::calls::is_refusal;
use crate::world::{Script, World, clients, text};

const AGENTS: &str = concat!("AKID", "OFAGENT:secret/of+the+agent");
const HELD: &str = concat!(
    "AKID",
    "HELDHERE:secret/held+here/0123456789:token/held+here/0123456789=="
);
const HELD_KEY: &str = concat!("ABSK", "held+here/0123456789abcdef");
const REGION: &str = "eu-central-1";
const HOST: &str = "bedrock-runtime.eu-central-1.amazonaws.com";

/// Converse and a model's own format, whole and streamed.
fn calls(region: &str, prompt: &str) -> Vec<Value> {
    let mut calls = Vec::new();
    for (client, model) in [
        ("boto3-converse", "us.amazon.nova-lite-v1:0"),
        ("boto3-invoke", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    ] {
        for stream in [false, true] {
            calls.push(json!({"client": client, "model": model, "prompt": prompt, "stream": stream, "region": region, "key": AGENTS}));
        }
    }
    calls
}

/// Whose key has signed each request, as botocore sees it.
fn signers(requests: &[Received]) -> anyhow::Result<Vec<Value>> {
    let requests: Vec<Value> = requests
        .iter()
        .map(|request| {
            json!({"method": request.method, "path": request.path, "headers": request.headers, "body": request.text()})
        })
        .collect();
    let mut command = Command::new(Script::families()?.program());
    command.arg(clients("signed.py")).args([AGENTS, HELD]);
    let printed = finish(&command, &json!(requests).to_string(), WAIT)?.success()?;
    Ok(printed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

fn signed_by(key: &str, region: &str) -> Value {
    let id = key.split(':').next().unwrap_or_default();
    json!({"key": id, "region": region, "service": "bedrock", "right": true})
}

#[test]
fn a_signed_request_passes_with_its_own_signature_or_is_refused_once() -> anyhow::Result<()> {
    let (world, script) = (World::new()?, Script::families()?);
    let plain = calls("us-east-1", "hello");
    let control = world.untagged(&script, &plain)?;
    world.upstream.take();
    assert_eq!(
        world.tagged(&script, &plain)?,
        control,
        "{}",
        world.daemon.log()
    );
    let sent = world.upstream.take();
    assert_eq!(sent.len(), plain.len());
    for signer in signers(&sent)? {
        assert_eq!(signer, signed_by(AGENTS, "us-east-1"));
    }
    let masked = calls("us-east-1", &format!("write to {LEAKED_EMAIL}"));
    let control = world.untagged(&script, &masked)?;
    assert!(control.iter().all(|result| result["error"].is_null()));
    world.upstream.take();
    let results = world.tagged(&script, &masked)?;
    for (call, result) in masked.iter().zip(&results) {
        assert!(is_refusal(call, result, false), "{call}: {result:#}");
        assert!(
            text(result, "message").contains("AWS signature"),
            "{result:#}"
        );
    }
    assert_eq!(world.upstream.take().len(), 0);
    let exchanges = world.daemon.ended_after(plain.len(), masked.len())?;
    assert_eq!(exchanges.len(), masked.len(), "a client tried again");
    for exchange in exchanges {
        assert_eq!(exchange["outcome"], "refused", "{exchange:#}");
    }
    Ok(())
}

#[test]
fn every_request_is_signed_with_the_key_that_is_held() -> anyhow::Result<()> {
    let configuration = format!(
        "[[service]]\nname = \"bedrock-held\"\ngroups = [\"llm\"]\nhosts = [{HOST:?}]\nca = \"upstream-ca.pem\"\ncredential = {{ sign = \"aws\", file = \"aws.key\" }}\n"
    );
    let world = World::built(&[HOST], &configuration, |lab| {
        lab.write("aws.key", HELD)?;
        Daemon::start(lab)
    })?;
    let script = Script::families()?;
    for prompt in ["hello".to_owned(), format!("write to {LEAKED_EMAIL}")] {
        let seen = world.daemon.exchanges()?.len();
        let calls = calls(REGION, &prompt);
        let control = world.untagged(&script, &calls)?;
        for signer in signers(&world.upstream.take())? {
            assert_eq!(signer, signed_by(AGENTS, REGION), "the control run");
        }
        let results = world.tagged(&script, &calls)?;
        for (result, expected) in results.iter().zip(&control) {
            let expected = text(expected, "text").replace(LEAKED_EMAIL, "[REDACTED:email]");
            assert_eq!(
                text(result, "text"),
                expected,
                "{result:#}\n{}",
                world.daemon.log()
            );
        }
        let sent = world.upstream.take();
        assert_eq!(sent.len(), calls.len());
        for signer in signers(&sent)? {
            assert_eq!(signer, signed_by(HELD, REGION));
        }
        for request in &sent {
            let whole = format!("{request:?}");
            assert!(
                !whole.contains(LEAKED_EMAIL) && !whole.contains("AKIDOFAGENT"),
                "{whole}"
            );
        }
        for exchange in world.daemon.ended_after(seen, calls.len())? {
            assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
            assert_eq!(exchange["service"], "bedrock-held", "{exchange:#}");
        }
    }
    nothing_of_the_key(&world.lab.path("state"))?;
    assert!(!world.daemon.log().contains("held+here"));
    Ok(())
}

#[test]
fn a_key_for_bedrock_that_is_held_takes_the_place_of_the_agents() -> anyhow::Result<()> {
    let configuration = format!(
        "[[service]]\nname = \"bedrock-held\"\ngroups = [\"llm\"]\nhosts = [{HOST:?}]\nca = \"upstream-ca.pem\"\ncredential = {{ header = \"authorization\", prefix = \"Bearer \", file = \"bedrock.key\" }}\n"
    );
    let world = World::built(&[HOST], &configuration, |lab| {
        lab.write("bedrock.key", HELD_KEY)?;
        Daemon::start(lab)
    })?;
    let prompt = format!("write to {LEAKED_EMAIL}");
    let boto3 = calls(REGION, &prompt).into_iter().map(|mut call| {
        call["key"] = Value::Null;
        call
    });
    let javascript = calls(REGION, &prompt).into_iter().map(|mut call| {
        let client = text(&call, "client").replace("boto3", "aws");
        call["client"] = json!(client);
        call
    });
    let programs: [(Script, Vec<Value>); 2] = [
        (Script::families()?, boto3.collect()),
        (Script::node()?, javascript.collect()),
    ];
    let keys = |requests: &[Received]| -> Vec<String> {
        let keys = requests
            .iter()
            .filter_map(|request| request.header("authorization"));
        keys.map(str::to_owned).collect()
    };
    for (script, calls) in programs {
        let seen = world.daemon.exchanges()?.len();
        let control = world.untagged(&script, &calls)?;
        let sent = keys(&world.upstream.take());
        assert_eq!(sent, vec!["Bearer agent-key"; calls.len()], "{control:#?}");
        let results = world.tagged(&script, &calls)?;
        for (result, expected) in results.iter().zip(&control) {
            let expected = text(expected, "text").replace(LEAKED_EMAIL, "[REDACTED:email]");
            assert_eq!(
                text(result, "text"),
                expected,
                "{result:#}\n{}",
                world.daemon.log()
            );
        }
        let held = format!("Bearer {HELD_KEY}");
        let sent = keys(&world.upstream.take());
        assert_eq!(sent, vec![held; calls.len()]);
        for exchange in world.daemon.ended_after(seen, calls.len())? {
            assert_eq!(exchange["outcome"], "completed", "{exchange:#}");
            assert_eq!(exchange["service"], "bedrock-held", "{exchange:#}");
        }
    }
    nothing_of_the_key(&world.lab.path("state"))?;
    assert!(!world.daemon.log().contains("held+here"));
    Ok(())
}

/// The record has nothing of what is held.
fn nothing_of_the_key(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            nothing_of_the_key(&path)?;
        } else if path.is_file() {
            let bytes = std::fs::read(&path)?;
            let held = bytes.windows(9).any(|part| part == b"held+here");
            assert!(!held, "{}", path.display());
        }
    }
    Ok(())
}
