use std::fmt;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnError {
    kind: ConnErrorKind,
    sent: Sent,
    outlook: Outlook,
}

impl ConnError {
    /// A connection error of this kind, with the careful assumptions: the request
    /// [may have been sent](Sent::Maybe), and [waiting can help](Outlook::Transient).
    pub const fn new(kind: ConnErrorKind) -> Self {
        Self {
            kind,
            sent: Sent::Maybe,
            outlook: Outlook::Transient,
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
