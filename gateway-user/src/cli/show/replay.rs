//! One session as a readable transcript.

use std::fmt::Write;

use super::conversation::{self, Turn};
use super::{Paint, line, lines, moment};
use crate::record::{Direction, Exchange, Replay, Session, Text};

/// The session, each exchange with its decision and what was said, in the order in which it happened.
pub(crate) fn replay(replay: &Replay, paint: Paint) -> String {
    let session = &replay.session;
    let mut text = head(session, paint);
    for exchange in &session.exchanges {
        let asked_for = replay.focus == Some(exchange.id);
        text.push('\n');
        text.push_str(&facts(exchange, asked_for, paint));
        text.push_str(&said(exchange, paint));
    }
    text
}

fn head(session: &Session, paint: Paint) -> String {
    let process = &session.process;
    let argv: Vec<String> = process.argv.iter().map(|arg| line(arg)).collect();
    let destination = match &session.name {
        _ if session.direction == Direction::Inbound => format!("from {}", line(&session.origin)),
        Some(name) => format!("{} ({})", line(name), line(&session.origin)),
        None => line(&session.origin),
    };
    let tls = match (&session.sni, &session.alpn) {
        (None, None) => String::new(),
        (sni, alpn) => format!(
            ", TLS to {}, {}",
            line(sni.as_deref().unwrap_or("no name")),
            line(alpn.as_deref().unwrap_or("no ALPN"))
        ),
    };
    let ended = match session.ended {
        Some(ended) => format!("to {}", moment(ended)),
        None => "and still open".to_owned(),
    };
    let mut text = format!(
        "{} of {}\n",
        paint.bold(&format!("Session {}", session.id)),
        line(&session.identity)
    );
    field(
        &mut text,
        "workload",
        &format!(
            "{}, {}, contained {}",
            line(&session.workload),
            line(&session.mode),
            line(&session.containment)
        ),
    );
    field(
        &mut text,
        "process",
        &format!(
            "{}, pid {}, since {}: {}",
            line(&process.exe),
            process.pid,
            moment(process.start),
            argv.join(" ")
        ),
    );
    field(&mut text, "cgroup", &line(&process.cgroup));
    field(&mut text, "destination", &format!("{destination}{tls}"));
    field(
        &mut text,
        "time",
        &format!("from {} {ended}", moment(session.started)),
    );
    text
}

fn facts(exchange: &Exchange, asked_for: bool, paint: Paint) -> String {
    let mark = if asked_for {
        "  <- the id you gave"
    } else {
        ""
    };
    let mut text = format!(
        "{} at {}{mark}\n",
        paint.bold(&format!("Exchange {}", exchange.id)),
        moment(exchange.at)
    );
    field(&mut text, "action", &action(exchange));
    field(&mut text, "decision", &decision(exchange, paint));
    if !exchange.findings.is_empty() {
        let findings = exchange.findings.iter();
        let findings: Vec<String> = findings
            .map(|f| format!("{} {} ({})", f.count, line(&f.detector), line(&f.class)))
            .collect();
        field(&mut text, "findings", &findings.join(", "));
    }
    if let Some(approval) = &exchange.approval {
        let mut told = approval.state.to_string();
        if let Some(by) = &approval.by {
            let _ = write!(told, " by {}", line(by));
        }
        if let Some(at) = approval.at {
            let _ = write!(told, " at {}", moment(at));
        }
        if let Some(reason) = &approval.reason {
            let _ = write!(told, ": {}", line(reason));
        }
        field(&mut text, "approval", &told);
    }
    field(&mut text, "outcome", &outcome(exchange));
    if let Some(reason) = &exchange.reason {
        field(&mut text, "reason", &line(reason));
    }
    text
}

fn action(exchange: &Exchange) -> String {
    let mut told = format!(
        "{} on {}, {}",
        line(&exchange.action),
        line(&exchange.service),
        line(&exchange.protocol)
    );
    if let (Some(method), Some(path)) = (&exchange.method, &exchange.path) {
        let _ = write!(told, ", {} {}", line(method), line(path));
    }
    if let Some(model) = &exchange.model {
        let _ = write!(told, ", model {}", line(model));
    }
    if exchange.stream == Some(true) {
        told.push_str(", stream");
    }
    told
}

fn decision(exchange: &Exchange, paint: Paint) -> String {
    let mut told = paint.decision(exchange.decision, exchange.decision.as_str());
    if let Some(would) = exchange.would {
        let _ = write!(told, " (observed; enforcing would {would})");
    }
    let list = |words: &[String]| {
        let words: Vec<String> = words.iter().map(|word| line(word)).collect();
        words.join(", ")
    };
    if !exchange.policies.is_empty() {
        let _ = write!(told, " by {}", list(&exchange.policies));
    }
    if !exchange.obligations.is_empty() {
        let _ = write!(told, ", with {}", list(&exchange.obligations));
    }
    let _ = write!(told, " (policies {})", line(&exchange.policy_version));
    told
}

fn outcome(exchange: &Exchange) -> String {
    let Some(outcome) = exchange.outcome else {
        return "still under way".to_owned();
    };
    let mut told = outcome.to_string();
    if let Some(status) = exchange.status {
        let _ = write!(told, ", status {status}");
    }
    if let Some(ms) = exchange.ms {
        let _ = write!(told, ", {ms} ms");
    }
    if let Some(usage) = exchange.usage {
        let known = |tokens: Option<u64>| tokens.map_or("?".to_owned(), |n| n.to_string());
        let _ = write!(
            told,
            ", {} tokens in, {} out",
            known(usage.input),
            known(usage.output)
        );
    }
    told
}

fn said(exchange: &Exchange, paint: Paint) -> String {
    let mut text = String::new();
    let mut side = |side: Option<&Text>, name: &str, turns: fn(&str) -> Option<Vec<Turn>>| {
        let Some(said) = side else { return };
        text.push('\n');
        match turns(&said.text) {
            Some(turns) => {
                for turn in turns {
                    block(&mut text, &turn.who, &turn.text, paint);
                }
            }
            None => block(&mut text, name, &said.text, paint),
        }
        if said.truncated {
            let cut = format!("cut: {} bytes were said, the beginning is kept", said.bytes);
            let _ = writeln!(text, "  {}", paint.dim(&cut));
        }
    };
    side(exchange.request.as_ref(), "request", conversation::request);
    side(
        exchange.response.as_ref(),
        "response",
        conversation::response,
    );
    text
}

fn block(text: &mut String, who: &str, said: &str, paint: Paint) {
    let _ = writeln!(text, "  {}", paint.bold(&line(who)));
    for said in lines(said.trim_end()).lines() {
        let _ = writeln!(text, "    {said}");
    }
}

fn field(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<12} {value}");
}
