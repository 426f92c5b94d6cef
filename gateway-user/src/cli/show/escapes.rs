//! The doctor's evidence: what the host is, a line for each way around, and the sum.

use std::fmt::Write;

use super::table::table;
use super::{Paint, line};
use crate::app::doctor::escapes::{Report, Row, Verdict};

/// The whole report.
pub(crate) fn escapes(report: &Report, paint: Paint) -> String {
    let head = &report.head;
    let mut text = String::new();
    for (what, value) in [
        ("host", &head.host),
        ("kernel", &head.kernel),
        ("tollgate", &head.version),
        ("date", &head.date),
        ("object", &head.object),
        ("policies", &head.policies),
        ("level", &head.level),
    ] {
        let _ = writeln!(text, "{what:9} {}", line(value));
    }
    text.push('\n');
    let columns = ["WAY", "CONTROL", "GOVERNED", "MS", "VERDICT", "BY"];
    let rows: Vec<[String; 6]> = report.rows.iter().map(row).collect();
    text.push_str(&table(columns, &rows, paint));
    let count = |verdict| {
        let those = report.rows.iter().filter(|row| row.verdict == verdict);
        those.count()
    };
    let _ = writeln!(
        text,
        "{} closed, {} not closed at this level, {} permitted by policy, {} not possible on this host, {} escaped",
        count(Verdict::Closed),
        count(Verdict::Open),
        count(Verdict::Permitted),
        count(Verdict::Absent),
        count(Verdict::Escaped),
    );
    text
}

fn row(row: &Row) -> [String; 6] {
    let verdict = match row.verdict {
        Verdict::Closed => "closed",
        Verdict::Escaped => "ESCAPED",
        Verdict::Open => "not closed",
        Verdict::Permitted => "permitted",
        Verdict::Absent => "not possible",
    };
    [
        row.way.to_owned(),
        line(&row.control),
        line(&row.governed),
        row.ms.to_string(),
        verdict.to_owned(),
        row.by.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::escapes::Head;

    #[test]
    fn an_escape_stands_out() {
        let text = |text: &str| text.to_owned();
        let report = Report {
            head: Head {
                host: text("h"),
                kernel: text("6.1"),
                version: text("0.1.0"),
                date: text("today"),
                object: text("ab"),
                policies: text("cd"),
                level: text("hooks"),
            },
            rows: vec![Row {
                name: "tcp-v4",
                way: "TCP",
                control: text("arrived"),
                governed: text("arrived"),
                ms: 3,
                verdict: Verdict::Escaped,
                by: "connect4",
            }],
        };
        let shown = escapes(&report, Paint::Plain);
        assert!(shown.contains("kernel    6.1\n"), "{shown}");
        assert!(
            shown.contains("TCP  arrived  arrived   3   ESCAPED  connect4\n"),
            "{shown}"
        );
        assert!(shown.ends_with("1 escaped\n"), "{shown}");
    }
}
