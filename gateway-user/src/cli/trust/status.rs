//! `tollgate trust status`: the CAs of each workload, and a row for each process.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::daemon::{paint, typed};
use super::super::{Common, Failure, out, show};
use super::{failure, opened};
use crate::control::{Request, call};
use crate::record::{Outcome, Session};
use crate::trust::{adopt, assess, is_first};

#[derive(Args)]
pub(crate) struct Status {
    /// Only this workload, as `tollgate status` calls it
    workload: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn status(common: &Common, flags: &Status) -> Result<ExitCode, Failure> {
    if !nix::unistd::Uid::effective().is_root() {
        return Err(failure(
            5,
            "other users' processes can only be looked at by root: try again with sudo",
        ));
    }
    let socket = common.socket()?;
    let status = call(&socket, &Request::Status)?.pop().unwrap_or_default();
    let sessions: Vec<Session> = typed(call(&socket, &Request::Sessions { limit: SESSIONS })?)?;
    let workloads = status["workloads"].as_array().cloned().unwrap_or_default();
    let wanted = |workload: &&Value| match &flags.workload {
        Some(name) => workload["name"] == **name,
        None => true,
    };
    let chosen: Vec<&Value> = workloads.iter().filter(wanted).collect();
    if let (Some(name), true) = (&flags.workload, chosen.is_empty()) {
        return Err(failure(
            9,
            format!("no workload {name:?}: `tollgate status` lists them"),
        ));
    }
    let cas: Vec<Value> = chosen
        .iter()
        .flat_map(|workload| authorities(workload))
        .collect();
    let rows: Vec<Value> = chosen
        .into_iter()
        .flat_map(|workload| rows(workload, &sessions))
        .collect();
    if flags.json {
        cas.iter().chain(&rows).try_for_each(out::line)?;
    } else {
        out::line(format_args!("{}\n{}", authority_table(&cas), table(&rows)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The CAs of a workload, the oldest first.
fn authorities(workload: &Value) -> Vec<Value> {
    let cas = workload["cas"].as_array().into_iter().flatten();
    let row = |ca: &Value| {
        json!({
            "workload": workload["name"],
            "ca": ca["hash"],
            "names": ca["names"],
            "signs": ca["signs"],
            "from": ca["from"],
            "until": ca["until"],
        })
    };
    cas.map(row).collect()
}

/// The CA that signs, and those that will, with when.
fn looked_for(workload: &Value) -> Vec<(String, Option<String>)> {
    let cas = workload["cas"].as_array().into_iter().flatten();
    cas.skip_while(|ca| ca["signs"] != true)
        .filter_map(|ca| {
            let from = (ca["signs"] != true).then(|| date(ca, "from"));
            Some((ca["pem"].as_str()?.to_owned(), from))
        })
        .collect()
}

/// To the second, which is what certificates have.
fn date(row: &Value, field: &str) -> String {
    let text = row[field].as_str().unwrap_or_default();
    text.replace(".000Z", "Z")
}

fn authority_table(cas: &[Value]) -> String {
    let cells: Vec<[String; 6]> = cas
        .iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            let signs = if row["signs"] == true { "yes" } else { "" };
            [
                text("workload"),
                text("ca"),
                signs.to_owned(),
                date(row, "from"),
                date(row, "until"),
                names(row),
            ]
        })
        .collect();
    show::table(
        ["WORKLOAD", "CA", "SIGNS", "FROM", "VALID UNTIL", "FOR"],
        &cells,
        paint(),
    )
}

/// What a CA may sign for.
fn names(row: &Value) -> String {
    let names = row["names"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    match names.is_empty() {
        true => "any".to_owned(),
        false => names.join(" "),
    }
}

fn rows(workload: &Value, sessions: &[Session]) -> Vec<Value> {
    let name = name(workload);
    let mut rows = running(workload, sessions);
    // Who ended before it could be looked at, and was refused.
    let seen: Vec<u64> = rows.iter().filter_map(|row| row["pid"].as_u64()).collect();
    let gone = sessions.iter().filter(|session| session.workload == name);
    let launched = is_launch(name);
    // A launch has the programs of the host at their paths; what a path leads to elsewhere is not known any more.
    let mut brings = HashMap::new();
    let gone = gone.filter(|session| !seen.contains(&session.process.pid.into()));
    // The last refusal of each process and name tells.
    let mut told = HashSet::new();
    let refused = gone.filter_map(|session| Some((session, refusal(session)?)));
    let of = |session: &Session| {
        let process = &session.process;
        (process.pid, process.exe.clone(), session.name.clone())
    };
    let mut last: Vec<_> = refused
        .rev()
        .filter(|(session, _)| told.insert(of(session)))
        .collect();
    last.reverse();
    for (session, reason) in last {
        let exe = &session.process.exe;
        let look = || launched.then(|| assess::compiled_in(Path::new(exe)))?;
        let bundle = opened::told(reason);
        let (more, remedy) = match (&bundle, *brings.entry(exe).or_insert_with(look)) {
            (Some(bundle), _) => (String::new(), assess::read_elsewhere(launched, bundle)),
            (None, Some((why, remedy))) => (format!("; {why}"), remedy),
            (None, None) => (String::new(), ""),
        };
        rows.push(json!({
            "workload": name,
            "pid": session.process.pid,
            "exe": exe,
            "standing": "ended",
            "certain": reason.contains(CERTAIN),
            "bundle": bundle,
            "name": session.name,
            "reason": format!("{reason}{more}"),
            "remedy": remedy,
        }));
    }
    rows
}

/// A row for each process that runs.
pub(super) fn running(workload: &Value, sessions: &[Session]) -> Vec<Value> {
    let cas = looked_for(workload);
    let left: HashMap<u64, &str> = workload["trust"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| Some((row["namespace"].as_u64()?, row["reason"].as_str()?)))
        .collect();
    let name = name(workload);
    let of: Vec<&Session> = sessions
        .iter()
        .filter(|session| session.workload == name)
        .collect();
    let folders = workload["cgroups"].as_array().into_iter().flatten();
    let folders = folders.filter_map(Value::as_str);
    folders
        .flat_map(|folder| adopt::members(Path::new(folder)))
        .filter_map(|pid| row(workload, pid, &cas, &left, &of))
        .collect()
}

fn row(
    workload: &Value,
    pid: u32,
    cas: &[(String, Option<String>)],
    left: &HashMap<u64, &str>,
    sessions: &[&Session],
) -> Option<Value> {
    let launched = is_launch(name(workload));
    // It connects to nothing.
    if launched && is_first(pid) {
        return None;
    }
    let mut facts = assess::look(pid, cas)?;
    let namespace = adopt::namespaces([pid]).into_keys().next();
    facts.left = namespace
        .and_then(|namespace| left.get(&namespace))
        .map(|reason| (*reason).to_owned());
    let exe = facts.exe.display().to_string();
    let own = sessions.iter().copied();
    let own = own.filter(|session| session.process.pid == pid && session.process.exe == exe);
    observe(&mut facts, own);
    facts.launched = launched;
    let process = opened::process(workload, pid, &exe);
    facts.watched = process.is_some_and(|of| of["whole"] == true)
        && namespace.is_some_and(|namespace| opened::from_its_beginning(workload, namespace, pid));
    facts.opened = process.map_or_else(Vec::new, |of| opened::of(of, pid, cas));
    let verdict = assess::assess(&facts);
    let certain = facts.refused.as_ref();
    let certain = certain.map(|reason| reason.contains(CERTAIN));
    Some(json!({
        "workload": name(workload),
        "pid": pid,
        "exe": exe,
        "standing": verdict.standing,
        "certain": certain.filter(|_| verdict.standing != assess::Standing::Trusts),
        "bundle": verdict.bundle,
        "opened": facts.opened.iter().map(opened::row).collect::<Vec<_>>(),
        "reason": verdict.reason,
        "remedy": verdict.remedy,
    }))
}

fn name(workload: &Value) -> &str {
    workload["name"].as_str().unwrap_or_default()
}

fn is_launch(workload: &str) -> bool {
    workload.starts_with("run:")
}

/// Adds what came of the handshakes of a process, oldest first.
fn observe<'a>(facts: &mut assess::Facts, sessions: impl Iterator<Item = &'a Session> + Clone) {
    let last = sessions
        .clone()
        .filter_map(|session| Some((session, refusal(session)?)))
        .last();
    let trusted = |session: &&Session| {
        let spoke = session
            .exchanges
            .iter()
            .any(|exchange| exchange.protocol != "tls");
        session.sni.is_some() && spoke
    };
    match last {
        Some((refused, reason)) => {
            let of_name = |session: &&Session| session.name == refused.name;
            let later = |session: &&Session| session.id > refused.id;
            facts.trusted = sessions
                .clone()
                .filter(trusted)
                .filter(of_name)
                .any(|session| later(&session));
            facts.elsewhere = sessions.filter(trusted).any(|session| !of_name(&session));
            let name = refused.name.as_deref().unwrap_or("an address");
            // What it has opened is told as it is now.
            let reason = reason.split(opened::SAID).next().unwrap_or(reason);
            facts.refused = Some(format!("{name}: {reason}"));
        }
        None => facts.trusted = sessions.filter(trusted).count() > 0,
    }
}

/// What the record says of a handshake that the client gave up.
fn refusal(session: &Session) -> Option<&str> {
    let last = session.exchanges.last()?;
    let given_up = last.protocol == "tls" && last.outcome == Some(Outcome::Failed);
    let reason = last.reason.as_deref().filter(|_| given_up)?;
    Some(reason.split(": see `").next().unwrap_or(reason))
}

pub(super) fn table(rows: &[Value]) -> String {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let reason = text(row, "reason");
            let remedy = text(row, "remedy");
            [
                text(row, "workload"),
                row["pid"].to_string(),
                text(row, "exe"),
                text(row, "standing"),
                if remedy.is_empty() {
                    reason
                } else {
                    format!("{reason}; {remedy}")
                },
            ]
        })
        .collect();
    show::table(
        ["WORKLOAD", "PID", "PROGRAM", "TRUST", "WHY, AND WHAT TO DO"],
        &cells,
        paint(),
    )
}

/// How a refusal begins that says why, which is that it does not know the CA.
const CERTAIN: &str = "distrusts our CA (alert unknown_ca";
/// As far back as one looks for what a process did.
pub(super) const SESSIONS: u32 = 5000;
