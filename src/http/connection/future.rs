use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::{Request, Response};
use tokio::sync::oneshot;

use super::flight::Flight;
use super::form::Undo;
use super::progress::Taken;
use super::queue::Queue;
use super::{ConnectionClosed, SendError};

/// A request that hyper has taken.
pub(super) struct Sending<B> {
    future: Pin<Box<dyn Future<Output = Sent<B>> + Send>>,
    undo: Undo,
    /// Of an HTTP/2 connection.
    taken: Option<Taken>,
}

type Sent<B> = Result<Response<Incoming>, TrySendError<Request<B>>>;

/// What its caller hears.
pub(super) type Answer<B> = Result<Response<Incoming>, SendError<B>>;

impl<B> Sending<B> {
    pub(super) fn new(future: impl Future<Output = Sent<B>> + Send + 'static, undo: Undo) -> Self {
        let future = Box::pin(future);
        let taken = None;
        Self {
            future,
            undo,
            taken,
        }
    }

    pub(super) fn taken(mut self, taken: Taken) -> Self {
        self.taken = Some(taken);
        self
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<B>> {
        let sent = ready!(self.future.as_mut().poll(cx));
        let taken = self.taken.take();
        Poll::Ready(match sent {
            Ok(answer) => {
                taken.into_iter().for_each(Taken::answered);
                Ok(answer)
            }
            Err(error) => Err(SendError::from_hyper(error, self.undo.take(), taken)),
        })
    }
}

/// What becomes of a request that has waited.
pub(super) type Turn<B> = Result<Flight<B>, SendError<B>>;

/// The answer to a request, as far as its head: an HTTP connection's future.
///
/// Dropped before the request's turn has come, it has no effect; later, it closes an HTTP/1.1
/// connection, and resets an HTTP/2 stream.
pub struct ResponseFuture<B>(State<B>);

enum State<B> {
    /// Waits for its turn.
    Waiting {
        turn: oneshot::Receiver<Turn<B>>,
        /// The connection lives on while somebody waits for it.
        _queue: Arc<Queue<B>>,
    },
    /// Waits for the answer: over HTTP/1.1, whose connection wants to know how it ends.
    InFlight(Flight<B>),
    /// The same over HTTP/2.
    Sent(Sending<B>),
    /// Was not sent, or is over.
    Failed(Option<SendError<B>>),
}

impl<B> ResponseFuture<B> {
    pub(super) fn sent(sending: Sending<B>) -> Self {
        Self(State::Sent(sending))
    }

    pub(super) fn in_flight(flight: Flight<B>) -> Self {
        Self(State::InFlight(flight))
    }

    pub(super) fn waiting(turn: oneshot::Receiver<Turn<B>>, queue: Arc<Queue<B>>) -> Self {
        Self(State::Waiting {
            turn,
            _queue: queue,
        })
    }

    pub(super) fn failed(error: SendError<B>) -> Self {
        Self(State::Failed(Some(error)))
    }
}

/// A request that is held here is never pinned.
impl<B> Unpin for ResponseFuture<B> {}

impl<B> Future for ResponseFuture<B> {
    type Output = Answer<B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let result = match &mut self.0 {
                State::Waiting { turn, .. } => match ready!(Pin::new(turn).poll(cx)) {
                    Ok(Ok(flight)) => {
                        self.0 = State::InFlight(flight);
                        continue;
                    }
                    Ok(Err(error)) => Err(error),
                    // The queue answers all or is kept by them, so this can't be seen.
                    Err(_) => Err(SendError::closed(ConnectionClosed::new(None))),
                },
                State::InFlight(flight) => ready!(flight.poll(cx)),
                State::Sent(sending) => ready!(sending.poll(cx)),
                State::Failed(error) => Err(error.take().expect("polled after it was ready")),
            };
            self.0 = State::Failed(None);
            return Poll::Ready(result);
        }
    }
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Waiting { .. } => "waiting",
            State::InFlight(_) | State::Sent(_) => "sent",
            State::Failed(_) => "failed",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
