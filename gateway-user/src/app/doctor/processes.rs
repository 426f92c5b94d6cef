//! What the gateway's processes can do, against what they should be able to.

use serde_json::Value;

use super::{Finding, State};

/// A finding for each process that the daemon tells of.
pub(super) fn all(status: &Value) -> Vec<Finding> {
    let rows = status["processes"].as_array().into_iter().flatten();
    rows.map(one).collect()
}

fn one(row: &Value) -> Finding {
    let name = row["name"].as_str().unwrap_or_default();
    let capabilities = row["capabilities"].as_u64().unwrap_or(u64::MAX);
    let (uid, filtered) = (row["uid"].as_u64(), row["seccomp"] == true);
    let most = match name {
        "tollgate-proxy" => 0,
        "tollgate-keeper" => 1 << READ_FILES,
        _ => u64::MAX,
    };
    let check = format!("process {name}");
    let found = format!(
        "pid {}, uid {}, {}, {}",
        row["pid"],
        row["uid"],
        match capabilities.count_ones() {
            0 => "no capability".to_owned(),
            1 => "1 capability".to_owned(),
            count => format!("{count} capabilities"),
        },
        match filtered {
            true => "seccomp",
            false => "no seccomp",
        }
    );
    let privileged = name == "tollgate-proxy" && uid.is_none_or(|uid| uid == 0);
    if privileged || !filtered || capabilities & !most != 0 {
        let remedy = "it should have less: restart the daemon, and see its log";
        return Finding::new(check, State::Fail, found, remedy);
    }
    Finding::ok(check, found)
}

/// `CAP_DAC_READ_SEARCH`.
const READ_FILES: u32 = 2;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_process_with_more_than_it_needs_is_found() {
        let row = |name: &str, uid: u32, capabilities: u64, seccomp: bool| json!({"name": name, "pid": 7, "uid": uid, "capabilities": capabilities, "seccomp": seccomp});
        let rows = json!({"processes": [
            row("tollgate", 0, 0xff, true),
            row("tollgate-keeper", 0, 4, true),
            row("tollgate-proxy", 61_084, 0, true),
            row("tollgate-keeper", 0, 6, true),
            row("tollgate-proxy", 0, 0, true),
            row("tollgate-proxy", 61_084, 1, true),
            row("tollgate-proxy", 61_084, 0, false),
            json!({"name": "tollgate-proxy"}),
        ]});
        let found = all(&rows);
        assert_eq!(found[2].found, "pid 7, uid 61084, no capability, seccomp");
        for (index, finding) in found.iter().enumerate() {
            let wanted = if index < 3 { State::Ok } else { State::Fail };
            assert_eq!(finding.state, wanted, "{finding:?}");
        }
        assert!(all(&json!({})).is_empty());
    }
}
