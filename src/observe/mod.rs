//! Who is told what happens to links and requests.

mod forward;
#[cfg(any(feature = "tracing", feature = "metrics"))]
mod labels;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;

use std::error::Error;
use std::time::Duration;

use crate::{ConnError, Destination, Reason};

/// Is told what happens: one method for each event, all empty by default. A pair of observers is
/// one too.
///
/// With features there are two ready-made ones, `TracingObserver` and `MetricsObserver`.
///
/// ```
/// use std::time::Duration;
/// use tower_conn_retry::{ConnError, Destination, Observer, RetryOnConnErr};
///
/// struct Log;
///
/// impl Observer for Log {
///     fn link_down(&self, destination: &Destination, error: ConnError) {
///         eprintln!("{destination} is down: {}", error.kind());
///     }
///
///     fn link_up(&self, destination: &Destination, outage: Duration) {
///         eprintln!("{destination} is back after {outage:?}");
///     }
/// }
///
/// let layer: RetryOnConnErr = RetryOnConnErr::new().observer(Log);
/// ```
///
/// No lock is held meanwhile, so an observer MAY look at [`Links`](crate::Links). It should NOT
/// block. Events of one link can arrive in another order than they happened where several threads
/// are at work.
pub trait Observer: Send + Sync + 'static {
    /// An attempt failed with a connection error; the request has had so many.
    fn attempt_failed(&self, destination: &Destination, error: ConnError, attempts: u32) {
        let _ = (destination, error, attempts);
    }

    /// A request was put into the backlog, its first time.
    fn held(&self, destination: &Destination) {
        let _ = destination;
    }

    /// A probe starts: the one attempt that is allowed while the link is down.
    fn probe(&self, destination: &Destination) {
        let _ = destination;
    }

    /// A replay starts, as the request's attempt of this number (2 for the first replay).
    fn replay(&self, destination: &Destination, attempt: u32) {
        let _ = (destination, attempt);
    }

    /// The link went down, because of this error.
    fn link_down(&self, destination: &Destination, error: ConnError) {
        let _ = (destination, error);
    }

    /// The link is up again, after so long.
    fn link_up(&self, destination: &Destination, outage: Duration) {
        let _ = (destination, outage);
    }

    /// The link was down, and is forgotten because nobody has asked for it any more. The next call
    /// to this destination makes an attempt of its own.
    fn link_forgotten(&self, destination: &Destination) {
        let _ = destination;
    }

    /// A request that had failed before, or had waited, was answered after all.
    fn recovered(&self, destination: &Destination, attempts: u32, elapsed: Duration) {
        let _ = (destination, attempts, elapsed);
    }

    /// A request failed for good, after a connection error or waiting.
    fn failed(&self, destination: &Destination, reason: Reason, attempts: u32, elapsed: Duration) {
        let _ = (destination, reason, attempts, elapsed);
    }

    /// The store of an [`Outbox`](crate::Outbox) failed: it could not be read, or messages could not be stored or
    /// removed. Each try is told; where the outbox tries again, it does so once a second.
    fn store_failed(&self, error: &(dyn Error + 'static)) {
        let _ = error;
    }
}
