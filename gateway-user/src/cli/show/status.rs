//! What is governed, as `tollgate status` and `tollgate tag` say it.

use serde_json::Value;

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
    format!(
        "governed: {} as {}, {}{later}\nits clients have to trust {} (`tollgate run` does that by itself)\n",
        text(answer, "cgroup"),
        text(answer, "identity"),
        text(answer, "mode"),
        text(answer, "ca"),
    )
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
        }]});
        assert_eq!(
            workloads(&status),
            [
                "  unit:x.service as agent, enforce, containment: hooks, listener 127.1.1.1:15001",
                "    /a  configured, 1 process",
                "    /b  tagged by hand, not there now, governed as soon as it is",
                "    /c  tagged by hand, 2 processes, closed: its egress program is not attached",
            ]
        );
    }
}
