//! What people see: sessions, transcripts and questions as text.
//!
//! In: the objects that `--json` prints. Out: a `String`; nothing here reads or writes. Whatever an agent or a server said
//! is shown without its control characters, so that a recorded text cannot drive the terminal of the person who reads it.

mod conversation;
mod escapes;
mod findings;
mod flows;
mod replay;
mod spending;
pub(crate) mod status;
mod table;

use std::fmt::Write;

pub(crate) use escapes::escapes;
pub(crate) use findings::findings;
pub(crate) use flows::{change, flows};
pub(crate) use replay::replay;
pub(crate) use spending::spending;
pub(super) use table::table;

use crate::approve::Waiting;
use crate::record::{Decision, Direction, Session, Time};

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// For files and pipes.
    Plain,
    /// For terminals.
    Colour,
}

/// A table, one line a session, in the order given.
pub(crate) fn sessions(sessions: &[Session], paint: Paint) -> String {
    if sessions.is_empty() {
        return "No sessions.\n".to_owned();
    }
    let head = [
        "ID",
        "STARTED",
        "IDENTITY",
        "PROCESS",
        "DESTINATION",
        "DECISIONS",
    ];
    let rows: Vec<[String; 6]> = sessions
        .iter()
        .map(|session| columns(session, paint))
        .collect();
    table(head, &rows, paint)
}

/// The open questions, with how to answer them.
pub(crate) fn approvals(waiting: &[Waiting], paint: Paint) -> String {
    if waiting.is_empty() {
        return "Nothing waits for approval.\n".to_owned();
    }
    let mut text = String::new();
    for question in waiting {
        let id = question.id.to_string();
        let _ = writeln!(
            text,
            "{}  {} wants {} on {}, {} left",
            paint.bold(&id),
            line(&question.identity),
            line(&question.action),
            line(&question.destination),
            left(question.left_ms),
        );
        let _ = writeln!(text, "  {}", line(&question.summary));
        for ask in &question.asks {
            let groups: Vec<String> = ask.approvers.iter().map(|group| line(group)).collect();
            let policy = line(&ask.policy);
            let _ = write!(text, "  policy {policy} asks {}", groups.join(" or "));
            if let Some(message) = &ask.message {
                let _ = write!(text, ": {}", line(message));
            }
            text.push('\n');
        }
        let held = match question.held {
            true => "The request is being held.",
            false => "No request is being held; the next identical one takes the answer.",
        };
        let _ = writeln!(text, "  {held}");
        let _ = writeln!(text, "  tollgate approve {id}");
        let _ = writeln!(text, "  tollgate deny {id}\n");
    }
    text.pop();
    text
}

fn columns(session: &Session, paint: Paint) -> [String; 6] {
    let program = session.process.exe.rsplit('/').next().unwrap_or_default();
    [
        session.id.to_string(),
        moment(session.started),
        line(&session.identity),
        format!("{} ({})", line(program), session.process.pid),
        other_side(session.direction, session.name.as_deref(), &session.origin),
        decisions(session, paint),
    ]
}

/// Where a connection goes, or where it came from.
fn other_side(direction: Direction, name: Option<&str>, origin: &str) -> String {
    match direction {
        Direction::Outbound => line(name.unwrap_or(origin)),
        Direction::Inbound => format!("from {}", line(origin)),
    }
}

fn decisions(session: &Session, paint: Paint) -> String {
    let count = |decision| {
        let all = session.exchanges.iter();
        all.filter(|exchange| exchange.decision == decision).count()
    };
    let mut parts: Vec<String> = [Decision::Permit, Decision::Ask, Decision::Deny]
        .into_iter()
        .map(|decision| (decision, count(decision)))
        .filter(|(_, count)| *count > 0)
        .map(|(decision, count)| paint.decision(decision, &format!("{count} {decision}")))
        .collect();
    if session.ended.is_none() {
        parts.push("open".to_owned());
    }
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}

impl Paint {
    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn decision(self, decision: Decision, text: &str) -> String {
        let colour = match decision {
            Decision::Permit => "32",
            Decision::Ask => "33",
            Decision::Deny => "31",
        };
        self.with(colour, text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Seconds are enough for people: `2026-11-20 11:39:28Z`.
fn moment(time: Time) -> String {
    let text = time.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    format!("{}Z", seconds.replace('T', " "))
}

/// A time span in two units.
pub(crate) fn left(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

/// Foreign text on one line.
fn line(text: &str) -> String {
    visible(text, |c| c == '\t')
}

/// Foreign text that may have lines.
fn lines(text: &str) -> String {
    visible(text, |c| c == '\t' || c == '\n')
}

fn visible(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match (c.is_control() && !keep(c)) || DIRECTING.iter().any(|range| range.contains(&c)) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Characters that show nothing and change how their neighbours look: zero-width, bidirectional, line and paragraph
/// separators, tags (Unicode category Cf and Zl, Zp as far as terminals act on them).
const DIRECTING: [std::ops::RangeInclusive<char>; 6] = [
    '\u{61c}'..='\u{61c}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{e0000}'..='\u{e007f}',
];

#[cfg(test)]
mod tests;
