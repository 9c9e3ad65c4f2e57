use std::error::Error;
use std::time::Duration;

use metrics::{Label, counter, gauge, histogram};

use super::{Observer, labels};
use crate::{ConnError, Destination, Reason};

/// An [`Observer`] that counts with the `metrics` facade. Needs the feature `metrics`.
///
/// | name | type | labels |
/// |---|---|---|
/// | `conn_retry_attempts_failed_total` | counter | `kind` |
/// | `conn_retry_held_total` | counter | |
/// | `conn_retry_probes_total` | counter | |
/// | `conn_retry_replays_total` | counter | |
/// | `conn_retry_links_down` | gauge | |
/// | `conn_retry_outage_seconds` | histogram, at the end of an outage | |
/// | `conn_retry_recovered_seconds` | histogram, of the calls that were answered after a failure or a wait | |
/// | `conn_retry_failed_total` | counter | `reason` |
/// | `conn_retry_store_failed_total` | counter | |
///
/// `kind` and `reason` are the names of [`ConnErrorKind`](crate::ConnErrorKind) and [`Reason`] in
/// snake case. [`by_destination`](Self::by_destination) adds the label `destination` to all but the
/// last, which is of an outbox.
///
/// ```
/// use tower_conn_retry::{MetricsObserver, RetryOnConnErr};
///
/// let layer: RetryOnConnErr = RetryOnConnErr::new().observer(MetricsObserver::new());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsObserver {
    by_destination: bool,
}

impl MetricsObserver {
    /// Counts for all destinations together.
    pub const fn new() -> Self {
        Self {
            by_destination: false,
        }
    }

    /// Counts for each destination. Not for a client that talks to many: each is a time series.
    #[must_use]
    pub const fn by_destination(self) -> Self {
        Self {
            by_destination: true,
        }
    }

    fn labels(&self, destination: &Destination) -> Vec<Label> {
        if self.by_destination {
            vec![Label::new("destination", destination.to_string())]
        } else {
            Vec::new()
        }
    }

    fn labels_and(
        &self,
        destination: &Destination,
        key: &'static str,
        value: &'static str,
    ) -> Vec<Label> {
        let mut labels = self.labels(destination);
        labels.push(Label::from_static_parts(key, value));
        labels
    }
}

impl Observer for MetricsObserver {
    fn attempt_failed(&self, destination: &Destination, error: ConnError, _: u32) {
        let labels = self.labels_and(destination, "kind", labels::of_kind(error.kind()));
        counter!("conn_retry_attempts_failed_total", labels).increment(1);
    }

    fn held(&self, destination: &Destination) {
        counter!("conn_retry_held_total", self.labels(destination)).increment(1);
    }

    fn probe(&self, destination: &Destination) {
        counter!("conn_retry_probes_total", self.labels(destination)).increment(1);
    }

    fn replay(&self, destination: &Destination, _: u32) {
        counter!("conn_retry_replays_total", self.labels(destination)).increment(1);
    }

    fn link_down(&self, destination: &Destination, _: ConnError) {
        gauge!("conn_retry_links_down", self.labels(destination)).increment(1);
    }

    fn link_up(&self, destination: &Destination, outage: Duration) {
        gauge!("conn_retry_links_down", self.labels(destination)).decrement(1);
        histogram!("conn_retry_outage_seconds", self.labels(destination)).record(outage);
    }

    fn link_forgotten(&self, destination: &Destination) {
        gauge!("conn_retry_links_down", self.labels(destination)).decrement(1);
    }

    fn recovered(&self, destination: &Destination, _: u32, elapsed: Duration) {
        histogram!("conn_retry_recovered_seconds", self.labels(destination)).record(elapsed);
    }

    fn failed(&self, destination: &Destination, reason: Reason, _: u32, _: Duration) {
        let labels = self.labels_and(destination, "reason", labels::of_reason(reason));
        counter!("conn_retry_failed_total", labels).increment(1);
    }

    fn store_failed(&self, _: &(dyn Error + 'static)) {
        counter!("conn_retry_store_failed_total").increment(1);
    }
}
