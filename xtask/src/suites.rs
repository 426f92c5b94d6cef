//! `cargo xtask test`: static checks first, then every suite, in the order in which they fail fastest.
//!
//! In: the tiers to run, all if none is named. Out: one line for each stage, a verdict, exit code 1 if any stage failed. A stage that
//! cannot run fails; none is skipped. Output goes to a log file beside the build, whose end is shown if the stage fails.

use std::{
    fs::{self, File},
    io::{Write, stdout},
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use clap::ValueEnum;

use crate::{
    cache,
    setup::{self, Group},
    shell,
};

/// A part of the tests that can be run by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Tier {
    /// Format, lints, tidy, dependencies, the eBPF object.
    Static,
    /// Tests beside the code.
    Unit,
    /// The path of a connection without root and without a kernel part.
    Proxy,
    /// The kernel part in throw-away cgroups; needs root.
    Kernel,
    /// Every known way around Tollgate, tried with and without it; needs root.
    Escape,
    /// Real clients under the real daemon; needs root.
    Clients,
    /// The Debian package in a system of its own: installed, upgraded under load, removed, purged; needs root.
    Package,
    /// The demo, whose rows are checks; needs root.
    Demo,
}

/// One line of the summary.
struct Stage {
    tier: Tier,
    name: &'static str,
    needs: &'static [Group],
    /// Run one after another; the first that fails ends the stage.
    commands: fn() -> anyhow::Result<Vec<Command>>,
}

const STAGES: &[Stage] = &[
    Stage {
        tier: Tier::Static,
        name: "fmt",
        needs: &[],
        commands: || Ok(vec![shell::cargo(&["fmt", "--all", "--check"])]),
    },
    Stage {
        tier: Tier::Static,
        name: "tidy",
        needs: &[],
        commands: || own(&["tidy"]),
    },
    Stage {
        tier: Tier::Static,
        name: "deny",
        needs: &[Group::Deny],
        commands: deny,
    },
    Stage {
        tier: Tier::Static,
        name: "ebpf",
        needs: &[Group::Ebpf],
        commands: || own(&["ebpf", "--check"]),
    },
    Stage {
        tier: Tier::Static,
        name: "clippy",
        needs: &[Group::Build],
        commands: || {
            Ok(vec![shell::cargo(&[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])])
        },
    },
    Stage {
        tier: Tier::Unit,
        name: "unit",
        needs: &[Group::Build],
        commands: || {
            Ok(vec![shell::cargo(&[
                "test",
                "--locked",
                "--workspace",
                "--lib",
                "--bins",
            ])])
        },
    },
    Stage {
        tier: Tier::Proxy,
        name: "proxy",
        needs: &[Group::Build],
        // Some of it is about the program itself.
        commands: || {
            let test = ["test", "--locked", "--package", "tests", "--test", "proxy"];
            Ok(vec![programs(), shell::cargo(&test)])
        },
    },
    Stage {
        tier: Tier::Kernel,
        name: "kernel",
        needs: &[Group::Build],
        commands: || as_root("kernel"),
    },
    Stage {
        tier: Tier::Escape,
        name: "escape",
        needs: &[Group::Build],
        commands: || as_root("escape"),
    },
    Stage {
        tier: Tier::Clients,
        name: "clients",
        needs: &[Group::Build, Group::Clients, Group::Runtimes],
        commands: || as_root("clients"),
    },
    Stage {
        tier: Tier::Package,
        name: "package",
        needs: &[Group::Build, Group::Clients, Group::Package],
        commands: package,
    },
    Stage {
        tier: Tier::Demo,
        name: "demo",
        needs: &[Group::Build, Group::Clients],
        commands: || own(&["demo"]),
    },
];

/// Runs these tiers, or all.
pub(crate) fn run(tiers: &[Tier]) -> anyhow::Result<()> {
    let started = Instant::now();
    let stages: Vec<&Stage> = STAGES
        .iter()
        .filter(|stage| tiers.is_empty() || tiers.contains(&stage.tier))
        .collect();
    let mut failed = Vec::new();
    for stage in &stages {
        if !stage.run()? {
            failed.push(stage.name);
        }
        // A tree that does not pass the static checks would only show the same faults again, later.
        if stage.tier == Tier::Static && !failed.is_empty() && last_static(&stages, stage) {
            break;
        }
    }
    let seconds = started.elapsed().as_secs();
    if failed.is_empty() {
        println!("passed: {} stages in {seconds} s", stages.len());
        return Ok(());
    }
    bail!("failed after {seconds} s: {}", failed.join(", "))
}

impl Stage {
    /// True if it passed. An error is something that keeps every stage from running.
    fn run(&self) -> anyhow::Result<bool> {
        setup::ensure(self.needs)?;
        let (path, log) = self.log()?;
        print!("{:<10}", self.name);
        stdout().flush()?;
        let started = Instant::now();
        let result = (self.commands)().and_then(|commands| {
            commands
                .into_iter()
                .try_for_each(|command| logged(command, &log))
        });
        println!(
            "{:<6} {:>6.1} s",
            if result.is_ok() { "ok" } else { "FAILED" },
            started.elapsed().as_secs_f32()
        );
        if let Err(error) = &result {
            println!("--- {error:#}; the whole log: {}", path.display());
            println!(
                "{}\n---",
                end_of(&String::from_utf8_lossy(&fs::read(&path)?))
            );
        }
        Ok(result.is_ok())
    }

    fn log(&self) -> anyhow::Result<(PathBuf, File)> {
        let folder = shell::built()?.join("xtask-logs");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(format!("{}.log", self.name));
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok((path, file))
    }
}

fn logged(mut command: Command, log: &File) -> anyhow::Result<()> {
    shell::run(
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?),
    )
}

fn last_static(stages: &[&Stage], stage: &Stage) -> bool {
    stages
        .iter()
        .rfind(|other| other.tier == Tier::Static)
        .is_some_and(|last| last.name == stage.name)
}

/// This program again, so that its output goes to the log too.
fn own(arguments: &[&str]) -> anyhow::Result<Vec<Command>> {
    let mut command = Command::new(shell::built()?.join("xtask"));
    command.args(arguments).current_dir(shell::workspace());
    Ok(vec![command])
}

fn deny() -> anyhow::Result<Vec<Command>> {
    let mut command = Command::new(cache::tool("cargo-deny")?);
    command
        .args(["--locked", "check", "bans", "licenses", "sources"])
        .current_dir(shell::workspace());
    Ok(vec![command])
}

/// Two packages of the debug build, one newer than the other, and the suite that installs them.
fn package() -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    for version in ["0.1.0-1", "0.1.0-2"] {
        commands.extend(own(&["deb", "--debug", "--version", version])?);
    }
    commands.extend(as_root("package")?);
    Ok(commands)
}

/// Builds the daemon and what the suites of `tests` run beside it.
fn programs() -> Command {
    shell::cargo(&[
        "build",
        "--locked",
        "--package",
        "gateway-user",
        "--package",
        "tests",
        "--bins",
    ])
}

/// A suite of `tests` that needs root: built as who we are, run as root. The daemon it starts lies beside it.
fn as_root(suite: &str) -> anyhow::Result<Vec<Command>> {
    let runner = shell::root_prefix_with_environment()?;
    let mut command = shell::cargo(&[]);
    if !runner.is_empty() {
        command
            .arg("--config")
            .arg(format!("target.'cfg(unix)'.runner={runner:?}"));
    }
    // One after another: they share the host's cgroup root and its eBPF programs.
    command.args([
        "test",
        "--locked",
        "--package",
        "tests",
        "--test",
        suite,
        "--",
        "--test-threads=1",
    ]);
    command.env("TOLLGATE_CACHE", cache::root()?);
    Ok(vec![programs(), command])
}

/// The last lines of a log: enough to see what failed.
fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}

/// Lines of a failed stage's log that are shown: a few compiler errors, or a test's report.
const SHOWN: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        let log: String = (0..SHOWN + 5).map(|line| format!("{line}\n")).collect();
        let end = end_of(&log);
        assert!(end.starts_with("5\n"));
        assert!(end.ends_with(&format!("\n{}", SHOWN + 4)));
        assert_eq!(end_of("one"), "one");
    }

    #[test]
    fn every_tier_has_a_stage() {
        for tier in Tier::value_variants() {
            assert!(
                STAGES.iter().any(|stage| stage.tier == *tier),
                "{tier:?} has no stage"
            );
        }
    }
}
