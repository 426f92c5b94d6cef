//! Reading the ledger: lists of sessions, one session with everything said in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, query};

use super::bill::usd;
use super::error::{LedgerError, LookupError};
use super::id::{Id, Prefix};
use super::queue::Queue;
use super::store;
use super::time::Time;
use super::transcript;
use super::types::{
    Approval, ApprovalState, Decision, Direction, Exchange, Outcome, Process, Replay, Session,
    Text, Usage,
};

/// The reading side of a ledger. It works beside a running writer, and without one; then what lies in the spool is not seen.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: SqlitePool,
    /// The writer of this process, whose spool is written to the store before anything is read.
    writer: Option<Queue>,
}

/// Which sessions to list.
#[derive(Clone, Debug)]
pub struct Filter {
    /// At most this many, the newest.
    pub limit: u32,
    /// Only of this identity.
    pub identity: Option<String>,
    /// Only those still open.
    pub open: bool,
    /// Only those with an exchange that was decided so.
    pub decision: Option<Decision>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            limit: 1000,
            identity: None,
            open: false,
            decision: None,
        }
    }
}

impl Reader {
    /// Reads the ledger at `path`; the file is opened at the first read.
    pub fn open(path: &Path) -> Self {
        Self {
            pool: store::readers(path),
            writer: None,
        }
    }

    pub(super) fn behind(path: &Path, writer: Queue) -> Self {
        Self {
            writer: Some(writer),
            ..Self::open(path)
        }
    }

    /// The store with everything that is on record. While it cannot be written, what it has is shown.
    pub(super) async fn store(&self) -> &SqlitePool {
        if let Some(writer) = &self.writer
            && let Err(error) = writer.flush().await
        {
            tracing::warn!(%error, "what is read lacks the latest entries");
        }
        &self.pool
    }

    /// The newest sessions that fit, oldest of them first, open ones included.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn sessions(&self, filter: &Filter) -> Result<Vec<Session>, LedgerError> {
        let rows = query(
            "SELECT * FROM session s
             WHERE (?1 IS NULL OR identity = ?1)
               AND (NOT ?2 OR ended IS NULL)
               AND (?3 IS NULL OR EXISTS (SELECT 1 FROM exchange e WHERE e.session = s.id AND e.decision = ?3))
             ORDER BY id DESC LIMIT ?4",
        )
        .bind(&filter.identity)
        .bind(filter.open)
        .bind(filter.decision.map(Decision::as_str))
        .bind(filter.limit)
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let mut sessions = rows
            .iter()
            .rev()
            .map(session)
            .collect::<Result<Vec<_>, _>>()?;

        let ids: Vec<String> = sessions.iter().map(|s| s.id.to_string()).collect();
        let mut exchanges = self.exchanges(&ids).await?;
        for session in &mut sessions {
            session.exchanges = exchanges.remove(&session.id).unwrap_or_default();
        }
        Ok(sessions)
    }

    /// The session that an id, or the beginning of one, leads to (its own or that of an exchange in it), with everything
    /// that was said.
    ///
    /// # Errors
    /// It leads to no session or to several, or the ledger cannot be read.
    pub async fn session_of(&self, prefix: &str) -> Result<Replay, LookupError> {
        let prefix: Prefix = prefix.parse()?;
        let rows = query(
            "SELECT session, MIN(id) AS id, COUNT(*) AS fits FROM (
                 SELECT id, id AS session FROM session WHERE id >= ?1 AND id < ?1 || '~'
                 UNION ALL SELECT id, session FROM exchange WHERE id >= ?1 AND id < ?1 || '~')
             GROUP BY session ORDER BY id LIMIT ?2",
        )
        .bind(prefix.as_str())
        .bind(CANDIDATES)
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let (session, first, fits) = match rows.as_slice() {
            [] => return Err(LookupError::NotFound(prefix.as_str().to_owned())),
            [row] => (
                id(row, "session")?,
                id(row, "id")?,
                get::<i64>(row, "fits")?,
            ),
            rows => {
                let ids = rows.iter().map(|row| id(row, "id"));
                return Err(ambiguous(&prefix, ids.collect::<Result<Vec<_>, _>>()?));
            }
        };
        let focus = (fits == 1 && first != session).then_some(first);
        let session = self.whole(session).await?;
        Ok(Replay { session, focus })
    }

    async fn whole(&self, wanted: Id) -> Result<Session, LedgerError> {
        let text = wanted.to_string();
        let row = query("SELECT * FROM session WHERE id = ?")
            .bind(&text)
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        let mut session = session(&row)?;
        let mut exchanges = self.exchanges(&[text]).await?;
        session.exchanges = exchanges.remove(&wanted).unwrap_or_default();
        for exchange in &mut session.exchanges {
            let rows = query("SELECT exchange AS id, * FROM body WHERE exchange = ?")
                .bind(exchange.id.to_string())
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
            for row in &rows {
                let said = Some(said(row)?);
                match get::<String>(row, "side")?.as_str() {
                    "request" => exchange.request = said,
                    _ => exchange.response = said,
                }
            }
        }
        Ok(session)
    }

    /// The exchanges of some sessions, in order.
    async fn exchanges(
        &self,
        sessions: &[String],
    ) -> Result<HashMap<Id, Vec<Exchange>>, LedgerError> {
        let rows = query(
            "SELECT e.id, e.session, e.at, e.protocol, e.action, e.service, e.method, e.path, e.model, e.stream,
                    e.decision, e.would, e.policies, e.obligations, e.findings, e.status, e.input, e.output, e.outcome, COALESCE(e.cost, e.reserved) AS cost,
                    e.reason, e.ms, e.policy_version,
                    a.id AS approval, a.state, a.by, a.reason AS approval_reason, a.at AS answered
             FROM exchange e LEFT JOIN approval a ON a.id = e.approval
             WHERE e.session IN (SELECT value FROM json_each(?)) ORDER BY e.id",
        )
        .bind(serde_json::json!(sessions).to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut exchanges: HashMap<Id, Vec<Exchange>> = HashMap::new();
        for row in &rows {
            let session = id(row, "session")?;
            exchanges.entry(session).or_default().push(exchange(row)?);
        }
        Ok(exchanges)
    }
}

fn session(row: &SqliteRow) -> Result<Session, LedgerError> {
    Ok(Session {
        id: id(row, "id")?,
        started: Time::from_unix_ms(get(row, "started")?),
        ended: time(row, "ended")?,
        identity: get(row, "identity")?,
        workload: get(row, "workload")?,
        mode: get(row, "mode")?,
        process: json::<Process>(row, "process")?,
        containment: get(row, "containment")?,
        direction: word(row, "direction", Direction::from_word)?
            .ok_or_else(|| damaged(row, "direction"))?,
        origin: get(row, "origin")?,
        name: get(row, "name")?,
        sni: get(row, "sni")?,
        alpn: get(row, "alpn")?,
        exchanges: Vec::new(),
    })
}

fn exchange(row: &SqliteRow) -> Result<Exchange, LedgerError> {
    let (input, output) = (count(row, "input")?, count(row, "output")?);
    let usage = (input.is_some() || output.is_some()).then_some(Usage { input, output });
    Ok(Exchange {
        id: id(row, "id")?,
        at: Time::from_unix_ms(get(row, "at")?),
        protocol: get(row, "protocol")?,
        action: get(row, "action")?,
        service: get(row, "service")?,
        method: get(row, "method")?,
        path: get(row, "path")?,
        model: get(row, "model")?,
        stream: get(row, "stream")?,
        decision: word(row, "decision", Decision::from_word)?
            .ok_or_else(|| damaged(row, "decision"))?,
        would: word(row, "would", Decision::from_word)?,
        policies: json(row, "policies")?,
        obligations: json(row, "obligations")?,
        findings: json(row, "findings")?,
        approval: approval(row)?,
        status: get(row, "status")?,
        usage,
        cost_usd: count(row, "cost")?.map(usd),
        outcome: word(row, "outcome", Outcome::from_word)?,
        reason: get(row, "reason")?,
        ms: count(row, "ms")?,
        policy_version: get(row, "policy_version")?,
        request: None,
        response: None,
    })
}

pub(super) fn approval(row: &SqliteRow) -> Result<Option<Approval>, LedgerError> {
    let Some(state) = word(row, "state", ApprovalState::from_word)? else {
        return Ok(None);
    };
    Ok(Some(Approval {
        id: id(row, "approval")?,
        state,
        by: get(row, "by")?,
        reason: get(row, "approval_reason")?,
        at: time(row, "answered")?,
    }))
}

pub(super) fn said(row: &SqliteRow) -> Result<Text, LedgerError> {
    let zstd: Vec<u8> = get(row, "zstd")?;
    Ok(Text {
        text: transcript::text(&zstd, &get::<String>(row, "id")?)?,
        bytes: count(row, "total")?.unwrap_or(0),
        truncated: get(row, "truncated")?,
    })
}

pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T, LedgerError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(failed)
}

pub(super) fn id(row: &SqliteRow, column: &'static str) -> Result<Id, LedgerError> {
    let text: String = get(row, column)?;
    text.parse().map_err(|_| damaged(row, column))
}

pub(super) fn time(row: &SqliteRow, column: &'static str) -> Result<Option<Time>, LedgerError> {
    Ok(get::<Option<i64>>(row, column)?.map(Time::from_unix_ms))
}

pub(super) fn count(row: &SqliteRow, column: &'static str) -> Result<Option<u64>, LedgerError> {
    let number: Option<i64> = get(row, column)?;
    number
        .map(|number| u64::try_from(number).map_err(|_| damaged(row, column)))
        .transpose()
}

pub(super) fn json<T: DeserializeOwned>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<T, LedgerError> {
    let text: String = get(row, column)?;
    serde_json::from_str(&text).map_err(|_| damaged(row, column))
}

pub(super) fn word<T>(
    row: &SqliteRow,
    column: &'static str,
    known: fn(&str) -> Option<T>,
) -> Result<Option<T>, LedgerError> {
    let text: Option<String> = get(row, column)?;
    text.map(|text| known(&text).ok_or_else(|| damaged(row, column)))
        .transpose()
}

pub(super) fn damaged(row: &SqliteRow, field: &'static str) -> LedgerError {
    LedgerError::Damaged {
        id: row.try_get("id").unwrap_or_default(),
        field,
    }
}

pub(super) fn failed(error: sqlx::Error) -> LedgerError {
    LedgerError::Read(Arc::new(error))
}

pub(super) fn ambiguous(prefix: &Prefix, ids: impl IntoIterator<Item = Id>) -> LookupError {
    LookupError::Ambiguous {
        prefix: prefix.as_str().to_owned(),
        ids: ids.into_iter().collect(),
    }
}

/// Enough to see what an ambiguous prefix fits.
pub(super) const CANDIDATES: u32 = 10;
