//! Prices by provider and model, from a file with its date.
//!
//! In: the built-in file, and the operator's, whose entries come first. Out: the [`Price`] of a model at a service, or none; a model
//! that no name or beginning of one in the files fits has no price. A price of the file is dollars for a million tokens; here it is picodollars for one.

mod dated;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use self::dated::undated;
use crate::amazon;
use crate::nearest::syntax;

/// What models cost.
#[derive(Debug)]
pub struct Prices {
    providers: HashMap<String, Models>,
    date: String,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    base: Rates,
    /// Tenths of them that a call costs by what it asks for.
    tenths: u64,
    /// Calls that read more tokens than this cost that.
    over: Option<(u64, Rates)>,
    /// Tokens that a call can hold.
    pub context: Option<u64>,
    /// Tokens of the longest answer to a call that sets no limit.
    pub longest: Option<u64>,
}

/// Tokens of a call as a provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read, cached ones included.
    pub input: u64,
    /// Of those, from the provider's cache.
    pub cached: u64,
    /// Of those, written to the provider's cache.
    pub written: u64,
    /// Of those, for an hour.
    pub hour: u64,
    /// Written, reasoning included.
    pub output: u64,
    /// Tenths of the price in the list that the answer says it costs.
    pub tenths: Option<u64>,
}

/// A file of prices that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PriceError {
    #[error("cannot read the prices in {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
}

/// Picodollars for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rates {
    input: u64,
    cached: u64,
    written: u64,
    output: Option<u64>,
}

/// The models of a provider, by name and by how names begin, the longest first.
#[derive(Debug, Default)]
struct Models {
    named: HashMap<String, Price>,
    begun: Vec<(String, Price)>,
}

struct File {
    date: String,
    providers: BTreeMap<String, BTreeMap<String, Spanned<Entry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input: f64,
    cached: Option<f64>,
    written: Option<f64>,
    output: Option<f64>,
    context: Option<u64>,
    longest: Option<u64>,
    above: Option<u64>,
    over: Option<Over>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Over {
    input: f64,
    cached: Option<f64>,
    written: Option<f64>,
    output: Option<f64>,
}

impl Prices {
    /// The built-in prices, behind those of `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is no file of prices.
    pub fn load(path: Option<&Path>) -> Result<Self, PriceError> {
        let syntax = |path: &Path, (line, message)| PriceError::Syntax {
            path: path.to_owned(),
            line,
            message,
        };
        let built_in = Path::new("the built-in prices");
        let mut prices = Self::parse(BUILT_IN).map_err(|error| syntax(built_in, error))?;
        if let Some(path) = path {
            let text = std::fs::read_to_string(path).map_err(|source| PriceError::Read {
                path: path.to_owned(),
                source,
            })?;
            let own = Self::parse(&text).map_err(|error| syntax(path, error))?;
            prices.date = format!("{}, yours of {}", prices.date, own.date);
            for (provider, models) in own.providers {
                prices.providers.entry(provider).or_default().add(models);
            }
        }
        Ok(prices)
    }

    /// The error is a line and what is wrong in it.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            (line(at), syntax(error.message()))
        })?;
        let mut providers = HashMap::new();
        for (provider, entries) in file.providers {
            let mut models = Models::default();
            for (name, entry) in entries {
                let at = entry.span().start;
                let price = entry.into_inner().check();
                let price = price
                    .map_err(|error| (line(at), format!("{provider}: \"{name}\": {error}")))?;
                match name.strip_suffix('*') {
                    Some(begin) => models.begun.push((begin.to_owned(), price)),
                    None => {
                        models.named.insert(name, price);
                    }
                }
            }
            models.sort();
            providers.insert(provider, models);
        }
        let date = file.date;
        Ok(Self { providers, date })
    }

    /// What a model costs at a service; at one that is no known provider, what it costs at `maker`, whose format the call has.
    #[must_use]
    pub fn of(&self, service: &str, maker: &str, model: &str) -> Option<&Price> {
        let models = self.providers.get(service);
        let models = models.or_else(|| self.providers.get(maker))?;
        let elsewhere = || amazon::names(model).find_map(|name| models.find(name));
        models
            .find(model)
            .or_else(|| elsewhere().filter(|_| maker == BEDROCK))
    }

    /// When the prices were taken.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }
}

impl<'de> Deserialize<'de> for File {
    /// By hand: what is flattened into a map loses its place.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;
        impl<'de> Visitor<'de> for Tables {
            type Value = File;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a date, and a table of prices for each service")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let (mut date, mut providers) = (None, BTreeMap::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key == "date" {
                        date = Some(map.next_value()?);
                    } else {
                        providers.insert(key, map.next_value()?);
                    }
                }
                let missing =
                    || A::Error::custom("add `date = \"YYYY-MM-DD\"`: when these are the prices");
                let date = date.ok_or_else(missing)?;
                Ok(File { date, providers })
            }
        }
        deserializer.deserialize_map(Tables)
    }
}

impl Models {
    /// Those of another file come first.
    fn add(&mut self, other: Self) {
        self.begun
            .retain(|(begin, _)| other.begun.iter().all(|(own, _)| own != begin));
        self.begun.extend(other.begun);
        self.named.extend(other.named);
        self.sort();
    }

    fn sort(&mut self) {
        self.begun
            .sort_by_key(|(begin, _)| std::cmp::Reverse(begin.len()));
    }

    fn find(&self, model: &str) -> Option<&Price> {
        let named = self.named.get(model);
        named
            .or_else(|| self.named.get(undated(model)?))
            .or_else(|| {
                let fits = |(begin, _): &&(String, Price)| model.starts_with(begin.as_str());
                self.begun.iter().find(fits).map(|(_, price)| price)
            })
    }
}

impl Entry {
    fn check(self) -> Result<Price, &'static str> {
        let base = rates(self.input, self.cached, self.written, self.output)?;
        let over = match (self.above, self.over) {
            (Some(above), Some(over)) => {
                let over = rates(over.input, over.cached, over.written, over.output)?;
                Some((above, over))
            }
            (None, None) => None,
            _ => return Err("`above` and `over` stand together"),
        };
        Ok(Price {
            base,
            tenths: LISTED,
            over,
            context: self.context,
            longest: self.longest,
        })
    }
}

fn rates(
    input: f64,
    cached: Option<f64>,
    written: Option<f64>,
    output: Option<f64>,
) -> Result<Rates, &'static str> {
    let input = pico(input)?;
    Ok(Rates {
        input,
        cached: cached.map_or(Ok(input), pico)?,
        written: written.map_or(Ok(input), pico)?,
        output: output.map(pico).transpose()?,
    })
}

/// Dollars for a million tokens are millionths of a dollar for one, which is a million picodollars.
fn pico(dollars: f64) -> Result<u64, &'static str> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and prices have few digits"
    )]
    match (0.0..=DEAREST).contains(&dollars) {
        true => Ok((dollars * 1e6).round() as u64),
        false => Err("a price is dollars for a million tokens, from 0 to 1000000"),
    }
}

impl Price {
    /// Whether the model writes.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.base.output.is_some()
    }

    /// What a call cost, in nanodollars, rounded up.
    #[must_use]
    pub fn cost(&self, tokens: Tokens) -> u64 {
        let rates = self.rates(tokens.input);
        let cached = tokens.cached.min(tokens.input);
        let written = tokens.written.min(tokens.input - cached);
        let hour = tokens.hour.min(written);
        let parts = [
            (tokens.input - cached - written, rates.input),
            (cached, rates.cached),
            (written - hour, rates.written),
            (hour, rates.hour()),
            (tokens.output, rates.output.unwrap_or(0)),
        ];
        nano(&parts, tokens.tenths.unwrap_or(self.tenths))
    }

    /// The most that a call can cost which reads and writes so many tokens at most, in nanodollars; `caches` tells that it may write to
    /// a cache that lasts an hour.
    #[must_use]
    pub fn bound(&self, input: u64, output: u64, caches: bool) -> u64 {
        let rates = self.rates(input);
        let dearest = match caches {
            true => rates.hour(),
            false => rates.written.max(rates.input),
        };
        let parts = [(input, dearest), (output, rates.output.unwrap_or(0))];
        nano(&parts, self.tenths)
    }

    /// The same for a call that asks for what costs so many tenths of it.
    #[must_use]
    pub fn times(self, tenths: u64) -> Self {
        Self { tenths, ..self }
    }

    fn rates(&self, input: u64) -> Rates {
        match self.over {
            Some((above, over)) if input > above => over,
            _ => self.base,
        }
    }
}

impl Rates {
    /// Writing to a cache that lasts an hour costs twice what reading does, which is 1.6 times what writing for five minutes does.
    fn hour(&self) -> u64 {
        let written = self.written.saturating_mul(8).div_ceil(5);
        written.max(self.input.saturating_mul(2))
    }
}

fn nano(parts: &[(u64, u64)], tenths: u64) -> u64 {
    let pico: u128 = parts
        .iter()
        .map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate))
        .fold(0, u128::saturating_add);
    let nano = pico.saturating_mul(tenths.into()).div_ceil(10_000);
    u64::try_from(nano).unwrap_or(u64::MAX)
}

/// Tenths of the price in a list that a call costs for which nothing else is said.
const LISTED: u64 = 10;

/// Where names of models tell also from where they are called.
const BEDROCK: &str = "bedrock";
/// Dollars for a million tokens that no model costs.
const DEAREST: f64 = 1e6;

const BUILT_IN: &str = include_str!("prices.toml");

#[cfg(test)]
mod tests;
