//! What is spent and what is reserved, by budget and by identity.
//!
//! Every call passes through one lock, held for a few additions: so whatever runs at once, a reservation sees all others. An account
//! covers a day or a month and starts again with the next; a call belongs to the period in which it was reserved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::dollars;
use crate::config::{Budget, Identity, Per, Whose};
use crate::record::{DaySpent, Time};

/// The accounts of one daemon.
#[derive(Debug)]
pub struct Book {
    accounts: Mutex<Vec<Account>>,
    /// The accounts that an identity's calls are charged to: first its own day and month, then the budgets it is in.
    of: HashMap<String, Vec<usize>>,
    /// Those that everybody's calls are charged to.
    shared: Vec<usize>,
}

/// One account, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The budget, or nothing for what an identity spends.
    pub budget: Option<String>,
    /// Whose calls are charged to it.
    pub whose: Whose,
    /// What it covers.
    pub per: Per,
    /// The day or month it stands for, such as `2026-11-26` or `2026-11`, in UTC.
    pub period: String,
    /// Nanodollars that may be spent; dollars in JSON, as all amounts.
    #[serde(rename = "limit_usd", with = "super::usd::maybe")]
    pub limit: Option<u64>,
    /// Nanodollars that are spent.
    #[serde(rename = "spent_usd", with = "super::usd")]
    pub spent: u64,
    /// Nanodollars that calls under way may cost.
    #[serde(rename = "reserved_usd", with = "super::usd")]
    pub reserved: u64,
    /// Whether calls whose cost is not known may go out.
    pub allow_uncounted: bool,
}

/// A reservation. Dropping it charges it whole.
#[derive(Debug)]
pub struct Hold {
    book: Arc<Book>,
    charged: Vec<(usize, String)>,
    amount: u64,
}

/// A call that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "budget \"{budget}\" has {} of {} left for {period}, and this call can cost {}", dollars(*left), dollars(*limit), dollars(*amount)
)]
pub struct Overspent {
    /// The budget.
    pub budget: String,
    /// Its period.
    pub period: String,
    /// Nanodollars that are neither spent nor reserved.
    pub left: u64,
    /// Nanodollars of the budget.
    pub limit: u64,
    /// Nanodollars that the call can cost.
    pub amount: u64,
}

impl Book {
    /// Accounts for these identities.
    #[must_use]
    pub fn new(budgets: &[Budget], identities: &[Arc<Identity>]) -> Self {
        let mut accounts: Vec<Account> = budgets.iter().map(Account::of).collect();
        let mut of = HashMap::new();
        for identity in identities {
            let limited = 0..budgets.len();
            let mut own: Vec<usize> = limited
                .filter(|place| budgets[*place].whose.includes(identity))
                .collect();
            for per in [Per::Day, Per::Month] {
                own.push(accounts.len());
                accounts.push(Account::own(identity, per));
            }
            of.insert(identity.id.clone(), own);
        }
        let shared = 0..budgets.len();
        let shared = shared.filter(|place| budgets[*place].whose == Whose::Everybody);
        Self {
            accounts: Mutex::new(accounts),
            of,
            shared: shared.collect(),
        }
    }

    /// Adds what is on record already. Identities that are not there any more spent from what is everybody's; in which groups they
    /// were, nobody knows.
    pub fn restore(&self, spent: impl IntoIterator<Item = DaySpent>, now: Time) {
        let mut accounts = self.lock();
        for past in spent {
            for place in self.of.get(&past.identity).unwrap_or(&self.shared) {
                let account = &mut accounts[*place];
                account.turn(now);
                if period(account.per, past.at) == account.period {
                    account.spent = account.spent.saturating_add(past.cost);
                }
            }
        }
    }

    /// Reserves an amount in every account of an identity, or in none.
    ///
    /// # Errors
    /// A budget has less left.
    pub fn reserve(
        self: &Arc<Self>,
        identity: &str,
        amount: u64,
        now: Time,
    ) -> Result<Hold, Overspent> {
        let places = self.of.get(identity).map(Vec::as_slice).unwrap_or_default();
        let mut accounts = self.lock();
        for place in places {
            let account = &mut accounts[*place];
            account.turn(now);
            account.fits(amount)?;
        }
        let mut charged = Vec::with_capacity(places.len());
        for place in places {
            let account = &mut accounts[*place];
            account.reserved = account.reserved.saturating_add(amount);
            charged.push((*place, account.period.clone()));
        }
        Ok(Hold {
            book: Arc::clone(self),
            charged,
            amount,
        })
    }

    /// Whether a budget limits what an identity spends; and whether it then may make calls whose cost nobody knows.
    #[must_use]
    pub fn limits(&self, identity: &str) -> Option<bool> {
        let accounts = self.lock();
        let places = self.of.get(identity).into_iter().flatten();
        let limited = places
            .map(|place| &accounts[*place])
            .filter(|account| account.limit.is_some());
        limited
            .map(|account| account.allow_uncounted)
            .reduce(|one, other| one && other)
    }

    /// What an identity has spent or reserved today and this month, in nanodollars.
    #[must_use]
    pub fn spent(&self, identity: &str, now: Time) -> (u64, u64) {
        let mut accounts = self.lock();
        let mut sums = (0, 0);
        for place in self.of.get(identity).into_iter().flatten() {
            let account = &mut accounts[*place];
            account.turn(now);
            match (&account.budget, account.per) {
                (None, Per::Day) => sums.0 = account.used(),
                (None, Per::Month) => sums.1 = account.used(),
                _ => {}
            }
        }
        sums
    }

    /// Every account, budgets first.
    #[must_use]
    pub fn accounts(&self, now: Time) -> Vec<Account> {
        let mut accounts = self.lock();
        for account in accounts.iter_mut() {
            account.turn(now);
        }
        accounts.clone()
    }

    /// Sums are whole at every point where a thread could have ended.
    fn lock(&self) -> MutexGuard<'_, Vec<Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn of(budget: &Budget) -> Self {
        Self {
            budget: Some(budget.name.clone()),
            whose: budget.whose.clone(),
            per: budget.per,
            period: String::new(),
            limit: Some(budget.limit),
            spent: 0,
            reserved: 0,
            allow_uncounted: budget.allow_uncounted,
        }
    }

    fn own(identity: &Identity, per: Per) -> Self {
        Self {
            budget: None,
            whose: Whose::Identity(identity.id.clone()),
            per,
            period: String::new(),
            limit: None,
            spent: 0,
            reserved: 0,
            allow_uncounted: true,
        }
    }

    /// Begins the period of `now`. Time that goes back opens no account anew.
    fn turn(&mut self, now: Time) {
        let period = period(self.per, now);
        if period > self.period {
            self.period = period;
            self.spent = 0;
            self.reserved = 0;
        }
    }

    /// Nanodollars that are neither spent nor reserved, of a budget.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        Some(self.limit?.saturating_sub(self.used()))
    }

    fn used(&self) -> u64 {
        self.spent.saturating_add(self.reserved)
    }

    fn fits(&self, amount: u64) -> Result<(), Overspent> {
        let Some((limit, budget)) = self.limit.zip(self.budget.as_ref()) else {
            return Ok(());
        };
        let left = self.left().unwrap_or(0);
        if amount <= left {
            return Ok(());
        }
        Err(Overspent {
            budget: budget.clone(),
            period: self.period.clone(),
            left,
            limit,
            amount,
        })
    }
}

impl Hold {
    /// Nanodollars that are reserved.
    #[must_use]
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Charges what it did cost in place of what was reserved.
    pub fn settle(mut self, cost: u64) {
        self.charge(cost);
    }

    fn charge(&mut self, cost: u64) {
        let mut accounts = self.book.lock();
        for (place, period) in self.charged.drain(..) {
            let account = &mut accounts[place];
            if account.period == period {
                account.reserved = account.reserved.saturating_sub(self.amount);
                account.spent = account.spent.saturating_add(cost);
            }
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.charge(self.amount);
    }
}

/// The day or month of a time: what its text begins with.
fn period(per: Per, at: Time) -> String {
    let mut text = at.to_string();
    text.truncate(match per {
        Per::Day => "2026-11-26".len(),
        Per::Month => "2026-11".len(),
    });
    text
}

#[cfg(test)]
mod tests;
