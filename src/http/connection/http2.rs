use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response};
use tower_service::Service;

use super::form::Undo;
use super::future::Sending;
use super::{ConnectionClosed, ResponseFuture, SendError};

/// An HTTP/2 connection. All clones share it.
///
/// Requests are streams of their own; those above the peer's limit of concurrent streams wait
/// inside of hyper. `poll_ready` never waits, and fails when the connection takes no more requests:
/// it is over, or the peer has sent a GOAWAY. Those in flight go on then.
pub struct Http2Connection<B> {
    sender: SendRequest<B>,
    /// What ended the connection.
    cause: Arc<OnceLock<Arc<hyper::Error>>>,
}

impl<B> Http2Connection<B> {
    /// The connection, and the task that drives it.
    pub(super) fn new(
        sender: SendRequest<B>,
        connection: impl Future<Output = hyper::Result<()>>,
    ) -> (Self, impl Future<Output = ()>) {
        let cause = Arc::new(OnceLock::new());
        let noted = cause.clone();
        let driver = async move {
            if let Err(error) = connection.await {
                let _ = noted.set(Arc::new(error)); // only set here
            }
        };
        (Self { sender, cause }, driver)
    }

    /// Whether the connection takes no more requests, as far as is known.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
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
        if self.is_closed() {
            let closed = ConnectionClosed::new(self.cause.get().cloned());
            return Poll::Ready(Err(SendError::closed(closed.going_away())));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        let sending = self.sender.try_send_request(request);
        ResponseFuture::sent(Sending::new(sending, Undo::default()))
    }
}

impl<B> Clone for Http2Connection<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            cause: self.cause.clone(),
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
