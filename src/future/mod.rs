//! The future of a call: one attempt in flight, and the state of the call around it.

mod call;
mod fate;
mod kept;
mod slow;

pub(crate) use call::Call;
pub(crate) use kept::Kept;
pub(crate) use slow::Start;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{AttemptTimeout, BoxError, ConnErrorPolicy, Error, RequestModel};

pin_project! {
    /// The future of a call through [`ConnRetry`](crate::ConnRetry).
    ///
    /// `Send` and `Unpin` where the inner service's future is. While its first attempt is in flight
    /// it has that attempt, a copy of the request and a pointer; all else is allocated when it is
    /// needed.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Req, P, R, M>
    where
        S: Service<Req>,
    {
        // Before the call: an attempt is cancelled before its place is given up.
        #[pin]
        attempt: Option<S::Future>,
        call: Call<S, Req, P, R>,
        mode: std::marker::PhantomData<fn() -> M>,
    }
}

impl<S: Service<Req>, Req, P, R, M> ResponseFuture<S, Req, P, R, M> {
    pub(crate) fn new(attempt: Option<S::Future>, call: Call<S, Req, P, R>) -> Self {
        let mode = std::marker::PhantomData;
        Self {
            attempt,
            call,
            mode,
        }
    }
}

impl<S, Req, P, R, M> Future for ResponseFuture<S, Req, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let Some(attempt) = this.attempt.as_mut().as_pin_mut() else {
                match ready!(this.call.poll_attempt(cx)) {
                    Ok(attempt) => this.attempt.set(Some(attempt)),
                    Err(error) => return Poll::Ready(Err(error)),
                }
                continue;
            };
            let error = match attempt.poll(cx) {
                Poll::Ready(Ok(response)) => {
                    this.attempt.set(None);
                    this.call.succeeded();
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending => {
                    ready!(this.call.poll_timeout(cx));
                    BoxError::from(AttemptTimeout { _private: () })
                }
            };
            this.attempt.set(None);
            if let Err(error) = this.call.failed(error, true) {
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl<S: Service<Req>, Req, P, R, M> fmt::Debug for ResponseFuture<S, Req, P, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("in_attempt", &self.attempt.is_some())
            .finish_non_exhaustive()
    }
}
