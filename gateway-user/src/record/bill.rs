//! What calls of models cost, as the ledger has it: for budgets at a start, and for people.

use serde::{Deserialize, Serialize};
use sqlx::query;

use super::error::LedgerError;
use super::read::{Reader, count, failed, get};
use super::time::Time;

/// What one identity spent on one model of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// Who called.
    pub identity: String,
    /// The service.
    pub service: String,
    /// The model.
    pub model: String,
    /// How many calls whose cost is known or reserved.
    pub calls: u64,
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// US dollars. Where the provider told no counts, what was reserved counts.
    pub usd: f64,
}

/// What one identity spent in one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySpent {
    /// Who called.
    pub identity: String,
    /// A time of that day, in UTC.
    pub at: Time,
    /// Nanodollars.
    pub cost: u64,
}

/// Nanodollars as dollars.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a sum that loses digits is past nine million dollars"
)]
pub fn usd(nanodollars: u64) -> f64 {
    nanodollars as f64 / 1e9
}

impl Reader {
    /// What was spent since then, the dearest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn bills(&self, since: Time) -> Result<Vec<Bill>, LedgerError> {
        let rows = query(
            "SELECT s.identity AS identity, e.service AS service, COALESCE(e.model, '') AS model, COUNT(*) AS calls,
                    COALESCE(SUM(e.input), 0) AS input, COALESCE(SUM(e.output), 0) AS output,
                    SUM(COALESCE(e.cost, e.reserved)) AS cost
             FROM exchange e JOIN session s ON s.id = e.session
             WHERE e.at >= ?1 AND (e.cost IS NOT NULL OR e.reserved IS NOT NULL)
             GROUP BY 1, 2, 3 ORDER BY cost DESC, 1, 2, 3",
        )
        .bind(since.unix_ms())
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let bill = |row| {
            Ok(Bill {
                identity: get(row, "identity")?,
                service: get(row, "service")?,
                model: get(row, "model")?,
                calls: count(row, "calls")?.unwrap_or(0),
                input: count(row, "input")?.unwrap_or(0),
                output: count(row, "output")?.unwrap_or(0),
                usd: usd(count(row, "cost")?.unwrap_or(0)),
            })
        };
        rows.iter().map(bill).collect()
    }

    /// What identities spent since then, by day. A call that no end is on record of counts with what was reserved for it.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn spent_by_day(&self, since: Time) -> Result<Vec<DaySpent>, LedgerError> {
        let rows = query(
            "SELECT s.identity AS identity, MIN(e.at) AS at, SUM(COALESCE(e.cost, e.reserved)) AS cost
             FROM exchange e JOIN session s ON s.id = e.session
             WHERE e.at >= ?1 AND (e.cost IS NOT NULL OR e.reserved IS NOT NULL)
             GROUP BY s.identity, e.at / 86400000",
        )
        .bind(since.unix_ms())
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        let spent = |row| {
            Ok(DaySpent {
                identity: get(row, "identity")?,
                at: Time::from_unix_ms(get(row, "at")?),
                cost: count(row, "cost")?.unwrap_or(0),
            })
        };
        rows.iter().map(spent).collect()
    }
}
