//! How often an identity may ask a service: a bucket for each rule and identity, full at the start, filled evenly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::{Identity, RateLimit};

/// The rate limits of one daemon.
#[derive(Debug)]
pub struct Rates {
    limits: Vec<RateLimit>,
    /// By place of the limit and identity: how much is left, and since when.
    buckets: Mutex<HashMap<(usize, String), (f64, Instant)>>,
}

/// A request too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit}: the next may come in {} s", after.as_secs())]
pub struct TooOften {
    /// The limit, in words.
    pub limit: String,
    /// When there is room again, in whole seconds.
    pub after: Duration,
}

impl Rates {
    /// Limits, with full buckets.
    #[must_use]
    pub fn new(limits: &[RateLimit]) -> Self {
        Self {
            limits: limits.to_vec(),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request from every bucket it falls into, or from none.
    ///
    /// # Errors
    /// One of them is empty.
    pub fn take(&self, identity: &Identity, service: &str, now: Instant) -> Result<(), TooOften> {
        let falls = |limit: &RateLimit| {
            limit.whose.includes(identity)
                && limit.service.as_deref().is_none_or(|only| only == service)
        };
        let fitting: Vec<usize> = (0..self.limits.len())
            .filter(|place| falls(&self.limits[*place]))
            .collect();
        if fitting.is_empty() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &fitting {
            let limit = &self.limits[*place];
            let full = f64::from(limit.requests);
            let bucket = buckets
                .entry((*place, identity.id.clone()))
                .or_insert((full, now));
            let rate = full / limit.every.as_secs_f64();
            let passed = now.saturating_duration_since(bucket.1).as_secs_f64();
            *bucket = ((bucket.0 + passed * rate).min(full), now);
            if bucket.0 < 1.0 {
                let after = ((1.0 - bucket.0) / rate).ceil().max(1.0);
                return Err(TooOften {
                    limit: limit.to_string(),
                    after: Duration::from_secs_f64(after),
                });
            }
        }
        for place in fitting {
            if let Some(bucket) = buckets.get_mut(&(place, identity.id.clone())) {
                bucket.0 -= 1.0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_bucket_empties_and_fills_for_each_identity_alone() {
        let text = "[[identity]]\nid = \"a\"\n[[identity]]\nid = \"b\"\n
            [[rate]]\nservice = \"openai\"\nrequests = 3\nper = \"minute\"\n";
        let config = Config::parse(text, std::path::Path::new("/")).unwrap();
        let rates = Rates::new(&config.rates);
        let [a, b] = [&config.identities[0], &config.identities[1]];
        let began = Instant::now();
        for _ in 0..3 {
            rates.take(a, "openai", began).unwrap();
        }
        let error = rates.take(a, "openai", began).unwrap_err();
        assert_eq!(error.after, Duration::from_secs(20));
        assert!(error.to_string().contains("3 requests a minute"), "{error}");
        rates.take(b, "openai", began).unwrap();
        rates.take(a, "anthropic", began).unwrap();
        rates
            .take(a, "openai", began + Duration::from_secs(20))
            .unwrap();
        rates
            .take(a, "openai", began + Duration::from_secs(39))
            .unwrap_err();
    }
}
