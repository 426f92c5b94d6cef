//! What is measured: nginx and the model upstream by themselves, behind HAProxy, behind Tollgate. All speak TLS on both sides.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;
use tests::{
    harness::{Daemon, Lab, finish, free_address},
    upstream::{Options, Upstream},
};

use crate::load::What;

/// Everything that runs. Fields are dropped in this order.
pub(crate) struct World {
    daemon: Daemon,
    haproxy: Server,
    _nginx: Server,
    upstream: Upstream,
    /// Where nginx and the model upstream listen.
    origins: [SocketAddr; 2],
    /// Where HAProxy stands in for each.
    fronts: [SocketAddr; 2],
    lab: Lab,
}

/// A server that is killed when this is dropped.
struct Server(Child);

/// Who stands between the load generator and the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Direct,
    HaProxy,
    Tollgate,
}

/// What a proxy has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// Processor time since its start.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
}

impl World {
    /// Starts everything; `tools` has the unpacked nginx and HAProxy.
    pub(crate) fn new(tools: &Path) -> anyhow::Result<Self> {
        let origins = [free_address(443)?, free_address(443)?];
        let fronts = [free_address(443)?, free_address(443)?];
        let lab = Lab::enter(
            "tollgate-bench-",
            &[(origins[0].ip(), FILES), (origins[1].ip(), CHAT)],
        )?;
        let upstream = Upstream::start(&Options {
            tls: vec![origins[1]],
            names: vec![CHAT.to_owned()],
            pace: PACE,
            ..Options::default()
        })?;
        let ca = lab.write("upstream-ca.pem", upstream.authority.pem())?;
        let names = [FILES.to_owned(), CHAT.to_owned()];
        let (certificate, key) = upstream.authority.certificate(&names)?;
        lab.write("server.pem", &(certificate.pem() + &key.serialize_pem()))?;
        fs::create_dir(lab.path("www"))?;
        lab.write("www/1k", &"a".repeat(1 << 10))?;
        lab.write("www/64k", &"a".repeat(64 << 10))?;

        let nginx = lab.write("nginx.conf", &nginx(&lab, origins[0]))?;
        let nginx = Server::start(tools, "nginx", &["-c".as_ref(), nginx.as_ref()])?;
        let haproxy = lab.write("haproxy.cfg", &haproxy(&lab, &ca, origins, fronts))?;
        let haproxy = Server::start(
            tools,
            "haproxy",
            &["-db".as_ref(), "-f".as_ref(), haproxy.as_ref()],
        )?;
        for address in [origins[0], fronts[0], fronts[1]] {
            listening(address)?;
        }

        lab.write("policies/policies.cedar", include_str!("policies.cedar"))?;
        let service = |name: &str, host: &str| {
            format!("[[service]]\nname = {name:?}\nhosts = [{host:?}]\nca = {ca:?}\n\n")
        };
        lab.configure(&format!(
            "[[identity]]\nid = {IDENTITY:?}\ngroups = [\"agents\"]\n\n{}{}",
            service("files", FILES),
            service("openai", CHAT),
        ))?;
        Ok(Self {
            daemon: Daemon::start(&lab)?,
            haproxy,
            _nginx: nginx,
            upstream,
            origins,
            fronts,
            lab,
        })
    }

    /// Runs the load generator to its end; what it printed.
    pub(crate) fn load(
        &self,
        contender: Contender,
        what: What,
        connections: usize,
        length: Duration,
    ) -> anyhow::Result<Value> {
        let command = self.generator(contender, what, connections, length)?;
        let printed = finish(&command, "", length + Duration::from_secs(30))?.success()?;
        // Its memory is not what is measured, and grows with every request.
        self.upstream.take();
        serde_json::from_str(&printed).context(printed)
    }

    /// What so many idle connections add to a contender's memory, in bytes.
    pub(crate) fn idle(&self, contender: Contender, connections: usize) -> anyhow::Result<i64> {
        let memory = || -> anyhow::Result<i64> {
            let used = self.used(contender)?.context("nobody to measure")?;
            Ok(i64::try_from(used.memory)?)
        };
        let before = memory()?;
        let mut child = self
            .generator(contender, What::Idle, connections, Duration::ZERO)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let output = child.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut said)?;
        let after = memory();
        drop(child.stdin.take());
        child.wait()?;
        if said.is_empty() {
            bail!("the idle connections could not be opened");
        }
        Ok(after? - before)
    }

    fn generator(
        &self,
        contender: Contender,
        what: What,
        connections: usize,
        length: Duration,
    ) -> anyhow::Result<Command> {
        let own = std::env::current_exe()?;
        let own = own
            .to_str()
            .context("the path of this program is not text")?;
        let which = usize::from(what == What::Stream);
        let (mut command, address) = match contender {
            Contender::Direct => (self.daemon.untagged(own), self.origins[which]),
            Contender::HaProxy => (self.daemon.untagged(own), self.fronts[which]),
            Contender::Tollgate => (self.daemon.tagged(IDENTITY, own), self.origins[which]),
        };
        let word = clap::ValueEnum::to_possible_value(&what).context("no word")?;
        command.arg("load").args([
            "--address",
            &address.to_string(),
            "--name",
            [FILES, CHAT][which],
            "--what",
            word.get_name(),
            "--connections",
            &connections.to_string(),
            "--milliseconds",
            &length.as_millis().to_string(),
        ]);
        Ok(command)
    }

    /// What a contender has used so far; nothing where none stands between.
    pub(crate) fn used(&self, contender: Contender) -> anyhow::Result<Option<Used>> {
        let pid = match contender {
            Contender::Direct => return Ok(None),
            Contender::HaProxy => self.haproxy.0.id(),
            Contender::Tollgate => self.daemon.pid(),
        };
        used(pid).map(Some)
    }

    /// How many exchanges the ledger has.
    pub(crate) fn recorded(&self) -> anyhow::Result<usize> {
        Ok(self.daemon.exchanges()?.len())
    }

    /// The daemon's process id and log, for profilers.
    pub(crate) fn daemon(&self) -> (u32, PathBuf) {
        (self.daemon.pid(), self.lab.path("daemon.log"))
    }
}

impl Server {
    /// A server of the unpacked packages, with their libraries. It dies with the thread that started it.
    fn start(tools: &Path, name: &str, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<Self> {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(tools.join("usr/sbin").join(name))
            .args(arguments)
            .env("LD_LIBRARY_PATH", libraries(tools)?)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The folder of the packages' libraries, whatever the architecture is called.
pub(crate) fn libraries(tools: &Path) -> anyhow::Result<PathBuf> {
    let folders = fs::read_dir(tools.join("usr/lib"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    folders
        .into_iter()
        .find(|folder| folder.to_string_lossy().ends_with("-linux-gnu"))
        .context("the packages hold no libraries")
}

fn listening(address: SocketAddr) -> anyhow::Result<()> {
    let started = Instant::now();
    #[expect(
        clippy::disallowed_methods,
        reason = "this asks whether a server is up"
    )]
    while std::net::TcpStream::connect(address).is_err() {
        if started.elapsed() > Duration::from_secs(5) {
            bail!("nothing listens on {address}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn used(pid: u32) -> anyhow::Result<Used> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .context("no resident memory")?;
    Ok(Used {
        // 100 ticks a second on every architecture (USER_HZ).
        cpu: Duration::from_millis(ticks * 10),
        memory: resident.parse::<u64>()? << 10,
    })
}

fn nginx(lab: &Lab, address: SocketAddr) -> String {
    let (www, server) = (lab.path("www"), lab.path("server.pem"));
    let (pid, temporary) = (lab.path("nginx.pid"), lab.path("nginx-tmp"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {}-{kind};\n", temporary.display()))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {pid:?};\nerror_log stderr warn;\nevents {{ worker_connections 4096; }}\n\
         http {{\naccess_log off;\n{temporary}keepalive_requests 100000000;\nopen_file_cache max=10;\nserver {{\nlisten {address} ssl backlog=4096;\n\
         ssl_certificate {server:?};\nssl_certificate_key {server:?};\nssl_protocols TLSv1.3;\nssl_session_cache off;\nssl_session_tickets on;\n\
         root {www:?};\n}}\n}}\n"
    )
}

/// As an operator would set it up to do the same: TLS ended, the upstream's name proven, connections of the upstream reused.
fn haproxy(lab: &Lab, ca: &Path, origins: [SocketAddr; 2], fronts: [SocketAddr; 2]) -> String {
    let server = lab.path("server.pem");
    let section = |at: usize, name: &str| {
        format!(
            "listen {name}\n  bind {} ssl crt {} alpn http/1.1\n  http-reuse safe\n  \
             server up {} ssl verify required ca-file {} sni str({name}) verifyhost {name} alpn http/1.1\n",
            fronts[at],
            server.display(),
            origins[at],
            ca.display()
        )
    };
    format!(
        "global\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n{}{}",
        section(0, FILES),
        section(1, CHAT)
    )
}

const IDENTITY: &str = "bench";
const FILES: &str = "files.example.test";
const CHAT: &str = "api.openai.com";
/// Before each event of a stream.
const PACE: Duration = Duration::from_millis(2);
