use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{Span, debug, info, info_span, warn};

use super::{Observer, labels};
use crate::{ConnError, Destination, Outlook, Reason, Sent};

/// An [`Observer`] that writes to `tracing`. Needs the feature `tracing`.
///
/// From the moment a link goes down until it is up again there is a span `outage` with the field
/// `destination`, and the events of that destination are in it. All have the target
/// `tower_conn_retry`.
///
/// | event | level | fields |
/// |---|---|---|
/// | `attempt failed` | debug | `destination`, `kind`, `sent` (`no`, `maybe`), `outlook` (`transient`, `permanent`), `attempts` |
/// | `held` | debug | `destination` |
/// | `probe` | debug | `destination` |
/// | `replay` | debug | `destination`, `attempt` |
/// | `link down` | warn | `destination`, `kind` |
/// | `link up` | info | `destination`, `outage_seconds` |
/// | `recovered` | debug | `destination`, `attempts`, `elapsed_seconds` |
/// | `failed` | warn | `destination`, `reason`, `attempts`, `elapsed_seconds` |
/// | `store failed` | warn | `error`, with its sources |
///
/// `kind` and `reason` are the names of [`ConnErrorKind`](crate::ConnErrorKind) and [`Reason`] in
/// snake case.
///
/// ```
/// use tower_conn_retry::{RetryOnConnErr, TracingObserver};
///
/// let layer: RetryOnConnErr = RetryOnConnErr::new().observer(TracingObserver::new());
/// ```
#[derive(Debug, Default)]
pub struct TracingObserver {
    outages: Mutex<HashMap<Destination, Span>>,
}

const TARGET: &str = "tower_conn_retry";

impl TracingObserver {
    /// Writes to whatever subscriber there is.
    pub fn new() -> Self {
        Self::default()
    }

    /// The span of the destination's outage, if there is one.
    fn span(&self, destination: &Destination) -> Span {
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.get(destination).cloned().unwrap_or_else(Span::none)
    }

    fn end(&self, destination: &Destination) -> Option<Span> {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.remove(destination)
    }
}

impl Observer for TracingObserver {
    fn attempt_failed(&self, destination: &Destination, error: ConnError, attempts: u32) {
        let kind = labels::of_kind(error.kind());
        let sent = match error.sent() {
            Sent::No => "no",
            Sent::Maybe => "maybe",
        };
        let outlook = match error.outlook() {
            Outlook::Transient => "transient",
            Outlook::Permanent => "permanent",
        };
        let _in = self.span(destination).entered();
        debug!(target: TARGET, %destination, kind, sent, outlook, attempts, "attempt failed");
    }

    fn held(&self, destination: &Destination) {
        let _in = self.span(destination).entered();
        debug!(target: TARGET, %destination, "held");
    }

    fn probe(&self, destination: &Destination) {
        let _in = self.span(destination).entered();
        debug!(target: TARGET, %destination, "probe");
    }

    fn replay(&self, destination: &Destination, attempt: u32) {
        let _in = self.span(destination).entered();
        debug!(target: TARGET, %destination, attempt, "replay");
    }

    fn link_down(&self, destination: &Destination, error: ConnError) {
        let kind = labels::of_kind(error.kind());
        let span = info_span!(target: TARGET, parent: None, "outage", %destination);
        span.in_scope(|| warn!(target: TARGET, %destination, kind, "link down"));
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.insert(destination.clone(), span);
    }

    fn link_up(&self, destination: &Destination, outage: Duration) {
        let _in = self.end(destination).unwrap_or_else(Span::none).entered();
        let outage_seconds = outage.as_secs_f64();
        info!(target: TARGET, %destination, outage_seconds, "link up");
    }

    fn link_forgotten(&self, destination: &Destination) {
        drop(self.end(destination));
    }

    fn recovered(&self, destination: &Destination, attempts: u32, elapsed: Duration) {
        let elapsed_seconds = elapsed.as_secs_f64();
        let _in = self.span(destination).entered();
        debug!(target: TARGET, %destination, attempts, elapsed_seconds, "recovered");
    }

    fn failed(&self, destination: &Destination, reason: Reason, attempts: u32, elapsed: Duration) {
        let reason = labels::of_reason(reason);
        let elapsed_seconds = elapsed.as_secs_f64();
        let _in = self.span(destination).entered();
        warn!(target: TARGET, %destination, reason, attempts, elapsed_seconds, "failed");
    }

    fn store_failed(&self, error: &(dyn Error + 'static)) {
        warn!(target: TARGET, error, "store failed");
    }
}
