//! What processes will make of a workload's CA, told before they are governed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::super::Failure;
use super::super::daemon::typed;
use super::status::{SESSIONS, running, table};
use crate::control::{Request, call};
use crate::record::Session;
use crate::trust::{adopt, assess};

/// A row for each process of a tag that is yet to be: what was seen of one that is governed already, else what is to be expected of it.
pub(in crate::cli) fn prospect(socket: &Path, answer: &Value) -> Result<Vec<Value>, Failure> {
    let processes = answer["processes"].as_array().into_iter().flatten();
    let processes = processes.filter_map(|pid| u32::try_from(pid.as_u64()?).ok());
    let coming: BTreeSet<u32> = processes.collect();
    let whom = answer["workload"].as_str().unwrap_or_default();
    let status = call(socket, &Request::Status)?.pop().unwrap_or_default();
    let mut workloads = status["workloads"].as_array().into_iter().flatten();
    let mut rows = Vec::new();
    if let Some(workload) = workloads.find(|workload| workload["name"] == answer["workload"]) {
        let sessions: Vec<Session> = typed(call(socket, &Request::Sessions { limit: SESSIONS })?)?;
        rows = running(workload, &sessions);
    }
    let pid = |row: &Value| u32::try_from(row["pid"].as_u64()?).ok();
    let known: BTreeSet<u32> = rows.iter().filter_map(pid).collect();
    let members: BTreeSet<u32> = coming.union(&known).copied().collect();
    for (namespace, pids) in adopt::namespaces(coming.difference(&known).copied()) {
        let first = pids.first().copied();
        let reason = adopt::shared(namespace, &members, whom);
        let reason = reason.or_else(|| first.and_then(adopt::lacking));
        let looked = pids.into_iter().filter_map(|pid| {
            let facts = assess::look(pid, &[])?;
            let exe = facts.exe.display().to_string();
            let verdict = assess::expect(facts, reason.clone());
            Some(json!({
                "workload": answer["workload"],
                "pid": pid,
                "exe": exe,
                "standing": verdict.standing,
                "reason": verdict.reason,
                "remedy": verdict.remedy,
            }))
        });
        rows.extend(looked);
    }
    rows.sort_by_key(|row| row["pid"].as_u64());
    Ok(rows)
}

/// The same as a table, with what it comes to.
pub(in crate::cli) fn prospect_text(rows: &[Value]) -> String {
    let fine = |row: &&Value| matches!(row["standing"].as_str(), Some("trusts" | "effective"));
    let lacking = rows.len() - rows.iter().filter(fine).count();
    let outcome = match lacking {
        0 => "all of them will trust its CA".to_owned(),
        _ => format!(
            "{lacking} of {} will refuse the gateway until that is done; after a change, look again with `tollgate trust status`",
            rows.len()
        ),
    };
    format!("{}{outcome}\n\n", table(rows))
}
