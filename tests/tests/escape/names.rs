//! A name, a resolver and a CA of the agent's own prove nothing: a credential goes to nobody who only claims to be its service.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, ensure};
use tests::{
    harness::{WAIT, finish, free_address},
    upstream::{Options, Upstream},
};

use crate::world::{IDENTITY, World};

const SERVICE: &str = "held.example.test";
const SECRET: &str = "sk-held-0123456789abcdef";

#[test]
fn a_credential_goes_to_nobody_who_only_claims_the_name() -> anyhow::Result<()> {
    let start = |at: SocketAddr| {
        Upstream::start(&Options {
            tls: vec![at],
            names: vec![SERVICE.to_owned()],
            ..Options::default()
        })
    };
    // The true one and its operator's CA; the attacker has the same name, another address and a CA of its own.
    let (true_one, attacker) = (start(free_address(443)?)?, start(free_address(443)?)?);
    let world = World::holding(
        SERVICE,
        true_one.tls[0].ip(),
        true_one.authority.pem(),
        SECRET,
    )?;
    let get = |mut command: Command, to: SocketAddr, ca: &str| {
        let ca = world.lab.write("trusted.pem", ca)?;
        let resolve = format!("{SERVICE}:443:{}", to.ip());
        command
            .args([
                "--silent",
                "--max-time",
                "5",
                "--noproxy",
                "*",
                "--resolve",
                &resolve,
                "--cacert",
            ])
            .arg(ca)
            .arg(format!("https://{SERVICE}/v1/models"));
        finish(&command, "", WAIT)
    };
    let own_ca = attacker.authority.pem();
    get(world.free.command("curl"), attacker.tls[0], own_ca)?.success()?;
    ensure!(attacker.take().len() == 1, "the control run");

    // Governed, the agent trusts the gateway's CA and its own, and says that the name is at the attacker's address.
    let both = world.ca()? + own_ca;
    let refused = get(world.governed.command("curl"), attacker.tls[0], &both)?;
    ensure!(attacker.received().is_empty(), "{:#?}", attacker.received());
    ensure!(!refused.stdout.contains(SECRET), "{refused:?}");
    let exchange = world.daemon.exchanges()?.pop().context("no exchange")?;
    ensure!(
        exchange["identity"] == IDENTITY && exchange["outcome"] != "completed",
        "{exchange}"
    );

    // At the true one the same request passes, with the credential.
    get(world.governed.command("curl"), true_one.tls[0], &both)?.success()?;
    let received = true_one.take().pop().context("nothing arrived")?;
    ensure!(received.header("authorization") == Some(format!("Bearer {SECRET}").as_str()));
    Ok(())
}
