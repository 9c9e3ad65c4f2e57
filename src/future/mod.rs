//! The future of a call: one attempt in flight, and the state of the call around it.

mod call;
mod clock;
mod delivery;
mod fate;
mod gone;
mod more;
mod refusal;
mod slow;

pub(crate) use more::Rare;
pub(crate) use slow::Start;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use call::Call;
use more::More;
use slow::Slow;

use crate::Reason;
use crate::mode::Mode;
use crate::service::Shared;
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
        pub(crate) attempt: Option<S::Future>,
        // The call, whose view is `Call`. It has no struct of its own: where that is made and moved in
        // here, the request's copy is moved once more.
        pub(crate) shared: Arc<Shared<S, P>>,
        pub(crate) id: u64,
        pub(crate) kept: Option<Req>,
        pub(crate) more: Rare<S>,
        // After the attempt: a request that is deferred because it was cancelled is so first.
        pub(crate) state: M::State,
        pub(crate) model: PhantomData<fn() -> R>,
    }
}

/// The attempt in flight, the call around it, and what the mode has.
type Parts<'a, S, Req, P, R, M> = (
    Pin<&'a mut Option<<S as Service<Req>>::Future>>,
    Call<'a, S, Req, P, R, M>,
    &'a mut <M as Mode<Req>>::State,
);

impl<S: Service<Req>, Req, P, R, M: Mode<Req>> ResponseFuture<S, Req, P, R, M> {
    /// A call that begins with an attempt.
    pub(crate) fn attempting(
        shared: Arc<Shared<S, P>>,
        id: u64,
        state: M::State,
        request: Req,
        attempt: impl FnOnce(Req) -> S::Future,
    ) -> Self
    where
        R: RequestModel<Req>,
    {
        let kept = R::try_clone(&request);
        let more = match kept {
            Some(_) => Rare::nothing(),
            None => Rare::with_gone::<Req, R>(&request),
        };
        Self {
            attempt: Some(attempt(request)),
            shared,
            id,
            kept,
            more,
            state,
            model: PhantomData,
        }
    }

    /// A call that begins otherwise.
    pub(crate) fn begun(
        shared: Arc<Shared<S, P>>,
        id: u64,
        state: M::State,
        request: Req,
        start: Start,
    ) -> Self {
        Self {
            attempt: None,
            shared,
            id,
            kept: Some(request),
            more: Rare::new(More::Slow(Box::new(Slow::started(start)))),
            state,
            model: PhantomData,
        }
    }

    /// Had attempts before, of which one may have been sent.
    pub(crate) fn had(mut self, attempts: u32, maybe_sent: bool) -> Self {
        let slow = self.more.slow();
        slow.attempts = attempts;
        slow.maybe_sent = maybe_sent;
        self
    }

    /// Begins with an attempt of this service, which is not ready yet.
    pub(crate) fn ready_with(&mut self, service: S) {
        self.more.slow().ready_with(service);
    }

    /// Its parts, as the slow ways work with them.
    #[inline]
    fn parts(self: Pin<&mut Self>) -> Parts<'_, S, Req, P, R, M> {
        let this = self.project();
        let call = Call {
            shared: this.shared,
            id: *this.id,
            kept: this.kept,
            more: this.more,
            model: PhantomData,
        };
        (this.attempt, call, this.state)
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
        // Only the way of a first attempt that is answered is in line.
        let first = match **self.as_mut().project().more {
            More::Clock(_) => self.as_mut().project().attempt.as_pin_mut(),
            More::Slow(_) => None,
        };
        match first.map(|first| first.poll(cx)) {
            Some(Poll::Ready(Ok(response))) => {
                // Before the answer is moved to where it goes: from there, a panic of user code in here
                // would leak it.
                self.answered();
                Poll::Ready(Ok(response))
            }
            Some(Poll::Ready(Err(error))) => self.poll_on(Some(Poll::Ready(error)), cx),
            Some(Poll::Pending) => self.poll_pending(cx),
            None => self.poll_on(None, cx),
        }
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
        let mut call = Call::<S, Req, P, R, M> {
            shared: &self.shared,
            id: self.id,
            kept: &mut self.kept,
            more: &mut self.more,
            model: PhantomData,
        };
        let error = call.defer();
        let reason = error.reason();
        match call.undelivered(error) {
            Some(undelivered) if reason == Reason::Deferred => {
                M::defer(&mut self.state, undelivered);
            }
            undelivered => call.refuse(reason, undelivered),
        }
    }

    /// The first attempt was answered.
    #[inline]
    fn answered(mut self: Pin<&mut Self>) {
        let mut this = self.as_mut().project();
        // Looked at before the attempt is dropped, so that it is not read twice.
        if let Some(request) = this.kept {
            this.attempt.set(None);
            this.shared.table.answered_at_once::<Req, R>(request);
        } else {
            this.attempt.set(None);
            self.as_mut().parts().1.succeeded();
        }
        M::answered(self.project().state);
    }

    /// The first attempt is in flight still. All that there is to do is to see whether it may be.
    #[inline(never)]
    fn poll_pending(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        let this = self.as_mut().project();
        if let More::Clock(clock) = &mut **this.more {
            let config = this.shared.table.config();
            ready!(clock.poll_limit(|| config.first_attempt(), cx));
        }
        self.poll_on(Some(Poll::Pending), cx)
    }

    /// Goes on from what was seen of the attempt in flight, if there is one.
    #[inline(never)]
    fn poll_on(
        mut self: Pin<&mut Self>,
        seen: Option<Poll<S::Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        let (_, mut call, state) = self.as_mut().parts();
        let mut over = |cx: &mut Context<'_>| call.poll_over(cx);
        if let Some(deferred) = M::poll_deferred(state, &mut over, cx) {
            return deferred.map(Err);
        }
        let answer = ready!(self.as_mut().poll_attempts(seen, cx));
        let (_, mut call, state) = self.parts();
        let Err(error) = answer else {
            M::answered(state);
            return Poll::Ready(answer);
        };
        if !M::DEFERS || !error.is_deferred() {
            M::answered(state);
            return Poll::Ready(Err(error));
        }
        if let Some(undelivered) = call.undelivered(error) {
            M::defer(state, undelivered);
        }
        let mut over = |cx: &mut Context<'_>| call.poll_over(cx);
        match M::poll_deferred(state, &mut over, cx) {
            Some(deferred) => deferred.map(Err),
            None => unreachable!("a request that is deferred was kept"),
        }
    }

    fn poll_attempts(
        self: Pin<&mut Self>,
        mut seen: Option<Poll<S::Error>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        let (mut attempt, mut call, state) = self.parts();
        loop {
            let in_flight = attempt.as_mut().as_pin_mut();
            if let (None, Some(in_flight)) = (&seen, in_flight) {
                seen = match call.poll_in_flight(in_flight, cx) {
                    Poll::Ready(Ok(response)) => {
                        attempt.set(None);
                        call.succeeded();
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
                        ready!(call.poll_timeout(cx));
                        BoxError::from(AttemptTimeout { _private: () })
                    }
                };
                attempt.set(None);
                call.failed(error, true)?;
            }
            let another = ready!(call.poll_attempt(cx))?;
            M::replays(state, call.attempt());
            attempt.set(Some(another));
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
