//! Servers of a workload, and who reaches them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tests::harness::patience;

use crate::world::{Cgroup, IDENTITY, World};

/// A process that serves as it is told, one command a line.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn at(cgroup: &Cgroup, port: u16) -> anyhow::Result<Self> {
        let mut child = cgroup
            .command(env!("CARGO_BIN_EXE_kernel-agent"))
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut server = Self {
            child,
            input,
            output,
        };
        server.does(&format!("bind tcp 0.0.0.0:{port}"))?;
        server.does("listen")?;
        Ok(server)
    }

    fn does(&mut self, command: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{command}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        let rest = answer.trim_end().strip_prefix("ok");
        Ok(rest
            .with_context(|| format!("{command}: {answer}"))?
            .trim()
            .to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Somebody else on the host, or no answer in time for a second try of the kernel.
fn visit(port: u16) -> std::io::Result<TcpStream> {
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    #[expect(clippy::disallowed_methods, reason = "an untagged client")]
    let stream = TcpStream::connect_timeout(&to, patience(Duration::from_millis(1500)))?;
    stream.set_read_timeout(Some(patience(Duration::from_secs(2))))?;
    Ok(stream)
}

fn eventually<T>(
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        if started.elapsed() > patience(Duration::from_secs(20)) {
            bail!("waited for {what}");
        }
    }
}

fn inbound(sessions: Vec<Value>) -> Vec<Value> {
    let mut sessions = sessions;
    sessions.retain(|session| session["direction"] == "inbound");
    sessions
}

#[test]
fn servers_are_reached_where_policy_permits_it() -> anyhow::Result<()> {
    // The control: without Tollgate a server on every address is reached by everybody.
    let world = World::new()?;
    let mut control = Server::at(&world.free, 8100)?;
    drop(visit(8100)?);
    control.does("accept")?;
    drop(control);

    let permit = "@id(\"serve\") permit (principal, action == Action::\"net.listen\", resource == Service::\"*:8100\") when { context.port == 8100 };";
    world.lab.write("policies/listen.cedar", permit)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let folder = world.governed.path().to_str().context("a path")?;
    // The servers run as root.
    let accept = "--accept-uncontained";
    let tag = ["tag", "--as", IDENTITY, "--cgroup", folder, accept];
    let mut served = Server::at(&world.governed, 8100)?;
    let mut closed = Server::at(&world.governed, 8101)?;
    // Not declared: not answered, whatever policy says.
    visit(8100).expect_err("a server was reached that nobody declared");

    let declared = [&tag[..], &["--listen", "8100", "--listen", "8101"]].concat();
    world.daemon.run(&declared)?.success()?;
    visit(8101).expect_err("a server was reached that policy does not permit");
    let mut visitor = visit(8100)?;
    served.does("accept")?;
    visitor.write_all(b"hello")?;
    ensure!(served.does("receive")? == "hello");
    served.does("send world")?;
    let mut answer = [0; 5];
    visitor.read_exact(&mut answer)?;
    ensure!(&answer == b"world");

    let flow = eventually("the flow", || {
        let flows = world.daemon.run(&["flows", "--json"])?.success()?;
        let flows = flows.lines().map(serde_json::from_str::<Value>);
        Ok(flows.flatten().find(|flow| flow["direction"] == "inbound"))
    })?;
    ensure!(
        flow["origin"] == visitor.local_addr()?.to_string(),
        "{flow:#}"
    );
    let status = world.daemon.run(&["status", "--json"])?.success()?;
    let status: Value = serde_json::from_str(&status)?;
    let listen = &status["workloads"][0]["listen"];
    ensure!(
        listen[0]["endpoint"] == "*:8100" && listen[0]["answered"] == true,
        "{listen:#}"
    );
    ensure!(listen[1]["answered"] == false, "{listen:#}");

    drop(visitor);
    ensure!(served.does("receive")?.is_empty());
    served.does("close")?;
    let session = eventually("its end", || {
        let mut sessions = inbound(world.daemon.sessions()?);
        sessions.retain(|session| !session["ended"].is_null());
        Ok(sessions.pop())
    })?;
    let exchange = &session["exchanges"][0];
    ensure!(
        exchange["action"] == "net.listen"
            && exchange["protocol"] == "tcp"
            && exchange["service"] == "*:8100"
            && exchange["decision"] == "permit"
            && exchange["policies"][0] == "serve"
            && exchange["outcome"] == "completed",
        "{session:#}"
    );
    ensure!(
        session["process"]["pid"] == served.child.id(),
        "{session:#}"
    );
    ensure!(inbound(world.daemon.sessions()?).len() == 1);

    // Inside the workload it needs no permission, and leaves no trace.
    let mut inside = Server::at(&world.governed, 8102)?;
    closed.does("tcp 127.0.0.1:8102")?;
    inside.does("accept")?;
    ensure!(world.daemon.sessions()?.len() == 1);
    Ok(())
}

#[test]
fn a_flow_ends_when_policy_no_longer_permits_it() -> anyhow::Result<()> {
    let world = World::new()?;
    let permit = "@id(\"serve\") permit (principal, action == Action::\"net.listen\", resource);";
    world.lab.write("policies/listen.cedar", permit)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let folder = world.governed.path().to_str().context("a path")?;
    let tag = [
        "tag",
        "--as",
        IDENTITY,
        "--cgroup",
        folder,
        "--listen",
        "127.0.0.1:8103",
    ];
    world.daemon.run(&tag)?.success()?;
    let mut server = Server::at(&world.governed, 8103)?;
    let mut visitor = visit(8103)?;
    server.does("accept")?;
    server.does("send a")?;
    visitor.read_exact(&mut [0])?;

    world.lab.write("policies/listen.cedar", "")?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    let status = || -> anyhow::Result<Option<()>> {
        let status = world.daemon.run(&["status", "--json"])?.success()?;
        let status: Value = serde_json::from_str(&status)?;
        Ok((status["workloads"][0]["listen"][0]["answered"] == false).then_some(()))
    };
    eventually("the policies to bear on it", status)?;
    server.does("send secret")?;
    ensure!(visitor.read(&mut [0]).is_err(), "a byte got through");
    visit(8103).expect_err("it is still answered");
    Ok(())
}
