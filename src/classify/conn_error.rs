use std::fmt;
use std::time::Duration;

/// What an error says about the connection: which [kind](ConnErrorKind) of failure it is, whether
/// the request was [sent](Sent), and whether [waiting can help](Outlook).
///
/// ```
/// use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, Sent};
///
/// let refused = ConnError::new(ConnErrorKind::Refused);
/// assert_eq!(refused.sent(), Sent::Maybe); // no errno is proof
/// assert_eq!(refused.outlook(), Outlook::Transient);
/// assert_eq!(refused.with_sent(Sent::No).sent(), Sent::No);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnError {
    kind: ConnErrorKind,
    sent: Sent,
    outlook: Outlook,
    /// In ms, or [`UNSAID`]. Small, since every request that is held has one of these.
    retry_after: u32,
}

const UNSAID: u32 = u32::MAX;

impl ConnError {
    /// A connection error of this kind, with the careful assumptions: the request
    /// [may have been sent](Sent::Maybe), and [waiting can help](Outlook::Transient).
    pub const fn new(kind: ConnErrorKind) -> Self {
        Self {
            kind,
            sent: Sent::Maybe,
            outlook: Outlook::Transient,
            retry_after: UNSAID,
        }
    }

    /// The same with other evidence about whether the request was sent. [`Sent::No`] needs proof.
    #[must_use]
    pub const fn with_sent(self, sent: Sent) -> Self {
        Self { sent, ..self }
    }

    /// The same with another outlook.
    #[must_use]
    pub const fn with_outlook(self, outlook: Outlook) -> Self {
        Self { outlook, ..self }
    }

    /// The same with the peer's word about when it can be tried again: the time from now until the
    /// next probe at the earliest, in whole milliseconds (rounded up) and up to 49 days. Default: none,
    /// the [`Backoff`](crate::Backoff) alone decides.
    ///
    /// Meanwhile nobody tries, immediate replays included, unless [`wake`](crate::Links::wake) is
    /// called: so bound a time that comes from the peer.
    /// [`give_up_after`](crate::RetryOnConnErr::give_up_after) goes on.
    #[must_use]
    pub const fn with_retry_after(self, time: Duration) -> Self {
        let ms = time.as_nanos().div_ceil(1_000_000);
        let longest = UNSAID - 1;
        let retry_after = if ms < longest as u128 {
            ms as u32
        } else {
            longest
        };
        Self {
            retry_after,
            ..self
        }
    }

    pub(super) const fn with_kind(self, kind: ConnErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// What broke.
    pub const fn kind(&self) -> ConnErrorKind {
        self.kind
    }

    /// Whether the peer may have seen the request.
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// Whether waiting can help.
    pub const fn outlook(&self) -> Outlook {
        self.outlook
    }

    /// How long the peer wants to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.retry_after {
            UNSAID => None,
            ms => Some(Duration::from_millis(ms as u64)),
        }
    }
}

impl fmt::Debug for ConnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ConnError");
        debug
            .field("kind", &self.kind)
            .field("sent", &self.sent)
            .field("outlook", &self.outlook);
        if let Some(wait) = self.retry_after() {
            debug.field("retry_after", &wait);
        }
        debug.finish()
    }
}

/// The kind of a connection error.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnErrorKind {
    /// Nobody listens at the peer's address (ECONNREFUSED).
    Refused,
    /// The peer, or a box on the way, reset the connection (ECONNRESET).
    Reset,
    /// The connection was aborted on this side (ECONNABORTED).
    Aborted,
    /// Written to a connection that was closed already (EPIPE, ESHUTDOWN).
    BrokenPipe,
    /// The socket is not connected (ENOTCONN).
    NotConnected,
    /// The connection ended before the answer was complete.
    Closed,
    /// No route to the peer's network or host (ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET).
    Unreachable,
    /// The network interface is down or gone (ENETDOWN, ENETRESET, ENODEV).
    NetworkDown,
    /// The local address or port is not available (EADDRNOTAVAIL).
    AddressUnavailable,
    /// The peer's name could not be resolved.
    Dns,
    /// TLS failed.
    Tls,
    /// Nothing was heard for too long.
    Timeout,
    /// A limit or a rule of this machine forbade the connection (EMFILE, ENFILE, ENOBUFS, EACCES,
    /// EPERM while connecting).
    Local,
    /// A connection error of no kind that is listed here.
    Other,
}

impl fmt::Display for ConnErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::Aborted => "connection aborted",
            Self::BrokenPipe => "broken pipe",
            Self::NotConnected => "not connected",
            Self::Closed => "connection closed",
            Self::Unreachable => "peer unreachable",
            Self::NetworkDown => "network down",
            Self::AddressUnavailable => "local address unavailable",
            Self::Dns => "name resolution failed",
            Self::Tls => "TLS failed",
            Self::Timeout => "timed out",
            Self::Local => "forbidden by a local limit",
            Self::Other => "connection error",
        })
    }
}

/// Evidence whether the peer may have seen the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Proved: the peer has not seen it.
    No,
    /// The peer may have seen it.
    Maybe,
}

/// Whether waiting can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outlook {
    /// Waiting can help.
    Transient,
    /// Waiting can't help: a wrong certificate name, a host name that does not exist.
    Permanent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_word_is_kept_to_the_millisecond() {
        let error = ConnError::new(ConnErrorKind::Other);
        let said = |wait: Duration| error.with_retry_after(wait).retry_after();
        assert_eq!(error.retry_after(), None);
        assert_eq!(said(Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(
            said(Duration::from_micros(1_001)),
            Some(Duration::from_millis(2))
        );
        let longest = Duration::from_millis(u64::from(u32::MAX) - 1);
        assert_eq!(said(longest), Some(longest));
        assert_eq!(said(Duration::MAX), Some(longest));
        assert_eq!(size_of::<ConnError>(), 8);
    }
}
