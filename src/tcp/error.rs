use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::classify::{classify, walk_connecting};
use crate::request::Slot;
use crate::{BoxError, ConnError, ConnErrorKind, Outlook, Sent};

/// What went wrong with a connection, or with one request on it.
///
/// It knows whether its request was [sent](Error::sent). One cause can fail many requests, so the
/// cause is shared and a clone is cheap.
#[derive(Clone)]
pub struct Error {
    cause: Arc<Cause>,
    sent: Evidence,
    /// What was never encoded.
    unsent: Option<Arc<Slot>>,
}

/// [`Sent`], as wide as a pointer: so what is either an answer or an error is moved word by word.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Evidence {
    No,
    Maybe,
}

/// Which kind of thing went wrong.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The address is not of the form `host:port`. Trying again can't help.
    Address,
    /// The host's name could not be resolved.
    Resolve,
    /// No address of the host took the connection.
    Connect,
    /// Resolving, connecting and the TLS handshake together took longer than `connect_timeout`.
    ConnectTimeout,
    /// The TLS handshake failed, or TLS could not be set up.
    Tls,
    /// The peer closed the connection.
    Closed,
    /// Reading or writing failed, or nothing of what was sent was acknowledged for too long
    /// (`user_timeout`).
    Io,
    /// The codec refused the request. It is this request's own fault: nothing of it was written,
    /// the connection goes on, and it is not a connection error.
    Encode,
    /// The codec can't make sense of what the peer sent. Where the next frame begins is unknown
    /// then, so the connection is given up, and every request in flight fails with this.
    Decode,
    /// The peer sent an answer that nobody asked for. Which answer belongs to which request is
    /// unknown from then on, so the connection is given up.
    UnexpectedAnswer,
    /// [`Correlate`](super::Correlate) gave the request an id that is still unanswered. It is this
    /// request's own fault: nothing of it was written, the connection goes on, and it is not a
    /// connection error.
    DuplicateId,
    /// This platform does not tell what the peer's kernel has acknowledged, so there are no one-way
    /// messages. Trying again can't help.
    Unsupported,
    /// Nothing came from the peer for `response_timeout` although it owed an answer.
    ResponseTimeout,
    /// The service was called without having been polled ready. Not a connection error.
    NotReady,
    /// The task of the connection has gone: the runtime was shut down, or the codec panicked.
    Gone,
}

struct Cause {
    kind: ErrorKind,
    source: Option<BoxError>,
    /// Of an error of connecting: what was connected to.
    address: Option<Arc<str>>,
}

impl Error {
    /// An error of making a connection, or of one request alone: nothing was sent.
    pub(super) fn unsent(kind: ErrorKind, source: Option<BoxError>) -> Self {
        Self {
            cause: Arc::new(Cause {
                kind,
                source,
                address: None,
            }),
            sent: Evidence::No,
            unsent: None,
        }
    }

    /// Nobody else has this error yet, which is about connecting to this address.
    pub(super) fn at(mut self, address: &Arc<str>) -> Self {
        if let Some(cause) = Arc::get_mut(&mut self.cause) {
            cause.address = Some(address.clone());
        }
        self
    }

    /// The same cause, seen by a request that was never encoded: it is handed back.
    pub(super) fn handing_back<Req: Send + 'static>(&self, request: Req) -> Self {
        Self {
            cause: Arc::clone(&self.cause),
            sent: Evidence::No,
            unsent: Some(Arc::new(Slot::new(request))),
        }
    }

    /// The request that is handed back, if it is one of this type.
    pub(crate) fn take_unsent<Req: 'static>(&self) -> Option<Req> {
        self.unsent.as_ref()?.take()
    }

    /// The same cause, seen by another request.
    pub(super) fn with_sent(&self, sent: Sent) -> Self {
        Self {
            cause: Arc::clone(&self.cause),
            sent: match sent {
                Sent::No => Evidence::No,
                Sent::Maybe => Evidence::Maybe,
            },
            unsent: None,
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.cause.kind
    }

    /// Whether the peer may have seen the request.
    ///
    /// `No` means that the request's whole frame was never handed to the kernel. (With TLS: nor to the
    /// TLS layer, which may keep some of what it takes, and may have written part of what it refused
    /// in the end; that counts as far as bytes have left. `Maybe` too often is safe.) A frame that was
    /// written in part is `No`, because a framed protocol does not act on part of a frame. Mind
    /// decoders that accept an unfinished last frame at the end of the stream, such as
    /// `tokio_util`'s `LinesCodec`: with such a peer, part of a message can pass for a message.
    pub fn sent(&self) -> Sent {
        match self.sent {
            Evidence::No => Sent::No,
            Evidence::Maybe => Sent::Maybe,
        }
    }

    /// What the error says about the connection. `None` if it is not about the connection.
    pub(crate) fn conn_error(&self) -> Option<ConnError> {
        let (kind, outlook) = match self.kind() {
            ErrorKind::Encode | ErrorKind::DuplicateId | ErrorKind::NotReady => return None,
            ErrorKind::Address => (ConnErrorKind::Dns, Outlook::Permanent),
            ErrorKind::Unsupported => (ConnErrorKind::Other, Outlook::Permanent),
            // In these two phases the phase is known better than any errno could tell.
            ErrorKind::Resolve => (ConnErrorKind::Dns, self.outlook_below(ConnErrorKind::Dns)),
            ErrorKind::Tls => (ConnErrorKind::Tls, self.outlook_below(ConnErrorKind::Tls)),
            ErrorKind::ConnectTimeout | ErrorKind::ResponseTimeout => {
                (ConnErrorKind::Timeout, Outlook::Transient)
            }
            ErrorKind::Connect => self.below_or(ConnErrorKind::Other),
            ErrorKind::Io => self.below_or(ConnErrorKind::Closed),
            ErrorKind::Closed
            | ErrorKind::Decode
            | ErrorKind::UnexpectedAnswer
            | ErrorKind::Gone => (ConnErrorKind::Closed, Outlook::Transient),
        };
        let error = ConnError::new(kind).with_outlook(outlook);
        Some(error.with_sent(self.sent()))
    }

    fn below(&self) -> Option<ConnError> {
        let source = self.source()?;
        match self.kind() {
            // There, a limit or a rule of this machine counts too.
            ErrorKind::Connect => walk_connecting(source),
            _ => classify(source),
        }
    }

    fn below_or(&self, kind: ConnErrorKind) -> (ConnErrorKind, Outlook) {
        match self.below() {
            Some(error) => (error.kind(), error.outlook()),
            None => (kind, Outlook::Transient),
        }
    }

    /// The outlook of what is below, if that is of this very kind. (A reset in a TLS handshake says
    /// nothing lasting about TLS.)
    fn outlook_below(&self, kind: ConnErrorKind) -> Outlook {
        match self.below() {
            Some(error) if error.kind() == kind => error.outlook(),
            _ => Outlook::Transient,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("tcp::Error")
            .field("kind", &self.cause.kind)
            .field("sent", &self.sent())
            .field("source", &self.cause.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind() {
            ErrorKind::Address => "the address is not of the form host:port",
            ErrorKind::Resolve => "the peer's name could not be resolved",
            ErrorKind::Connect => "the peer could not be connected to",
            ErrorKind::ConnectTimeout => "connecting took too long",
            ErrorKind::Tls => "the TLS handshake failed",
            ErrorKind::Closed => "the peer closed the connection",
            ErrorKind::Io => "the connection broke",
            ErrorKind::Encode => "the request could not be encoded",
            ErrorKind::Decode => "the peer sent something that could not be decoded",
            ErrorKind::UnexpectedAnswer => "the peer sent an answer that nobody asked for",
            ErrorKind::DuplicateId => "another request in flight has the same id",
            ErrorKind::Unsupported => "this platform does not tell what the peer has acknowledged",
            ErrorKind::ResponseTimeout => "the peer did not answer in time",
            ErrorKind::NotReady => "called without being polled ready",
            ErrorKind::Gone => "the task of the connection has gone",
        })?;
        match &self.cause.address {
            Some(address) => write!(f, " ({address})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectError;

    #[test]
    fn what_trying_again_cannot_help_is_permanent_below_reconnect_too() {
        for kind in [ErrorKind::Address, ErrorKind::Unsupported] {
            let error = ConnectError::new(Error::unsent(kind, None));
            let found = classify(&error).unwrap();
            let seen = (found.outlook(), found.sent());
            assert_eq!(seen, (Outlook::Permanent, Sent::No), "{kind:?}");
        }
    }

    #[test]
    fn what_is_the_requests_own_fault_is_no_connection_error() {
        for kind in [
            ErrorKind::Encode,
            ErrorKind::DuplicateId,
            ErrorKind::NotReady,
        ] {
            assert_eq!(classify(&Error::unsent(kind, None)), None, "{kind:?}");
        }
    }
}
