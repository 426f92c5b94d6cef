//! What is governed, as `tollgate status` and `tollgate tag` say it.

use serde_json::Value;

/// A line for each process of the gateway.
pub(crate) fn processes(status: &Value) -> Vec<String> {
    let line = |process: &Value| {
        let number = |key: &str| process.get(key).and_then(Value::as_u64).unwrap_or_default();
        format!(
            "  {}: pid {}, uid {}, capabilities {:#x}, seccomp {}, memory {} MiB",
            text(process, "name"),
            number("pid"),
            number("uid"),
            number("capabilities"),
            match process.get("seccomp").and_then(Value::as_bool) {
                Some(true) => "on",
                _ => "off",
            },
            number("resident") >> 20,
        )
    };
    items(status, "processes").map(line).collect()
}

/// A line for each workload, and one for each of its tags.
pub(crate) fn workloads(status: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for workload in items(status, "workloads") {
        lines.push(format!(
            "  {} as {}, {}, containment: {}, listener {}",
            text(workload, "name"),
            text(workload, "identity"),
            text(workload, "mode"),
            text(workload, "containment"),
            text(workload, "listener"),
        ));
        lines.extend(items(workload, "tags").map(tag));
        lines.extend(items(workload, "listen").map(offer));
        lines.extend(items(workload, "uncontained").map(gap));
        lines.extend(items(workload, "accepted").map(acceptance));
    }
    lines
}

fn offer(offer: &Value) -> String {
    let endpoint = text(offer, "endpoint");
    match offer.get("answered").and_then(Value::as_bool) {
        Some(true) => format!("    serves others at {endpoint}"),
        _ => format!(
            "    does not serve others at {endpoint}: {}",
            text(offer, "reason")
        ),
    }
}

/// What `tollgate tag` answers.
pub(crate) fn tagged(answer: &Value) -> String {
    let later = match answer.get("exists").and_then(Value::as_bool) {
        Some(false) => " (not there now; it is governed as soon as it is)",
        _ => "",
    };
    let mut told = format!(
        "governed: {} as {}, {}{later}\nits clients have to trust {} (`tollgate run` does that by itself)\n",
        text(answer, "cgroup"),
        text(answer, "identity"),
        text(answer, "mode"),
        text(answer, "ca"),
    );
    for found in items(answer, "uncontained") {
        told += &format!("{}\n", gap(found));
    }
    told
}

/// Something that hooks cannot judge.
fn gap(found: &Value) -> String {
    let word = match found.get("needs_acceptance").and_then(Value::as_bool) {
        Some(false) => "worth knowing",
        _ => "not contained",
    };
    let pid = found.get("pid").and_then(Value::as_u64).unwrap_or_default();
    let more = match found.get("processes").and_then(Value::as_u64) {
        None | Some(0 | 1) => String::new(),
        Some(number) => format!(", and in {} more", number - 1),
    };
    format!(
        "    {word}: {} (pid {pid}, {}{more}): {}",
        text(found, "what"),
        text(found, "exe"),
        text(found, "why"),
    )
}

fn acceptance(accepted: &Value) -> String {
    let (by, at) = (text(accepted, "by"), text(accepted, "at"));
    let path = text(accepted, "path");
    match accepted.get("found").and_then(Value::as_array) {
        Some(found) => format!(
            "    accepted for {path} by {by} at {at}: {} found",
            found.len()
        ),
        None => format!("    accepted for {path} by {by}"),
    }
}

fn tag(tag: &Value) -> String {
    let by = match text(tag, "by") {
        "configuration" => "configured",
        "hand" => "tagged by hand",
        _ => "for launches",
    };
    let processes = match tag.get("processes").and_then(Value::as_u64) {
        Some(1) => "1 process".to_owned(),
        number => format!("{} processes", number.unwrap_or_default()),
    };
    let state = match text(tag, "state") {
        "governed" => processes,
        "absent" => "not there now, governed as soon as it is".to_owned(),
        _ => format!("{processes}, closed: its egress program is not attached"),
    };
    format!("    {}  {by}, {state}", text(tag, "path"))
}

fn items<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Hooks that were detached, and programs of others beside them.
pub(in crate::cli) fn hooks(status: &Value) -> Vec<String> {
    let hooks = &status["hooks"];
    let restored = hooks["restored"].as_u64().unwrap_or_default();
    let mut lines = Vec::new();
    if restored > 0 {
        lines.push(format!(
            "  HOOKS WERE DETACHED BY SOMEBODY {restored} times and attached again: see the log"
        ));
    }
    for other in hooks["neighbours"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  a program of somebody else at {} of {}: {}, id {}",
            text(other, "hook"),
            text(other, "cgroup"),
            text(other, "name"),
            other["id"],
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_tag_says_by_what_rule_and_how_it_stands() {
        let tag = |path: &str, by: &str, state: &str, processes: u32| json!({"path": path, "by": by, "state": state, "processes": processes});
        let status = json!({"workloads": [{
            "name": "unit:x.service", "identity": "agent", "mode": "enforce", "containment": "hooks", "listener": "127.1.1.1:15001",
            "tags": [
                tag("/a", "configuration", "governed", 1),
                tag("/b", "hand", "absent", 0),
                tag("/c", "hand", "closed", 2),
            ],
            "uncontained": [
                {"what": "CAP_BPF", "pid": 7, "exe": "/bin/a", "processes": 3, "needs_acceptance": true, "why": "it can"},
                {"what": "an io_uring", "pid": 8, "exe": "/bin/b", "processes": 1, "needs_acceptance": false, "why": "threads"},
            ],
            "accepted": [{"path": "/b", "by": "uid 0", "at": "then", "found": ["CAP_BPF"]}, {"path": "/a", "by": "configuration"}],
        }]});
        assert_eq!(
            workloads(&status),
            [
                "  unit:x.service as agent, enforce, containment: hooks, listener 127.1.1.1:15001",
                "    /a  configured, 1 process",
                "    /b  tagged by hand, not there now, governed as soon as it is",
                "    /c  tagged by hand, 2 processes, closed: its egress program is not attached",
                "    not contained: CAP_BPF (pid 7, /bin/a, and in 2 more): it can",
                "    worth knowing: an io_uring (pid 8, /bin/b): threads",
                "    accepted for /b by uid 0 at then: 1 found",
                "    accepted for /a by configuration",
            ]
        );
    }
}
