//! The rows of the demo: what the agent does, what must come of it, and how that is judged and shown.

use serde_json::Value;
use tests::upstream::{LEAKED_CARD, LEAKED_EMAIL};

/// What must come of a task under Tollgate. Without Tollgate every task must succeed.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// The same answer as without Tollgate.
    Allowed,
    /// The library's own exception, for this reason; nothing reaches the upstream.
    Blocked(&'static str),
    /// The same answer with personal data replaced.
    Masked,
    /// The same answer, after a person approved it.
    Approved,
}

/// A task of `demo/agent.py`.
pub(super) struct Row {
    pub(super) task: &'static str,
    pub(super) title: &'static str,
    pub(super) expected: Expected,
}

pub(super) const ROWS: &[Row] = &[
    Row {
        task: "tool",
        title: "langchain-openai, gpt-5-mini, a tool",
        expected: Expected::Allowed,
    },
    Row {
        task: "stream",
        title: "langchain-anthropic, streamed, a tool",
        expected: Expected::Allowed,
    },
    Row {
        task: "model",
        title: "a model that is not allowed, gpt-5",
        expected: Expected::Blocked("no policy permits model \"gpt-5\""),
    },
    Row {
        task: "secret",
        title: "a cloud key in the prompt",
        expected: Expected::Blocked("policy \"no-secrets\" forbids it"),
    },
    Row {
        task: "host",
        title: "an upload to paste.example.test",
        expected: Expected::Blocked("no policy permits it"),
    },
    Row {
        task: "address",
        title: "raw TCP to an address",
        expected: Expected::Blocked("no policy permits it"),
    },
    Row {
        task: "record",
        title: "a customer record, streamed",
        expected: Expected::Masked,
    },
    Row {
        task: "payment",
        title: "a model with a payment tool",
        expected: Expected::Approved,
    },
];

/// What the agent printed for a task.
pub(super) struct Result {
    pub(super) ok: bool,
    pub(super) said: String,
}

impl Result {
    /// Reads a line of the agent.
    pub(super) fn read(line: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        Ok(Self {
            ok: value["ok"] == true,
            said: text(&value, "said").to_owned(),
        })
    }
}

/// A row with everything that is known about it.
pub(super) struct Judged {
    pub(super) as_expected: bool,
    verdict: &'static str,
    why: String,
}

/// Judges what came of a task: `exchanges` is what the ledger has of it, `received` how many requests reached the upstream.
pub(super) fn judge(
    row: &Row,
    tagged: &Result,
    untagged: &Result,
    exchanges: &[Value],
    received: usize,
) -> Judged {
    let all = |field: &str, value: &str| {
        !exchanges.is_empty() && exchanges.iter().all(|exchange| exchange[field] == value)
    };
    let same = tagged.ok && tagged.said == untagged.said;
    let (as_expected, verdict, why) = match row.expected {
        Expected::Allowed => {
            let fine = same && all("decision", "permit") && received == exchanges.len();
            (
                fine,
                "allowed",
                format!("{} calls: {}", exchanges.len(), tagged.said),
            )
        }
        Expected::Blocked(reason) => {
            let recorded = all("outcome", "refused")
                && exchanges.len() == 1
                && text(&exchanges[0], "reason").contains(reason);
            (
                !tagged.ok && received == 0 && recorded,
                "blocked",
                exception(tagged, exchanges),
            )
        }
        Expected::Masked => {
            let masked = untagged
                .said
                .replace(LEAKED_CARD, "[REDACTED:credit-card]")
                .replace(LEAKED_EMAIL, "[REDACTED:email]");
            (
                tagged.ok && tagged.said == masked && masked != untagged.said,
                "masked",
                tagged.said.clone(),
            )
        }
        Expected::Approved => {
            let approved = exchanges
                .iter()
                .all(|exchange| exchange["approval"]["state"] == "approved");
            (
                same && all("outcome", "completed") && approved,
                "approved",
                format!("it waited, then: {}", tagged.said),
            )
        }
    };
    Judged {
        as_expected: as_expected && untagged.ok,
        verdict,
        why,
    }
}

/// The table's head.
pub(super) fn head() -> String {
    format!(
        "\n     {:<38} {:<9} {:<8} why, or what the agent got\n{}",
        "what the agent does",
        "tagged",
        "untagged",
        "-".repeat(118)
    )
}

/// A row of the table; what was not expected is shown in full.
pub(super) fn line(row: &Row, judged: &Judged, tagged: &Result, untagged: &Result) -> String {
    let (mark, verdict) = if judged.as_expected {
        ("ok  ", judged.verdict)
    } else {
        ("FAIL", "")
    };
    let without = if untagged.ok { "answered" } else { "FAILED" };
    let mut line = format!(
        "{mark} {:<38} {verdict:<9} {without:<8} {}",
        row.title,
        shortened(&judged.why)
    );
    if !judged.as_expected {
        line += &format!(
            "\n       expected {}\n       tagged:   {}\n       untagged: {}",
            judged.verdict, tagged.said, untagged.said
        );
    }
    line
}

/// The row about the credential, which is no task of the agent.
pub(super) fn key(swapped: bool) -> String {
    let mark = if swapped { "ok  " } else { "FAIL" };
    let why = "the agent sends a placeholder; the gateway puts in the real key, which the agent never sees";
    format!(
        "{mark} {:<38} {:<9} {:<8} {why}",
        "the key that api.openai.com received", "real", "placeholder"
    )
}

/// The exception's name and the reason on record.
fn exception(tagged: &Result, exchanges: &[Value]) -> String {
    let name = tagged.said.split(':').next().unwrap_or_default();
    format!(
        "{name}: {}",
        exchanges
            .first()
            .map_or("not on record", |exchange| text(exchange, "reason"))
    )
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A table's cell is one line that fits.
fn shortened(text: &str) -> String {
    const WIDTH: usize = 90;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= WIDTH {
        return line;
    }
    line.chars().take(WIDTH - 3).chain("...".chars()).collect()
}
