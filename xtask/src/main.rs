//! Every repeated command of the project; README and CI call nothing else.
//!
//! In: a sub-command. Out: exit code 0 when it did what it says, 1 with the reason otherwise. Each command first brings what it
//! needs itself (`setup`) and nothing more.

mod bench;
mod cache;
mod clients;
mod deb;
mod demo;
mod ebpf;
mod fuzz;
mod setup;
mod shell;
mod soak;
mod suites;
mod tidy;
mod unpacked;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every repeated command of Tollgate")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings what this machine lacks: Debian packages, pinned tools, the clients of the tests. Root only where it is needed.
    Setup {
        /// Only says what is missing; exit code 1 if anything is.
        #[arg(long)]
        check: bool,
    },
    /// Static checks, then every suite; or only the tiers named.
    Test {
        /// static, unit, proxy, kernel, escape, clients, package, demo
        tiers: Vec<suites::Tier>,
        #[command(flatten)]
        vm: vm::Options,
    },
    /// Import direction, module docs, file sizes, words that must not be in the tree, ledgers of tests.
    Tidy,
    /// Builds the eBPF object into gateway-ebpf/prebuilt.
    Ebpf {
        /// Builds it and compares it with the one that is committed.
        #[arg(long)]
        check: bool,
    },
    /// Searches for inputs that break a parser's property; finds stay in the cache.
    Fuzz {
        /// Folders of tests/fuzz/corpus; all if none is named.
        targets: Vec<String>,
        /// How long each target is fuzzed.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Puts what was found and adds coverage into the committed corpus instead.
        #[arg(long)]
        merge: bool,
    },
    /// A Debian package of the gateway; prints where it is.
    Deb {
        /// Of the debug build.
        #[arg(long)]
        debug: bool,
        /// Another version than the workspace's with Debian revision 1.
        #[arg(long)]
        version: Option<String>,
    },
    /// Real LangChain agents under Tollgate: allowed, blocked, masked, held for approval, recorded.
    Demo {
        /// Stays up afterwards, to try it by hand, until Ctrl-C.
        #[arg(long)]
        keep: bool,
    },
    /// Random legal and hostile calls of governed and free processes while the daemon is killed, restarted and reloaded.
    Soak {
        /// How long; parts of a minute count.
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Repeats the calls of an earlier run.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// What Tollgate costs: the same load straight, through HAProxy and through Tollgate, in alternating rounds.
    Bench {
        /// detect: only how fast a core searches texts, beside Presidio and Vectorscan where these are installed. mask: only how fast it
        /// searches bodies.
        part: Option<bench::Part>,
        /// Fewer and shorter rounds.
        #[arg(long)]
        quick: bool,
        /// What processes pay that nobody governs, for each connect, packet, fork and cgroup, instead.
        #[arg(long)]
        untagged: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Setup { check: true } => setup::report(),
        Command::Setup { check: false } => setup::ensure(setup::ALL),
        Command::Test { tiers, vm } if vm.asked() => vm::run(&tiers, &vm),
        Command::Test { tiers, .. } => suites::run(&tiers),
        Command::Tidy => tidy::check(),
        Command::Ebpf { check } => {
            setup::ensure(&[setup::Group::Ebpf])?;
            ebpf::build(check)
        }
        Command::Fuzz {
            targets,
            seconds,
            merge,
        } => {
            setup::ensure(&[setup::Group::Fuzz])?;
            fuzz::run(&targets, seconds, merge)
        }
        Command::Deb { debug, version } => {
            setup::ensure(&[setup::Group::Build, setup::Group::Package])?;
            let package = deb::build(&deb::Options { debug, version })?;
            println!("{}", package.display());
            Ok(())
        }
        Command::Demo { keep } => demo::run(keep),
        Command::Bench {
            part: Some(bench::Part::Detect),
            ..
        } => bench::detect(),
        Command::Bench {
            part: Some(bench::Part::Mask),
            ..
        } => bench::mask(),
        Command::Bench { untagged: true, .. } => bench::untagged(),
        Command::Bench { quick, .. } => bench::run(quick),
        Command::Soak { minutes, seed } => soak::run(minutes, seed),
    }
}
