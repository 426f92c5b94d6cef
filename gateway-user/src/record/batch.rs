//! Many steps in few statements: each row of a batch is written once, with everything that the batch says of it.
//!
//! Each statement takes its rows as one JSON array: what costs is the way to SQLite's thread and back, not the rows. An exchange that
//! opens and ends in one batch is one insert.

use std::collections::HashMap;

use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, query};

use super::id::Id;
use super::op::{json, number};
use super::step::{End, Step, Tls};
use super::surrogate::{self, Surrogate};
use super::time::Time;
use super::types::{Decided, ExchangeStart, Finding, Outcome, SessionStart};

/// The rows of a batch.
#[derive(Default)]
pub(super) struct Batch<'a> {
    sessions: Rows<Session<'a>>,
    exchanges: Rows<Exchange<'a>>,
    surrogates: Vec<&'a Surrogate>,
}

/// Rows in the order in which they came up.
struct Rows<T> {
    rows: Vec<T>,
    at: HashMap<Id, usize>,
}

#[derive(Serialize)]
struct Session<'a> {
    id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<Opened<&'a SessionStart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    ended: Option<i64>,
}

#[derive(Serialize)]
struct Exchange<'a> {
    id: Id,
    session: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<Opened<&'a ExchangeStart>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<&'a Decided>,
    reserved: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Ended<'a>>,
    #[serde(skip)]
    whole: Option<&'a End>,
}

#[derive(Serialize)]
struct Opened<T> {
    at: i64,
    start: T,
}

#[derive(Serialize)]
struct Ended<'a> {
    outcome: Outcome,
    status: Option<u16>,
    input: Option<i64>,
    output: Option<i64>,
    cost: Option<i64>,
    findings: &'a [Finding],
    reason: Option<&'a str>,
    ms: i64,
}

impl<'a> Batch<'a> {
    pub(super) fn add(&mut self, step: &'a Step) {
        match step {
            Step::SessionOpened(id, at, start) => {
                self.sessions.row(*id, Session::new).opened = Some(opened(*at, &**start));
            }
            Step::Tls(id, tls) => {
                let row = self.sessions.row(*id, Session::new);
                let known = row.tls.take().and_then(|known| known.name);
                let mut tls = tls.clone();
                tls.name = tls.name.or(known);
                row.tls = Some(tls);
            }
            Step::SessionEnded(id, at) => {
                let row = self.sessions.row(*id, Session::new);
                row.ended.get_or_insert(at.unix_ms());
            }
            Step::ExchangeOpened(id, session, at, start) => {
                let row = self.exchanges.row(*id, Exchange::new);
                row.session = Some(*session);
                row.opened = Some(opened(*at, &**start));
            }
            // An exchange that has ended keeps the decision and the outcome it ended with.
            Step::Decided(id, decided) => {
                let row = self.exchanges.row(*id, Exchange::new);
                if row.end.is_none() {
                    row.decided = Some(decided);
                }
            }
            Step::Reserved(id, cost) => {
                self.exchanges.row(*id, Exchange::new).reserved = Some(number(*cost));
            }
            Step::Surrogate(surrogate) => self.surrogates.push(surrogate),
            Step::ExchangeClosed(end) => {
                let row = self.exchanges.row(end.id, Exchange::new);
                if row.end.is_none() {
                    row.end = Some(ended(end));
                    row.whole = Some(end);
                }
            }
        }
    }

    /// Writes the rows inside the caller's transaction.
    pub(super) async fn apply(&self, db: &mut SqliteConnection) -> Result<(), Error> {
        let (opened, known) = self.sessions.split(|row| row.opened.is_some());
        execute(db, SESSION_OPENED, &opened).await?;
        execute(db, SESSION_CHANGED, &known).await?;
        let (opened, known) = self.exchanges.split(|row| row.opened.is_some());
        execute(db, EXCHANGE_OPENED, &opened).await?;
        execute(db, EXCHANGE_CHANGED, &known).await?;
        for end in self.exchanges.rows.iter().filter_map(|row| row.whole) {
            bodies(db, end).await?;
        }
        surrogate::keep(db, &self.surrogates).await
    }
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            at: HashMap::new(),
        }
    }
}

impl<T> Rows<T> {
    fn row(&mut self, id: Id, new: impl FnOnce(Id) -> T) -> &mut T {
        let at = *self.at.entry(id).or_insert_with(|| {
            self.rows.push(new(id));
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    fn split(&self, is: impl Fn(&T) -> bool) -> (Vec<&T>, Vec<&T>) {
        self.rows.iter().partition(|row| is(row))
    }
}

impl Session<'_> {
    fn new(id: Id) -> Self {
        Self {
            id,
            opened: None,
            tls: None,
            ended: None,
        }
    }
}

impl Exchange<'_> {
    fn new(id: Id) -> Self {
        Self {
            id,
            session: None,
            opened: None,
            decided: None,
            reserved: None,
            end: None,
            whole: None,
        }
    }
}

fn opened<T>(at: Time, start: T) -> Opened<T> {
    Opened {
        at: at.unix_ms(),
        start,
    }
}

fn ended(end: &End) -> Ended<'_> {
    let usage = end.closed.usage;
    Ended {
        outcome: end.closed.outcome,
        status: end.closed.status,
        input: usage.and_then(|usage| usage.input).map(number),
        output: usage.and_then(|usage| usage.output).map(number),
        cost: end.closed.cost.map(number),
        findings: &end.findings,
        reason: end.closed.reason.as_deref(),
        ms: number(end.ms),
    }
}

async fn execute(
    db: &mut SqliteConnection,
    statement: &'static str,
    rows: &[impl Serialize],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = json(&rows)?;
    query(statement).bind(rows).execute(db).await.map(drop)
}

async fn bodies(db: &mut SqliteConnection, end: &End) -> Result<(), Error> {
    for (side, body) in [("request", &end.request), ("response", &end.response)] {
        let Some(body) = body else { continue };
        query("INSERT INTO body (exchange, side, zstd, total, truncated) VALUES (?, ?, ?, ?, ?)")
            .bind(end.id.to_string())
            .bind(side)
            .bind(&body.zstd)
            .bind(number(body.total))
            .bind(body.truncated)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// `->` gives JSON text, as the columns of lists and objects hold it; `->>` gives a value.
const SESSION_OPENED: &str = "
    INSERT INTO session (id, started, ended, identity, workload, mode, process, containment, direction, origin, name, sni, alpn)
    SELECT value->>'id', value->>'$.opened.at', value->>'ended', value->>'$.opened.start.identity',
           value->>'$.opened.start.workload', value->>'$.opened.start.mode', value->'$.opened.start.process',
           value->>'$.opened.start.containment', COALESCE(value->>'$.opened.start.direction', 'outbound'),
           value->>'$.opened.start.origin',
           COALESCE(value->>'$.tls.name', value->>'$.opened.start.name'), value->>'$.tls.sni', value->>'$.tls.alpn'
    FROM json_each(?1)";

const SESSION_CHANGED: &str = "
    UPDATE session SET
        sni = iif(value->'tls' IS NULL, sni, value->>'$.tls.sni'),
        alpn = iif(value->'tls' IS NULL, alpn, value->>'$.tls.alpn'),
        name = COALESCE(value->>'$.tls.name', name),
        ended = COALESCE(ended, value->>'ended')
    FROM json_each(?1) WHERE session.id = value->>'id'";

const EXCHANGE_OPENED: &str = "
    INSERT INTO exchange (id, session, at, protocol, action, service, method, path, model, stream, decision, would,
                          policies, obligations, findings, reason, policy_version, query,
                          outcome, status, input, output, ms, reserved, cost)
    SELECT value->>'id', value->>'session', value->>'$.opened.at', value->>'$.opened.start.protocol',
           value->>'$.opened.start.action', value->>'$.opened.start.service', value->>'$.opened.start.method',
           value->>'$.opened.start.path', value->>'$.opened.start.model', value->>'$.opened.start.stream',
           COALESCE(value->>'$.decided.decision', value->>'$.opened.start.decision'), value->>'$.opened.start.would',
           COALESCE(value->'$.decided.policies', value->'$.opened.start.policies'),
           COALESCE(value->'$.decided.obligations', value->'$.opened.start.obligations'),
           COALESCE(value->'$.end.findings', value->'$.opened.start.findings'),
           COALESCE(value->>'$.end.reason',
                    iif(value->'decided' IS NULL, value->>'$.opened.start.reason', value->>'$.decided.reason')),
           value->>'$.opened.start.policy_version', value->'$.opened.start.query',
           value->>'$.end.outcome', value->>'$.end.status', value->>'$.end.input', value->>'$.end.output',
           value->>'$.end.ms', value->>'reserved', value->>'$.end.cost'
    FROM json_each(?1)";

const EXCHANGE_CHANGED: &str = "
    UPDATE exchange SET
        decision = COALESCE(value->>'$.decided.decision', decision),
        policies = COALESCE(value->'$.decided.policies', policies),
        obligations = COALESCE(value->'$.decided.obligations', obligations),
        findings = COALESCE(value->'$.end.findings', findings),
        reason = COALESCE(value->>'$.end.reason', iif(value->'decided' IS NULL, reason, value->>'$.decided.reason')),
        outcome = value->>'$.end.outcome', status = value->>'$.end.status', input = value->>'$.end.input',
        output = value->>'$.end.output', ms = value->>'$.end.ms',
        reserved = COALESCE(value->>'reserved', reserved), cost = value->>'$.end.cost'
    FROM json_each(?1) WHERE exchange.id = value->>'id' AND exchange.outcome IS NULL";
