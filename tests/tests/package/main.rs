//! The Debian package on a system of its own: installed, started as the unit does, upgraded under load, removed, purged.
//!
//! Needs root, and the two packages that `cargo xtask test package` makes. systemd is not process 1 there: its part is played by
//! `tests/clients/service.py`, and the unit is checked by `systemd-analyze`.

mod machine;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tests::{
    harness::{Lab, Load, Service, WAIT, built, cgroup_root, free_address},
    upstream::{Options, Upstream},
};

use crate::machine::Machine;

const FILES: &str = "files.example.test";
const FORBIDDEN: &str = "paste.example.test";
const PROGRAM: &str = "/usr/bin/tollgate";
const CONFIG: &str = "/etc/tollgate/tollgate.toml";
const PINS: &str = "/sys/fs/bpf/tollgate";
/// Requests enough for several of each kind that the load makes.
const ROUNDS: usize = 30;

const UNIT: &str = include_str!("../../../deploy/tollgate.service");
const GUARD: &str = include_str!("../../../deploy/tollgate-guard.service");

const POLICY: &str = r#"
@id("files")
permit (principal in Group::"agents", action == Action::"http.read", resource == Service::"files");
"#;

#[test]
fn it_installs_governs_upgrades_under_load_and_leaves_nothing() -> anyhow::Result<()> {
    let cache = PathBuf::from(
        std::env::var("TOLLGATE_CACHE")
            .context("TOLLGATE_CACHE is not set: run `cargo xtask test package`")?,
    );
    let tls = free_address(443)?;
    let names = [(tls.ip(), FILES), (tls.ip(), FORBIDDEN)];
    let lab = Lab::enter("tollgate-package-", &names)?;
    let told = story(&lab, tls, &cache);
    told.with_context(|| fs::read_to_string(lab.path("daemon.log")).unwrap_or_default())
}

fn story(lab: &Lab, tls: SocketAddr, cache: &Path) -> anyhow::Result<()> {
    let upstream = Upstream::start(&Options {
        tls: vec![tls],
        echo: vec![SocketAddr::new(tls.ip(), 0)],
        names: [FILES, FORBIDDEN].map(str::to_owned).to_vec(),
        ..Options::default()
    })?;
    let machine = Machine::new(lab, &[cache])?;
    for (to, from) in [
        ("/opt/1.deb", package("0.1.0-1")?),
        ("/opt/2.deb", package("0.1.0-2")?),
        ("/opt/service.py", Service::script()),
        ("/opt/load.py", Service::script().with_file_name("load.py")),
    ] {
        fs::create_dir_all(machine.path("/opt"))?;
        fs::copy(&from, machine.path(to))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    fs::write(machine.path("/opt/ca.pem"), upstream.authority.pem())?;

    machine.run(&["dpkg", "--force-unsafe-io", "--install", "/opt/1.deb"])?;
    // What dpkg installed is what was packed.
    machine.run(&["dpkg", "--verify", "tollgate"])?;
    for installed in [
        "/usr/share/man/man1/tollgate-run.1.gz",
        "/usr/share/bash-completion/completions/tollgate",
        "/usr/lib/systemd/system/tollgate-guard.service",
    ] {
        ensure!(
            machine.path(installed).exists(),
            "{installed} is not installed"
        );
    }
    let config = fs::read_to_string(machine.path(CONFIG))?
        + &format!("\n[[service]]\nname = \"files\"\nhosts = [{FILES:?}]\nca = \"/opt/ca.pem\"\n");
    fs::write(machine.path(CONFIG), &config)?;
    fs::write(machine.path("/etc/tollgate/policies/test.cedar"), POLICY)?;

    let python = cache.join("clients/bin/python");
    let python = python.to_str().context("a path that is no text")?;
    // With what the unit leaves of root's privileges.
    let bounds = format!("--bounding-set={}", capabilities()?);
    let mut manager = machine.command(&[
        "setpriv",
        "--pdeathsig",
        "TERM",
        "--no-new-privs",
        &bounds,
        python,
    ]);
    manager.args(["/opt/service.py", "/opt/notify", PROGRAM, "up"]);
    manager.stderr(fs::File::create(lab.path("daemon.log"))?);
    let (mut daemon, mut service) = Service::start(&mut manager)?;
    service.ready()?;
    machine.run(&[PROGRAM, "doctor"])?;
    let mut agent = machine.command(&[
        PROGRAM,
        "run",
        "--as",
        "research-agent",
        "--",
        python,
        "/opt/load.py",
        FILES,
        FORBIDDEN,
    ]);
    let load = Load::start(&mut agent)?;
    let asked = asked_beyond(&upstream, 0).context("nothing is governed before the upgrade")?;
    machine.run(&["dpkg", "--force-unsafe-io", "--install", "/opt/2.deb"])?;
    // The maintainer script does this where systemd runs.
    let kept = service.restart_as(Path::new(PROGRAM))?;
    ensure!(kept > 0, "no listener was kept");
    asked_beyond(&upstream, asked).context("nothing is governed after the upgrade")?;
    load.finish(1)?;
    let leaked: Vec<String> = upstream
        .take()
        .into_iter()
        .filter(|request| request.header("host") == Some(FORBIDDEN))
        .map(|request| request.path)
        .collect();
    ensure!(
        leaked.is_empty(),
        "forbidden requests reached the upstream: {leaked:?}"
    );
    let version = machine.run(&[
        "dpkg-query",
        "--show",
        "--showformat=${Version}",
        "tollgate",
    ])?;
    ensure!(version == "0.1.0-2", "{version} is installed");
    ensure!(
        fs::read_to_string(machine.path(CONFIG))? == config,
        "the upgrade changed the configuration"
    );

    ensure!(!pins(&machine)?.is_empty(), "nothing is pinned");
    machine.run(&["dpkg", "--remove", "tollgate"])?;
    let began = Instant::now();
    while daemon.try_wait()?.is_none() {
        ensure!(
            began.elapsed() < WAIT,
            "the removal left the daemon running"
        );
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(
        pins(&machine)?.is_empty(),
        "pins are left: {:?}",
        pins(&machine)?
    );
    ensure!(
        machine.path(CONFIG).exists(),
        "the removal took the configuration"
    );
    ensure!(!machine.path(PROGRAM).exists(), "the program is left");

    machine.run(&["dpkg", "--purge", "tollgate"])?;
    let left: Vec<String> = machine
        .written("tollgate")?
        .into_iter()
        .filter(|path| !path.contains("/var/cache/man/"))
        .collect();
    ensure!(left.is_empty(), "the purge left {left:?}");
    ensure!(
        !machine.path(PINS).exists(),
        "the folder of the pins is left"
    );
    ensure!(
        !cgroup_root()?.join("tollgate").exists(),
        "the cgroup of launches is left"
    );
    let known = machine.run(&["dpkg-query", "--show", "--showformat=${Package} ", "*"])?;
    ensure!(!known.contains("tollgate"), "dpkg still knows the package");
    Ok(())
}

/// Without the gateway at its place, the units are checked with another program there.
#[test]
fn the_units_are_well_formed_and_tight() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut units = Vec::new();
    for (name, text) in [
        ("tollgate.service", UNIT),
        ("tollgate-guard.service", GUARD),
    ] {
        let text = text.replace(PROGRAM, "/bin/true");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("Documentation="));
        let unit = folder.path().join(name);
        fs::write(
            &unit,
            lines.map(|line| format!("{line}\n")).collect::<String>(),
        )?;
        units.push(unit);
    }
    // Both at once, since one needs the other.
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .output()?;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned()
        + &String::from_utf8_lossy(&verified.stderr);
    ensure!(
        verified.status.success() && !said.contains("tollgate"),
        "{said}"
    );
    for unit in units {
        // Of 100; what the guard has to have makes up most of it: capabilities for BPF, those to give a CA to the mounts of containers, and
        // those to give its parts less. What parses network bytes has none of it.
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=43", "--no-pager"])
            .arg(&unit)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(())
}

/// What the unit's filter of system calls does not name fails there, and nowhere in other tests: what tells which bundles are opened needs these.
#[test]
fn the_unit_lets_the_watch_for_bundles_work() -> anyhow::Result<()> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("SystemCallFilter="));
    let mut names: Vec<String> = line
        .context("the unit filters no system calls")?
        .split(' ')
        .map(str::to_owned)
        .collect();
    let mut allowed = Vec::new();
    while let Some(name) = names.pop() {
        if !name.starts_with('@') {
            allowed.push(name);
            continue;
        }
        let group = Command::new("systemd-analyze")
            .args(["syscall-filter", &name])
            .output()?;
        ensure!(group.status.success(), "{name}");
        let group = String::from_utf8(group.stdout)?;
        let members = group.lines().skip(1).map(str::trim);
        let members = members.filter(|line| !line.is_empty() && !line.starts_with('#'));
        names.extend(members.map(str::to_owned));
    }
    for needed in [
        "fanotify_init",
        "fanotify_mark",
        "openat2",
        "setns",
        "unshare",
    ] {
        ensure!(
            allowed.iter().any(|name| name == needed),
            "{needed} fails in the unit"
        );
    }
    Ok(())
}

/// What is governed must not run before the guard, and the daemon not without it.
#[test]
fn the_guard_comes_before_everything_that_could_be_governed() -> anyhow::Result<()> {
    let values = |text: &'static str, key: &str| -> Vec<&'static str> {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .filter(|(name, _)| *name == key)
            .flat_map(|(_, value)| value.split(' '))
            .collect()
    };
    let before = values(GUARD, "Before");
    for later in [
        "sysinit.target",
        "basic.target",
        "docker.service",
        "containerd.service",
    ] {
        ensure!(
            before.contains(&later),
            "the guard does not come before {later}"
        );
    }
    ensure!(values(GUARD, "DefaultDependencies") == ["no"]);
    ensure!(values(GUARD, "WantedBy") == ["sysinit.target"]);
    for key in ["After", "Requires"] {
        ensure!(
            values(UNIT, key).contains(&"tollgate-guard.service"),
            "the daemon does not wait for the guard"
        );
    }
    Ok(())
}

/// The unit's capabilities in setpriv's words.
fn capabilities() -> anyhow::Result<String> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = line.context("the unit bounds no capabilities")?.split(' ');
    let named = names.map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()));
    Ok(named.fold("-all".to_owned(), |all, name| all + &name))
}

fn package(version: &str) -> anyhow::Result<PathBuf> {
    let folder = built()?
        .parent()
        .context("the build lies in no folder")?
        .join("deb");
    let begin = format!("tollgate_{version}_");
    let entries = fs::read_dir(&folder).with_context(|| {
        format!(
            "no packages in {}: run `cargo xtask test package`",
            folder.display()
        )
    })?;
    for entry in entries {
        let path = entry?.path();
        if path.is_file()
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&begin))
        {
            return Ok(path);
        }
    }
    anyhow::bail!(
        "no package of version {version} in {}: run `cargo xtask test package`",
        folder.display()
    )
}

/// How often the upstream was asked, once that is well beyond `before`.
fn asked_beyond(upstream: &Upstream, before: usize) -> anyhow::Result<usize> {
    let started = Instant::now();
    loop {
        let asked = upstream.received().len();
        if asked > before + ROUNDS {
            return Ok(asked);
        }
        ensure!(started.elapsed() < WAIT, "asked {asked} times by now");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whatever is pinned, of any version.
fn pins(machine: &Machine) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![machine.path(PINS)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
