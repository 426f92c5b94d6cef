//! What the daemon counts and times, and its text for Prometheus.
//!
//! In: one call where a thing happens, and what is read anew at each scrape ([`Reading`]). Out: the Prometheus text format.
//! Invariants: an event costs atomics and no lock that another connection holds; labels come from bounded sets: identities,
//! listed services, actions and words of this program, so that no agent can make a series. Nothing here can fail a request.

mod metered;
mod reading;
mod timing;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

pub use metered::{Metered, Traffic};
pub use reading::Reading;
pub use timing::Timing;

/// Everything that is counted where it happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    exchanges: Family<Exchange, Counter>,
    sessions: Counter,
    dial_failures: Counter,
    unattributed: Counter,
    spend: Family<Payer, Counter<f64, AtomicU64>>,
    /// From a request that can be put to policy to its decision on record.
    pub decisions: Timing,
    /// How long requests waited for people.
    pub held: Timing,
    /// Transactions of the ledger.
    pub commits: Timing,
}

/// How an exchange is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Exchange {
    /// Who asked.
    pub identity: String,
    /// A listed service; every other destination is `unlisted`.
    pub service: String,
    /// The action, as policy names it.
    pub action: String,
    /// What was decided in the end.
    pub decision: &'static str,
    /// How it ended.
    pub outcome: &'static str,
}

/// Who pays what for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Payer {
    /// Who called.
    pub identity: String,
    /// The service, as for [`Exchange`].
    pub service: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("tollgate"),
            exchanges: Family::default(),
            sessions: Counter::default(),
            dial_failures: Counter::default(),
            unattributed: Counter::default(),
            spend: Family::default(),
            decisions: Timing::new(QUICK),
            held: Timing::new(PATIENT),
            commits: Timing::new(QUICK),
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "exchanges",
            "Requests, statements and opaque connections that have ended",
            self.exchanges.clone(),
        );
        registry.register(
            "sessions",
            "Connections that were attributed",
            self.sessions.clone(),
        );
        registry.register(
            "upstream_dial_failures",
            "Permitted exchanges whose destination could not be reached",
            self.dial_failures.clone(),
        );
        registry.register(
            "dns_unattributed",
            "Questions whose sender the kernel part did not know, and which were refused",
            self.unattributed.clone(),
        );
        registry.register(
            "spend_usd",
            "US dollars that calls of models cost, where their price is known",
            self.spend.clone(),
        );
        registry.register(
            "decision_seconds",
            "From a request that can be put to policy to its decision on record",
            self.decisions.clone(),
        );
        registry.register(
            "held_seconds",
            "How long requests waited for people",
            self.held.clone(),
        );
        registry.register(
            "ledger_commit_seconds",
            "Transactions of the ledger",
            self.commits.clone(),
        );
        self
    }

    /// A connection was attributed and is on record.
    pub fn session(&self) {
        self.sessions.inc();
    }

    /// An exchange has ended. A service that no configuration lists has the name of its destination, `host:port`.
    pub fn exchange(&self, mut exchange: Exchange) {
        if exchange.service.contains(':') {
            "unlisted".clone_into(&mut exchange.service);
        }
        self.exchanges.get_or_create(&exchange).inc();
    }

    /// A call of a model cost so many US dollars.
    pub fn spent(&self, mut payer: Payer, usd: f64) {
        if payer.service.contains(':') {
            "unlisted".clone_into(&mut payer.service);
        }
        self.spend.get_or_create(&payer).inc_by(usd);
    }

    /// A permitted exchange could not reach its destination.
    pub fn dial_failed(&self) {
        self.dial_failures.inc();
    }

    /// Nobody is known to have asked a question.
    pub fn unattributed(&self) {
        self.unattributed.inc();
    }

    /// The text of a scrape.
    #[must_use]
    pub fn text(&self, reading: &Reading) -> String {
        let mut text = String::new();
        let written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &reading.registry()))
            .and_then(|()| encode_eof(&mut text));
        if let Err(error) = written {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

/// For what should take less than a few milliseconds.
const QUICK: &[Duration] = &[
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_secs(1),
];

/// For what takes as long as people take.
const PATIENT: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(service: &str) -> Exchange {
        Exchange {
            identity: "research-agent".to_owned(),
            service: service.to_owned(),
            action: "llm.generate".to_owned(),
            decision: "permit",
            outcome: "completed",
        }
    }

    #[test]
    fn destinations_that_no_service_lists_share_a_series() {
        let metrics = Metrics::default();
        metrics.exchange(exchange("openai"));
        for port in 1..100 {
            metrics.exchange(exchange(&format!("host{port}.test:{port}")));
        }
        let text = metrics.text(&Reading::default());
        let series: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("tollgate_exchanges_total{"))
            .collect();
        assert_eq!(series.len(), 2, "{series:?}");
        assert!(text.contains(
            "tollgate_exchanges_total{identity=\"research-agent\",service=\"unlisted\",action=\"llm.generate\",decision=\"permit\",outcome=\"completed\"} 99\n"
        ), "{text}");
    }

    #[test]
    fn a_scrape_is_whole_and_has_what_was_counted_and_what_was_read() {
        let metrics = Metrics::default();
        metrics.session();
        metrics.dial_failed();
        metrics.held.observe(Duration::from_secs(7));
        let text = metrics.text(&Reading {
            approvals_pending: Some(3),
            policy_reloads: (0, 1),
            ledger_broken: true,
            kernel: vec![("redirected".to_owned(), 11), ("udp".to_owned(), 2)],
            ..Reading::default()
        });
        for line in [
            "tollgate_sessions_total 1",
            "tollgate_policy_reloads_total{result=\"failed\"} 1",
            "tollgate_policy_reloads_total{result=\"ok\"} 0",
            "tollgate_upstream_dial_failures_total 1",
            "tollgate_held_seconds_sum 7.0",
            "tollgate_held_seconds_bucket{le=\"5.0\"} 0",
            "tollgate_held_seconds_bucket{le=\"15.0\"} 1",
            "tollgate_held_seconds_bucket{le=\"+Inf\"} 1",
            "tollgate_approvals_pending 3",
            "tollgate_ledger_broken 1",
            "tollgate_kernel_redirects_total 11",
            "tollgate_kernel_refusals_total{reason=\"udp\"} 2",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no `{line}` in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
