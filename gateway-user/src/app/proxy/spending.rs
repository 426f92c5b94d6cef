//! What models cost so far: budgets with what is left of them, and who spent it on what.

use serde_json::{Value, json};

use super::Proxying;
use crate::app::UpError;
use crate::app::control::{Refused, to_value};
use crate::config::Config;
use crate::record::{Ledger, Time, usd};
use crate::spend::Spend;

/// Prices and budgets.
///
/// # Errors
/// The file of prices cannot be used.
pub fn spend(config: &Config) -> Result<Spend, UpError> {
    Ok(Spend::new(
        config.prices.as_deref(),
        &config.budgets,
        &config.rates,
        &config.identities,
    )?)
}

/// Takes along what is spent already.
///
/// # Errors
/// The ledger cannot be read.
pub async fn restore(spend: &Spend, ledger: &Ledger) -> Result<(), UpError> {
    let now = Time::now();
    let spent = ledger.reader().spent_by_day(now.month_began()).await?;
    spend.book.restore(spent, now);
    Ok(())
}

impl Proxying {
    /// US dollars of each budget that are neither spent nor reserved.
    pub(in crate::app) fn budgets_left(&self) -> Vec<(String, f64)> {
        let accounts = self.gateway.spend.book.accounts(Time::now());
        let budgets = accounts.into_iter();
        budgets
            .filter_map(|account| Some((account.budget.clone()?, usd(account.left()?))))
            .collect()
    }

    /// Budgets and what identities spent, then bills since a time; without one, since the month began.
    pub(super) async fn spending(&self, since: Option<Time>) -> Result<Vec<Value>, Refused> {
        let now = Time::now();
        let since = since.unwrap_or(now.month_began());
        let spend = &self.gateway.spend;
        let bills = self.gateway.ledger.reader().bills(since).await;
        let bills = bills.map_err(|error| (1, error.to_string()))?;
        let mut items = vec![json!({"prices": spend.prices.date(), "since": since})];
        for account in spend.book.accounts(now) {
            items.push(json!({"account": to_value(&account)?}));
        }
        for bill in bills {
            items.push(json!({"bill": to_value(&bill)?}));
        }
        Ok(items)
    }
}
