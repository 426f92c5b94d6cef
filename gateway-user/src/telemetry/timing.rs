//! A histogram of durations that is only atomics: the library's own takes a lock for each observation.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Durations by bucket. Clones share them.
#[derive(Clone, Debug)]
pub struct Timing(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, inclusive.
    bounds: &'static [Duration],
    /// One more than bounds: what lies above the last.
    counts: Vec<AtomicU64>,
    microseconds: AtomicU64,
}

impl Timing {
    pub(super) fn new(bounds: &'static [Duration]) -> Self {
        Self(Arc::new(Buckets {
            bounds,
            counts: std::iter::repeat_with(AtomicU64::default)
                .take(bounds.len() + 1)
                .collect(),
            microseconds: AtomicU64::default(),
        }))
    }

    /// Counts a duration.
    pub fn observe(&self, took: Duration) {
        let Buckets {
            bounds,
            counts,
            microseconds,
        } = &*self.0;
        counts[bounds.partition_point(|bound| *bound < took)].fetch_add(1, Ordering::Relaxed);
        let passed = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        microseconds.fetch_add(passed, Ordering::Relaxed);
    }
}

impl EncodeMetric for Timing {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Buckets {
            bounds,
            counts,
            microseconds,
        } = &*self.0;
        let counts: Vec<u64> = counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let bounds = bounds
            .iter()
            .map(Duration::as_secs_f64)
            .chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts.iter().copied()).collect();
        let sum = Duration::from_micros(microseconds.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(10)];
        let timing = Timing::new(BOUNDS);
        for (milliseconds, bucket) in [(0, 0), (1, 0), (2, 1), (10, 1), (11, 2), (10_000, 2)] {
            let before = timing.0.counts[bucket].load(Ordering::Relaxed);
            timing.observe(Duration::from_millis(milliseconds));
            assert_eq!(
                timing.0.counts[bucket].load(Ordering::Relaxed),
                before + 1,
                "{milliseconds}"
            );
        }
        assert_eq!(timing.0.microseconds.load(Ordering::Relaxed), 10_024_000);
    }
}
