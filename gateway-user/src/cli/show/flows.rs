//! Open sessions, as a table or as a line for each change.

use super::table::table;
use super::{Paint, left, line};
use crate::record::{Change, Event, Flow};

/// A table, one line a session, in the order given.
pub(crate) fn flows(flows: &[Flow], paint: Paint) -> String {
    if flows.is_empty() {
        return "No open sessions.\n".to_owned();
    }
    let rows: Vec<[String; 8]> = flows.iter().map(columns).collect();
    table(HEAD, &rows, paint)
}

/// What happened, in one line.
pub(crate) fn change(change: &Change, paint: Paint) -> String {
    let flow = &change.flow;
    let word = match change.event {
        Event::Open => paint.bold("open"),
        Event::Exchange => paint.bold("exchange"),
        Event::Closed => paint.dim("closed"),
    };
    let [
        id,
        age,
        identity,
        process,
        destination,
        protocol,
        exchanges,
        bytes,
    ] = columns(flow);
    format!(
        "{word}  {id}  {identity}  {process}  {destination}  {protocol}  {exchanges}  {bytes}  {age}\n"
    )
}

fn columns(flow: &Flow) -> [String; 8] {
    let program = flow.process.exe.rsplit('/').next().unwrap_or_default();
    let exchanges = match flow.under_way {
        0 => flow.exchanges.to_string(),
        under_way => format!("{} ({under_way} under way)", flow.exchanges),
    };
    [
        flow.id.to_string(),
        left(flow.ms),
        line(&flow.identity),
        format!("{} ({})", line(program), flow.process.pid),
        super::other_side(flow.direction, flow.name.as_deref(), &flow.origin),
        line(flow.protocol.as_deref().unwrap_or("-")),
        exchanges,
        format!("{} / {}", size(flow.bytes_in), size(flow.bytes_out)),
    ]
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                unit => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

const HEAD: [&str; 8] = [
    "ID",
    "AGE",
    "IDENTITY",
    "PROCESS",
    "DESTINATION",
    "PROTOCOL",
    "EXCHANGES",
    "IN / OUT",
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn flow() -> Flow {
        serde_json::from_value(json!({
            "id": "01JD7K0000000001", "started": "2026-11-20T11:39:28.000Z", "identity": "research-agent",
            "workload": "run:research-agent", "mode": "enforce",
            "process": {"pid": 4711, "start": "2026-11-20T11:00:00.000Z", "exe": "/usr/bin/py\u{1b}[2J", "argv": [], "cgroup": "/a"},
            "containment": "hooks", "origin": "127.0.0.2:443", "name": "api.openai.com", "protocol": "openai", "exchanges": 3,
            "under_way": 1, "bytes_in": 900, "bytes_out": 1_500_000, "ms": 65_000,
        }))
        .unwrap()
    }

    #[test]
    fn open_sessions_are_a_table_that_drives_no_terminal() {
        let mut idle = flow();
        idle.name = None;
        idle.protocol = None;
        (idle.exchanges, idle.under_way) = (0, 0);
        assert_eq!(
            flows(&[flow(), idle], Paint::Plain),
            "\
ID                AGE     IDENTITY        PROCESS             DESTINATION     PROTOCOL  EXCHANGES        IN / OUT
01JD7K0000000001  1m 05s  research-agent  py\\u{1b}[2J (4711)  api.openai.com  openai    3 (1 under way)  900 B / 1.4 MiB
01JD7K0000000001  1m 05s  research-agent  py\\u{1b}[2J (4711)  127.0.0.2:443   -         0                900 B / 1.4 MiB
"
        );
        assert_eq!(flows(&[], Paint::Plain), "No open sessions.\n");
    }

    #[test]
    fn a_change_is_a_line() {
        let change = super::change(
            &Change {
                event: Event::Closed,
                flow: flow(),
            },
            Paint::Plain,
        );
        assert!(
            change.starts_with("closed  01JD7K0000000001  research-agent"),
            "{change}"
        );
        assert_eq!(change.matches('\n').count(), 1);
    }
}
