//! The future of a call: one attempt in flight, and the state of the call around it.

mod call;
mod clock;
mod delivery;
mod fate;
mod gone;
mod more;
mod slow;

pub(crate) use call::Call;
pub(crate) use slow::Start;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::Reason;
use crate::mode::Mode;
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
        M: Mode<Req>,
    {
        // Before the call: an attempt is cancelled before its place is given up.
        #[pin]
        attempt: Option<S::Future>,
        call: Call<S, Req, P, R, M>,
        // After the attempt: a request that is deferred because it was cancelled is so first.
        state: M::State,
    }
}

impl<S: Service<Req>, Req, P, R, M: Mode<Req>> ResponseFuture<S, Req, P, R, M> {
    #[inline]
    pub(crate) fn new(
        attempt: Option<S::Future>,
        call: Call<S, Req, P, R, M>,
        state: M::State,
    ) -> Self {
        Self {
            attempt,
            call,
            state,
        }
    }

    /// An attempt is in flight.
    pub(crate) fn is_in_attempt(&self) -> bool {
        self.attempt.is_some()
    }
}

impl<S, Req, P, R, M> Future for ResponseFuture<S, Req, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    M: Mode<Req>,
{
    type Output = Result<S::Response, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Only the way of a first attempt that is answered at its first poll is in line.
        let mut this = self.as_mut().project();
        let first = this.attempt.as_mut().as_pin_mut();
        let seen = match first.filter(|_| this.call.is_first()) {
            Some(attempt) => match attempt.poll(cx) {
                Poll::Ready(Ok(response)) => {
                    this.attempt.set(None);
                    this.call.succeeded();
                    M::answered(this.state);
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Err(error)) => Some(Poll::Ready(error)),
                Poll::Pending => Some(Poll::Pending),
            },
            None => None,
        };
        self.poll_on(seen, cx)
    }
}

impl<S, Req, P, R, M> ResponseFuture<S, Req, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    M: Mode<Req>,
{
    /// The call does not begin with an attempt: the request is the outbox's, if it can be.
    pub(crate) fn defer(&mut self) {
        let error = self.call.defer();
        let reason = error.reason();
        match self.call.undelivered(error) {
            Some(undelivered) if reason == Reason::Deferred => {
                M::defer(&mut self.state, undelivered);
            }
            undelivered => self.call.refuse(reason, undelivered),
        }
    }

    /// Goes on from what was seen of the attempt in flight, if there is one.
    #[inline(never)]
    fn poll_on(
        mut self: Pin<&mut Self>,
        seen: Option<Poll<S::Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        let this = self.as_mut().project();
        let mut over = |cx: &mut Context<'_>| this.call.poll_over(cx);
        if let Some(deferred) = M::poll_deferred(this.state, &mut over, cx) {
            return deferred.map(Err);
        }
        let answer = ready!(self.as_mut().poll_attempts(seen, cx));
        let this = self.project();
        let Err(error) = answer else {
            M::answered(this.state);
            return Poll::Ready(answer);
        };
        if !M::DEFERS || !error.is_deferred() {
            M::answered(this.state);
            return Poll::Ready(Err(error));
        }
        if let Some(undelivered) = this.call.undelivered(error) {
            M::defer(this.state, undelivered);
        }
        let mut over = |cx: &mut Context<'_>| this.call.poll_over(cx);
        match M::poll_deferred(this.state, &mut over, cx) {
            Some(deferred) => deferred.map(Err),
            None => unreachable!("a request that is deferred was kept"),
        }
    }

    fn poll_attempts(
        mut self: Pin<&mut Self>,
        mut seen: Option<Poll<S::Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        loop {
            let mut this = self.as_mut().project();
            let attempt = this.attempt.as_mut().as_pin_mut();
            if let (None, Some(attempt)) = (&seen, attempt) {
                seen = match this.call.poll_in_flight(attempt, cx) {
                    Poll::Ready(Ok(response)) => {
                        this.attempt.set(None);
                        this.call.succeeded();
                        return Poll::Ready(Ok(response));
                    }
                    Poll::Ready(Err(error)) => Some(Poll::Ready(error)),
                    Poll::Pending => Some(Poll::Pending),
                };
            }
            if let Some(seen) = seen.take() {
                let error = match seen {
                    Poll::Ready(error) => error.into(),
                    Poll::Pending => {
                        ready!(this.call.poll_timeout(cx));
                        BoxError::from(AttemptTimeout { _private: () })
                    }
                };
                this.attempt.set(None);
                this.call.failed(error, true)?;
            }
            let attempt = ready!(this.call.poll_attempt(cx))?;
            this.attempt.set(Some(attempt));
        }
    }
}

impl<S: Service<Req>, Req, P, R, M: Mode<Req>> fmt::Debug for ResponseFuture<S, Req, P, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("in_attempt", &self.attempt.is_some())
            .finish_non_exhaustive()
    }
}
