//! Private CAs of upstreams: what a workload trusts proves nothing, what an operator imports does, until it is withdrawn.

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::{WAIT, finish};

use crate::world::{IDENTITY, World, text};

const NAME: &str = "private.example.test";
const SERVICE: &str = "private.example.test:443";

/// What a governed curl gets.
fn got(world: &World) -> anyhow::Result<String> {
    let mut command = world.daemon.tagged(IDENTITY, "curl");
    command.args(["--silent", "--output", "/dev/null", "--noproxy", "*"]);
    command.args(["--write-out", "%{http_code}"]);
    finish(command.arg(format!("https://{NAME}/hello")), "", WAIT)?.success()
}

fn imported(world: &World) -> anyhow::Result<Vec<Value>> {
    let listed = world.daemon.run(&["trust", "imported", "--json"])?;
    let rows = listed.success()?;
    let rows = rows.lines().map(serde_json::from_str);
    Ok(rows.collect::<Result<_, _>>()?)
}

#[test]
fn a_private_ca_vouches_from_its_import_to_its_withdrawal() -> anyhow::Result<()> {
    let mut world = World::with(&[NAME], "")?;
    let policy = format!(
        "@id(\"private\") permit (principal, action in Action::\"http\", resource == Service::\"{SERVICE}\");"
    );
    world.lab.write("policies/private.cedar", &policy)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let ca = world.lab.path("upstream-ca.pem").display().to_string();
    let import = |world: &World, file: &str, service: &str| {
        world.daemon.run(&[
            "trust",
            "import",
            file,
            "--service",
            service,
            "--reason",
            "ticket 4711",
        ])
    };

    // The control: nobody whom the operator trusts has issued it, and nothing is sent.
    ensure!(got(&world)? == "502");
    ensure!(world.upstream.take().is_empty());
    // A mistake changes nothing, and says what it is.
    let own = world.daemon.run(&["status", "--json"])?.success()?;
    let own: Value = serde_json::from_str(&own)?;
    let own_pem = text(&own["workloads"][0]["cas"][0], "pem");
    let own = world.lab.write("own.pem", own_pem)?.display().to_string();
    let (leaf, _) = world.upstream.authority.certificate(&[NAME.to_owned()])?;
    let leaf = world
        .lab
        .write("leaf.pem", &leaf.pem())?
        .display()
        .to_string();
    let none = world
        .lab
        .write("none.pem", "nothing")?
        .display()
        .to_string();
    for (file, service, code, says) in [
        (&own, SERVICE, 2, "Tollgate CA"),
        (&leaf, SERVICE, 2, "no CA's"),
        (&none, SERVICE, 2, "no certificate"),
        (&ca, "privat", 9, "no service"),
        (&ca, "opnai", 9, "\"openai\" is one"),
        (&ca, ":443", 2, "can be no destination"),
        (&ca, "a..test:443", 2, "can be no destination"),
        (&ca, "https://a.test:443", 2, "can be no destination"),
        (&ca, "api.openai.com:443", 2, "--service openai"),
    ] {
        let refused = import(&world, file, service)?;
        ensure!(
            refused.status.code() == Some(code) && refused.stderr.contains(says),
            "{refused:?}"
        );
    }
    ensure!(imported(&world)?.is_empty() && got(&world)? == "502");

    // Twice is once.
    let pem = world.upstream.authority.pem().to_owned();
    let twice = world.lab.write("twice.pem", &format!("{pem}{pem}"))?;
    // However it is written.
    let written = "Private.Example.Test.:443";
    for (file, service) in [(&twice.display().to_string(), SERVICE), (&ca, written)] {
        let told = import(&world, file, service)?.success()?;
        ensure!(told.contains(&format!("vouches for {SERVICE}")), "{told}");
    }
    ensure!(got(&world)? == "200", "{}", world.daemon.log());
    world.daemon.crash()?;
    world.restart()?;
    ensure!(got(&world)? == "200", "{}", world.daemon.log());
    let rows = imported(&world)?;
    let row = rows.first().context("it is not on record")?;
    ensure!(
        rows.len() == 1
            && text(row, "service") == SERVICE
            && row["uid"] == 0
            && text(row, "reason") == "ticket 4711"
            && row["withdrawn"].is_null(),
        "{rows:#?}"
    );
    // It vouches for that service and for no other.
    let other = import(&world, &ca, "openai")?.success()?;
    ensure!(other.contains("vouches for openai"), "{other}");

    let id = text(row, "id").to_owned();
    world.daemon.run(&["trust", "withdraw", &id])?.success()?;
    ensure!(world.daemon.run(&["trust", "withdraw", &id])?.status.code() == Some(9));
    world.upstream.take();
    ensure!(got(&world)? == "502");
    ensure!(world.upstream.take().is_empty());
    let rows = imported(&world)?;
    ensure!(
        rows.len() == 2 && !rows[0]["withdrawn"].is_null() && rows[0]["withdrawn_uid"] == 0,
        "{rows:#?}"
    );
    // Nothing of it lies where a workload reads its roots.
    let mut seen = world.daemon.tagged(IDENTITY, "cat");
    seen.arg("/etc/ssl/certs/ca-certificates.crt");
    let seen = finish(&seen, "", WAIT)?.success()?;
    ensure!(seen.contains(own_pem) && !seen.contains(&pem));
    Ok(())
}
