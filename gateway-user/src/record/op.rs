//! The writes that the ledger knows, and their SQL. Each is safe to try again: an insert fails on its own id, an update says
//! what it expects to find.

use sqlx::sqlite::{SqliteConnection, SqliteQueryResult};
use sqlx::{Error, query};

use super::id::Id;
use super::time::Time;
use super::transcript::Body;
use super::types::{
    ApprovalState, Closed, Decided, Decision, ExchangeStart, Finding, SessionStart,
};

/// One write.
#[derive(Debug)]
pub(super) enum Op {
    SessionOpened(Id, Time, Box<SessionStart>),
    Tls(Id, Tls),
    SessionEnded(Id, Time),
    ExchangeOpened(Id, Id, Time, Box<ExchangeStart>),
    Decided(Id, Box<Decided>),
    ExchangeClosed(Box<End>),
    Asked(Box<Asked>),
    /// An exchange waits for, or uses, this approval.
    Linked(Id, Id),
    Answered(Box<Answered>),
    /// An approval is used up by one, before the request that uses it goes out.
    Used(Id),
    /// Nothing; done when everything before it is.
    Flush,
}

/// What TLS told about a connection.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) sni: Option<String>,
    pub(super) alpn: Option<String>,
    pub(super) name: Option<String>,
}

/// The end of an exchange.
#[derive(Debug)]
pub(super) struct End {
    pub(super) id: Id,
    pub(super) closed: Closed,
    /// Request and answer together.
    pub(super) findings: Vec<Finding>,
    pub(super) ms: u64,
    pub(super) request: Option<Body>,
    pub(super) response: Option<Body>,
}

/// A question to a person.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: Id,
    pub(crate) exchange: Id,
    pub(crate) asked: Time,
    pub(crate) expires: Time,
    pub(crate) identity: String,
    pub(crate) requester_uid: u32,
    pub(crate) destination: String,
    pub(crate) action: String,
    pub(crate) summary: String,
    pub(crate) digest: [u8; 32],
    /// JSON.
    pub(crate) asks: String,
    pub(crate) policy_version: String,
    pub(crate) uses: u32,
}

/// The end of a question.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) id: Id,
    pub(crate) state: ApprovalState,
    pub(crate) by: Option<(String, u32)>,
    pub(crate) reason: Option<String>,
    pub(crate) at: Time,
}

impl Op {
    /// Nobody tries this write again, so the writer keeps it until it succeeds.
    pub(super) fn must_land(&self) -> bool {
        matches!(
            self,
            Self::Tls(..) | Self::SessionEnded(..) | Self::ExchangeClosed(_)
        )
    }

    /// A person's word outlives a power loss, and so does its use. That nobody answered is known by the time.
    pub(super) fn needs_power_safety(&self) -> bool {
        match self {
            Self::Answered(answered) => answered.state != ApprovalState::Expired,
            Self::Used(_) => true,
            _ => false,
        }
    }

    /// Runs the statements of this write inside the caller's transaction.
    pub(super) async fn apply(&self, db: &mut SqliteConnection) -> Result<(), Error> {
        match self {
            Self::SessionOpened(id, at, start) => session_opened(db, *id, *at, start).await,
            Self::Tls(id, tls) => query(
                "UPDATE session SET sni = ?2, alpn = ?3, name = COALESCE(?4, name) WHERE id = ?1",
            )
            .bind(id.to_string())
            .bind(&tls.sni)
            .bind(&tls.alpn)
            .bind(&tls.name)
            .execute(db)
            .await
            .map(drop),
            Self::SessionEnded(id, at) => {
                query("UPDATE session SET ended = ?2 WHERE id = ?1 AND ended IS NULL")
                    .bind(id.to_string())
                    .bind(at.unix_ms())
                    .execute(db)
                    .await
                    .map(drop)
            }
            Self::ExchangeOpened(id, session, at, start) => {
                exchange_opened(db, *id, *session, *at, start).await
            }
            Self::Decided(id, decided) => decide(db, *id, decided).await,
            Self::ExchangeClosed(end) => exchange_closed(db, end).await,
            Self::Asked(asked) => ask(db, asked).await,
            Self::Linked(exchange, approval) => link(db, *exchange, *approval).await,
            Self::Answered(answered) => answer(db, answered).await,
            Self::Used(approval) => use_up(db, *approval).await,
            Self::Flush => Ok(()),
        }
    }
}

async fn session_opened(
    db: &mut SqliteConnection,
    id: Id,
    at: Time,
    start: &SessionStart,
) -> Result<(), Error> {
    query(
        "INSERT INTO session (id, started, identity, workload, mode, process, containment, origin, name)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.to_string())
    .bind(at.unix_ms())
    .bind(&start.identity)
    .bind(&start.workload)
    .bind(&start.mode)
    .bind(json(&start.process)?)
    .bind(&start.containment)
    .bind(start.origin.to_string())
    .bind(&start.name)
    .execute(db)
    .await
    .map(drop)
}

async fn exchange_opened(
    db: &mut SqliteConnection,
    id: Id,
    session: Id,
    at: Time,
    start: &ExchangeStart,
) -> Result<(), Error> {
    query(
        "INSERT INTO exchange (id, session, at, protocol, action, service, method, path, model, stream, decision,
                               would, policies, obligations, findings, reason, policy_version, query)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.to_string())
    .bind(session.to_string())
    .bind(at.unix_ms())
    .bind(&start.protocol)
    .bind(&start.action)
    .bind(&start.service)
    .bind(&start.method)
    .bind(&start.path)
    .bind(&start.model)
    .bind(start.stream)
    .bind(start.decision.as_str())
    .bind(start.would.map(Decision::as_str))
    .bind(json(&start.policies)?)
    .bind(json(&start.obligations)?)
    .bind(json(&start.findings)?)
    .bind(&start.reason)
    .bind(&start.policy_version)
    .bind(json(&start.query)?)
    .execute(db)
    .await
    .map(drop)
}

async fn decide(db: &mut SqliteConnection, id: Id, decided: &Decided) -> Result<(), Error> {
    // An exchange that has ended keeps the decision it ended with.
    let done = query(
        "UPDATE exchange SET decision = ?2, policies = ?3, obligations = ?4, reason = ?5
         WHERE id = ?1 AND outcome IS NULL",
    )
    .bind(id.to_string())
    .bind(decided.decision.as_str())
    .bind(json(&decided.policies)?)
    .bind(json(&decided.obligations)?)
    .bind(&decided.reason)
    .execute(db)
    .await?;
    exactly_one(done)
}

async fn exchange_closed(db: &mut SqliteConnection, end: &End) -> Result<(), Error> {
    let usage = end.closed.usage;
    let closed = query(
        "UPDATE exchange SET outcome = ?2, status = ?3, input = ?4, output = ?5, findings = ?6,
                             reason = COALESCE(?7, reason), ms = ?8
         WHERE id = ?1 AND outcome IS NULL",
    )
    .bind(end.id.to_string())
    .bind(end.closed.outcome.as_str())
    .bind(end.closed.status)
    .bind(usage.and_then(|usage| usage.input).map(number))
    .bind(usage.and_then(|usage| usage.output).map(number))
    .bind(json(&end.findings)?)
    .bind(&end.closed.reason)
    .bind(number(end.ms))
    .execute(&mut *db)
    .await?;
    if closed.rows_affected() == 0 {
        return Ok(());
    }
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

async fn ask(db: &mut SqliteConnection, asked: &Asked) -> Result<(), Error> {
    query(
        "INSERT INTO approval (id, exchange, asked, expires, identity, requester_uid, destination, action, summary,
                               digest, asks, policy_version, uses, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
    )
    .bind(asked.id.to_string())
    .bind(asked.exchange.to_string())
    .bind(asked.asked.unix_ms())
    .bind(asked.expires.unix_ms())
    .bind(&asked.identity)
    .bind(asked.requester_uid)
    .bind(&asked.destination)
    .bind(&asked.action)
    .bind(&asked.summary)
    .bind(&asked.digest[..])
    .bind(&asked.asks)
    .bind(&asked.policy_version)
    .bind(asked.uses)
    .execute(&mut *db)
    .await?;
    link(db, asked.exchange, asked.id).await
}

async fn link(db: &mut SqliteConnection, exchange: Id, approval: Id) -> Result<(), Error> {
    query("UPDATE exchange SET approval = ?2 WHERE id = ?1")
        .bind(exchange.to_string())
        .bind(approval.to_string())
        .execute(db)
        .await
        .map(drop)
}

async fn answer(db: &mut SqliteConnection, answered: &Answered) -> Result<(), Error> {
    let (by, uid) = answered.by.clone().unzip();
    let done = query(
        "UPDATE approval SET state = ?2, by = ?3, by_uid = ?4, reason = ?5, at = ?6
         WHERE id = ?1 AND state = 'pending'",
    )
    .bind(answered.id.to_string())
    .bind(answered.state.as_str())
    .bind(by)
    .bind(uid)
    .bind(&answered.reason)
    .bind(answered.at.unix_ms())
    .execute(db)
    .await?;
    exactly_one(done)
}

async fn use_up(db: &mut SqliteConnection, approval: Id) -> Result<(), Error> {
    let done = query(
        "UPDATE approval SET used = used + 1 WHERE id = ?1 AND state = 'approved' AND used < uses",
    )
    .bind(approval.to_string())
    .execute(db)
    .await?;
    exactly_one(done)
}

/// What is not on record must not be acted on, so an update that meets no row is an error.
fn exactly_one(done: SqliteQueryResult) -> Result<(), Error> {
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::RowNotFound),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Encode(error.into()))
}

/// SQLite integers are signed; no count of ours comes near the limit.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
