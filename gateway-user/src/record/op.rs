//! The writes that the ledger knows: steps of entries, which go by the batch, and questions to people with their SQL. Each is safe
//! to try again: an insert fails on its own id, an update says what it expects to find.

use sqlx::sqlite::{SqliteConnection, SqliteQueryResult};
use sqlx::{Error, query};

use super::id::Id;
use super::root::{self, ImportedRoot, Withdrawn};
use super::step::Step;
use super::time::Time;
use super::types::ApprovalState;

/// One write.
#[derive(Debug)]
pub(super) enum Op {
    /// With its number in the spool, if it could be written there.
    Step(Step, Option<u64>),
    Asked(Box<Asked>),
    /// An exchange waits for, or uses, this approval.
    Linked(Id, Id),
    Answered(Box<Answered>),
    /// An approval is used up by one, before the request that uses it goes out.
    Used(Id),
    /// An operator trusts a certificate for a service.
    Imported(Box<ImportedRoot>),
    /// And no longer.
    Withdrawn(Withdrawn),
    /// Nothing; done when everything before it is.
    Flush,
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
    /// A person's word outlives a power loss, and so does its use. That nobody answered is known by the time.
    pub(super) fn needs_power_safety(&self) -> bool {
        match self {
            Self::Answered(answered) => answered.state != ApprovalState::Expired,
            Self::Used(_) | Self::Imported(_) | Self::Withdrawn(_) => true,
            _ => false,
        }
    }

    /// Runs the statements of this write inside the caller's transaction; steps are applied by their batch.
    pub(super) async fn apply(&self, db: &mut SqliteConnection) -> Result<(), Error> {
        match self {
            Self::Asked(asked) => ask(db, asked).await,
            Self::Linked(exchange, approval) => link(db, *exchange, *approval).await,
            Self::Answered(answered) => answer(db, answered).await,
            Self::Used(approval) => use_up(db, *approval).await,
            Self::Imported(imported) => root::import(db, imported).await,
            Self::Withdrawn(withdrawn) => root::withdraw(db, withdrawn).await,
            Self::Step(..) | Self::Flush => Ok(()),
        }
    }
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
pub(super) fn exactly_one(done: SqliteQueryResult) -> Result<(), Error> {
    match done.rows_affected() {
        1 => Ok(()),
        _ => Err(Error::RowNotFound),
    }
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Encode(error.into()))
}

/// SQLite integers are signed; no count of ours comes near the limit.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
