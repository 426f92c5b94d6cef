//! Clients that cannot be given the CA: refused by default, and passed unopened where policy names that, only to where the name leads.

use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::{
    harness::{WAIT, finish, free_address},
    upstream::{Options, Upstream},
};

use crate::world::{FILES, IDENTITY, World, text};

const NAME: &str = "pinned.trust.test";
const SPLICE: &str = "@id(\"updates\") permit (principal in Group::\"agents\", action == Action::\"tls.splice\", resource == Service::\"trust\") when { context.distrusted };";

/// A curl that trusts the upstream's CA and no other.
fn pinned(world: &World, name: &str, more: &[&str]) -> anyhow::Result<Option<i32>> {
    let mut command = world.daemon.tagged(IDENTITY, "curl");
    let ca = world.lab.path("upstream-ca.pem");
    command.args([
        "--silent",
        "--fail",
        "--noproxy",
        "*",
        "--capath",
        "/nowhere",
    ]);
    command.arg("--cacert").arg(ca).args(more);
    let finished = finish(command.arg(format!("https://{name}/hello")), "", WAIT)?;
    Ok(finished.status.code())
}

fn last(world: &World) -> anyhow::Result<Value> {
    world.daemon.exchanges()?.pop().context("no exchange")
}

/// The key of the upstream, as curl pins one.
fn key(world: &World) -> anyhow::Result<String> {
    let ask = format!(
        "openssl s_client -connect {} -servername {NAME} </dev/null 2>/dev/null | openssl x509 -pubkey -noout |
         openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        world.upstream.tls[0]
    );
    let mut command = Command::new("sh");
    Ok(finish(command.args(["-c", &ask]), "", WAIT)?
        .success()?
        .trim()
        .to_owned())
}

#[test]
fn a_client_that_leaves_after_the_handshake_is_told_and_may_pass_too() -> anyhow::Result<()> {
    let world = World::with(&[NAME], "")?;
    let key = format!("sha256//{}", key(&world)?);
    let ask = || pinned(&world, NAME, &["--insecure", "--pinnedpubkey", &key]);
    let mut free = world.daemon.untagged("curl");
    free.args(["--silent", "--fail", "--noproxy", "*", "--insecure"]);
    free.args(["--pinnedpubkey", &key, &format!("https://{NAME}/hello")]);
    finish(&free, "", WAIT)?.success()?;
    ensure!(world.upstream.take().len() == 1, "the control run");

    // Its TLS library is content, and so the handshake ends well.
    ensure!(ask()? == Some(90));
    let told = last(&world)?;
    ensure!(
        told["protocol"] == "tls"
            && told["outcome"] == "failed"
            && text(&told, "reason").contains("after the handshake"),
        "{told:#}"
    );
    ensure!(world.upstream.take().is_empty());
    let status = world
        .daemon
        .run(&["trust", "status", "--json"])?
        .success()?;
    ensure!(status.contains("may pin the certificate"), "{status}");

    world.lab.write("policies/updates.cedar", SPLICE)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    // Once is chance.
    ensure!(ask()? == Some(90) && ask()? == Some(90));
    ensure!(ask()? == Some(0), "{}", world.daemon.log());
    let passed = last(&world)?;
    ensure!(passed["action"] == "tls.splice", "{passed:#}");
    Ok(())
}

#[test]
fn a_pinned_client_passes_unopened_where_policy_names_it() -> anyhow::Result<()> {
    let world = World::with(&[NAME], "")?;
    // The control: policy "trust" permits every action there, and still the client is refused.
    ensure!(pinned(&world, NAME, &[])? == Some(60));
    ensure!(text(&last(&world)?, "reason").contains("distrusts our CA"));
    ensure!(world.upstream.take().is_empty());

    world.lab.write("policies/updates.cedar", SPLICE)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    // What a client refuses is remembered from the policy on; the next connection passes.
    ensure!(pinned(&world, NAME, &[])? == Some(60));
    ensure!(world.upstream.take().is_empty());
    ensure!(
        pinned(&world, NAME, &[])? == Some(0),
        "{}",
        world.daemon.log()
    );
    let received = world.upstream.take();
    ensure!(received.len() == 1 && received[0].sni.as_deref() == Some(NAME));
    let passed = last(&world)?;
    ensure!(
        passed["action"] == "tls.splice"
            && passed["decision"] == "permit"
            && passed["outcome"] == "completed"
            && passed["policies"] == serde_json::json!(["trust", "updates"])
            && text(&passed, "reason").contains("not inspected"),
        "{passed:#}"
    );
    // Another service is opened as before, and so is this one for who has not distrusted the gateway at that name.
    ensure!(pinned(&world, FILES, &[])? == Some(60));

    // The name alone takes nobody elsewhere.
    let attacker = Upstream::start(&Options {
        tls: vec![free_address(443)?],
        names: vec![NAME.to_owned()],
        ..Options::default()
    })?;
    let elsewhere = format!("{NAME}:443:{}", attacker.tls[0].ip());
    let insecure = ["--insecure", "--resolve", &elsewhere];
    let free = finish(
        world
            .daemon
            .untagged("curl")
            .args(["--silent", "--fail", "--noproxy", "*"])
            .args(insecure)
            .arg(format!("https://{NAME}/hello")),
        "",
        WAIT,
    )?;
    free.success()?;
    ensure!(attacker.take().len() == 1, "the control run");
    ensure!(pinned(&world, NAME, &["--resolve", &elsewhere])? == Some(60));
    ensure!(pinned(&world, NAME, &insecure)? == Some(22));
    ensure!(
        attacker.take().is_empty(),
        "bytes went where the name does not lead"
    );
    ensure!(last(&world)?["action"] != "tls.splice");
    Ok(())
}
