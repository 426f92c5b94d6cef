//! Limits on what identities spend and on how often they ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Catalog, ConfigError, Identity, check_name, raw};

/// What may be spent on calls of models in a day or a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name, unique.
    pub name: String,
    /// Whose calls it limits, all together.
    pub whose: Whose,
    /// Nanodollars.
    pub limit: u64,
    /// In which time.
    pub per: Per,
    /// Whether calls whose cost nobody knows may go out all the same.
    pub allow_uncounted: bool,
}

/// How often an identity may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Whom it limits, each alone.
    pub whose: Whose,
    /// Which service; without one, all together.
    pub service: Option<String>,
    /// So many requests.
    pub requests: u32,
    /// In this time.
    pub every: Duration,
}

/// Whom a limit is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// One identity.
    Identity(String),
    /// The identities of a group.
    Group(String),
    /// Every identity.
    Everybody,
}

/// The time that a budget is for, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// From midnight to midnight.
    Day,
    /// A month of the calendar.
    Month,
}

impl Whose {
    /// Whether a limit is for this identity.
    #[must_use]
    pub fn includes(&self, identity: &Identity) -> bool {
        match self {
            Self::Identity(id) => identity.id == *id,
            Self::Group(group) => identity.groups.contains(group),
            Self::Everybody => true,
        }
    }

    fn check(
        what: &'static str,
        identity: Option<String>,
        group: Option<String>,
        identities: &[Arc<Identity>],
    ) -> Result<Self, ConfigError> {
        match (identity, group) {
            (Some(_), Some(_)) => Err(ConfigError::Whose { what }),
            (Some(name), None) if identities.iter().any(|known| known.id == name) => {
                Ok(Self::Identity(name))
            }
            (Some(name), None) => Err(ConfigError::UnknownIdentity {
                name,
                known: identities.iter().map(|known| known.id.clone()).collect(),
            }),
            (None, Some(name)) if identities.iter().any(|known| known.groups.contains(&name)) => {
                Ok(Self::Group(name))
            }
            (None, Some(name)) => Err(ConfigError::EmptyGroup { what, name }),
            (None, None) => Ok(Self::Everybody),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(id) => f.pad(id),
            Self::Group(group) => f.pad(&format!("group {group}")),
            Self::Everybody => f.pad("everybody"),
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = match self.every.as_secs() {
            1 => "second",
            60 => "minute",
            _ => "hour",
        };
        write!(f, "more than {} requests a {every}", self.requests)?;
        match &self.service {
            Some(service) => write!(f, " to {service}"),
            None => Ok(()),
        }
    }
}

pub(super) fn budgets(
    raw: Vec<raw::Budget>,
    identities: &[Arc<Identity>],
) -> Result<Vec<Budget>, ConfigError> {
    let mut budgets: Vec<Budget> = Vec::new();
    for budget in raw {
        check_name("budget", &budget.name)?;
        if budgets.iter().any(|other| other.name == budget.name) {
            return Err(ConfigError::Duplicate {
                what: "budget",
                name: budget.name,
            });
        }
        let whose = Whose::check("budget", budget.identity, budget.group, identities)?;
        let limit = nanodollars(budget.usd).ok_or_else(|| ConfigError::Amount {
            budget: budget.name.clone(),
        })?;
        budgets.push(Budget {
            name: budget.name,
            whose,
            limit,
            per: budget.per,
            allow_uncounted: budget.allow_uncounted,
        });
    }
    Ok(budgets)
}

pub(super) fn rates(
    raw: Vec<raw::Rate>,
    identities: &[Arc<Identity>],
    catalog: &Catalog,
) -> Result<Vec<RateLimit>, ConfigError> {
    raw.into_iter()
        .map(|rate| {
            if rate.requests == 0 {
                return Err(ConfigError::NoRequests);
            }
            // A destination that no service lists is its own name, `name:port`.
            let unknown = |name: &&String| catalog.named(name).is_none() && !name.contains(':');
            if let Some(name) = rate.service.as_ref().filter(unknown) {
                return Err(ConfigError::UnknownService {
                    name: name.clone(),
                    nearest: catalog.nearest(name),
                });
            }
            Ok(RateLimit {
                whose: Whose::check("rate", rate.identity, rate.group, identities)?,
                service: rate.service,
                requests: rate.requests,
                every: rate.per.time(),
            })
        })
        .collect()
}

/// `None` for what is no sum of money.
fn nanodollars(usd: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked"
    )]
    (0.0..=MOST)
        .contains(&usd)
        .then(|| (usd * 1e9).round() as u64)
}

/// Dollars; the record counts nanodollars in 63 bits.
const MOST: f64 = 1e9;
