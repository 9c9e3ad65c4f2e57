//! Deliveries begin.

use std::task::{Context, Poll};

use tower_service::Service;

use super::super::Ticket;
use super::super::flight::{self, Delivering, Done, End, Flight, Started};
use super::super::store::Message;
use super::super::unwind::unwind;
use super::Worker;
use crate::future::Start;
use crate::link::Hold;
use crate::mode::Delivery;
use crate::{BoxError, ConnErrorPolicy, Reason, RequestModel, ResponseFuture};

/// What became of a delivery that was not answered at once.
pub(super) enum Begun<Req> {
    /// It can't be started yet, and waits where it was.
    NotYet,
    UnderWay,
    Over(Done),
    /// The message is too old.
    Old(Message<Req>),
    /// It can't be read.
    Unreadable(Ticket),
}

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    Req: Send + 'static,
{
    /// Begins with the first of those that were read, and goes on as long as each is answered at once
    /// and nobody has news. What became of the last, if it was not answered at once.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) -> Option<Begun<Req>> {
        let begun = loop {
            match self.start(cx) {
                None if self.goes_on() => {}
                begun => break begun,
            }
        };
        self.at_once = begun.is_none();
        self.account();
        begun
    }

    /// The next one begins, and nobody need be asked.
    fn goes_on(&self) -> bool {
        match (self.answered.last(), self.batch.front()) {
            (Some(last), Some((next, _))) => self.at.go_on(*last, *next),
            _ => false,
        }
    }

    /// Starts a delivery. What became of it, if it was not answered at once.
    fn start(&mut self, cx: &mut Context<'_>) -> Option<Begun<Req>> {
        let (ticket, message) = match self.batch.front() {
            Some((ticket, Ok(message))) if !self.is_old(message) => (*ticket, message),
            _ => return Some(self.leave_out()),
        };
        let table = &self.service.table;
        let id = ticket.get();
        if id < self.outbox.first {
            // A former life took it as worth waiting for, so what looks permanent is the path's.
            table.learn::<Req, R>(&message.request);
        }
        let hold = match table.are_shut() {
            false => Hold::Open,
            true => table.hold(&self.destination, id, message.size, 0, None, true),
        };
        let mut unready = None;
        let start = match hold {
            Hold::Held(place) | Hold::Probe(place) => Start::Held(place),
            Hold::Room(_) | Hold::Full => Start::Now,
            Hold::Open => {
                if self.waits_for_call() {
                    return Some(self.put_off());
                }
                let service = self.ready.get_or_insert_with(|| self.service.fresh());
                match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) if message.attempts == 0 => return self.attempt(cx),
                    Poll::Ready(Ok(())) => return Some(self.attempt_again(cx)),
                    Poll::Ready(Err(error)) => {
                        self.ready = None;
                        Start::Failed(error.into())
                    }
                    Poll::Pending => {
                        // The delivery goes on with it. What nobody polls may have been given a permit.
                        unready = self.ready.take();
                        Start::Now
                    }
                }
            }
        };
        let Some((_, Ok(message))) = self.batch.pop_front() else {
            return Some(Begun::NotYet);
        };
        let started = Started::from(&message);
        let future = ResponseFuture::begun(self.service.clone(), id, (), message.request, start);
        let mut future = future.had(message.attempts, message.maybe_sent);
        if let Some(service) = unready {
            future.ready_with(service);
        }
        Some(self.fly(future, started, cx))
    }

    /// The first one can't be delivered.
    #[cold]
    fn leave_out(&mut self) -> Begun<Req> {
        match self.batch.pop_front() {
            Some((_, Ok(message))) => Begun::Old(message),
            Some((ticket, Err(_))) => Begun::Unreadable(ticket),
            None => Begun::NotYet,
        }
    }

    /// Not before the one before it has called the service.
    #[cold]
    fn put_off(&mut self) -> Begun<Req> {
        self.account();
        if let Some(line) = self.outbox.book().lines.get_mut(&self.destination) {
            line.run.end();
        }
        Begun::NotYet
    }

    /// Makes a first attempt at once.
    fn attempt(&mut self, cx: &mut Context<'_>) -> Option<Begun<Req>> {
        let (Some((ticket, Ok(message))), Some(ready)) = (self.batch.front(), &mut self.ready)
        else {
            return Some(Begun::NotYet);
        };
        let idle = || Box::pin(ResponseFuture::idle(self.service.clone()));
        let future = self.spare.get_or_insert_with(idle);
        let seen = unwind(|| {
            let request = R::try_clone(&message.request)?;
            Some(
                future
                    .as_mut()
                    .poll_first(&message.request, ready.call(request), cx),
            )
        });
        Some(match seen {
            Some(Some(None)) => {
                self.answered.push(*ticket);
                self.batch.pop_front();
                return None;
            }
            Some(Some(Some(seen))) => self.go_on(seen, cx),
            Some(None) => self.attempt_again(cx),
            None => self.panicked(),
        })
    }

    /// The first attempt was not answered at once.
    #[cold]
    fn go_on(&mut self, seen: Poll<S::Error>, cx: &mut Context<'_>) -> Begun<Req> {
        let (Some((ticket, Ok(message))), Some(mut future)) =
            (self.batch.pop_front(), self.spare.take())
        else {
            return Begun::NotYet;
        };
        let started = Started::from(&message);
        let id = ticket.get();
        let polled = unwind(|| future.as_mut().go_on(id, message.request, seen, cx));
        self.polled(future, started, flight::end(polled))
    }

    /// Makes another attempt at once, or the only one of a request that can't be copied.
    fn attempt_again(&mut self, cx: &mut Context<'_>) -> Begun<Req> {
        // Put back if it is called, and does not panic.
        let Some(mut ready) = self.ready.take() else {
            return self.put_off();
        };
        let Some((_, Ok(message))) = self.batch.pop_front() else {
            return Begun::NotYet;
        };
        let started = Started::from(&message);
        let future = unwind(|| {
            let id = message.ticket.get();
            let (service, request) = (self.service.clone(), message.request);
            if message.attempts > 0 && !R::can_replay(&request) {
                let start = Start::Ended(Reason::NotReplayable);
                let future = ResponseFuture::begun(service, id, (), request, start);
                return future.had(message.attempts, message.maybe_sent);
            }
            let future = ResponseFuture::attempting(service, id, (), request, |mut request| {
                if message.attempts > 0 {
                    let attempt = message.attempts.saturating_add(1);
                    let destination = || self.destination.clone();
                    self.service.replays(&mut request, attempt, destination);
                }
                let attempt = ready.call(request);
                self.ready = Some(ready);
                attempt
            });
            match message.attempts {
                0 => future,
                attempts => future.had(attempts, message.maybe_sent),
            }
        });
        match future {
            Some(future) => self.fly(future, started, cx),
            None => Begun::Over(started.done(End::Panicked)),
        }
    }

    /// An attempt has panicked.
    #[cold]
    fn panicked(&mut self) -> Begun<Req> {
        self.ready = None;
        let future = self.spare.take();
        unwind(|| drop(future));
        match self.batch.pop_front() {
            Some((_, Ok(message))) => Begun::Over(Started::from(&message).done(End::Panicked)),
            _ => Begun::NotYet,
        }
    }

    fn fly(
        &mut self,
        future: ResponseFuture<S, Req, P, R, Delivery>,
        started: Started,
        cx: &mut Context<'_>,
    ) -> Begun<Req> {
        let mut boxed = match self.spare.take() {
            Some(mut spare) => {
                spare.set(future);
                spare
            }
            None => Box::pin(future),
        };
        let polled = flight::poll(boxed.as_mut(), cx);
        self.polled(boxed, started, polled)
    }

    fn polled(
        &mut self,
        mut future: Delivering<S, P, R, Req>,
        started: Started,
        polled: Poll<End>,
    ) -> Begun<Req> {
        if let Poll::Ready(end) = polled {
            // What is dropped may panic.
            self.spare = unwind(|| {
                future.set(ResponseFuture::idle(self.service.clone()));
                future
            });
            return Begun::Over(started.done(end));
        }
        self.account();
        let flight = Flight::new(future, started, self.order.clone());
        let mut book = self.outbox.book();
        if let Some(line) = book.lines.get_mut(&self.destination) {
            line.slots.insert(flight.ticket(), flight.slot());
            line.run.end();
        }
        drop(book);
        self.flights.push(flight);
        Begun::UnderWay
    }
}
