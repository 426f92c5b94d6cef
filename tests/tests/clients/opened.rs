//! `tollgate run --trust=fdsubst`: what a launch gets where it opens a bundle of certificates, and what it does not get.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{sys::signal, sys::stat::Mode, unistd};
use serde_json::{Value, json};
use tests::harness::{WAIT, finish};

use crate::world::{Conversation, IDENTITY, World, clients, python};

/// A folder with bundles and what only seems to be one.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let made = tempfile::tempdir_in("/tmp")?;
        let at = |name: &str| made.path().join("files").join(name);
        for folder in ["pipe", "link", "none", "theirs", "led", "folder/cacert.pem"] {
            fs::create_dir_all(at(folder))?;
        }
        fs::write(at("cacert.pem"), BUNDLE)?;
        fs::write(at("own.txt"), BUNDLE)?;
        fs::write(at("plain.txt"), "plain")?;
        symlink(at("own.txt"), at("link/cacert.pem"))?;
        fs::write(at("none/cacert.pem"), "none")?;
        fs::write(at("theirs/cacert.pem"), BUNDLE)?;
        fs::set_permissions(at("theirs/cacert.pem"), fs::Permissions::from_mode(0o600))?;
        chown(at("theirs/cacert.pem"), Some(1), Some(1))?;
        symlink(at("theirs/cacert.pem"), at("led/cacert.pem"))?;
        unistd::mkfifo(&at("pipe/cacert.pem"), Mode::S_IRWXU)?;
        Ok(Self(made))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("files")
    }
}

/// A program under `--trust=fdsubst`.
fn opened(world: &World, program: &str) -> Command {
    world
        .daemon
        .tollgate(&["run", "--as", IDENTITY, "--trust=fdsubst", "--", program])
}

fn found(command: &mut Command, folder: &Path) -> anyhow::Result<Value> {
    let printed = finish(command.arg(clients("opened.py")).arg(folder), "", WAIT)?.success()?;
    serde_json::from_str(&printed).context(printed)
}

#[test]
fn a_bundle_has_the_ca_when_it_is_opened_and_nothing_else_is_given() -> anyhow::Result<()> {
    let world = World::new()?;
    let python = python()?;

    // Without Tollgate root opens what is there, and nothing more.
    let folder = Folder::new()?;
    let control = found(&mut Command::new(&python), &folder.path())?;
    for way in [
        "bundle",
        "absolute",
        "beside",
        "second",
        "by link",
        "others' own",
        "link to others' own",
    ] {
        assert_eq!(control[way], BUNDLE, "{way}");
    }
    assert_eq!(control["written"], BUNDLE.len() + "# written\n".len());

    let folder = Folder::new()?;
    let mut seen = found(&mut opened(&world, &python), &folder.path())?;
    let with_ca = seen["bundle"].as_str().context("no bundle")?.to_owned();
    let ca = with_ca
        .strip_prefix(BUNDLE)
        .and_then(|rest| rest.strip_prefix('\n'));
    let ca = ca.with_context(|| with_ca.clone())?;
    assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 1, "{ca}");
    // F_SEAL_SEAL, SHRINK, GROW and WRITE; and FD_CLOEXEC.
    let sealed = json!(["/memfd:tollgate", 1, 0, 15, "EBADF"]);
    let expected = json!({
        "bundle": with_ca,
        "absolute": with_ca,
        "beside": with_ca,
        "second": with_ca,
        "by link": with_ca,
        "no certificate": "none",
        "other name": "plain",
        "missing": "ENOENT",
        "folder": 0,
        "others' own": "EACCES",
        "link to others' own": "EACCES",
        "sealed": sealed,
        "waits": ["plain", false],
        "copied": [BUNDLE, BUNDLE],
        "written": BUNDLE.len() + "# written\n".len(),
    });
    // What MFD_NOEXEC_SEAL adds.
    if seen["sealed"][3] == 15 | 0x20 {
        seen["sealed"][3] = json!(15);
    }
    assert_eq!(seen, expected, "{seen:#}");
    let written = fs::read_to_string(folder.path().join("cacert.pem"))?;
    assert_eq!(written, format!("{BUNDLE}# written\n"), "the file itself");
    Ok(())
}

#[test]
fn what_is_opened_after_a_rotation_has_the_next_ca() -> anyhow::Result<()> {
    const COUNT: &str = "import sys\nfor line in sys.stdin:\n    print(open(sys.argv[1]).read().count('BEGIN CERTIFICATE'), flush=True)";
    let world = World::with(
        &[],
        "[trust]\nca_life = \"20s\"\nnext_at = 25\nswitch_at = 85\n",
    )?;
    let folder = Folder::new()?;
    let bundle = folder.path().join("cacert.pem");
    let mut command = opened(&world, &python()?);
    let mut agent = Conversation::start(command.args(["-c", COUNT]).arg(bundle))?;
    assert_eq!(agent.ask()?, "2");
    let started = Instant::now();
    while agent.ask()? != "3" {
        ensure!(started.elapsed() < WAIT, "{}", world.daemon.log());
    }
    Ok(())
}

#[test]
fn a_launch_ends_whole_when_nobody_answers_for_its_files() -> anyhow::Result<()> {
    const LOOP: &str = "echo $$; (while :; do cat /etc/hostname >/dev/null; done) & while :; do cat /etc/hostname >/dev/null; done";
    let world = World::new()?;
    let mut command = opened(&world, "sh");
    let command = command.args(["-c", LOOP]).stdout(Stdio::null());
    let mut run = command.spawn()?;
    let child = until(|| children(run.id()).into_iter().find(|pid| is_first(*pid)))?;
    let shell = until(|| children(run.id()).into_iter().find(|pid| !is_first(*pid)))?;
    let namespace = fs::read_link(format!("/proc/{shell}/ns/pid"))?;
    until(|| (members(&namespace).len() >= 3).then_some(()))?;

    signal::kill(unistd::Pid::from_raw(child), signal::SIGKILL)?;
    until(|| members(&namespace).is_empty().then_some(()))?;
    let ended = until(|| run.try_wait().ok().flatten())?;
    assert_eq!(ended.code(), Some(137), "the command was killed");
    Ok(())
}

/// The first process of a namespace below that of the suite.
fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().skip(1).last() == Some("1"))
}

fn children(pid: u32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = children.flat_map(|line| {
        line.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect::<Vec<_>>()
    });
    numbers.collect()
}

/// Who lives in this process namespace.
fn members(namespace: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lives = |path: &PathBuf| fs::read_link(path.join("ns/pid")).is_ok_and(|of| of == namespace);
    processes.map(|entry| entry.path()).filter(lives).collect()
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        ensure!(started.elapsed() < WAIT, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Not one that anybody could verify with; nobody does here.
const BUNDLE: &str = "# Bundle\n-----BEGIN CERTIFICATE-----\nQUFBQUFB\n-----END CERTIFICATE-----\n";
