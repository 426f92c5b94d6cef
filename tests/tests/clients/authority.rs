//! A workload's CA: strict verifiers accept it, its key cannot be read from inside, and no other CA's leaves are to be had there.

use std::{fs, path::Path, time::Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::{WAIT, cgroup_root, finish};

use crate::{
    cgroup::Cgroup,
    world::{Conversation, FILES, IDENTITY, World, python, text},
};

/// With every check that CPython 3.13 makes, and the issuer of what is shown at a name and at other listeners.
const STRICT: &str = "
import socket, ssl, sys
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
name = sys.argv[1]
for place in sys.argv[2:]:
    host, port = place.rsplit(':', 1)
    try:
        with socket.create_connection((host, int(port)), timeout=10) as s, context.wrap_socket(s, server_hostname=name) as t:
            print(dict(pair[0] for pair in t.getpeercert()['issuer'])['commonName'])
    except OSError as error:
        print('failed', type(error).__name__)
";

#[test]
fn strict_verifiers_accept_the_certificates() -> anyhow::Result<()> {
    let world = World::new()?;
    let place = format!("{FILES}:443");
    let arguments = ["-c", STRICT, FILES, &place];
    let control = finish(world.daemon.untagged(&python()?).args(arguments), "", WAIT)?.success()?;
    ensure!(control.starts_with("Test upstream CA"), "{control}");
    let told = finish(
        world.daemon.tagged(IDENTITY, &python()?).args(arguments),
        "",
        WAIT,
    )?
    .success()?;
    ensure!(
        told.starts_with("Tollgate CA for run:"),
        "{told}\n{}",
        world.daemon.log()
    );

    let mut openssl = world.daemon.tagged(IDENTITY, "openssl");
    openssl.args([
        "s_client",
        "-x509_strict",
        "-verify_return_error",
        "-brief",
        "-verify_hostname",
        FILES,
    ]);
    openssl.args([
        "-CApath",
        "/etc/ssl/certs",
        "-servername",
        FILES,
        "-connect",
        &place,
    ]);
    let told = finish(&openssl, "", WAIT)?;
    ensure!(
        told.stderr.contains("Verification: OK"),
        "{}{}",
        told.stdout,
        told.stderr
    );
    Ok(())
}

#[test]
fn no_key_of_a_ca_and_no_leaf_of_another_is_reached_from_inside() -> anyhow::Result<()> {
    let world = World::new()?;
    let other = cgroup_root()?.join(format!("tollgate-test-{}-other", std::process::id()));
    fs::create_dir(&other)?;
    let folder = other.to_str().context("a path")?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", folder])?
        .success()?;
    // Makes the CA of launches, too.
    finish(&world.daemon.tagged(IDENTITY, "true"), "", WAIT)?.success()?;

    let state = world.lab.path("state");
    let look = format!(
        "cat {0}/ca/* {0}/* /proc/{1}/mem /proc/{1}/environ 2>/dev/null | grep -a -c 'PRIVATE KEY'",
        state.display(),
        world.daemon.pid()
    );
    let outside = finish(
        std::process::Command::new("sh").args(["-c", &look]),
        "",
        WAIT,
    )?;
    ensure!(
        outside.stdout.trim().parse::<u32>()? >= 2,
        "the control: {}",
        outside.stdout
    );
    let inside = finish(
        world.daemon.tagged(IDENTITY, "sh").args(["-c", &look]),
        "",
        WAIT,
    )?;
    assert_eq!(inside.stdout.trim(), "0", "{}", inside.stderr);

    let status: Value = serde_json::from_str(&world.daemon.run(&["status", "--json"])?.success()?)?;
    let workloads = status["workloads"].as_array().context("no workloads")?;
    let of_other = workloads
        .iter()
        .find(|workload| text(workload, "name").starts_with("cgroup:"));
    let listener = text(of_other.context("not tagged")?, "listener").to_owned();
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    command.args(["-c", STRICT, FILES, &format!("{FILES}:443"), &listener]);
    let told = finish(&command, "", WAIT)?.success()?;
    let issuers: Vec<&str> = told.lines().collect();
    ensure!(
        issuers.len() == 2 && issuers[0].starts_with("Tollgate CA for run:"),
        "{told}"
    );
    ensure!(
        issuers[1] == issuers[0] || issuers[1].starts_with("failed"),
        "{told}"
    );
    world
        .daemon
        .run(&["untag", "--cgroup", folder])?
        .success()?;
    fs::remove_dir(&other)?;
    Ok(())
}

/// Says for each name what became of a request to it, in one process: a status, or that the certificate was not accepted.
const PYTHON: &str = "
import ssl, sys, urllib.error, urllib.request
for name in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(f'https://{name}/hello', timeout=10).status)
    except urllib.error.HTTPError as error:
        print(error.code)
    except urllib.error.URLError as error:
        print('untrusted' if isinstance(error.reason, ssl.SSLCertVerificationError) else error)
";
const CURL: &str = "
for name; do
    curl --silent --output /dev/null --max-time 10 --noproxy '*' --write-out '%{http_code}\n' https://$name/hello || [ $? != 60 ] || echo untrusted
done | grep -v '^000$'
";
const NODE: &str = "
for (const name of process.argv.slice(1)) {
    const told = await fetch(`https://${name}/hello`).then(response => response.status, error => error.cause.message.includes('subtree') ? 'untrusted' : error.cause);
    console.log(String(told));
}
";

#[test]
fn a_limited_ca_counts_for_its_names_alone() -> anyhow::Result<()> {
    const LIMITED: &str = "limited-agent";
    const OTHER: &str = "other.trust.test";
    let world = World::with(
        &[OTHER],
        &format!(
            "[[identity]]\nid = {LIMITED:?}\ngroups = [\"agents\"]\nca_names = [\"example.test\", \"10.0.0.0/8\"]\n"
        ),
    )?;
    let python = python()?;
    let ways = [
        vec![&*python, "-c", PYTHON],
        vec!["sh", "-c", CURL, "sh"],
        vec!["node", "--input-type=module", "--eval", NODE, "--"],
    ];
    for way in ways {
        for (identity, told) in [(IDENTITY, ["200", "200"]), (LIMITED, ["200", "untrusted"])] {
            let mut command = world.daemon.tagged(identity, way[0]);
            command.args(&way[1..]).args([FILES, OTHER]);
            let printed = finish(&command, "", WAIT)?.success()?;
            let lines: Vec<&str> = printed.lines().collect();
            ensure!(lines == told, "{way:?} as {identity}: {printed}");
        }
        let refused = world.daemon.exchanges()?.pop().context("no exchange")?;
        ensure!(
            refused["outcome"] == "failed" && text(&refused, "reason").contains("`ca_names`"),
            "{refused:#}"
        );
    }
    let status = world
        .daemon
        .run(&["trust", "status", "--json"])?
        .success()?;
    let rows: Vec<Value> = status
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let of = |identity: &str| {
        rows.iter()
            .find(|row| text(row, "workload").ends_with(identity))
    };
    let limited = of(LIMITED).context("no CA of it")?;
    ensure!(
        limited["names"] == serde_json::json!(["example.test", "10.0.0.0/8"]),
        "{limited}"
    );
    ensure!(of(IDENTITY).context("no CA of it")?["names"] == serde_json::json!([]));
    Ok(())
}

#[test]
fn a_workload_of_the_configuration_has_a_list_of_its_own() -> anyhow::Result<()> {
    const OTHER: &str = "other.trust.test";
    let cgroup = Cgroup::new("limited")?;
    let place = Path::new("/").join(cgroup.0.strip_prefix(cgroup_root()?)?);
    let workload = format!(
        "[[workload]]\nidentity = {IDENTITY:?}\ncgroup = {place:?}\nca_names = [\"example.test\"]\n"
    );
    let mut world = World::with(&[OTHER], &workload)?;
    for restarted in [false, true] {
        if restarted {
            world.daemon.crash()?;
            world.restart()?;
        }
        // Each call anew, until the namespace was seen and given the CA.
        let script = format!("while read -r go; do echo $(sh -c \"$0\" sh {FILES} {OTHER}); done");
        let mut command = cgroup.command();
        command.args(["unshare", "--mount", "--propagation", "private"]);
        let mut agent = Conversation::start(command.args(["sh", "-c", &script, CURL]))?;
        let started = Instant::now();
        let told = loop {
            let told = agent.ask()?;
            if told.trim() != "untrusted untrusted" {
                break told;
            }
            ensure!(started.elapsed() < WAIT, "{told}");
        };
        ensure!(told.trim() == "200 untrusted", "{told}");
    }
    let refused = world.daemon.exchanges()?.pop().context("no exchange")?;
    ensure!(
        text(&refused, "reason").contains("`ca_names` of cgroup:"),
        "{refused:#}"
    );
    // Others of its identity have none.
    let mut command = world.daemon.tagged(IDENTITY, "sh");
    command.args(["-c", CURL, "sh", FILES, OTHER]);
    let told = finish(&command, "", WAIT)?.success()?;
    ensure!(told.lines().collect::<Vec<_>>() == ["200", "200"], "{told}");
    Ok(())
}

#[test]
fn a_bundle_that_is_made_anew_inside_has_the_ca_again() -> anyhow::Result<()> {
    let world = World::new()?;
    let script = format!(
        "update-ca-certificates >&2 && curl --silent --output /dev/null --noproxy '*' --capath /nowhere --cacert {BUNDLE} --write-out '%{{http_code}}' https://{FILES}/hello"
    );
    let host = fs::read_to_string(BUNDLE)?;
    let told = finish(
        world.daemon.tagged(IDENTITY, "sh").args(["-c", &script]),
        "",
        WAIT,
    )?;
    ensure!(told.success()? == "200");
    ensure!(
        fs::read_to_string(BUNDLE)? == host,
        "the host's own has changed"
    );
    Ok(())
}

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
