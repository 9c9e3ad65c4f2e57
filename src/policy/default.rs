use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::classify::{ConnError, Recognizer, cast, walk};

/// The policy that `RetryOnConnErr` starts with: recognises connection
/// errors as [`classify`](crate::classify()) does, and third-party ones as it is told.
///
/// ```
/// use std::io;
/// use tower_conn_retry::{ConnError, ConnErrorKind, DefaultPolicy};
/// # #[derive(Debug)] enum BrokerError { ServerGone, NoSuchTopic }
/// # impl std::fmt::Display for BrokerError {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("broker") }
/// # }
/// # impl std::error::Error for BrokerError {}
///
/// let policy = DefaultPolicy::new().recognize(|error: &BrokerError| match error {
///     BrokerError::ServerGone => Some(ConnError::new(ConnErrorKind::Closed)),
///     _ => None,
/// });
///
/// let found = policy.classify(&io::Error::other(BrokerError::ServerGone));
/// assert_eq!(found, Some(ConnError::new(ConnErrorKind::Closed)));
/// assert_eq!(policy.classify(&BrokerError::NoSuchTopic), None);
/// ```
#[derive(Clone, Default)]
pub struct DefaultPolicy {
    recognizers: Vec<Arc<Recognizer>>,
}

impl DefaultPolicy {
    /// Recognises what [`classify`](crate::classify()) does.
    pub const fn new() -> Self {
        Self {
            recognizers: Vec::new(),
        }
    }

    /// Asks `recognize` about every `E` in a chain, also one that an `Arc<E>` or a `Box<E>` hides.
    ///
    /// It is asked at every step of the chain, from the outside in, before the built-in families.
    /// Its first `Some` is the verdict; `None` means "go on". If several recognisers are
    /// registered, the earlier one is asked first.
    ///
    /// [`Sent::No`](crate::Sent::No) needs proof, so leave it away unless the error says that
    /// nothing was sent. An outer error's proof counts in any case: a verdict found below a
    /// [`ConnectError`](crate::ConnectError) is `Sent::No`.
    #[must_use]
    pub fn recognize<E: Error + 'static>(
        mut self,
        recognize: impl Fn(&E) -> Option<ConnError> + Send + Sync + 'static,
    ) -> Self {
        self.recognizers
            .push(Arc::new(move |error| cast::<E>(error).and_then(&recognize)));
        self
    }

    /// What this error says about the connection, if it is about the connection at all.
    pub fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
        walk(error, &self.recognizers)
    }
}

impl fmt::Debug for DefaultPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultPolicy")
            .field("recognizers", &self.recognizers.len())
            .finish()
    }
}
