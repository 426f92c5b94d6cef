//! What is not counted as it happens but read when somebody asks.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The state of the daemon at the time of a scrape. What cannot be told is left out rather than told as zero.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Since it governs.
    pub uptime: Duration,
    /// Connections that are open now.
    pub open_sessions: u64,
    /// Read from agents, and written to them, since the start.
    pub bytes: (u64, u64),
    /// Questions that wait for a person.
    pub approvals_pending: Option<u64>,
    /// How often other policies came into force, and how often new ones were broken.
    pub policy_reloads: (u64, u64),
    /// Places of the ledger's queue that are taken: open entries and writes under way.
    pub ledger_slots: u64,
    /// The last write of the ledger failed; everything is refused.
    pub ledger_broken: bool,
    /// Budgets, with US dollars that are neither spent nor reserved.
    pub budgets: Vec<(String, f64)>,
    /// What the kernel part counted since it was loaded: `redirected`, then refusals by reason.
    pub kernel: Vec<(String, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reload {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Budget {
    budget: String,
}

impl Reading {
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tollgate");
        let mut gauge = |name: &str, help: &str, value: u64| {
            let gauge = Gauge::<i64>::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        };
        gauge(
            "uptime_seconds",
            "Since the daemon governs",
            self.uptime.as_secs(),
        );
        gauge(
            "open_sessions",
            "Connections that are open",
            self.open_sessions,
        );
        gauge(
            "ledger_slots_used",
            "Open entries and writes under way; at 65536 new connections are refused",
            self.ledger_slots,
        );
        gauge(
            "ledger_broken",
            "1 while the ledger cannot be written and everything is refused",
            u64::from(self.ledger_broken),
        );
        if let Some(pending) = self.approvals_pending {
            gauge(
                "approvals_pending",
                "Questions that wait for a person",
                pending,
            );
        }

        let bytes = Family::<Direction, Counter>::default();
        for (direction, count) in [("from_agents", self.bytes.0), ("to_agents", self.bytes.1)] {
            bytes.get_or_create(&Direction { direction }).inc_by(count);
        }
        registry.register(
            "bytes",
            "Bytes between agents and Tollgate, TLS included",
            bytes,
        );

        let reloads = Family::<Reload, Counter>::default();
        let (ok, failed) = self.policy_reloads;
        for (result, count) in [("ok", ok), ("failed", failed)] {
            reloads.get_or_create(&Reload { result }).inc_by(count);
        }
        registry.register(
            "policy_reloads",
            "Reloads of the policies, by result",
            reloads,
        );

        let budgets = Family::<Budget, Gauge<f64, AtomicU64>>::default();
        for (budget, left) in self.budgets.clone() {
            budgets.get_or_create(&Budget { budget }).set(left);
        }
        registry.register(
            "budget_left_usd",
            "US dollars of each budget that are neither spent nor reserved",
            budgets,
        );

        let refusals = Family::<Refused, Counter>::default();
        for (reason, count) in &self.kernel {
            let (reason, count) = (reason.as_str(), *count);
            if reason == "redirected" {
                let redirects = Counter::<u64>::default();
                redirects.inc_by(count);
                registry.register(
                    "kernel_redirects",
                    "Connections taken in by the kernel part",
                    redirects,
                );
            } else {
                refusals
                    .get_or_create(&Refused {
                        reason: reason.to_owned(),
                    })
                    .inc_by(count);
            }
        }
        registry.register(
            "kernel_refusals",
            "What the kernel part refused, by reason",
            refusals,
        );
        registry
    }
}
