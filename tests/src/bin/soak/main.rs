//! A bounded, seeded soak: governed processes try every way out and free ones go about their business, while the daemon is killed, restarted
//! and reloaded and its policies are broken and mended.
//!
//! In: root, how long, a seed. Out: progress, a verdict, exit code 1 and the seed where anything was violated. What must hold: no packet to an address
//! that policy permits nothing at; what the permitted servers were asked for is on record as permitted; every call of a free process
//! succeeds; no connect of a governed one hangs. Before any of it, the same addresses are reached without Tollgate.

mod agents;
mod chaos;
mod random;
mod servers;
mod wire;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use clap::Parser;
use tests::harness::{Daemon, Lab, built, cgroup_root};

use agents::Place;
use servers::Servers;

#[derive(Parser)]
#[command(
    about = "Random legal and hostile calls while the daemon is killed, restarted and reloaded"
)]
struct Arguments {
    /// How long; parts of a minute count.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Repeats the calls of an earlier run, though not their timing.
    #[arg(long)]
    seed: Option<u64>,
}

/// What the parts of a run have in common.
pub(crate) struct Shared {
    pub(crate) seed: u64,
    over: AtomicBool,
    violations: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    last: Mutex<BTreeMap<u64, String>>,
}

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    /// What an agent is about to do.
    pub(crate) fn note(&self, agent: u64, command: &str) {
        lock(&self.last).insert(agent, command.to_owned());
    }

    pub(crate) fn violation(&self, text: String) {
        eprintln!("VIOLATION: {text}; under way: {:?}", lock(&self.last));
        lock(&self.violations).push(text);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |now| now.as_micros() as u64 % 1_000_000)
    });
    println!("soak: {} minutes, seed {seed}", arguments.minutes);
    match run(Duration::from_secs_f64(arguments.minutes * 60.0), seed) {
        Ok(violations) if violations.is_empty() => {
            println!("soak: held, seed {seed}");
            ExitCode::SUCCESS
        }
        Ok(violations) => {
            println!("soak: {} violations, seed {seed}", violations.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("soak: broken off, seed {seed}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(length: Duration, seed: u64) -> anyhow::Result<Vec<String>> {
    Lab::sweep(PREFIX)?;
    let servers = Servers::start()?;
    let hosts: Vec<String> = servers
        .sides
        .iter()
        .map(|side| format!("{}.soak.test", side.name))
        .collect();
    let names = servers.sides.iter().zip(&hosts);
    let names: Vec<_> = names
        .map(|(side, host)| (side.permitted.ip(), host.as_str()))
        .collect();
    let lab = Lab::enter(PREFIX, &names)?;
    let cgroups = Cgroups::new()?;
    let shared = Shared {
        seed,
        over: AtomicBool::new(false),
        violations: Mutex::default(),
        counts: Mutex::default(),
        last: Mutex::default(),
    };
    let place = |governed: PathBuf| -> anyhow::Result<Place> {
        let sides = servers.sides.iter();
        Ok(Place {
            program: built()?.join("kernel-agent"),
            governed,
            free: cgroups.0.join("free"),
            permitted: sides
                .clone()
                .zip(&hosts)
                .map(|(side, host)| (format!("{host}:{}", side.permitted.port()), side.permitted))
                .collect(),
            open: sides.clone().flat_map(|side| side.open.clone()).collect(),
            forbidden: sides.flat_map(|side| side.forbidden.clone()).collect(),
        })
    };
    let governed: Vec<PathBuf> = (0..GOVERNED)
        .map(|number| cgroups.0.join(format!("agent{number}")))
        .collect();
    agents::control(&place(governed[0].clone())?)?;
    for side in &servers.sides {
        let seen = side.wire.take();
        anyhow::ensure!(
            seen.len() >= 2,
            "the control run was not seen on {}",
            side.name
        );
    }

    let first = place(governed[0].clone())?;
    chaos::write_policies(&lab)?;
    lab.configure(&configuration(&first, &governed)?)?;
    let daemon = Daemon::start(&lab)?;
    // What the control run still had under way.
    for side in &servers.sides {
        side.wire.take();
    }
    let ended: anyhow::Result<Daemon> = thread::scope(|scope| {
        let mut workers = Vec::new();
        for (number, folder) in governed.iter().enumerate() {
            let (place, shared) = (place(folder.clone())?, &shared);
            workers.push(scope.spawn(move || agents::governed(&place, 1 + number as u64, shared)));
        }
        for number in 0..FREE {
            let (place, shared) = (place(governed[0].clone())?, &shared);
            workers.push(scope.spawn(move || agents::free(&place, 100 + number, shared)));
        }
        let ended = disturb(&lab, daemon, &servers, &shared, length);
        shared.over.store(true, Ordering::Relaxed);
        for worker in workers {
            let ended = worker.join().ok().context("a thread panicked")?;
            if let Err(error) = ended {
                shared.violation(format!("an agent could not go on: {error:#}"));
            }
        }
        ended
    });
    let daemon = ended?;
    thread::sleep(Duration::from_millis(500));
    look(&servers, &shared);
    let on_record = on_record(&daemon)?;
    let asked = std::mem::take(&mut *lock(&servers.asked));
    for path in asked.iter().filter(|path| !on_record.contains(*path)) {
        shared.violation(format!("{path} was asked for without a permit on record"));
    }
    println!(
        "soak: {:?}; {} requests arrived, {} are on record as permitted",
        lock(&shared.counts),
        asked.len(),
        on_record.len()
    );
    if asked.len() < 5 || lock(&shared.counts).len() < 5 {
        shared.violation("too little happened for a verdict".to_owned());
    }
    Ok(std::mem::take(&mut *lock(&shared.violations)))
}

/// Disturbs the daemon until the time is over; returns one that runs.
fn disturb(
    lab: &Lab,
    daemon: Daemon,
    servers: &Servers,
    shared: &Shared,
    length: Duration,
) -> anyhow::Result<Daemon> {
    let began = Instant::now();
    let mut chaos = chaos::Chaos::new(lab, daemon, shared);
    let mut told = Duration::ZERO;
    while began.elapsed() < length {
        chaos.step()?;
        look(servers, shared);
        if began.elapsed() > told + Duration::from_secs(15) {
            told = began.elapsed();
            println!("soak: {} s, {:?}", told.as_secs(), lock(&shared.counts));
        }
    }
    chaos.end()
}

fn look(servers: &Servers, shared: &Shared) {
    for side in &servers.sides {
        for packet in side.wire.take() {
            shared.violation(format!("{}: {packet}", side.name));
        }
    }
}

/// The paths that were permitted, by the ledger.
fn on_record(daemon: &Daemon) -> anyhow::Result<HashSet<String>> {
    let exchanges = daemon.exchanges()?.into_iter();
    Ok(exchanges
        .filter(|exchange| exchange["decision"] == "permit")
        .filter_map(|exchange| Some(exchange["path"].as_str()?.to_owned()))
        .collect())
}

fn configuration(place: &Place, governed: &[PathBuf]) -> anyhow::Result<String> {
    let hosts: Vec<String> = place
        .permitted
        .iter()
        .map(|(host, _)| format!("http://{host}"))
        .collect();
    let mut text = format!(
        "[[identity]]\nid = \"soak\"\ngroups = [\"agents\"]\n\n[[service]]\nname = \"files\"\nhosts = {hosts:?}\n"
    );
    let root = cgroup_root()?;
    for folder in governed {
        let path = folder.strip_prefix(&root)?.display();
        text += &format!("\n[[workload]]\nidentity = \"soak\"\ncgroup = \"/{path}\"\n");
    }
    Ok(text)
}

/// The run's own cgroup, with everything below it and everybody in it.
struct Cgroups(PathBuf);

impl Cgroups {
    fn new() -> anyhow::Result<Self> {
        let root = cgroup_root()?;
        for entry in fs::read_dir(&root)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(pid) = name.strip_prefix(PREFIX)
                && !PathBuf::from("/proc").join(pid).exists()
            {
                drop(Self(path));
            }
        }
        let own = Self(root.join(format!("{PREFIX}{}", std::process::id())));
        fs::create_dir(&own.0)?;
        fs::create_dir(own.0.join("free"))?;
        Ok(own)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let end = Instant::now() + Duration::from_secs(10);
        while self.0.exists() && Instant::now() < end {
            for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            let _ = fs::remove_dir(&self.0);
        }
    }
}

const PREFIX: &str = "tollgate-soak-";
/// Few, because they share the cores with the daemon and with what disturbs it.
const GOVERNED: usize = 3;
const FREE: u64 = 2;
