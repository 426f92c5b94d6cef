//! What the machine must have, in groups: each command asks for the groups it needs, so nothing is fetched that is not used.
//!
//! In: the machine, and the cache folder. Out: Debian packages installed (root, through sudo), pinned tools and clients in the cache
//! (no root). What is there already is only looked at, so a second run costs milliseconds. It prints each step before doing it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, bail};

use crate::{cache, clients, shell, unpacked};

/// Things that are needed together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// A C compiler, for the C parts of the dependencies.
    Build,
    /// The compiler and linker of the eBPF object.
    Ebpf,
    /// The checker of licences, sources and banned crates.
    Deny,
    /// The real clients that the tests and the demo run.
    Clients,
    /// More runtimes and clients, and container runtimes: what is to trust the gateway.
    Runtimes,
    /// What packages are made with.
    Package,
    /// What libFuzzer is built with.
    Fuzz,
    /// Emulation of machines with other kernels, and what is put into them. Only `test --vm` asks for it.
    Vm,
    /// What is measured beside the gateway. Only `bench` asks for it.
    Bench,
}

/// Every group that a change has to pass.
pub(crate) const ALL: &[Group] = &[
    Group::Build,
    Group::Ebpf,
    Group::Deny,
    Group::Clients,
    Group::Runtimes,
    Group::Package,
];

/// Brings what these groups lack.
pub(crate) fn ensure(groups: &[Group]) -> anyhow::Result<()> {
    install_packages(&missing_packages(groups))?;
    for step in steps(groups)? {
        if !(step.present)()? {
            println!("setup: {}", step.says);
            (step.bring)()?;
        }
    }
    Ok(())
}

/// Says what is missing; an error if anything is.
pub(crate) fn report() -> anyhow::Result<()> {
    let mut missing: Vec<String> = missing_packages(ALL)
        .iter()
        .map(|package| format!("Debian package {package}"))
        .collect();
    for step in steps(ALL)? {
        if !(step.present)()? {
            missing.push(step.says.to_owned());
        }
    }
    if missing.is_empty() {
        println!("setup: nothing is missing");
        return Ok(());
    }
    bail!(
        "missing:\n  {}\nremedy: cargo xtask setup",
        missing.join("\n  ")
    )
}

/// Something that is fetched into the cache without root.
struct Step {
    says: &'static str,
    present: fn() -> anyhow::Result<bool>,
    bring: fn() -> anyhow::Result<()>,
}

fn steps(groups: &[Group]) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for group in groups {
        match group {
            Group::Build | Group::Package | Group::Fuzz | Group::Vm => {}
            Group::Ebpf => steps.push(Step {
                says: BPF_LINKER.says,
                present: || BPF_LINKER.present(),
                bring: || BPF_LINKER.install(),
            }),
            Group::Deny => steps.push(Step {
                says: CARGO_DENY.says,
                present: || CARGO_DENY.present(),
                bring: || CARGO_DENY.install(),
            }),
            Group::Clients => {
                steps.push(Step {
                    says: "installing the Python clients of the tests (pip, pinned versions)",
                    present: || clients::PYTHON.present(),
                    bring: || clients::PYTHON.install(),
                });
                steps.push(Step {
                    says: "installing the Python clients of Gemini and Ollama (pip, pinned versions)",
                    present: || clients::FAMILIES_PYTHON.present(),
                    bring: || clients::FAMILIES_PYTHON.install(),
                });
                steps.push(Step {
                    says: "installing the Node clients of the tests (npm, pinned versions)",
                    present: || clients::NODE.present(),
                    bring: || clients::NODE.install(),
                });
            }
            Group::Runtimes => {
                steps.push(Step {
                    says: "installing more Python clients for the table of trust (pip, pinned versions)",
                    present: || clients::MORE_PYTHON.present(),
                    bring: || clients::MORE_PYTHON.install(),
                });
                steps.push(Step {
                    says: "installing the Python clients of a year ago (pip, pinned versions)",
                    present: || clients::OLD_PYTHON.present(),
                    bring: || clients::OLD_PYTHON.install(),
                });
                steps.push(Step {
                    says: "installing the newest Node, Bun and Deno (npm, pinned versions)",
                    present: || clients::RUNTIMES.present(),
                    bring: || clients::RUNTIMES.install(),
                });
                steps.push(Step {
                    says: "building the Go client of the tests",
                    present: clients::go_present,
                    bring: clients::build_go,
                });
                steps.push(Step {
                    says: "building the Rust clients of the tests (pinned versions, about two minutes)",
                    present: clients::reqwest_present,
                    bring: clients::build_reqwest,
                });
                steps.push(Step {
                    says: "installing Java 21 (pip, pinned version)",
                    present: clients::java_present,
                    bring: clients::bring_java,
                });
            }
            Group::Bench => steps.push(Step {
                says: unpacked::SAYS,
                present: unpacked::present,
                bring: unpacked::bring,
            }),
        }
    }
    Ok(steps)
}

// ---- Debian packages ----

/// What shows that a package is there, so that other ways of installing it count too.
enum Proof {
    /// A program of this name in PATH.
    Program(&'static str),
    /// This file or folder.
    Path(&'static str),
}

const PACKAGES: &[(Group, Proof, &[&str])] = &[
    (Group::Build, Proof::Program("cc"), &["gcc", "libc6-dev"]),
    (Group::Ebpf, Proof::Path("/usr/bin/rustc"), &["rustc-web"]),
    (
        Group::Ebpf,
        Proof::Path("/usr/lib/rustlib/bpfel-unknown-none"),
        &["libstd-rust-web-dev-bpf"],
    ),
    (
        Group::Ebpf,
        Proof::Path("/usr/lib/llvm-22/bin/llvm-config"),
        &["llvm-22-dev"],
    ),
    (Group::Ebpf, Proof::Program("c++"), &["g++"]),
    (Group::Package, Proof::Program("dpkg-deb"), &["dpkg"]),
    (Group::Package, Proof::Program("objdump"), &["binutils"]),
    (Group::Package, Proof::Program("gzip"), &["gzip"]),
    (
        Group::Package,
        Proof::Program("systemd-analyze"),
        &["systemd"],
    ),
    (Group::Fuzz, Proof::Program("c++"), &["g++"]),
    (Group::Vm, Proof::Program(QEMU), &["qemu-system-x86"]),
    (Group::Vm, Proof::Program("busybox"), &["busybox-static"]),
    (Group::Vm, Proof::Program("ip"), &["iproute2"]),
    (Group::Vm, Proof::Program("strip"), &["binutils"]),
    (Group::Vm, Proof::Program("xz"), &["xz-utils"]),
    (Group::Clients, Proof::Program("python3"), &["python3"]),
    (Group::Clients, Proof::Program("node"), &["nodejs"]),
    (Group::Clients, Proof::Program("npm"), &["npm"]),
    (Group::Clients, Proof::Program("curl"), &["curl"]),
    (
        Group::Clients,
        Proof::Path("/etc/ssl/certs/ca-certificates.crt"),
        &["ca-certificates"],
    ),
    (Group::Runtimes, Proof::Program("go"), &["golang-go"]),
    (
        Group::Runtimes,
        Proof::Program("javac"),
        &["default-jdk-headless"],
    ),
    (
        Group::Runtimes,
        Proof::Path("/usr/include/openssl/ssl.h"),
        &["libssl-dev", "pkg-config"],
    ),
    (Group::Runtimes, Proof::Program("git"), &["git"]),
    (Group::Runtimes, Proof::Program("wget"), &["wget"]),
    (Group::Runtimes, Proof::Program("openssl"), &["openssl"]),
    (Group::Runtimes, Proof::Program("runc"), &["runc"]),
];

const QEMU: &str = "qemu-system-x86_64";

fn missing_packages(groups: &[Group]) -> Vec<&'static str> {
    let mut missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(group, proof, _)| groups.contains(group) && !proof.holds())
        .flat_map(|(_, _, packages)| packages.iter().copied())
        .collect();
    if groups.contains(&Group::Clients) && !python_can_make_environments() {
        missing.push("python3-venv");
    }
    missing
}

impl Proof {
    fn holds(&self) -> bool {
        match self {
            Self::Program(name) => shell::find(name).is_some(),
            Self::Path(path) => Path::new(path).exists(),
        }
    }
}

/// Debian splits `ensurepip` off python3; an environment that exists proves that it is no longer needed.
fn python_can_make_environments() -> bool {
    cache::clients().is_ok_and(|folder| folder.join("bin/pip").exists())
        || Command::new("python3")
            .args(["-c", "import ensurepip, venv"])
            .output()
            .is_ok_and(|output| output.status.success())
}

fn install_packages(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if shell::find("apt-get").is_none() {
        bail!(
            "missing: {list} (Debian names), and this machine has no apt-get; remedy: install them, then run this again"
        );
    }
    let prefix = shell::root_prefix()?;
    println!(
        "setup: installing Debian packages {list}{}",
        if prefix.is_empty() { "" } else { " (sudo)" }
    );
    let apt = |arguments: &[&str]| -> anyhow::Result<()> {
        let words: Vec<&str> = prefix
            .iter()
            .map(String::as_str)
            .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"])
            .collect();
        shell::run(Command::new(words[0]).args(&words[1..]).args(arguments))
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

// ---- pinned tools ----

/// A tool that cargo builds into the cache.
struct Tool {
    says: &'static str,
    name: &'static str,
    version: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Its LLVM must not be older than the eBPF compiler's: both are Debian's 22.
const BPF_LINKER: Tool = Tool {
    says: "building bpf-linker 0.13.0 (about a minute)",
    name: "bpf-linker",
    version: "0.13.0",
    arguments: &["--no-default-features", "--features", "llvm-22"],
    environment: &[("LLVM_PREFIX", "/usr/lib/llvm-22")],
};

const CARGO_DENY: Tool = Tool {
    says: "building cargo-deny 0.20.2 (a few minutes)",
    name: "cargo-deny",
    version: "0.20.2",
    arguments: &["--debug"],
    environment: &[],
};

impl Tool {
    fn present(&self) -> anyhow::Result<bool> {
        let found = Command::new(cache::tool(self.name)?)
            .arg("--version")
            .output();
        Ok(found.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .ends_with(&format!(" {}", self.version))
        }))
    }

    fn install(&self) -> anyhow::Result<()> {
        let tools = cache::root()?.join("tools");
        let mut command = shell::cargo(&["install", "--quiet", "--locked", "--force", "--root"]);
        command
            .arg(&tools)
            .args(self.arguments)
            .arg(format!("{}@{}", self.name, self.version));
        // Its own target folder: the project's would be rebuilt for other features.
        command
            .envs(self.environment.iter().copied())
            .env("CARGO_TARGET_DIR", tools.join("build"));
        shell::run(&mut command)?;
        fs::remove_dir_all(tools.join("build")).context("cannot remove the tool's build folder")
    }
}
