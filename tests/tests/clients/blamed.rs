//! A client that refuses the gateway is told with the bundle that it has read: in its record, in the log, and in `tollgate trust status`.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tests::harness::{WAIT, finish};

use crate::{
    cgroup::Cgroup,
    world::{Conversation, IDENTITY, TRUST, World, cache, python, text},
};

/// Asks with the bundle that is named, each time anew.
const VERIFY: &str = "
import requests, sys
session = requests.Session()
session.trust_env = False
for line in sys.stdin:
    try:
        print(session.get(sys.argv[1], verify=sys.argv[2], timeout=10).status_code, flush=True)
    except requests.exceptions.SSLError as error:
        print('untrusted' if 'CERTIFICATE_VERIFY_FAILED' in str(error) else error, flush=True)
";

fn rows(world: &World) -> anyhow::Result<Vec<Value>> {
    let status = world.daemon.run(&["trust", "status", "--json"])?;
    let rows = status.success()?;
    let rows = rows.lines().map(serde_json::from_str);
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The row of the one process with this program that has been refused or has sent requests.
fn row(world: &World, of: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let rows = rows(world)?;
    let mut found = rows.iter().filter(|row| row["pid"].is_u64() && of(row));
    let row = found.next().with_context(|| format!("no row: {rows:#?}"))?;
    ensure!(found.next().is_none(), "{rows:#?}");
    Ok(row.clone())
}

fn names(row: &Value, path: &Path) -> bool {
    let opened = row["opened"].as_array().into_iter().flatten();
    opened.into_iter().any(|of| of["path"] == json!(path))
}

/// The reasons of handshakes that clients gave up.
fn reasons(world: &World) -> anyhow::Result<Vec<String>> {
    let exchanges = world.daemon.exchanges()?;
    let given_up = exchanges.iter().filter(|of| of["protocol"] == "tls");
    Ok(given_up.map(|of| text(of, "reason").to_owned()).collect())
}

#[test]
fn a_launch_that_reads_a_bundle_of_its_own_is_told_with_it() -> anyhow::Result<()> {
    let name = format!("blamed.{TRUST}");
    let world = World::with(&[&name], "")?;
    let folder = tempfile::tempdir_in("/tmp")?;
    let own = fs::canonicalize(folder.path())?.join("own.pem");
    fs::copy("/etc/ssl/certs/ca-certificates.crt", &own)?;
    let url = format!("https://{name}/hello");
    let start = |bundle: &Path| {
        let mut command = world.daemon.tagged(IDENTITY, &python()?);
        Conversation::start(command.args(["-c", VERIFY, &url]).arg(bundle))
    };
    // The control: the same program with the system's bundle, which has the CA, is told of as one that trusts.
    let system = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let mut trusting = start(system)?;
    assert_eq!(trusting.ask()?, "200");
    let told = row(&world, |row| names(row, system))?;
    assert_eq!(told["standing"], "trusts", "{told}");
    assert_eq!(told["bundle"], Value::Null, "{told}");
    ensure!(
        told["opened"]
            .as_array()
            .is_some_and(|of| of.iter().all(|of| of["held"] == true)),
        "{told}"
    );
    drop(trusting);
    ensure!(reasons(&world)?.is_empty());

    let mut refusing = start(&own)?;
    assert_eq!(refusing.ask()?, "untrusted");
    let told = row(&world, |row| names(row, &own))?;
    assert_eq!(told["standing"], "refuses", "{told}");
    assert_eq!(
        (&told["bundle"], &told["certain"]),
        (&json!(own), &json!(true)),
        "{told}"
    );
    let reason = text(&told, "reason");
    let wanted = format!("; it opened {}, which does not have the CA", own.display());
    ensure!(
        reason.starts_with(&name) && reason.ends_with(&wanted),
        "{told}"
    );
    ensure!(text(&told, "remedy").contains("--trust=fdsubst"), "{told}");

    // On record and in the log as it was then; in the log once.
    let said = format!(
        "the client distrusts our CA (alert unknown_ca); it opened {}, which did not have the CA: see `tollgate trust status`",
        own.display()
    );
    assert_eq!(refusing.ask()?, "untrusted");
    assert_eq!(reasons(&world)?, [said.clone(), said.clone()]);
    assert_eq!(
        world.daemon.log().matches(&said).count(),
        1,
        "{}",
        world.daemon.log()
    );
    drop(refusing);
    // The launch ends a moment after the command that started it.
    let pid = told["pid"].as_u64().context("a process")?;
    let started = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() {
        ensure!(started.elapsed() < WAIT, "{told}");
        thread::sleep(Duration::from_millis(20));
    }
    let told = row(&world, |row| row["bundle"] == json!(own))?;
    assert_eq!(told["standing"], "ended", "{told}");
    Ok(())
}

#[test]
fn a_workload_that_opens_much_or_odd_files_holds_nobody_up() -> anyhow::Result<()> {
    const FLOOD: &str = "
import os, sys
os.chdir(sys.argv[1])
os.mkfifo('pipe.pem')
with open('large.pem', 'w') as file:
    file.truncate(1 << 32)
os.symlink('/proc/self/mem', 'link.pem')
for line in sys.stdin:
    for name in ['pipe.pem', 'large.pem', 'link.pem', '/dev/null', '.']:
        os.close(os.open(name, os.O_RDONLY | os.O_NONBLOCK))
    for number in range(50_000):
        os.close(os.open('large.pem', os.O_RDONLY))
    print('done', flush=True)
";
    let name = format!("flood.{TRUST}");
    let world = World::with(&[&name], "")?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    let mut flood = Conversation::start(command.args(["-c", FLOOD]).arg(folder.path()))?;
    let own = fs::canonicalize(folder.path())?.join("own.pem");
    fs::copy("/etc/ssl/certs/ca-certificates.crt", &own)?;
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    let url = format!("https://{name}/hello");
    let mut refusing = Conversation::start(command.args(["-c", VERIFY, &url]).arg(&own))?;
    let started = Instant::now();
    assert_eq!(flood.ask()?, "done");
    // What is lost in the flood is told of the next time.
    loop {
        assert_eq!(refusing.ask()?, "untrusted");
        let rows = rows(&world)?;
        if rows.iter().any(|row| row["bundle"] == json!(own)) {
            break;
        }
        ensure!(started.elapsed() < WAIT, "{rows:#?}");
    }
    ensure!(
        rows(&world)?
            .iter()
            .all(|row| !names(row, Path::new("/dev/null")))
    );
    Ok(())
}

#[test]
fn what_ends_at_once_is_told_with_the_bundle_that_it_brought() -> anyhow::Result<()> {
    let name = format!("brief.{TRUST}");
    let world = World::with(&[&name], "")?;
    let python = cache()?.join("clients-more/bin/python");
    let program = format!("import requests; requests.get('https://{name}/hello', timeout=10)");
    let bundle = ["-c", "import certifi; print(certifi.where())"];
    let bundle = finish(Command::new(&python).args(bundle), "", WAIT)?.success()?;
    let bundle = fs::canonicalize(bundle.trim())?;
    let run = |emptied: bool| {
        let mut command = world.daemon.tagged(IDENTITY, "env");
        let command = command.args(emptied.then_some("-i")).arg(&python);
        finish(command.args(["-c", &program]), "", WAIT)
    };
    // The control: with its environment it trusts, and nothing is told.
    run(false)?.success()?;
    ensure!(reasons(&world)?.is_empty());
    ensure!(!run(true)?.status.success(), "it trusts");
    let told = row(&world, |row| row["standing"] == "ended")?;
    assert_eq!(told["bundle"], json!(bundle), "{told}");
    ensure!(text(&told, "remedy").contains("--trust=fdsubst"), "{told}");
    // And with what is told it works.
    let mut command = world.daemon.tollgate(&[
        "run",
        "--as",
        IDENTITY,
        "--trust=fdsubst",
        "--",
        "env",
        "-i",
    ]);
    finish(command.arg(&python).args(["-c", &program]), "", WAIT)?.success()?;
    Ok(())
}

#[test]
fn what_was_not_seen_to_open_a_bundle_is_not_said_to_pin() -> anyhow::Result<()> {
    let name = format!("compiled.{TRUST}");
    let world = World::with(&[&name], "")?;
    const ASK: &str = "
import ssl, socket, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
for line in sys.stdin:
    try:
        with socket.create_connection((sys.argv[1], 443), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=sys.argv[1]):
                print('trusts', flush=True)
    except ssl.SSLCertVerificationError:
        print('untrusted', flush=True)
";
    let mut command = world.daemon.tagged(IDENTITY, &python()?);
    let mut agent = Conversation::start(command.args(["-c", ASK, &name]))?;
    assert_eq!(agent.ask()?, "untrusted");
    let told = row(&world, |row| row["standing"] == "refuses")?;
    // A launch has mounts beneath others, which are not watched: nothing is said of its roots that may be false.
    ensure!(
        text(&told, "reason").ends_with("; which bundle it opened is not known"),
        "{told}"
    );
    assert_eq!(told["opened"], json!([]), "{told}");
    Ok(())
}

#[test]
fn on_the_hosts_mounts_the_system_bundle_is_named_and_others_are_not_watched() -> anyhow::Result<()>
{
    let name = format!("shared.{TRUST}");
    let cgroup = Cgroup::new("blamed")?;
    let world = World::with(&[&name], "")?;
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    let bundle = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let mut command = cgroup.command();
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.args([&python()?, "-c", VERIFY, &format!("https://{name}/hello")]);
    let mut agent = Conversation::start(command.arg(bundle))?;
    // A look, which comes every second, finds it living there.
    let mut told = Value::Null;
    let started = Instant::now();
    while told["bundle"] != json!(bundle) {
        ensure!(started.elapsed() < WAIT, "{told}");
        assert_eq!(agent.ask()?, "untrusted");
        told = row(&world, |row| row["pid"] == agent.pid())?;
    }
    assert_eq!(told["standing"], "shared", "{told}");
    let wanted = format!("it opened {}, which does not have the CA", bundle.display());
    ensure!(text(&told, "reason").ends_with(&wanted), "{told}");
    Ok(())
}
