use std::error::Error;
use std::fmt;

/// An attempt was ended because it took too long: [`attempt_timeout`], or the rest of
/// [`give_up_after`].
///
/// A connection error of kind [`Timeout`](crate::ConnErrorKind::Timeout); the request may have been
/// sent.
///
/// [`attempt_timeout`]: crate::RetryOnConnErr::attempt_timeout
/// [`give_up_after`]: crate::RetryOnConnErr::give_up_after
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTimeout {
    pub(crate) _private: (),
}

impl fmt::Display for AttemptTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer in the time of an attempt")
    }
}

impl Error for AttemptTimeout {}
