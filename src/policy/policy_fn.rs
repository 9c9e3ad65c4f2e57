use std::any::type_name;
use std::error::Error;
use std::fmt;

use super::ConnErrorPolicy;
use crate::ConnError;

/// A policy whose [`classify`](ConnErrorPolicy::classify) is the function `f`; all else is default.
///
/// To *add* to what is recognised by default, [`DefaultPolicy::recognize`] is shorter.
///
/// ```
/// use tower_conn_retry::{ConnError, ConnErrorKind, RetryOnConnErr, classify, policy_fn};
///
/// // Timeouts are the caller's matter here; all other connection errors are replayed.
/// let policy = policy_fn(|error| classify(error).filter(|e| e.kind() != ConnErrorKind::Timeout));
/// let layer = RetryOnConnErr::new().policy(policy);
/// # let _ = layer;
/// ```
///
/// [`DefaultPolicy::recognize`]: crate::DefaultPolicy::recognize
pub const fn policy_fn<F>(f: F) -> PolicyFn<F>
where
    F: Fn(&(dyn Error + 'static)) -> Option<ConnError> + Send + Sync,
{
    PolicyFn(f)
}

/// The policy that [`policy_fn`] makes.
#[derive(Clone, Copy)]
pub struct PolicyFn<F>(F);

impl<F, Req> ConnErrorPolicy<Req> for PolicyFn<F>
where
    F: Fn(&(dyn Error + 'static)) -> Option<ConnError> + Send + Sync,
{
    fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
        (self.0)(error)
    }
}

impl<F> fmt::Debug for PolicyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyFn").field(&type_name::<F>()).finish()
    }
}
