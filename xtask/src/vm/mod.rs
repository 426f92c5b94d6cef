//! `cargo xtask test kernel --vm 6.1,6.12`: suites that need root, on other kernels than the host's.
//!
//! In: versions, tiers. Out: one line for each kernel and suite, and exit code 1 if a kernel cannot be fetched, does not boot, or a test fails.
//! Each kernel is Debian's, unpacked into the cache and booted by qemu with software emulation: no KVM, no root, nothing installed but qemu.
//! The guest's whole system is an initial RAM disk made of the suites and the host's own programs; results come over the serial line.
//! Guests run one after another at low priority: emulation is slow (a boot takes seconds, the kernel suite minutes), so the suites are given
//! more patience (`TOLLGATE_TEST_PATIENCE`).

mod image;
mod kernel;
mod machine;

use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    setup::{self, Group},
    shell,
    suites::Tier,
};

/// What `cargo xtask test` was told about virtual machines.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Runs the tiers kernel and escape on these kernels under qemu instead, e.g. 6.1,6.12,6.18: the newest Debian has of each.
    #[arg(long, value_delimiter = ',', value_name = "VERSIONS")]
    vm: Vec<String>,
    /// Only tests whose name contains this, with --vm.
    #[arg(long, value_name = "NAME", requires = "vm")]
    filter: Option<String>,
}

impl Options {
    /// True if other kernels than the host's are asked for.
    pub(crate) fn asked(&self) -> bool {
        !self.vm.is_empty()
    }
}

/// Runs the suites of these tiers on each kernel.
pub(crate) fn run(tiers: &[Tier], options: &Options) -> anyhow::Result<()> {
    let suites = suites(tiers)?;
    if std::env::consts::ARCH != "x86_64" {
        bail!(
            "machines with other kernels are emulated on x86_64 hosts only: the suites are built for the host"
        );
    }
    setup::ensure(&[Group::Build, Group::Vm])?;
    let built = build(&suites)?;
    let mut failed = Vec::new();
    for version in &options.vm {
        let ran = (|| {
            let kernel = kernel::fetch(version)?;
            let image = image::build(&kernel, &built, options.filter.as_deref())?;
            print!("{version:<6} {} ({}) ", kernel.release, kernel.package);
            stdout().flush()?;
            machine::run(&kernel, &image)
        })();
        match ran.and_then(|report| report.verdict(&suites)) {
            Ok(summary) => println!("{summary}"),
            Err(error) => {
                println!("FAILED: {error:#}");
                failed.push(version.as_str());
            }
        }
    }
    if failed.is_empty() {
        println!("passed: {} kernels", options.vm.len());
        return Ok(());
    }
    bail!("failed on {}", failed.join(", "))
}

/// A suite as an executable of the host.
pub(crate) struct Suite {
    name: &'static str,
    program: PathBuf,
}

fn suites(tiers: &[Tier]) -> anyhow::Result<Vec<&'static str>> {
    if tiers.is_empty() {
        bail!("name the tiers to run on other kernels: kernel, escape");
    }
    tiers
        .iter()
        .map(|tier| match tier {
            Tier::Kernel => Ok("kernel"),
            Tier::Escape => Ok("escape"),
            other => bail!("only the tiers kernel and escape run on other kernels, not {other:?}"),
        })
        .collect()
}

fn build(suites: &[&'static str]) -> anyhow::Result<Vec<Suite>> {
    shell::run(&mut shell::building(&["--bins"]))?;
    suites
        .iter()
        .map(|name| {
            let told = shell::output(&mut shell::cargo(&[
                "test",
                "--locked",
                "--no-run",
                "--message-format=json",
                "--package",
                "tests",
                "--test",
                name,
            ]))?;
            Ok(Suite {
                name,
                program: executable(&told, name)?,
            })
        })
        .collect()
}

/// The test executable in cargo's messages.
fn executable(told: &str, suite: &str) -> anyhow::Result<PathBuf> {
    let stem = format!("/deps/{suite}-");
    told.lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())
        .find(|path| path.contains(&stem))
        .map(PathBuf::from)
        .with_context(|| format!("cargo names no executable of the suite {suite}"))
}

/// The first executable of that name, which a machine set up for this has.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    shell::find(name).with_context(|| format!("missing: {name}; remedy: cargo xtask setup"))
}

/// A command at low priority: emulation would take the whole machine.
fn nice(program: &str) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "15", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_is_found_in_cargos_messages() -> anyhow::Result<()> {
        let told = "{\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/tollgate\"}\n{\"executable\":null}\n\
                    {\"executable\":\"/t/debug/deps/kernel-12ab\",\"fresh\":true}\n";
        assert_eq!(
            executable(told, "kernel")?,
            PathBuf::from("/t/debug/deps/kernel-12ab")
        );
        assert!(executable(told, "escape").is_err());
        Ok(())
    }

    #[test]
    fn only_suites_of_the_kernel_part_run_elsewhere() -> anyhow::Result<()> {
        assert_eq!(suites(&[Tier::Kernel, Tier::Escape])?, ["kernel", "escape"]);
        assert!(suites(&[]).is_err());
        assert!(suites(&[Tier::Demo]).is_err());
        Ok(())
    }
}
