//! Package managers fetch from an index over TLS in a launch as they do elsewhere, with their own resolvers: uv and apt.

use std::{fs, process::Command};

use anyhow::ensure;
use tests::harness::{Finished, WAIT, finish};

use crate::world::{ECHO, IDENTITY, Server, World, cache, text};

/// Apt with a state of its own; the arguments are its folder and the index. What it downloads it checks by the index's digest.
const APT: &str = r#"
set -e
cd "$1"
mkdir -p state/lists/partial cache/archives/partial
: >status
echo "deb [trusted=yes] $2 stable main" >sources.list
apt() {
    apt-get -q -o Dir::State="$PWD/state" -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD/cache" -o Dir::Etc::SourceList="$PWD/sources.list" \
        -o Dir::Etc::SourceParts=/nowhere -o Acquire::Languages=none -o Acquire::Retries=0 -o APT::Update::Error-Mode=any "$@"
}
shift 2
apt "$@" update
apt "$@" download parcel
cat parcel_1.0_all.deb
"#;

/// What they read is permitted here.
const READS: &str = "@id(\"packages\") permit (principal in Group::\"agents\", action == Action::\"http.read\", resource == Service::\"echo\");";

fn world() -> anyhow::Result<(World, Server)> {
    let world = World::new()?;
    world.lab.write("policies/packages.cedar", READS)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let server = Server::start(&world, "packages_server.py")?;
    Ok((world, server))
}

/// Everything that was read was permitted and is on record, by these paths at least.
fn recorded(world: &World, paths: &[&str]) -> anyhow::Result<()> {
    let exchanges = world.daemon.exchanges()?;
    for path in paths {
        let of = |exchange: &&serde_json::Value| text(exchange, "path") == *path;
        let found = exchanges.iter().find(of);
        let completed = found.is_some_and(|found| found["outcome"] == "completed");
        ensure!(completed, "{path}: {exchanges:#?}");
    }
    Ok(())
}

#[test]
fn uv_resolves_and_installs_from_an_index() -> anyhow::Result<()> {
    let (world, _server) = world()?;
    let uv = cache()?.join("clients-more/bin/uv");
    let python = cache()?.join("clients-more/bin/python");
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let install = |command: &mut Command, target: &str| -> anyhow::Result<Finished> {
        command.args(["pip", "install", "-q", "--no-cache", "--no-config"]);
        command.arg("--python").arg(&python).arg("--target");
        command.arg(folder.path().join(target));
        command.args(["--index-url", &format!("https://{ECHO}/simple"), "parcel"]);
        finish(command, "", WAIT)
    };
    // The control: it does not trust the server's CA.
    let control = install(&mut Command::new(&uv), "outside")?;
    ensure!(!control.status.success(), "{control:?}");
    let uv = uv.display().to_string();
    install(&mut world.daemon.tagged(IDENTITY, &uv), "inside")?.success()?;
    let installed = fs::read_to_string(folder.path().join("inside/parcel.py"))?;
    assert_eq!(installed, "CONTENT = 'arrived'\n");
    recorded(&world, &["/simple/parcel/", "/parcel-1.0-py3-none-any.whl"])
}

#[test]
fn apt_updates_and_downloads_from_an_index() -> anyhow::Result<()> {
    let (world, _server) = world()?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let fetch = |command: &mut Command, name: &str, more: &[&str]| -> anyhow::Result<Finished> {
        let own = folder.path().join(name);
        fs::create_dir(&own)?;
        command.args(["-c", APT, "sh"]).arg(own);
        command.arg(format!("https://{ECHO}/apt")).args(more);
        finish(command, "", WAIT)
    };
    // The control: it does not trust the server's CA.
    let control = fetch(&mut Command::new("sh"), "outside", &[])?;
    ensure!(
        !control.status.success() && control.stderr.contains("certificate"),
        "{control:?}"
    );
    // It cannot become its own user for the download, as root in a launch has no capability; that is no matter of trust.
    let refused = fetch(&mut world.daemon.tagged(IDENTITY, "sh"), "sandboxed", &[])?;
    ensure!(
        !refused.status.success() && refused.stderr.contains("setgroups"),
        "{refused:?}"
    );
    let own = ["-o", "APT::Sandbox::User=root"];
    let fetched = fetch(&mut world.daemon.tagged(IDENTITY, "sh"), "inside", &own)?;
    let printed = fetched.success()?;
    ensure!(printed.ends_with("a package"), "{printed}");
    recorded(&world, &["/apt/pool/parcel_1.0_all.deb"])
}
