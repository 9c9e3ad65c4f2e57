use std::error::Error;
use std::fmt;
use std::sync::Arc;

use hyper::Request;
use hyper::client::conn::TrySendError;

use super::form::Undo;
use super::progress::{Progress, Taken};
use crate::reconnect::Heir;
use crate::{Unsent, classify};

/// Why a connection did not answer a request.
///
/// If it was provably not sent, it carries the request: [`Unsent::find`] finds it in the chain, and
/// the retry layer does so by itself.
pub struct SendError<B>(Kind<B>);

enum Kind<B> {
    /// The connection is over; there was no request.
    Closed(ConnectionClosed),
    /// The request is handed back.
    Unsent(Box<Unsent<Request<B>>>),
    /// hyper has kept the request.
    Failed(RequestError),
}

impl<B> SendError<B> {
    pub(super) fn closed(closed: ConnectionClosed) -> Self {
        Self(Kind::Closed(closed))
    }

    pub(super) fn unsent(request: Request<B>, closed: ConnectionClosed) -> Self {
        Self(Kind::Unsent(Box::new(Unsent::new(request, closed))))
    }

    pub(super) fn from_hyper(
        mut error: TrySendError<Request<B>>,
        undo: Undo,
        taken: Option<Taken>,
    ) -> Self {
        let request = error.take_message();
        let error = error.into_error();
        let refused_by = taken.and_then(|taken| taken.refused(&error, request.is_some()));
        let error = RequestError { error, refused_by };
        Self(match request {
            Some(request) => Kind::Unsent(Box::new(Unsent::new(undo.apply(request), error))),
            None => Kind::Failed(error),
        })
    }

    /// See [`is_callers_own`].
    pub(super) fn is_callers_own(&self) -> bool {
        match &self.0 {
            Kind::Failed(failed) => is_callers_own(&failed.error),
            Kind::Closed(_) | Kind::Unsent(_) => false,
        }
    }

    /// Takes the request out, if it was handed back and not taken before.
    pub fn take_request(&self) -> Option<Request<B>> {
        match &self.0 {
            Kind::Unsent(unsent) => unsent.take(),
            Kind::Closed(_) | Kind::Failed(_) => None,
        }
    }
}

/// Whether it is the caller's own body that has failed, or what it asked for can't be done.
pub(super) fn is_callers_own(error: &hyper::Error) -> bool {
    // hyper files the end of its task under the user's errors, too.
    error.is_user() && classify(error).is_none()
}

impl<B> fmt::Debug for SendError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Closed(error) => f.debug_tuple("Closed").field(error).finish(),
            Kind::Unsent(error) => f.debug_tuple("Unsent").field(error).finish(),
            Kind::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<B> fmt::Display for SendError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Closed(_) => "can't send on this connection",
            Kind::Unsent(_) => "the connection ended before the request was sent",
            Kind::Failed(_) => "the connection did not answer",
        })
    }
}

impl<B: Send + 'static> Error for SendError<B> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match &self.0 {
            Kind::Closed(error) => error,
            Kind::Unsent(error) => &**error,
            Kind::Failed(error) => error,
        })
    }
}

/// The connection is over, or its task is gone. Nothing of the request in question was sent.
///
/// Its source is what ended the connection, if that was an error.
#[derive(Debug, Clone)]
pub struct ConnectionClosed {
    /// Shared by all who waited for their turn.
    cause: Option<Arc<hyper::Error>>,
    how: How,
}

/// What it means for those who have waited, and who come now.
#[derive(Debug, Clone)]
enum How {
    /// The requests in flight have failed, or may have.
    Failed,
    /// The requests in flight are in no order, and may go on: the peer has sent a GOAWAY. If that is
    /// all, with what became of them.
    GoingAway(Option<Arc<Progress>>),
    /// The last request was answered, or its caller's own body has failed: they go on to the next connection.
    Well(Arc<Heir>),
}

impl ConnectionClosed {
    pub(super) fn new(cause: Option<Arc<hyper::Error>>) -> Self {
        let how = How::Failed;
        Self { cause, how }
    }

    /// The requests in flight are in no order, and may go on: the peer has sent a GOAWAY.
    pub(super) fn going_away(self, well: Option<Arc<Progress>>) -> Self {
        let how = How::GoingAway(well);
        Self { how, ..self }
    }

    /// It has ended well, and so many still wait.
    pub(crate) fn well(waiting: usize) -> Self {
        let how = How::Well(Arc::new(Heir::after(waiting)));
        Self { cause: None, how }
    }

    /// For one of those who wait, counted from the oldest.
    pub(crate) fn for_waiting(&self, number: usize) -> Self {
        let mut closed = self.clone();
        if let How::Well(heir) = &mut closed.how {
            *heir = Arc::new(heir.number(number));
        }
        closed
    }

    /// For one that was called when the connection was over.
    pub(crate) fn for_late(&self) -> Self {
        let mut closed = self.clone();
        if let How::Well(heir) = &mut closed.how {
            *heir = Arc::new(heir.late());
        }
        closed
    }

    /// Whether a new request must not go past those in flight.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self.how, How::GoingAway(_))
    }

    /// If it has ended well: who goes on to the next one.
    pub(crate) fn heir(&self) -> Option<&Heir> {
        match &self.how {
            How::Well(heir) => Some(heir),
            How::Failed | How::GoingAway(_) => None,
        }
    }

    /// If it is one of HTTP/2 that has ended well: what became of its requests.
    pub(crate) fn refused_by(&self) -> Option<&Arc<Progress>> {
        match &self.how {
            How::GoingAway(well) => well.as_ref(),
            How::Failed | How::Well(_) => None,
        }
    }
}

impl fmt::Display for ConnectionClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed")
    }
}

impl Error for ConnectionClosed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// hyper's error about one request. (On its own, hyper's error may also be one of the connection,
/// which proves less; so it is with a GOAWAY, see the [module](crate::http::connection).)
#[derive(Debug)]
pub struct RequestError {
    error: hyper::Error,
    /// Of a connection that has ended well.
    refused_by: Option<Arc<Progress>>,
}

impl RequestError {
    /// hyper's error.
    pub fn get_ref(&self) -> &hyper::Error {
        &self.error
    }

    /// If a connection that has ended well did not take the request: that one.
    pub(crate) fn refused_by(&self) -> Option<&Arc<Progress>> {
        self.refused_by.as_ref()
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request failed")
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
