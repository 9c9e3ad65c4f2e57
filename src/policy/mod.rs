//! What a connection error is, and what is done about it.

mod default;
mod failure;
mod policy_fn;

pub use default::DefaultPolicy;
pub use failure::{Decision, Failure};
pub use policy_fn::{PolicyFn, policy_fn};

use std::error::Error;
use std::sync::Arc;

use crate::ConnError;

/// Decides what a connection error is, and whether a request that failed with one is replayed.
///
/// Every method has a default, so a policy says only what is special about it.
///
/// ```
/// use std::error::Error;
/// use tower_conn_retry::{ConnError, ConnErrorKind, ConnErrorPolicy, Decision, Failure, RetryOnConnErr};
///
/// #[derive(Clone)]
/// struct Telemetry;
///
/// impl ConnErrorPolicy<Vec<u8>> for Telemetry {
///     // Old telemetry is worthless: three attempts, then let it go.
///     fn decide(&self, failure: &Failure<'_, Vec<u8>>) -> Decision {
///         if failure.attempts() >= 3 { Decision::Fail } else { failure.default_decision() }
///     }
/// }
///
/// let layer = RetryOnConnErr::new().policy(Telemetry);
/// # let _ = layer;
/// ```
///
/// A policy MAY be called from several tasks at once, and no lock is held meanwhile; a panic in it
/// ends only the call it was asked about. It should NOT block.
pub trait ConnErrorPolicy<Req>: Send + Sync {
    /// What `error` says about the connection; `None` if it is about something else, and then the
    /// caller gets it as it is.
    ///
    /// Default: [`classify`](crate::classify()).
    fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
        crate::classify(error)
    }

    /// Is the request that failed with a connection error replayed?
    ///
    /// Default: [`Failure::default_decision`]. It is not asked where no replay is possible: the
    /// request is gone, or [`give_up_after`](crate::RetryOnConnErr::give_up_after) is over.
    fn decide(&self, failure: &Failure<'_, Req>) -> Decision {
        failure.default_decision()
    }

    /// Makes a fresh copy of the request ready for another attempt: sign it anew, mark it as a
    /// retry. `attempt` is 2 for the first replay.
    ///
    /// Default: nothing.
    fn prepare(&self, request: &mut Req, attempt: u32) {
        let _ = (request, attempt);
    }
}

const _: Option<&dyn ConnErrorPolicy<()>> = None; // object safe

macro_rules! through_pointer {
    ($($pointer:ty),*) => {$(
        impl<Req, P: ConnErrorPolicy<Req> + ?Sized> ConnErrorPolicy<Req> for $pointer {
            fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
                (**self).classify(error)
            }

            fn decide(&self, failure: &Failure<'_, Req>) -> Decision {
                (**self).decide(failure)
            }

            fn prepare(&self, request: &mut Req, attempt: u32) {
                (**self).prepare(request, attempt);
            }
        }
    )*};
}

through_pointer!(&P, Box<P>, Arc<P>);

impl<Req> ConnErrorPolicy<Req> for DefaultPolicy {
    fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
        DefaultPolicy::classify(self, error)
    }
}
