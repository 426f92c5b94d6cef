//! What Tollgate costs: the same load straight to an upstream, through HAProxy and through Tollgate, in rounds that alternate.
//!
//! In: root, a release build, and what `cargo xtask bench` brings. Out: a table of medians and of ratios to no proxy at all. Times of
//! different days or machines say little: the load generator, the upstream and the proxy share the cores. The ratios within one run
//! are what to look at. Every request of Tollgate's rounds has to be on record, or the run fails.

mod load;
mod report;
mod world;

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

use load::{Load, What};
use report::{Report, Sample};
use world::{Contender, World};

#[derive(Parser)]
#[command(about = "What Tollgate costs, beside HAProxy and no proxy")]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Fewer and shorter rounds: enough to see a large change.
    #[arg(long)]
    quick: bool,
    /// The folder with nginx and HAProxy.
    #[arg(long, default_value = "tools/bench")]
    tools: PathBuf,
    /// Only this load.
    #[arg(long, value_enum)]
    only: Option<What>,
    /// A program that gets the daemon's process id and runs beside Tollgate's rounds, such as a profiler.
    #[arg(long, hide = true)]
    beside: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// The load generator alone, as the rounds start it.
    #[command(hide = true)]
    Load(Load),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Load(load)) = &arguments.part {
        return load::run(load);
    }
    let world = World::new(&arguments.tools)?;
    let (rounds, length) = if arguments.quick {
        (2, Duration::from_millis(700))
    } else {
        (5, Duration::from_secs(2))
    };
    println!("{}", report::machine(&arguments.tools, rounds, length)?);
    let mut requests = 0;
    for (what, connections, says) in LOADS {
        if arguments.only.is_some_and(|only| only != *what) {
            continue;
        }
        let mut report = Report::default();
        for round in 0..rounds {
            // Who goes first changes, so that nobody always follows the same one.
            for turn in 0..CONTENDERS.len() {
                let contender = CONTENDERS[(round + turn) % CONTENDERS.len()];
                let sample = measure(&world, contender, *what, *connections, length, &arguments)?;
                if contender == Contender::Tollgate {
                    requests += sample.requests;
                }
                report.add(contender, sample);
            }
        }
        println!("{}", report.table(says));
    }
    if arguments.only.is_none_or(|only| only == What::Idle) {
        for (name, contender) in [
            ("HAProxy", Contender::HaProxy),
            ("Tollgate", Contender::Tollgate),
        ] {
            let each = world.idle(contender, IDLE)? as f64 / IDLE as f64 / 1024.0;
            println!(
                "{name}: {each:.0} KiB for each of {IDLE} connections that idle after a request"
            );
        }
        println!();
        requests += IDLE;
    }
    let recorded = world.recorded()?;
    anyhow::ensure!(
        recorded >= requests,
        "{requests} requests were answered, and {recorded} are on record"
    );
    println!("{recorded} exchanges of Tollgate's rounds are on record.");
    Ok(())
}

fn measure(
    world: &World,
    contender: Contender,
    what: What,
    connections: usize,
    length: Duration,
    arguments: &Arguments,
) -> anyhow::Result<Sample> {
    let beside = match &arguments.beside {
        Some(program) if contender == Contender::Tollgate => Some(
            std::process::Command::new(program)
                .arg(world.daemon().0.to_string())
                .spawn()?,
        ),
        _ => None,
    };
    let before = world.used(contender)?;
    let printed = world.load(contender, what, connections, length)?;
    let after = world.used(contender)?;
    if let Some(mut beside) = beside {
        beside.wait()?;
    }
    Sample::read(&printed, before.zip(after))
}

const CONTENDERS: [Contender; 3] = [Contender::Direct, Contender::HaProxy, Contender::Tollgate];

/// Below the limits of every contender.
const IDLE: usize = 900;

const LOADS: &[(What, usize, &str)] = &[
    (What::Small, 8, "keep-alive, 1 KiB, 8 connections"),
    (What::Large, 8, "keep-alive, 64 KiB, 8 connections"),
    (
        What::New,
        4,
        "new connection with full handshake, 1 KiB, 4 at a time",
    ),
    (
        What::Stream,
        4,
        "first event of a streamed chat completion, 4 connections",
    ),
];
