use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use tower_service::Service;

use super::queue::{Ending, Queue, Verdict};
use super::{ResponseFuture, SendError};

/// An HTTP/1.1 connection. All clones share it.
///
/// It takes one request at a time; the others wait their turn, in the order of the calls. A caller
/// that is dropped or not polled meanwhile is in nobody's way. `poll_ready` never waits, and fails
/// when the connection is over. Those who wait then get their requests back; if it was over after an
/// answer, or because the own body of the caller before them has failed, [`Reconnect`](crate::Reconnect) goes
/// on with them to the next one.
///
/// The connection is closed when the last clone is dropped and the last answer is over.
pub struct Http1Connection<B> {
    queue: Arc<Queue<B>>,
}

impl<B> Http1Connection<B> {
    /// The connection, and the task that drives it and gives the turns.
    pub(super) fn new<F>(sender: SendRequest<B>, connection: F) -> (Self, Driver<F, B>) {
        let queue = Queue::new(sender);
        let driver = Driver {
            connection: Some(Box::pin(connection)),
            ending: None,
            queue: Arc::downgrade(&queue),
        };
        (Self { queue }, driver)
    }

    /// Whether the connection is over, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.queue.closed().is_some()
    }
}

impl<B: Body + Send + 'static> Service<Request<B>> for Http1Connection<B> {
    type Response = Response<Incoming>;
    type Error = SendError<B>;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SendError<B>>> {
        Poll::Ready(match self.queue.closed() {
            None => Ok(()),
            Some(closed) => Err(SendError::closed(closed)),
        })
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        self.queue.send(request)
    }
}

impl<B> Clone for Http1Connection<B> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<B> fmt::Debug for Http1Connection<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1Connection")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The connection's task.
pub(super) struct Driver<F, B> {
    /// `None` when it is over.
    connection: Option<Pin<Box<F>>>,
    ending: Option<Ending<B>>,
    /// Not kept by the task: without it the connection ends by itself.
    queue: Weak<Queue<B>>,
}

impl<F, B> Future for Driver<F, B>
where
    F: Future<Output = hyper::Result<()>>,
    B: Body + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(connection) = &mut self.connection {
            // First, so that it can say whether it is ready for a request.
            let polled = connection.as_mut().poll(cx);
            let queue = self.queue.upgrade();
            let result = match polled {
                Poll::Ready(result) => result,
                Poll::Pending if queue.as_ref().is_some_and(|queue| queue.poll(cx)) => Ok(()),
                Poll::Pending => return Poll::Pending,
            };
            self.ending = queue.map(|queue| queue.end(result));
            // What was in flight is decided from here on.
            self.connection = None;
        }
        if let Some(ending) = &mut self.ending {
            let verdict = ready!(ending.poll(cx));
            let queue = self.queue.upgrade();
            queue.inspect(|queue| queue.close(verdict));
        }
        Poll::Ready(())
    }
}

impl<F, B> Drop for Driver<F, B> {
    fn drop(&mut self) {
        // The task was dropped, perhaps with its runtime. If it is just over, that was said before.
        if let Some(queue) = self.queue.upgrade() {
            queue.close(Verdict::Failed(None));
        }
    }
}
