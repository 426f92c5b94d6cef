//! What `tollgate trust status` tells of the bundles that processes have opened.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::trust::assess::{self, Seen};
use crate::trust::opened::{Bundle, holds_now};

/// What a process that runs was seen to open, with whether it has the CA that signs as the process sees it now.
pub(super) fn of(
    workload: &Value,
    pid: u32,
    exe: &str,
    cas: &[(String, Option<String>)],
) -> Vec<Seen> {
    let ca = cas.iter().find(|(_, from)| from.is_none());
    let processes = workload["opened"]["processes"].as_array();
    let own = processes.into_iter().flatten();
    let own = own.filter(|row| row["pid"] == pid && row["exe"] == *exe);
    let bundles = own.flat_map(|row| row["bundles"].as_array().into_iter().flatten());
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

/// Has its namespace been watched since before it began?
pub(super) fn from_its_beginning(workload: &Value, namespace: u64, pid: u32) -> bool {
    let watched = workload["opened"]["watched"].as_array();
    let mut watched = watched.into_iter().flatten();
    let since = watched.find(|row| row["namespace"] == namespace);
    let since = since.and_then(|row| row["since"].as_i64());
    since.is_some_and(|since| assess::began(pid).is_some_and(|began| since <= began + COARSE))
}

/// The bundle without the CA that a refusal on record names.
pub(super) fn told(reason: &str) -> Option<PathBuf> {
    let path = reason.split_once(SAID)?.1.strip_suffix(LACKED)?;
    Some(path.into())
}

/// To about so many milliseconds it is known when a process began; nobody reads roots in that time.
const COARSE: i64 = 30;
/// How the record names a bundle, and how it says that it lacked the CA.
pub(super) const SAID: &str = "; it opened ";
const LACKED: &str = ", which did not have the CA";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_names_the_bundle() {
        let lacked = "the client distrusts our CA (alert unknown_ca); it opened /a b.pem, which did not have the CA";
        assert_eq!(told(lacked), Some("/a b.pem".into()));
        assert_eq!(told("; it opened /a.pem, which had the CA"), None);
        assert_eq!(told("the client distrusts our CA"), None);
    }
}
