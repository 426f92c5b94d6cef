//! One upstream under several names, one daemon, and how the tests call through it.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context;
use serde_json::Value;
use tests::{
    harness::{Daemon, Lab, WAIT, finish, free_address},
    upstream::{Options, Upstream},
};

/// The identity of every tagged run.
pub(crate) const IDENTITY: &str = "research-agent";
/// An identity that only some may take on.
pub(crate) const LISTED: &str = "listed";

/// A host that a policy lets agents read from.
pub(crate) const FILES: &str = "files.example.test";

/// A host that no service lists.
pub(crate) const FORBIDDEN: &str = "paste.example.test";

/// Each client of the table of trust calls a name of its own below this.
pub(crate) const TRUST: &str = "trust.test";

/// The name of a server that a test starts itself.
pub(crate) const ECHO: &str = "echo.example.test";

/// Fields are dropped in this order: the daemon ends before what it runs in.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) upstream: Upstream,
    pub(crate) lab: Lab,
    /// Where [`ECHO`] leads.
    pub(crate) echo: SocketAddr,
}

impl World {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Self::run_by("", Daemon::start)
    }

    /// With more configuration and a daemon that is started in a way of its own.
    pub(crate) fn run_by(
        configuration: &str,
        start: impl FnOnce(&Lab) -> anyhow::Result<Daemon>,
    ) -> anyhow::Result<Self> {
        Self::built(&[], configuration, start)
    }

    /// With more names, of which those under [`TRUST`] belong to one service that may be used as one likes, and more configuration.
    pub(crate) fn with(more: &[&str], configuration: &str) -> anyhow::Result<Self> {
        Self::built(more, configuration, Daemon::start)
    }

    /// With all of that.
    pub(crate) fn built(
        more: &[&str],
        configuration: &str,
        start: impl FnOnce(&Lab) -> anyhow::Result<Daemon>,
    ) -> anyhow::Result<Self> {
        let tls = free_address(443)?;
        let echo = free_address(443)?;
        let names = [
            "api.openai.com",
            "acme.openai.azure.com",
            "api.anthropic.com",
            "generativelanguage.googleapis.com",
            "aiplatform.googleapis.com",
            "ollama.com",
            "api.cohere.com",
            "api.mistral.ai",
            "api.groq.com",
            "openrouter.ai",
            "bedrock-runtime.us-east-1.amazonaws.com",
            FILES,
            FORBIDDEN,
        ];
        let mut hosts = names.map(|name| (tls.ip(), name)).to_vec();
        hosts.push((echo.ip(), ECHO));
        hosts.extend(more.iter().map(|name| (tls.ip(), *name)));
        let lab = Lab::enter("tollgate-clients-", &hosts)?;
        let upstream = Upstream::start(&Options {
            tls: vec![tls],
            echo: vec![SocketAddr::new(tls.ip(), 0)],
            names: names
                .iter()
                .chain(more)
                .map(|name| (*name).to_owned())
                .collect(),
            ..Options::default()
        })?;
        let ca = lab.write("upstream-ca.pem", upstream.authority.pem())?;
        lab.write("policies/policies.cedar", include_str!("policies.cedar"))?;
        let service = |name: &str, host: &str| {
            format!("[[service]]\nname = {name:?}\nhosts = [{host:?}]\nca = {ca:?}\n\n")
        };
        lab.configure(&format!(
            "[[identity]]\nid = {IDENTITY:?}\ngroups = [\"agents\"]\n\n\
             [[identity]]\nid = {LISTED:?}\nlaunch = {{ users = [\"bin\"], cgroups = [\"/delegated\"] }}\n\n{}{configuration}",
            [
                service("openai", "api.openai.com"),
                service("azure-openai", "*.openai.azure.com"),
                service("anthropic", "api.anthropic.com"),
                service("gemini", "generativelanguage.googleapis.com"),
                service("vertex", "aiplatform.googleapis.com"),
                service("ollama", "ollama.com"),
                service("cohere", "api.cohere.com"),
                service("mistral", "api.mistral.ai"),
                service("groq", "api.groq.com"),
                service("openrouter", "openrouter.ai"),
                service("bedrock", "bedrock-runtime.us-east-1.amazonaws.com"),
                service("files", FILES),
                service("echo", ECHO),
                service("trust", &format!("*.{TRUST}")),
            ]
            .concat(),
        ))?;
        Ok(Self {
            daemon: start(&lab)?,
            upstream,
            lab,
            echo,
        })
    }

    /// Starts a daemon again where one has died.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.daemon = Daemon::start(&self.lab)?;
        Ok(())
    }

    /// Makes calls with a script, under Tollgate.
    pub(crate) fn tagged(&self, script: &Script, calls: &[Value]) -> anyhow::Result<Vec<Value>> {
        script.run(self.daemon.tagged(IDENTITY, &script.program), calls)
    }

    /// Makes the same calls without Tollgate: the control run.
    pub(crate) fn untagged(&self, script: &Script, calls: &[Value]) -> anyhow::Result<Vec<Value>> {
        script.run(self.daemon.untagged(&script.program), calls)
    }
}

/// A program that answers each line of its input with a line, so that what it meets can change between two questions.
pub(crate) struct Conversation {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self {
            child,
            input,
            output,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ask(&mut self) -> anyhow::Result<String> {
        writeln!(self.input, "go")?;
        Ok(self.output.next().context("the program ended")??)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of the suite at [`ECHO`]; it ends with this.
pub(crate) struct Server(Child);

impl Server {
    /// Starts a script, which gets an address, a certificate and its key, and says `ready` when it listens.
    pub(crate) fn start(world: &World, script: &str) -> anyhow::Result<Self> {
        let (certificate, key) = world.upstream.authority.certificate(&[ECHO.to_owned()])?;
        let certificate = world.lab.write("echo.pem", &certificate.pem())?;
        let key = world.lab.write("echo.key", &key.serialize_pem())?;
        let mut child = Command::new(python()?)
            .arg(clients(script))
            .arg(world.echo.to_string())
            .args([certificate, key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let mut ready = String::new();
        let output = child.stdout.take().context("no output")?;
        let server = Self(child);
        BufReader::new(output).read_line(&mut ready)?;
        anyhow::ensure!(ready == "ready\n", "{script} did not start: {ready:?}");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that reads calls and prints what each returned.
pub(crate) struct Script {
    program: String,
    arguments: Vec<PathBuf>,
}

impl Script {
    /// The Python libraries.
    pub(crate) fn python() -> anyhow::Result<Self> {
        Ok(Self {
            program: python()?,
            arguments: vec![clients("call.py")],
        })
    }

    /// The Python libraries of Gemini, Ollama and Bedrock.
    pub(crate) fn families() -> anyhow::Result<Self> {
        let python = cache()?.join("clients-families/bin/python");
        Ok(Self {
            program: python.display().to_string(),
            arguments: vec![clients("call.py")],
        })
    }

    /// The libraries that send traces.
    pub(crate) fn traces() -> anyhow::Result<Self> {
        let mut script = Self::families()?;
        script.arguments = vec![clients("traces.py")];
        Ok(script)
    }

    /// The same with all calls under way at the same time.
    pub(crate) fn families_at_once() -> anyhow::Result<Self> {
        let mut script = Self::families()?;
        script.arguments.push("--at-once".into());
        Ok(script)
    }

    /// A script that looks names up, in Python.
    pub(crate) fn python_lookups() -> anyhow::Result<Self> {
        Ok(Self {
            program: python()?,
            arguments: vec![clients("lookup.py")],
        })
    }

    /// The same in Node.
    pub(crate) fn node_lookups() -> Self {
        Self {
            program: "node".to_owned(),
            arguments: vec![clients("lookup.mjs")],
        }
    }

    /// The Python libraries, with all calls under way at the same time.
    pub(crate) fn python_at_once() -> anyhow::Result<Self> {
        let mut script = Self::python()?;
        script.arguments.push("--at-once".into());
        Ok(script)
    }

    /// Node's fetch and the libraries from npm.
    pub(crate) fn node() -> anyhow::Result<Self> {
        Ok(Self {
            program: "node".to_owned(),
            arguments: vec![clients("call.mjs"), cache()?.join("node")],
        })
    }

    /// What runs the script.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    fn run(&self, mut command: Command, calls: &[Value]) -> anyhow::Result<Vec<Value>> {
        command.args(&self.arguments);
        // The key that an agent would hold; nothing else tells it about Tollgate.
        command
            .env("OPENAI_API_KEY", "agent-key")
            .env("ANTHROPIC_API_KEY", "agent-key")
            .env("GOOGLE_API_KEY", "agent-key")
            .env("OLLAMA_API_KEY", "agent-key")
            .env("GROQ_API_KEY", "agent-key")
            .env("AWS_BEARER_TOKEN_BEDROCK", "agent-key")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // botocore names itself with a set, whose order is else another in each run.
            .env("PYTHONHASHSEED", "0");
        let printed = finish(&command, &serde_json::to_string(calls)?, WAIT)?.success()?;
        let results: Vec<Value> = printed
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .context(printed.clone())?;
        anyhow::ensure!(
            results.len() == calls.len(),
            "{} results for {} calls:\n{printed}",
            results.len(),
            calls.len()
        );
        Ok(results)
    }
}

/// The interpreter of the environment that `cargo xtask setup` makes.
pub(crate) fn python() -> anyhow::Result<String> {
    Ok(cache()?.join("clients/bin/python").display().to_string())
}

/// Where `cargo xtask setup` installs the clients.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    std::env::var_os("TOLLGATE_CACHE")
        .map(PathBuf::from)
        .context("TOLLGATE_CACHE is not set: run this through `cargo xtask test clients`")
}

/// A field as text, empty if it is not one.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A script of the suite.
pub(crate) fn clients(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(file)
}
