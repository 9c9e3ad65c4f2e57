use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;
use tower_service::Service;

use super::gone::Gone;
use super::more::More;
use super::slow::{Slow, Step};
use crate::link::{Answer, Hold};
use crate::mode::Mode;
use crate::outbox::{Ticket, Undelivered};
use crate::service::Shared;
use crate::{AttemptTimeout, BoxError, ConnErrorPolicy, Destination, Error, Reason, RequestModel};

/// A call, without the attempt that is in flight: a view of its future.
pub(super) struct Call<'a, S, Req, P, R, M> {
    pub(super) shared: &'a Arc<Shared<S, P>>,
    /// Its number in the order of calls.
    pub(super) id: u64,
    /// A copy of the request, or the request itself as long as no attempt has it. `None` if it can't
    /// be copied and an attempt has it.
    pub(super) kept: &'a mut Option<Req>,
    pub(super) more: &'a mut More<S>,
    pub(super) model: PhantomData<fn() -> (R, M)>,
}

impl<S, Req, P, R, M: Mode<Req>> Call<'_, S, Req, P, R, M> {
    pub(super) fn destination(&self) -> Destination
    where
        R: RequestModel<Req>,
    {
        self.of_request(R::destination, |gone| gone.destination.clone())
    }

    /// What the request says, or has said before it was gone.
    #[inline]
    pub(super) fn of_request<T>(
        &self,
        ask: impl FnOnce(&Req) -> T,
        said: impl FnOnce(&Gone) -> T,
    ) -> T {
        if let Some(request) = &self.kept {
            return ask(request);
        }
        let gone = self.more.if_slow().and_then(|slow| slow.gone.as_deref());
        said(gone.expect("a request that is gone has left its word"))
    }

    /// The request, with what became of it so far, for somebody who will deliver it.
    pub(super) fn undelivered(&mut self, error: Error) -> Option<Undelivered<Req>>
    where
        R: RequestModel<Req>,
    {
        let destination = self.destination();
        let request = self.kept.take()?;
        Some(Undelivered {
            ticket: Ticket::new(self.id),
            size: R::size_hint(&request),
            max_age: R::max_age(&request),
            destination,
            request,
            error,
        })
    }

    /// The outbox can't have the request.
    pub(super) fn refuse(&mut self, reason: Reason, undelivered: Option<Undelivered<Req>>) {
        *self.kept = undelivered.map(|of| of.request);
        self.more.slow().step = Step::Ended(reason);
    }

    /// When the call is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if M::OWNED {
            return None;
        }
        let limit = self.shared.table.config().give_up_after?;
        self.more.clock().since()?.checked_add(limit)
    }

    /// Polls the attempt in flight. If others wait for what comes of it, they hear of it too, in case
    /// its caller does not come. (An outbox's worker does, and its order is strict.)
    pub(super) fn poll_in_flight<F: Future>(
        &mut self,
        attempt: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let place = self.more.slow().place.as_mut();
        match place
            .filter(|_| !M::OWNED)
            .map(|place| place.alert(cx.waker()))
        {
            Some(waker) => attempt.poll(&mut Context::from_waker(&waker)),
            None => attempt.poll(cx),
        }
    }

    /// Ready when the attempt in flight, or on its way, has taken too long.
    #[inline(never)]
    pub(super) fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let More::Clock(clock) = &mut *self.more {
            // The first attempt began with the call: its timer need not be looked at again.
            let config = self.shared.table.config();
            return clock.poll_limit(|| config.first_attempt(), cx);
        }
        let started = self.more.clock_mut().start();
        let began = self.attempt_began().unwrap_or(started);
        self.poll_timer(self.attempt_ends(began), cx)
    }

    /// When the attempt in flight, or on its way, began.
    pub(super) fn attempt_began(&self) -> Option<Instant> {
        match self.more.if_slow().map(|slow| &slow.step) {
            Some(Step::Flying(began) | Step::Readying(_, began)) => Some(*began),
            _ => self.more.clock().since(),
        }
    }

    /// When an attempt that began at this time is over at the latest.
    fn attempt_ends(&self, began: Instant) -> Option<Instant> {
        let config = self.shared.table.config();
        let limit = match config.attempt_timeout {
            // An attempt that hangs would hold up all that comes after it.
            None if M::OWNED => config.give_up_after,
            limit => limit,
        };
        let ends = limit.and_then(|limit| began.checked_add(limit));
        ends.into_iter().chain(self.deadline()).min()
    }

    /// Ready at this time.
    fn poll_timer(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            self.more.clock_mut().stop_timer();
            return Poll::Pending;
        };
        let mut sleep = self.more.clock_mut().timer(at).project().sleep;
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.poll(cx)
    }
}

impl<S, Req, P, R, M> Call<'_, S, Req, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    M: Mode<Req>,
{
    /// Waits for the turn, readies a fresh clone of the service, and starts the next attempt.
    #[cold]
    #[inline(never)]
    pub(super) fn poll_attempt(&mut self, cx: &mut Context<'_>) -> Poll<Result<S::Future, Error>> {
        self.more.clock_mut().start();
        loop {
            let slow = self.more.slow();
            let error = match std::mem::replace(&mut slow.step, Step::Idle) {
                Step::Idle | Step::Flying(_) => {
                    panic!("`ResponseFuture` polled after it was ready")
                }
                Step::Ended(reason) => return Poll::Ready(Err(self.end(reason))),
                Step::Failed(error) => error,
                Step::Room(room) => {
                    if self.is_over() {
                        return Poll::Ready(Err(self.end(Reason::GaveUp)));
                    }
                    room.forget();
                    self.hold(Some(cx))?;
                    if let Step::Room(room) = &self.more.slow().step {
                        let at = room.again().into_iter().chain(self.deadline()).min();
                        ready!(self.poll_timer(at, cx));
                    }
                    continue;
                }
                Step::Waiting => {
                    ready!(self.poll_turn(cx))?;
                    continue;
                }
                Step::Readying(mut service, began) => {
                    slow.step = Step::Flying(began);
                    match service.poll_ready(cx) {
                        // While it waited for that, an outage has begun.
                        Poll::Ready(Ok(())) if self.is_too_late() => {
                            drop(service);
                            self.more.slow().immediate = false;
                            self.hold(None)?;
                            continue;
                        }
                        Poll::Ready(Ok(())) => return Poll::Ready(self.start_attempt(*service)),
                        Poll::Ready(Err(error)) => error.into(),
                        Poll::Pending => {
                            self.more.slow().step = Step::Readying(service, began);
                            ready!(self.poll_timeout(cx));
                            self.more.slow().step = Step::Flying(began);
                            BoxError::from(AttemptTimeout { _private: () })
                        }
                    }
                }
            };
            self.failed(error, false)?;
        }
    }

    /// Another attempt without a place, and the link does not let it through any more.
    fn is_too_late(&self) -> bool {
        let slow = self.more.if_slow();
        let replays = slow.is_some_and(|slow| slow.attempts > 0 && slow.place.is_none());
        replays && !self.shared.table.is_open(&self.destination())
    }

    /// Asks for the turn, or for a verdict.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.is_over() {
                return Poll::Ready(Err(self.end(Reason::GaveUp)));
            }
            let deadline = self.deadline();
            let ends = self.attempt_ends(Instant::now());
            let table = self.shared.table.clone();
            let Slow {
                step,
                place: Some(place),
                ..
            } = self.more.slow()
            else {
                // Without a place it is nobody's turn but its own.
                self.ready_service();
                return Poll::Ready(Ok(()));
            };
            *step = Step::Waiting;
            let at = match place.ask(ends.map(|at| table.time(at)), cx.waker()) {
                Answer::Go { .. } => {
                    self.ready_service();
                    return Poll::Ready(Ok(()));
                }
                Answer::Fail(reason) => return Poll::Ready(Err(self.end(reason))),
                Answer::Wait => None,
                Answer::Watch(at) => {
                    let at = at.and_then(|at| table.instant(at));
                    at.into_iter().chain(deadline).min()
                }
            };
            ready!(self.poll_timer(at, cx));
        }
    }

    /// Puts the request into the backlog, or where there is no backlog, makes it ready for another
    /// attempt.
    pub(super) fn hold(&mut self, cx: Option<&mut Context<'_>>) -> Result<(), Error> {
        let Some(request) = &self.kept else {
            return Err(self.end(Reason::NotReplayable));
        };
        if M::DEFERS {
            return Err(self.defer());
        }
        let size = R::size_hint(request);
        let destination = R::destination(request);
        let slow = self.more.slow();
        let waker = cx.map(|cx| cx.waker().clone());
        match self.shared.table.hold(
            &destination,
            self.id,
            size,
            slow.broke.into(),
            waker,
            M::OWNED,
        ) {
            Hold::Open => self.ready_service(),
            Hold::Held(place) | Hold::Probe(place) => {
                slow.place = Some(place);
                slow.step = Step::Waiting;
            }
            Hold::Room(room) => slow.step = Step::Room(Box::new(room)),
            Hold::Full => return Err(self.end(Reason::QueueFull)),
        }
        Ok(())
    }

    /// The request is the outbox's from here on, if it can be.
    pub(super) fn defer(&mut self) -> Error {
        let can = |request| R::can_replay(request) && R::try_clone(request).is_some();
        self.end(match self.kept.as_ref().is_some_and(can) {
            true => Reason::Deferred,
            false => Reason::NotReplayable,
        })
    }

    /// The next attempt begins with a fresh clone of the service.
    pub(super) fn ready_service(&mut self) {
        let service = self.shared.fresh();
        self.more.slow().ready_with(service);
    }

    /// The number of the attempt in flight, or on its way.
    pub(super) fn attempt(&self) -> u32 {
        let slow = self.more.if_slow();
        slow.map_or(0, |slow| slow.attempts).saturating_add(1)
    }

    /// Calls the service, which is ready.
    fn start_attempt(&mut self, mut service: S) -> Result<S::Future, Error> {
        let attempt = self.attempt();
        // It may have changed its mind while it waited.
        let may = attempt == 1 || self.kept.as_ref().is_some_and(R::can_replay);
        let Some(mut request) = self.next_request().filter(|_| may) else {
            return Err(self.end(Reason::NotReplayable));
        };
        if attempt > 1 {
            let shared = self.shared;
            shared.replays(&mut request, attempt, || self.destination());
        }
        let future = service.call(request);
        if let Some(place) = &self.more.slow().place {
            place.called();
        }
        Ok(future)
    }

    /// A copy of the request, or the request itself if there can't be one.
    fn next_request(&mut self) -> Option<Req> {
        let request = self.kept.as_ref()?;
        if let Some(copy) = R::try_clone(request) {
            return Some(copy);
        }
        self.more.slow().gone = Some(Box::new(Gone::new::<Req, R>(request)));
        self.kept.take()
    }

    /// Ready when the call's time is over.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.more.clock_mut().start();
        self.poll_timer(self.deadline(), cx)
    }

    fn is_over(&self) -> bool {
        self.deadline()
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}
