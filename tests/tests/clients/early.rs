//! Programs that read their roots once, in containers and services that were there before the tag: which of them trust at once, which only after a
//! restart, and that `tollgate trust status` says so. The table of docs/trust.md has what comes of it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::harness::{WAIT, finish};

use crate::{
    cgroup::Cgroup,
    runc::{Container, Image},
    world::{Conversation, IDENTITY, World, clients, python, text},
};

const NAME: &str = "early.trust.test";

/// A program that reads its roots once, and what else of the host's it needs.
struct Program {
    title: &'static str,
    words: Vec<String>,
    seen: Vec<PathBuf>,
}

fn programs(world: &World) -> anyhow::Result<Vec<Program>> {
    let script = |name: &str| clients("trust").join(name).display().to_string();
    let folder = world.lab.path("go");
    fs::create_dir(&folder)?;
    let go = folder.join("kept");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&go).arg(script("kept.go"));
    finish(&build, "", WAIT)?.success()?;
    let program = |title, words: &[&str], seen| Program {
        title,
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        seen,
    };
    // Where Debian has Java's settings; its keystore is a link from there to the host's.
    let java = fs::canonicalize("/usr/bin/java")?;
    let home = java.ancestors().nth(2).context("a home")?;
    let java = java.display().to_string();
    let settings = fs::canonicalize(home.join("conf/net.properties"))?;
    let settings = settings.parent().context("a folder")?.to_owned();
    let outside = |path: &PathBuf| !path.starts_with("/usr");
    let settings: Vec<PathBuf> = [settings].into_iter().filter(outside).collect();
    let go = go.display().to_string();
    Ok(vec![
        program("Go: net/http", &[&go, NAME], vec![folder]),
        program(
            "Java: HttpClient",
            &[&java, "-XX:-UsePerfData", &script("Kept.java"), NAME],
            settings,
        ),
        program(
            "Python: grpcio",
            &[&python()?, &script("kept_grpc.py"), NAME],
            Vec::new(),
        ),
    ])
}

/// What runs in a mount namespace of its own.
enum Running {
    Service(Conversation),
    Container(Container),
}

impl Running {
    fn start(
        world: &World,
        cgroup: &Cgroup,
        program: &Program,
        container: Option<&str>,
    ) -> anyhow::Result<Self> {
        if let Some(name) = container {
            let image = Image {
                name,
                program: &program.words,
                seen: &program.seen,
                device: false,
            };
            return Ok(Self::Container(Container::start(world, cgroup, &image)?));
        }
        let mut command = cgroup.command();
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(["unshare", "--mount", "--propagation", "private"]);
        let agent = Conversation::start(command.args(&program.words))?;
        Ok(Self::Service(agent))
    }

    fn ask(&mut self) -> anyhow::Result<String> {
        match self {
            Self::Service(agent) => agent.ask(),
            Self::Container(container) => container.agent.ask(),
        }
    }

    fn pid(&self) -> anyhow::Result<u32> {
        match self {
            Self::Service(agent) => Ok(agent.pid()),
            Self::Container(container) => {
                let listed = fs::read_to_string(container.cgroup.join("cgroup.procs"))?;
                let first = listed.lines().next().context("nobody in it")?;
                Ok(first.parse()?)
            }
        }
    }

    /// Waits until what it opens is told, which begins just after its namespace was given the CA.
    fn watched(&self, world: &World) -> anyhow::Result<()> {
        let namespace = fs::metadata(format!("/proc/{}/ns/mnt", self.pid()?))?.ino();
        let started = Instant::now();
        loop {
            let status = world.daemon.run(&["status", "--json"])?.success()?;
            let status: Value = serde_json::from_str(&status)?;
            let watched = status["workloads"][0]["opened"]["watched"].as_array();
            let mut watched = watched.into_iter().flatten();
            if watched.any(|of| of["namespace"] == namespace) {
                return Ok(());
            }
            ensure!(started.elapsed() < WAIT, "{status:#}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its row, once it stands like this.
    fn stands(&self, world: &World, wanted: &[&str]) -> anyhow::Result<Value> {
        let started = Instant::now();
        loop {
            let pid = self.pid();
            let status = world.daemon.run(&["trust", "status", "--json"])?;
            let rows = status.success()?;
            let rows = rows.lines().map(serde_json::from_str::<Value>);
            let mut rows = rows.collect::<Result<Vec<_>, _>>()?.into_iter();
            let row = rows.find(|row| pid.as_ref().is_ok_and(|pid| row["pid"] == *pid));
            if let Some(row) = row
                .clone()
                .filter(|row| wanted.contains(&text(row, "standing")))
            {
                return Ok(row);
            }
            ensure!(started.elapsed() < WAIT, "{row:?} and never {wanted:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn tried(containers: bool) -> anyhow::Result<()> {
    let cgroup = Cgroup::new(["early", "early-containers"][usize::from(containers)])?;
    let world = World::with(&[NAME], "")?;
    let programs = programs(&world)?;
    let name = |program: usize, age: &str| containers.then(|| format!("{program}-{age}"));
    let start = |number: usize, age: &str| {
        let name = name(number, age);
        Running::start(&world, &cgroup, &programs[number], name.as_deref())
    };
    let mut before = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        let (mut read, unread) = (start(number, "read")?, start(number, "unread")?);
        // The control: nobody trusts the upstream's CA, and so nothing is sent.
        assert_eq!(read.ask()?, "untrusted", "{}", program.title);
        before.push((number, read, unread));
    }
    ensure!(world.upstream.take().is_empty());

    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    for (number, mut read, mut unread) in before {
        let title = programs[number].title;
        assert_eq!(read.ask()?, "untrusted", "{title}");
        let row = read.stands(&world, &["restart"])?;
        assert_eq!(text(&row, "remedy"), "restart it", "{row}");
        // One that has made no connection yet trusts at once.
        assert_eq!(unread.ask()?, "trusts", "{title}: {}", world.daemon.log());
        unread.stands(&world, &["trusts"])?;
        drop((read, unread));
        // And so does one that begins now, once its namespace was seen.
        let mut restarted = start(number, "restarted")?;
        restarted.stands(&world, &["effective", "restart"])?;
        restarted.watched(&world)?;
        assert_eq!(restarted.ask()?, "trusts", "{title}");
        let told = restarted.stands(&world, &["trusts"])?;
        let opened = told["opened"].as_array().context("no list")?;
        ensure!(opened.iter().any(|of| of["held"] == true), "{told}");
    }
    let exchanges = world.daemon.exchanges()?;
    let given_up = exchanges.iter().filter(|of| of["protocol"] == "tls");
    ensure!(given_up.count() >= programs.len(), "{exchanges:#?}");
    let carried = exchanges.iter().filter(|of| of["outcome"] == "completed");
    ensure!(carried.count() >= 2 * programs.len(), "{exchanges:#?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trust.md");
    let page = fs::read_to_string(page)?;
    for program in programs {
        let line = format!("| {} | at once | after a restart |", program.title);
        ensure!(page.contains(&line), "docs/trust.md has no line {line:?}");
    }
    Ok(())
}

#[test]
fn what_reads_its_roots_once_trusts_after_a_restart_in_a_service() -> anyhow::Result<()> {
    tried(false)
}

#[test]
fn what_reads_its_roots_once_trusts_after_a_restart_in_a_container() -> anyhow::Result<()> {
    tried(true)
}

#[test]
fn what_begins_in_a_tagged_cgroup_trusts_with_its_first_connection() -> anyhow::Result<()> {
    let cgroup = Cgroup::new("begins")?;
    let world = World::with(&[NAME], "")?;
    let ask = format!("import requests; requests.get('https://{NAME}/'); print('trusts')");
    let started = || -> anyhow::Result<String> {
        let mut program = cgroup.command();
        program
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        program.args(["unshare", "--mount", "--propagation", "private"]);
        program.args([&*python()?, "-c", &ask]);
        Ok(finish(&program, "", WAIT)?.stdout)
    };
    // The control: nobody trusts the upstream's CA.
    assert_eq!(started()?, "");
    world
        .daemon
        .tag(IDENTITY, ["--cgroup", cgroup.folder()?])?
        .success()?;
    // It has the CA some milliseconds after it begins; what else the machine does may keep that from a few.
    let all = (0..STARTS)
        .map(|_| started())
        .collect::<Result<Vec<_>, _>>()?;
    let trusting = all.iter().filter(|told| told.trim() == "trusts").count();
    ensure!(trusting * 2 > STARTS, "{all:?} {}", world.daemon.log());
    Ok(())
}

const STARTS: usize = 8;
