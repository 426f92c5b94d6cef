//! The story: upstream and daemon in a lab, the agent tagged, then untagged, and what is seen of both.

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::Permissions,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::Context;
use serde_json::Value;
use tests::{
    harness::{Daemon, Lab, free_address},
    upstream::{Options, Received, Upstream},
};

use crate::{
    rows::{self, ROWS, Result as TaskResult},
    supervise::PREFIX,
};

const IDENTITY: &str = "research-agent";

/// The key that only the gateway and the provider know.
const REAL_KEY: &str = "the-real-key-of-the-demo";

/// How long a person takes to look at a question before approving it.
const THINKING: Duration = Duration::from_secs(1);

/// What came of a task: what the agent printed, what the upstream received, and how many exchanges the ledger had afterwards.
struct Done {
    result: TaskResult,
    received: Vec<Received>,
    exchanges: usize,
}

/// Tells the story; true if every row was as expected.
pub(super) fn tell(keep: bool) -> anyhow::Result<bool> {
    let stage = Stage::set()?;
    println!("demo: the agent, tagged as {IDENTITY}");
    let tagged = stage.tagged()?;
    println!("demo: the same calls, untagged");
    let untagged = stage.perform(stage.daemon.untagged(&stage.python), |_| Ok(0))?;
    let passed = stage.show(&tagged, &untagged)?;
    stage.transcript()?;
    println!(
        "\n{}",
        if passed {
            "demo: every row is as expected"
        } else {
            "demo: NOT every row is as expected"
        }
    );
    stage.invite(keep);
    if keep {
        loop {
            thread::park();
        }
    }
    Ok(passed)
}

/// Fields are dropped in this order: the daemon ends before what it runs in.
struct Stage {
    daemon: Daemon,
    upstream: Upstream,
    python: String,
    agent: PathBuf,
    _lab: Lab,
}

impl Stage {
    fn set() -> anyhow::Result<Self> {
        let cache = env::var("TOLLGATE_CACHE")
            .context("TOLLGATE_CACHE is not set: start it with `cargo xtask demo`")?;
        let assets = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../demo")
            .canonicalize()?;
        let tls = free_address(443)?;
        let names = ["api.openai.com", "api.anthropic.com", "paste.example.test"];
        let lab = Lab::enter(PREFIX, &names.map(|name| (tls.ip(), name)))?;
        let upstream = Upstream::start(&Options {
            tls: vec![tls],
            echo: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)), 0)],
            names: names.map(str::to_owned).to_vec(),
            pace: Duration::from_millis(3),
            ..Options::default()
        })?;
        let ca = lab.write("upstream-ca.pem", upstream.authority.pem())?;
        let key = lab.write("openai.key", REAL_KEY)?;
        std::fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        let asset = |name: &str| {
            std::fs::read_to_string(assets.join(name))
                .with_context(|| format!("cannot read demo/{name}"))
        };
        lab.write("policies/agents.cedar", &asset("policies/agents.cedar")?)?;
        let configuration = asset("tollgate.toml")?;
        lab.configure(
            &configuration
                .replace("{ca}", &ca.to_string_lossy())
                .replace("{key}", &key.to_string_lossy()),
        )?;
        println!(
            "demo: a local upstream at {tls} is api.openai.com, api.anthropic.com and paste.example.test, in this demo's namespace only"
        );
        let daemon = Daemon::start(&lab)?;
        print!(
            "demo: {}",
            daemon
                .log()
                .lines()
                .rfind(|line| line.starts_with("ready"))
                .map_or_else(String::new, |line| format!("{line}\n"))
        );
        let python = format!("{cache}/clients/bin/python");
        Ok(Self {
            daemon,
            upstream,
            python,
            agent: assets.join("agent.py"),
            _lab: lab,
        })
    }

    /// The agent under Tollgate, with a person beside it who approves what waits.
    fn tagged(&self) -> anyhow::Result<HashMap<&'static str, Done>> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if let Err(error) = self.approve_one() {
                        eprintln!("demo: {error:#}");
                    }
                    thread::sleep(Duration::from_millis(200));
                }
            });
            let done = self.perform(self.daemon.tagged(IDENTITY, &self.python), |daemon| {
                Ok(daemon.exchanges()?.len())
            });
            over.store(true, Ordering::Relaxed);
            done
        })
    }

    fn approve_one(&self) -> anyhow::Result<()> {
        self.daemon.note_launches()?;
        let Some(waiting) = self.daemon.approvals()?.pop() else {
            return Ok(());
        };
        println!(
            "  held for approval: {}; `tollgate approve {}` in a second",
            summary(&waiting.fields),
            waiting.id
        );
        thread::sleep(THINKING);
        self.daemon
            .run(&["approve", &waiting.id, "--reason", "the invoice is right"])?
            .success()?;
        Ok(())
    }

    /// Runs the agent on every task and notes after each what the upstream and the ledger have.
    fn perform(
        &self,
        mut command: Command,
        count: impl Fn(&Daemon) -> anyhow::Result<usize>,
    ) -> anyhow::Result<HashMap<&'static str, Done>> {
        command
            .arg(&self.agent)
            .arg("--json")
            .env("DEMO_ADDRESS", self.upstream.echo[0].to_string());
        self.upstream.take();
        let mut agent = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the agent")?;
        let mut input = agent.stdin.take().context("the agent has no input")?;
        let mut output =
            BufReader::new(agent.stdout.take().context("the agent has no output")?).lines();
        let mut done = HashMap::new();
        for row in ROWS {
            println!("  {}", row.title);
            writeln!(input, "{}", row.task)?;
            let line = output
                .next()
                .transpose()?
                .with_context(|| format!("the agent ended early\n{}", self.daemon.log()))?;
            let result = TaskResult::read(&line)
                .with_context(|| format!("not a line of the agent: {line}"))?;
            done.insert(
                row.task,
                Done {
                    result,
                    received: self.upstream.take(),
                    exchanges: count(&self.daemon)?,
                },
            );
        }
        drop(input);
        agent.wait()?;
        Ok(done)
    }

    fn show(
        &self,
        tagged: &HashMap<&'static str, Done>,
        untagged: &HashMap<&'static str, Done>,
    ) -> anyhow::Result<bool> {
        let last = tagged
            .values()
            .map(|done| done.exchanges)
            .max()
            .unwrap_or_default();
        let exchanges = self.daemon.ended_after(0, last)?;
        println!("{}", rows::head());
        let (mut passed, mut seen) = (true, 0);
        for row in ROWS {
            let (tagged, untagged) = (&tagged[row.task], &untagged[row.task]);
            let judged = rows::judge(
                row,
                &tagged.result,
                &untagged.result,
                &exchanges[seen..tagged.exchanges],
                tagged.received.len(),
            );
            println!(
                "{}",
                rows::line(row, &judged, &tagged.result, &untagged.result)
            );
            passed &= judged.as_expected;
            seen = tagged.exchanges;
        }
        let swapped = keys(tagged) == HashSet::from([format!("Bearer {REAL_KEY}")])
            && !keys(untagged).contains(&format!("Bearer {REAL_KEY}"));
        println!("{}", rows::key(swapped));
        Ok(passed && swapped)
    }

    /// The session in which something was masked.
    fn transcript(&self) -> anyhow::Result<()> {
        let masked = |exchange: &&Value| {
            exchange["findings"]
                .as_array()
                .is_some_and(|found| !found.is_empty())
                && exchange["outcome"] == "completed"
        };
        let exchanges = self.daemon.exchanges()?;
        if let Some(id) = exchanges
            .iter()
            .rfind(masked)
            .and_then(|exchange| exchange["id"].as_str())
        {
            println!(
                "\n$ tollgate replay {id}\n{}",
                self.daemon.run(&["replay", id])?.success()?.trim_end()
            );
        }
        Ok(())
    }

    fn invite(&self, keep: bool) {
        if !keep {
            println!("to try it by hand: cargo xtask demo --keep");
            return;
        }
        let (pid, socket, tollgate) = (
            std::process::id(),
            self.daemon.socket().display(),
            self.daemon.program().display(),
        );
        let agent = format!(
            "$t run --as {IDENTITY} -- {} {}",
            self.python,
            self.agent.display()
        );
        println!(
            "\nto try it by hand, from another terminal (nsenter: the names above exist only in the demo's namespace):"
        );
        println!(
            "  t=\"sudo nsenter --target {pid} --mount env TOLLGATE_SOCKET={socket} {tollgate}\""
        );
        println!("  {agent} ask \"what is the capital of France?\"");
        println!("  {agent} model");
        println!("  {agent} payment          # waits until: $t approvals; $t approve ID");
        println!("  $t run --as {IDENTITY} -- curl -i https://paste.example.test/hello");
        println!("  $t sessions; $t replay ID");
        println!("Ctrl-C ends it and cleans up.");
    }
}

/// The keys that the first provider received.
fn keys(done: &HashMap<&'static str, Done>) -> HashSet<String> {
    let received = done.values().flat_map(|done| &done.received);
    let to_openai = received.filter(|request| request.sni.as_deref() == Some("api.openai.com"));
    to_openai
        .filter_map(|request| request.header("authorization"))
        .map(str::to_owned)
        .collect()
}

fn summary(fields: &Value) -> String {
    let text = |field: &str| fields[field].as_str().unwrap_or_default();
    format!(
        "{} {} on {}",
        text("identity"),
        text("action"),
        text("destination")
    )
}
