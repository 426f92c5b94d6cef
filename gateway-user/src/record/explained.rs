//! A recorded exchange as `tollgate policy explain` wants it: the question that was put to policy, and what came of it.

use serde_json::Value;
use sqlx::query;

use super::error::{LedgerError, LookupError};
use super::id::{Id, Prefix};
use super::read::{CANDIDATES, Reader, ambiguous, damaged, failed, get, id, json, said, word};
use super::types::{Decision, Outcome, Text};

/// A recorded question to policy.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The exchange.
    pub exchange: Id,
    /// What was decided then.
    pub decision: Decision,
    /// What came with it.
    pub obligations: Vec<String>,
    /// How it ended, if it has.
    pub outcome: Option<Outcome>,
    /// Why it was decided or ended so.
    pub reason: Option<String>,
    /// By which version of the policy set.
    pub policy_version: String,
    /// The question as `ExchangeStart::query` had it.
    pub query: Value,
    /// The answer as it was recorded.
    pub response: Option<Text>,
}

impl Reader {
    /// The question that was put to policy for one exchange.
    ///
    /// # Errors
    /// No exchange or several have an id that begins so, or the ledger cannot be read.
    pub async fn explained(&self, prefix: &str) -> Result<Explained, LookupError> {
        let prefix: Prefix = prefix.parse()?;
        let rows = query(
            "SELECT id, decision, obligations, outcome, reason, policy_version, query FROM exchange
             WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT ?2",
        )
        .bind(prefix.as_str())
        .bind(CANDIDATES)
        .fetch_all(self.store().await)
        .await
        .map_err(failed)?;
        match rows.as_slice() {
            [] => Err(LookupError::NotFound(prefix.as_str().to_owned())),
            [row] => Ok(Explained {
                exchange: id(row, "id")?,
                decision: word(row, "decision", Decision::from_word)?
                    .ok_or_else(|| damaged(row, "decision"))?,
                obligations: json(row, "obligations")?,
                outcome: word(row, "outcome", Outcome::from_word)?,
                reason: get(row, "reason")?,
                policy_version: get(row, "policy_version")?,
                query: json(row, "query")?,
                response: self.response(&get::<String>(row, "id")?).await?,
            }),
            rows => {
                let ids = rows.iter().map(|row| id(row, "id"));
                Err(ambiguous(&prefix, ids.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }

    async fn response(&self, exchange: &str) -> Result<Option<Text>, LedgerError> {
        let row =
            query("SELECT exchange AS id, * FROM body WHERE exchange = ? AND side = 'response'")
                .bind(exchange)
                .fetch_optional(self.store().await)
                .await
                .map_err(failed)?;
        row.as_ref().map(said).transpose()
    }
}
