use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response};
use tower_service::Service;

use super::form::Undo;
use super::future::Sending;
use super::progress::Progress;
use super::{ConnectionClosed, ResponseFuture, SendError};

/// An HTTP/2 connection. All clones share it.
///
/// Requests are streams of their own; those above the peer's limit of concurrent streams wait
/// inside of hyper. `poll_ready` never waits, and fails when the connection takes no more requests:
/// it is over, or the peer has sent a GOAWAY. Those in flight go on then.
pub struct Http2Connection<B> {
    shared: Arc<Shared<B>>,
}

/// The sending half of a connection.
struct Shared<B>(Mutex<State<B>>);

struct State<B> {
    /// Until the connection's task is over.
    sender: Option<SendRequest<B>>,
    /// What ended the connection.
    cause: Option<Arc<hyper::Error>>,
    progress: Arc<Progress>,
}

impl<B> Shared<B> {
    /// The connection's task is over, or gone.
    ///
    /// Said before hyper's end of its channel is dropped: a request that is put into it in that moment
    /// would stay there, neither sent nor handed back, for as long as there is a sender. (tokio's
    /// channel, as of 1.54, empties itself when the receiver is dropped, and does not wait for whoever
    /// is in the middle of sending.) All who come later find no sender.
    fn close(&self, cause: Option<hyper::Error>) {
        let mut state = self.lock();
        let sender = state.sender.take();
        state.cause = state.cause.take().or(cause.map(Arc::new));
        drop(state);
        drop(sender);
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> State<B> {
    fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(SendRequest::is_closed)
    }

    fn closed(&self) -> ConnectionClosed {
        ConnectionClosed::new(self.cause.clone()).going_away(self.progress.well())
    }
}

impl<B> Http2Connection<B> {
    /// The connection, and the task that drives it.
    pub(super) fn new<F>(sender: SendRequest<B>, connection: F) -> (Self, Driver<F, B>) {
        let progress = Arc::<Progress>::default();
        let shared = Arc::new(Shared(Mutex::new(State {
            sender: Some(sender),
            cause: None,
            progress: progress.clone(),
        })));
        let driver = Driver {
            connection: Box::pin(connection),
            progress,
            shared: Arc::downgrade(&shared),
        };
        (Self { shared }, driver)
    }

    /// Whether the connection takes no more requests, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed()
    }
}

impl<B> Service<Request<B>> for Http2Connection<B>
where
    B: Body + Send + 'static,
{
    type Response = Response<Incoming>;
    type Error = SendError<B>;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError<B>>> {
        let state = self.shared.lock();
        Poll::Ready(match state.is_closed() {
            false => Ok(()),
            true => Err(SendError::closed(state.closed())),
        })
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        let mut state = self.shared.lock();
        let Some(sender) = &mut state.sender else {
            return ResponseFuture::failed(SendError::unsent(request, state.closed()));
        };
        let sending = sender.try_send_request(request);
        let taken = state.progress.take();
        drop(state);
        ResponseFuture::sent(Sending::new(sending, Undo::default()).taken(taken))
    }
}

impl<B> Clone for Http2Connection<B> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<B> fmt::Debug for Http2Connection<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The connection's task.
pub(super) struct Driver<F, B> {
    connection: Pin<Box<F>>,
    progress: Arc<Progress>,
    /// Not kept by the task: without it the connection ends by itself.
    shared: Weak<Shared<B>>,
}

impl<F, B> Driver<F, B> {
    fn close(&self, cause: Option<hyper::Error>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.close(cause);
        }
    }
}

impl<F, B> Future for Driver<F, B>
where
    F: Future<Output = hyper::Result<()>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(self.connection.as_mut().poll(cx));
        if result.is_ok() {
            self.progress.end_well();
        }
        self.close(result.err());
        Poll::Ready(())
    }
}

impl<F, B> Drop for Driver<F, B> {
    fn drop(&mut self) {
        // The task was dropped, perhaps with its runtime. If it is just over, that was said before.
        self.close(None);
    }
}
