//! The table of trust: each client calls a name of its own, once without Tollgate, where it must refuse a CA that nobody gave it, and once under
//! `tollgate run`. The table of docs/trust.md is what comes of it. `TOLLGATE_WRITE_TABLE=1` writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tests::harness::WAIT;

use crate::{
    callers::{COMPILED_IN, Caller, callers},
    world::{IDENTITY, TRUST, World, text},
};

/// What a script says of one call.
#[derive(Deserialize)]
struct Said {
    client: String,
    version: String,
    error: Option<String>,
}

/// Those that do not trust the gateway, or whose TLS it does not open, with the reason, as the documentation tells it.
const REFUSING: &[(&str, &str)] = &[
    (
        "asyncpg-verify-full",
        "asks for TLS within its own protocol, which is not opened yet",
    ),
    (
        "psycopg-verify-full",
        "asks for TLS within its own protocol, which is not opened yet",
    ),
    (
        "reqwest-webpki-roots",
        "its roots are compiled in, and no variable adds to them",
    ),
    ("files-env-i-requests", EMPTIED),
    ("files-env-i-boto3", EMPTIED),
    ("files-env-i-grpcio", EMPTIED),
    (
        "files-env-i-node",
        "its environment was emptied, and its roots are compiled in",
    ),
    (
        "fdsubst-env-i-node",
        "its environment was emptied, and its roots are compiled in",
    ),
    (
        "files-explicit-certifi",
        "it names a bundle of its own, and its user can write the Python environment",
    ),
    (
        "files-zipapp",
        "its environment was emptied, and its bundle is unpacked when it runs",
    ),
    (
        "files-new-venv-pip",
        "its environment was emptied, and the Python environment is newer than the launch",
    ),
];

const EMPTIED: &str = "its environment was emptied, and its user can write the Python environment";

/// They are no HTTP: what they send after TLS is told by the ledger, not by the upstream.
const NOT_HTTP: &[&str] = &["pymongo", "redis", "asyncpg"];

impl Caller {
    /// What its rows are called.
    fn names(&self) -> Vec<String> {
        let named = |client: &&str| format!("{}{client}", self.prefix);
        self.clients.iter().map(named).collect()
    }

    /// Starts it with nothing of the suite's environment but what programs are found by.
    fn start(&self, world: &World, tagged: bool) -> anyhow::Result<Child> {
        let mut command = Command::new("timeout");
        command.arg(WAIT.as_secs().to_string());
        if tagged {
            command
                .arg(world.daemon.program())
                .args(["run", "--as", IDENTITY])
                .args(self.options)
                .arg("--");
        }
        command.args(&self.command).env_clear();
        if !self.prefix.is_empty() {
            command.arg(self.prefix).args(self.clients);
        }
        for name in ["PATH", "HOME"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        if tagged {
            command.env("TOLLGATE_SOCKET", world.daemon.socket());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let title = self.title;
        command
            .spawn()
            .with_context(|| format!("cannot start {title}"))
    }

    /// Waits for it and reads what it said of each of its clients.
    fn rows(&self, child: Child) -> anyhow::Result<Vec<Said>> {
        let told = child.wait_with_output()?;
        let printed = String::from_utf8_lossy(&told.stdout);
        let rows: Vec<Said> = printed
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{}: {printed}", self.title))?;
        let said: Vec<&str> = rows.iter().map(|row| &*row.client).collect();
        ensure!(
            said == self.names(),
            "{}: {} {said:?}",
            self.title,
            told.status
        );
        Ok(rows)
    }
}

/// All at the same time: they wait for each other's CPU as it is.
fn run(callers: &[Caller], world: &World, tagged: bool) -> anyhow::Result<Vec<Vec<Said>>> {
    let children = callers
        .iter()
        .map(|caller| caller.start(world, tagged))
        .collect::<Result<Vec<_>, _>>()?;
    let waited = callers.iter().zip(children);
    waited.map(|(caller, child)| caller.rows(child)).collect()
}

/// The clients by whose own name something came.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let suffix = format!(".{TRUST}");
    names
        .filter_map(|name| name.strip_suffix(&suffix))
        .map(str::to_owned)
        .collect()
}

fn bare(client: &str) -> &str {
    ["py-", "more-", "old-"]
        .iter()
        .find_map(|prefix| client.strip_prefix(prefix))
        .unwrap_or(client)
}

#[test]
fn every_client_of_the_table_trusts_the_gateway_or_is_told_why_not() -> anyhow::Result<()> {
    let callers = callers()?;
    let names: Vec<String> = callers.iter().flat_map(Caller::names).collect();
    let hosts: Vec<String> = names.iter().map(|name| format!("{name}.{TRUST}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let world = World::with(&hosts, "")?;

    let control = run(&callers, &world, false)?;
    for row in control.iter().flatten() {
        ensure!(row.error.is_some(), "{} verifies nothing", row.client);
    }
    ensure!(world.upstream.take().is_empty(), "the control run");

    let told = run(&callers, &world, true)?;
    let received = world.upstream.take();
    let arrived = named(received.iter().filter_map(|request| request.sni.as_deref()));
    let exchanges = world.daemon.exchanges()?;
    let of = |given_up: bool| {
        let of = exchanges.iter();
        let of = of.filter(move |exchange| (exchange["protocol"] == "tls") == given_up);
        named(of.map(|exchange| text(exchange, "name")))
    };
    let (recorded, given_up) = (of(false), of(true));
    let refusing: BTreeMap<&str, &str> = REFUSING.iter().copied().collect();
    let mut wrong = Vec::new();
    for row in told.iter().flatten() {
        let name = bare(&row.client);
        let trusts = recorded.contains(&row.client)
            && (NOT_HTTP.contains(&name) || arrived.contains(&row.client));
        // Who gets as far as TLS and refuses is on record with what it said.
        let told = name.ends_with("verify-full") || given_up.contains(&row.client) != trusts;
        if trusts == refusing.contains_key(name) || !told {
            let error = row.error.as_deref().unwrap_or("no error");
            wrong.push(format!(
                "{} {}: trusts: {trusts}; {error}",
                row.client, row.version
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.join("\n"),
        world.daemon.log()
    );
    let status = world.daemon.run(&["trust", "status", "--json"])?;
    let status = status.success()?;
    let compiled_in = status.lines().find(|row| row.contains(COMPILED_IN));
    let reason = "the client distrusts our CA (alert unknown_ca); its roots are compiled in, and no variable is known that adds to them";
    ensure!(
        compiled_in.is_some_and(|row| row.contains(reason) && row.contains("tls.splice")),
        "{status}"
    );
    documented(&table(&callers, &told, &refusing))
}

/// A line for each caller, with what trusts and what does not.
fn table(callers: &[Caller], told: &[Vec<Said>], refusing: &BTreeMap<&str, &str>) -> String {
    let mut lines = vec![
        "| Client | Version | Trusts the gateway |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for (caller, rows) in callers.iter().zip(told) {
        for row in rows {
            let name = row
                .client
                .strip_prefix(caller.prefix)
                .unwrap_or(&row.client);
            let result = refusing
                .get(bare(&row.client))
                .map_or("yes".to_owned(), |reason| format!("no: {reason}"));
            lines.push(format!(
                "| {}: {name} | {} | {result} |",
                caller.title, row.version
            ));
        }
    }
    lines.join("\n")
}

/// The table of the documentation, but for the versions that the machine brings.
fn documented(table: &str) -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trust.md");
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page
        .split_once(BEGIN)
        .context("no table in docs/trust.md")?;
    let (written, after) = rest.split_once(END).context("no end of the table")?;
    if std::env::var_os("TOLLGATE_WRITE_TABLE").is_some() {
        return Ok(fs::write(
            &path,
            format!("{before}{BEGIN}\n{table}\n{END}{after}"),
        )?);
    }
    let unversioned = |table: &str| -> Vec<String> {
        let columns = |line: &str| {
            let mut columns: Vec<&str> = line.trim().split(" | ").collect();
            if columns.len() == 3 {
                columns.remove(1);
            }
            columns.join(" | ")
        };
        table.trim().lines().map(columns).collect()
    };
    ensure!(
        unversioned(written) == unversioned(table),
        "docs/trust.md is not what was found; TOLLGATE_WRITE_TABLE=1 writes it:\n{table}"
    );
    Ok(())
}

const BEGIN: &str = "<!-- written by the clients suite: begin -->";
const END: &str = "<!-- end -->";
