//! What a caller gets when a request could not be answered.

mod advice;
mod cause;
mod display;
mod history;
mod reason;
#[cfg(feature = "tonic")]
mod status;
mod timeout;

pub(crate) use cause::Cause;
pub use history::FailedAttempt;
pub(crate) use history::History;
pub use reason::Reason;
pub use timeout::AttemptTimeout;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::classify::{cast, steps};
use crate::outbox::Ticket;
use crate::{BoxError, ConnError, Destination, Sent};

/// The error of a call through [`ConnRetry`](crate::ConnRetry).
///
/// An error that is not about the connection is passed through: it displays as the inner error
/// does and has its sources. Any other one says what happened to the request; the last error of
/// the wrapped service is its source.
///
/// ```
/// use tower_conn_retry::{Error, Reason, Sent};
///
/// fn report(error: &Error) {
///     match error.reason() {
///         Reason::NotConnError => println!("refused by the server: {error}"),
///         _ if error.sent() == Sent::No => println!("safe to send it another way: {error}"),
///         reason => println!("{reason:?}, it may have arrived: {error}"),
///     }
/// }
/// ```
pub struct Error(Box<Inner>);

pub(crate) struct Inner {
    pub(crate) reason: Reason,
    pub(crate) cause: Cause,
    pub(crate) conn_error: Option<ConnError>,
    pub(crate) sent: Sent,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) history: History,
    pub(crate) destination: Destination,
    /// The request was taken as `Maybe` sent only because it may have been redirected.
    pub(crate) redirect_doubt: bool,
    /// That of the message that it has become.
    pub(crate) ticket: Option<Ticket>,
    /// Why it could not become one.
    pub(crate) store_error: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Box::new(inner))
    }

    /// What the last error says about the connection: the request's own, or if it never had an
    /// attempt, the one that holds its destination down. `None` if that was not a connection error.
    pub fn conn_error(&self) -> Option<ConnError> {
        self.0.conn_error
    }

    /// Whether the peer may have seen the request: [`Sent::Maybe`] if it may have in any attempt.
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    /// How many attempts were made. 0 if the request waited for its destination in vain.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// From the first poll of the call's future to this error, waiting included.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// Why the request was not replayed (any more).
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The failed attempts, oldest first: the last 16 that failed with a connection error.
    pub fn history(&self) -> &[FailedAttempt] {
        self.0.history.as_slice()
    }

    /// Whether the request was put into an [`Outbox`](crate::Outbox), which will deliver it.
    pub fn is_deferred(&self) -> bool {
        self.0.reason == Reason::Deferred
    }

    /// The number of the message that the request has become, if it was deferred.
    pub fn ticket(&self) -> Option<Ticket> {
        self.0.ticket
    }

    pub(crate) fn deferred(mut self, ticket: Ticket) -> Self {
        self.0.ticket = Some(ticket);
        self
    }

    /// It was not deferred after all.
    pub(crate) fn because(mut self, reason: Reason) -> Self {
        self.0.reason = reason;
        self
    }

    /// The outbox's store refused it, or failed.
    pub(crate) fn not_stored(mut self, why: Arc<dyn StdError + Send + Sync>) -> Self {
        self.0.store_error = Some(why);
        self.because(Reason::NotStored)
    }

    /// The first error of type `E` in the whole chain, the inner error first. Where an
    /// [`Outbox`](crate::Outbox) could not store the request, its store's error (an
    /// [`OutboxError`](crate::OutboxError), for one on disk) and the sources of that come last.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        let store_error = self.0.store_error.as_deref();
        let stored = store_error.into_iter().flat_map(|error| steps(error));
        steps(self.inner()).chain(stored).find_map(cast::<E>)
    }

    /// The inner error.
    pub(crate) fn inner(&self) -> &(dyn StdError + 'static) {
        self.0.cause.as_dyn()
    }

    /// The inner error, as the wrapped service returned it.
    ///
    /// An error that other requests of the destination share (this one waited behind it) comes in an
    /// `Arc`; [`downcast_ref`](Self::downcast_ref) sees through that.
    pub fn into_source(self) -> BoxError {
        self.0.cause.into_box()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("reason", &self.0.reason)
            .field("conn_error", &self.0.conn_error)
            .field("sent", &self.0.sent)
            .field("attempts", &self.0.attempts)
            .field("elapsed", &self.0.elapsed)
            .field("destination", &self.0.destination)
            .field("source", &self.0.cause.as_dyn())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display::write(&self.0, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.reason {
            Reason::NotConnError => self.0.cause.as_dyn().source(),
            _ => Some(self.0.cause.as_dyn()),
        }
    }
}
