//! How long to wait between two probes of a link that is down.

mod erased;
mod exponential;
#[cfg(feature = "backoff")]
mod foreign;

pub(crate) use erased::{Delays, ErasedBackoff};
pub use exponential::ExponentialBackoff;
#[cfg(feature = "backoff")]
pub use foreign::FromBackoff;

use std::time::Duration;

/// The least time between two probes of a destination, whatever a [`Backoff`] says.
pub(crate) const MIN_DELAY: Duration = Duration::from_millis(10);

/// The first step of the default backoff, used where a [`Backoff`] has no delay at all to offer.
pub(crate) const FIRST_STEP: Duration = Duration::from_millis(100);

/// Makes the delays between probes: one fresh, independent sequence for each outage of a link.
///
/// When a sequence ends, its last delay is repeated; an empty one means 100 ms each time. A delay
/// below 10 ms counts as 10 ms, so that a failure that comes at once can't make a busy loop. An
/// outage that begins within 10 s of the last one goes on with the same sequence, unless eight held
/// requests or more were answered since: a peer that serves and fails now and then is not held back for longer
/// each time.
///
/// It MAY be random, and then each sequence should draw its own numbers, or a thousand clients
/// would come back in the same millisecond. It need NOT be bounded in number: when to stop is
/// [`give_up_after`](crate::RetryOnConnErr::give_up_after)'s matter.
///
/// Implemented for [`ExponentialBackoff`] and for every closure that returns an iterator, so
/// the builders of the `backon` crate fit as they are:
///
/// ```
/// use backon::{BackoffBuilder, FibonacciBuilder};
/// use std::time::Duration;
/// use tower_conn_retry::RetryOnConnErr;
///
/// let fixed = RetryOnConnErr::new().backoff(|| std::iter::repeat(Duration::from_millis(250)));
/// let fibonacci =
///     RetryOnConnErr::new().backoff(|| FibonacciBuilder::default().with_jitter().build());
/// # let _: (RetryOnConnErr, RetryOnConnErr) = (fixed, fibonacci);
/// ```
pub trait Backoff: Send + Sync + 'static {
    /// The delays of one outage.
    type Delays: Iterator<Item = Duration> + Send + 'static;

    /// A fresh sequence, for one outage of one link.
    fn delays(&self) -> Self::Delays;
}

impl<F, I> Backoff for F
where
    F: Fn() -> I + Send + Sync + 'static,
    I: Iterator<Item = Duration> + Send + 'static,
{
    type Delays = I;

    fn delays(&self) -> I {
        self()
    }
}
