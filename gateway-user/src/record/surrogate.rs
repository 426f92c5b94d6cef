//! What surrogates stand for, as the ledger keeps it: sealed by whoever made them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Error, query};

use super::entry::Ledger;
use super::error::LedgerError;
use super::op::json;
use super::read::{Reader, failed, get};
use super::step::Step;

/// What one surrogate of an identity stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surrogate {
    /// Whose it is.
    pub identity: String,
    /// As it is looked up.
    pub surrogate: String,
    /// What found its value.
    pub detector: String,
    /// The class of that.
    pub class: String,
    /// The value, for those who have the key.
    pub sealed: String,
}

impl Ledger {
    /// Keeps what a surrogate stands for, in place of what it stood for before. It is on record when this returns.
    ///
    /// # Errors
    /// It could not be written. [`LedgerError::Full`] where so many wait that others would have to.
    pub fn keep_surrogate(&self, surrogate: Surrogate) -> Result<(), LedgerError> {
        if self.queue.is_half_full() {
            return Err(LedgerError::Full);
        }
        self.put(Step::Surrogate(Box::new(surrogate)))
    }
}

impl Reader {
    /// Every surrogate, the oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn surrogates(&self) -> Result<Vec<Surrogate>, LedgerError> {
        let rows = query("SELECT * FROM surrogate ORDER BY number")
            .fetch_all(self.store().await)
            .await
            .map_err(failed)?;
        let surrogate = |row| {
            Ok(Surrogate {
                identity: get(row, "identity")?,
                surrogate: get(row, "surrogate")?,
                detector: get(row, "detector")?,
                class: get(row, "class")?,
                sealed: get(row, "sealed")?,
            })
        };
        rows.iter().map(surrogate).collect()
    }
}

/// Writes these inside the caller's transaction, and leaves of each identity the newest.
pub(super) async fn keep(db: &mut SqliteConnection, all: &[&Surrogate]) -> Result<(), Error> {
    if all.is_empty() {
        return Ok(());
    }
    // One that is made of another value by now stands for that.
    query(
        "INSERT OR REPLACE INTO surrogate (identity, surrogate, detector, class, sealed)
         SELECT value->>'identity', value->>'surrogate', value->>'detector', value->>'class', value->>'sealed'
         FROM json_each(?1)",
    )
    .bind(json(&all)?)
    .execute(&mut *db)
    .await?;
    let identities: BTreeSet<&str> = all.iter().map(|one| one.identity.as_str()).collect();
    for identity in identities {
        query(
            "DELETE FROM surrogate WHERE identity = ?1 AND number <= (
                SELECT number FROM surrogate WHERE identity = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )
        .bind(identity)
        .bind(MOST)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// As many of an identity as the gateway remembers.
const MOST: i64 = if cfg!(test) { 3 } else { 32_768 };
