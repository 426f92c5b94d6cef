//! What `tollgate trust status` tells of the bundles that processes have opened.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::identity;
use crate::trust::assess::{self, Seen};
use crate::trust::opened::{Bundle, holds_now};

/// What is known of a process that runs, if it is the same process and the same program.
pub(super) fn process<'a>(workload: &'a Value, pid: u32, exe: &str) -> Option<&'a Value> {
    let mut processes = workload["opened"]["processes"].as_array()?.iter();
    let start = identity::started(pid)?;
    processes.find(|row| row["pid"] == pid && row["start"] == start && row["exe"] == *exe)
}

/// What it was seen to open, with whether it has the CA that signs as the process sees it now.
pub(super) fn of(process: &Value, pid: u32, cas: &[(String, Option<String>)]) -> Vec<Seen> {
    let ca = cas.iter().find(|(_, from)| from.is_none());
    let bundles = process["bundles"].as_array().into_iter().flatten();
    let bundles = bundles.filter_map(|row| serde_json::from_value::<Bundle>(row.clone()).ok());
    let seen = bundles.map(|Bundle { path, held, .. }| Seen {
        holds: ca.is_some_and(|(pem, _)| holds_now(pid, &path, pem) == Some(true)),
        held,
        path,
    });
    seen.collect()
}

/// One of them.
pub(super) fn row(seen: &Seen) -> Value {
    json!({"path": seen.path, "held": seen.held, "holds": seen.holds})
}

/// Has its namespace been watched since before it began, all of it?
pub(super) fn from_its_beginning(workload: &Value, namespace: u64, pid: u32) -> bool {
    let watched = workload["opened"]["watched"].as_array();
    let mut watched = watched.into_iter().flatten();
    let since = watched.find(|row| row["namespace"] == namespace && row["all"] == true);
    let since = since.and_then(|row| row["since"].as_i64());
    since.is_some_and(|since| assess::began(pid).is_some_and(|began| since <= began + COARSE))
}

/// The bundle without the CA that a refusal on record names.
pub(super) fn told(reason: &str) -> Option<PathBuf> {
    let (path, others) = reason.split_once(SAID)?.1.rsplit_once(LACKED)?;
    matches!(others, "" | OTHERS).then(|| path.into())
}

/// To about so many milliseconds it is known when a process began; nobody reads roots in that time.
const COARSE: i64 = 30;
/// How the record names a bundle, and how it says that it lacked the CA.
pub(super) const SAID: &str = "; it opened ";
const LACKED: &str = ", which did not have the CA";
/// And that it was not the only one.
const OTHERS: &str = ", and others that had it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_names_the_bundle() {
        let lacked = "the client distrusts our CA (alert unknown_ca); it opened /a b.pem, which did not have the CA";
        assert_eq!(told(lacked), Some("/a b.pem".into()));
        let several = format!("{lacked}, and others that had it");
        assert_eq!(told(&several), Some("/a b.pem".into()));
        assert_eq!(told("; it opened /a.pem, which had the CA"), None);
        assert_eq!(told("the client distrusts our CA"), None);
    }
}
