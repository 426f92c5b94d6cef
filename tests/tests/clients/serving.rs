//! Servers in launches: who on the host reaches them, and what is on record of it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde_json::Value;
use tests::harness::{Finished, WAIT, finish, free_address};

use crate::world::{Conversation, IDENTITY, World, python, text};

/// Serves at an address, and says so when it is asked.
const SERVER: &str = "
import http.server, sys, threading
class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('content-length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Hello)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    print('serving', flush=True)
";

fn curl(at: SocketAddr) -> anyhow::Result<Finished> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "10", &format!("http://{at}/")]);
    finish(&curl, "", WAIT)
}

/// A server on every address of its network namespace, launched with these options.
fn launched(world: &World, options: &[&str], port: u16) -> anyhow::Result<Conversation> {
    let arguments = [&["run", "--as", IDENTITY], options, &["--"]].concat();
    let mut command = world.daemon.tollgate(&arguments);
    command
        .arg(python()?)
        .args(["-c", SERVER, "0.0.0.0", &port.to_string()]);
    let mut server = Conversation::start(&mut command)?;
    ensure!(server.ask()? == "serving");
    Ok(server)
}

fn permit(world: &World, policy: &str) -> anyhow::Result<()> {
    world.lab.write("policies/listen.cedar", policy)?;
    world.daemon.run(&["policy", "reload"])?.success()?;
    Ok(())
}

fn eventually<T>(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(started.elapsed() < WAIT, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "somebody on the host connects")]
fn a_server_in_a_launch_is_reached_where_policy_permits_it() -> anyhow::Result<()> {
    let world = World::new()?;
    let at = free_address(8200)?;
    let endpoint = at.to_string();
    // The control: without Tollgate everybody on the host reaches it.
    let mut control = Command::new(python()?);
    control.args(["-c", SERVER, "0.0.0.0", "8200"]);
    let mut control = Conversation::start(&mut control)?;
    ensure!(control.ask()? == "serving");
    ensure!(curl(at)?.success()? == "hello");
    drop(control);

    // What nobody declared is not there, whatever policy says.
    permit(
        &world,
        "@id(\"serve\") permit (principal, action == Action::\"net.listen\", resource);",
    )?;
    let server = launched(&world, &[], 8200)?;
    ensure!(curl(at)?.status.code() == Some(COULD_NOT_CONNECT));
    drop(server);

    permit(&world, "")?;
    let _server = launched(&world, &["--listen", &endpoint], 8200)?;
    let refused = curl(at)?;
    ensure!(
        !refused.status.success() && refused.stdout.is_empty(),
        "policy does not permit it"
    );
    let others = || -> anyhow::Result<Vec<Value>> {
        let mut sessions = world.daemon.sessions()?;
        sessions.retain(|session| session["direction"] == "inbound");
        Ok(sessions)
    };
    ensure!(others()?.is_empty());

    permit(
        &world,
        "@id(\"serve\") permit (principal, action == Action::\"net.listen\", resource) when { context.port == 8200 };",
    )?;
    ensure!(curl(at)?.success()? == "hello");
    // What stays open is cut off when policy no longer permits it.
    let mut open = TcpStream::connect_timeout(&at, WAIT)?;
    let mut answer = [0; 4096];
    open.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
    ensure!(open.read(&mut answer)? > 0);
    let own = open.local_addr()?.to_string();
    let flow = eventually("the flow", || {
        let flows = world.daemon.run(&["flows", "--json"])?.success()?;
        let mut flows = flows
            .lines()
            .map(serde_json::from_str::<Value>)
            .filter_map(Result::ok);
        Ok(flows.find(|flow| flow["origin"] == own))
    })?;
    ensure!(
        flow["direction"] == "inbound" && flow["containment"] == "construction",
        "{flow:#}"
    );
    permit(&world, "")?;
    open.set_read_timeout(Some(WAIT))?;
    let cut = eventually("the end", || match open.read(&mut answer) {
        Ok(0) => anyhow::bail!("it ended as if nothing had happened"),
        Ok(_) => Ok(None),
        Err(error) => Ok(Some(error)),
    })?;
    ensure!(cut.kind() == std::io::ErrorKind::ConnectionReset, "{cut}");

    let session = eventually("its record", || {
        Ok(others()?
            .into_iter()
            .find(|session| session["origin"] == own && !session["ended"].is_null()))
    })?;
    let exchange = &session["exchanges"][0];
    ensure!(
        exchange["action"] == "net.listen"
            && exchange["decision"] == "permit"
            && exchange["policies"][0] == "serve"
            && exchange["service"] == endpoint,
        "{session:#}"
    );
    ensure!(
        text(&session["process"], "exe").contains("python"),
        "{session:#}"
    );
    Ok(())
}

#[test]
fn an_endpoint_of_a_launch_goes_with_it_and_is_nobody_elses() -> anyhow::Result<()> {
    let world = World::new()?;
    let at = free_address(8201)?;
    let endpoint = at.to_string();
    permit(
        &world,
        "@id(\"serve\") permit (principal, action == Action::\"net.listen\", resource);",
    )?;
    let taken = std::net::TcpListener::bind(at)?;
    let run = ["run", "--as", IDENTITY, "--listen", &endpoint, "--", "true"];
    let refused = world.daemon.run(&run)?;
    ensure!(refused.status.code() == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains(&endpoint), "{}", refused.stderr);
    drop(taken);

    // Launches of one identity share what they serve; it is served until the last one ends.
    let first = launched(&world, &["--listen", &endpoint], 8201)?;
    let second = launched(&world, &["--listen", &endpoint], 8201)?;
    for server in [first, second] {
        // One that is just ending may still take a connection, and resets it.
        eventually("an answer", || {
            let answer = curl(at)?;
            Ok((answer.status.success() && answer.stdout == "hello").then_some(()))
        })?;
        drop(server);
    }
    eventually("the endpoint to be free", || {
        Ok(std::net::TcpListener::bind(at).ok())
    })?;
    Ok(())
}

/// Of curl.
const COULD_NOT_CONNECT: i32 = 7;
