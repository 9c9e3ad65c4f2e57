use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// An answer that says "try again later", as an error: what
/// [`UnavailableLayer`](crate::UnavailableLayer) makes of a 503.
///
/// A connection error of kind [`Other`](crate::ConnErrorKind::Other); the request may have been done.
/// When the layer gives up, this is the source of its error:
///
/// ```
/// use tower_conn_retry::{Error, Unavailable};
///
/// fn report(error: &Error) {
///     if let Some(answer) = error.downcast_ref::<Unavailable>() {
///         println!("the server said {}: {:?}", answer.status(), answer.headers());
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Unavailable {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) retry_after: Option<Duration>,
}

impl Unavailable {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How long to wait according to the answer's `Retry-After` (RFC 9110 §10.2.3), from when it came;
    /// zero if that time is over. At most
    /// [`max_retry_after`](crate::UnavailableLayer::max_retry_after). `None` if there was none, or none
    /// that could be read.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        match self.retry_after {
            Some(wait) => write!(f, ", try again after {wait:.0?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the headers: they may have secrets.
        f.debug_struct("Unavailable")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

impl Error for Unavailable {}
