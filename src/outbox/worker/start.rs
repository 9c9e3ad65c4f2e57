//! Deliveries begin.

use std::task::{Context, Poll};

use tower_service::Service;

use super::super::flight::{self, Done, End, Flight, Started};
use super::super::store::Message;
use super::super::unwind::unwind;
use super::Worker;
use crate::future::Start;
use crate::link::Hold;
use crate::mode::Delivery;
use crate::{BoxError, ConnErrorPolicy, RequestModel, ResponseFuture};

/// What became of a delivery at once.
pub(super) enum Begun {
    /// It can't be started yet, and waits where it was.
    NotYet,
    UnderWay,
    Over(Done),
}

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    Req: Send + 'static,
{
    /// Starts a delivery.
    pub(super) fn start(&mut self, message: Message<Req>, cx: &mut Context<'_>) -> Begun {
        let Message { ticket, size, .. } = message;
        let table = &self.service.table;
        let id = ticket.get();
        if id < self.outbox.first {
            // A former life took it as worth waiting for, so what looks permanent is the path's.
            table.learn::<Req, R>(&message.request);
        }
        let hold = match table.are_shut() {
            false => Hold::Open,
            true => table.hold(&self.destination, id, size, 0, None, true),
        };
        let start = match hold {
            Hold::Held(place) | Hold::Probe(place) => Start::Held(place),
            Hold::Room(_) | Hold::Full => Start::Now,
            Hold::Open => {
                if self.waits_for_call() {
                    return self.put_back(message);
                }
                let service = self.ready.get_or_insert_with(|| self.service.fresh());
                match service.poll_ready(cx) {
                    Poll::Ready(Ok(())) => return self.attempt(message, cx),
                    Poll::Ready(Err(error)) => {
                        self.ready = None;
                        Start::Failed(error.into())
                    }
                    Poll::Pending => Start::Now,
                }
            }
        };
        let started = Started::from(&message);
        let future = ResponseFuture::begun(self.service.clone(), id, (), message.request, start);
        let future = future.had(message.attempts, message.maybe_sent);
        self.fly(future, started, cx)
    }

    /// Not before the one before it has called the service.
    #[cold]
    fn put_back(&mut self, message: Message<Req>) -> Begun {
        self.batch.push_front((message.ticket, Ok(message)));
        if let Some(line) = self.outbox.book().lines.get_mut(&self.destination) {
            line.current = None;
        }
        Begun::NotYet
    }

    /// Makes an attempt at once.
    fn attempt(&mut self, message: Message<Req>, cx: &mut Context<'_>) -> Begun {
        let started = Started::from(&message);
        // Put back if it does not panic.
        let Some(mut ready) = self.ready.take() else {
            return self.put_back(message);
        };
        let future = unwind(|| {
            let id = message.ticket.get();
            let (service, request) = (self.service.clone(), message.request);
            let future = ResponseFuture::attempting(service, id, (), request, |mut request| {
                if message.attempts > 0 {
                    let attempt = message.attempts.saturating_add(1);
                    self.service.policy.prepare(&mut request, attempt);
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

    fn fly(
        &mut self,
        future: ResponseFuture<S, Req, P, R, Delivery>,
        started: Started,
        cx: &mut Context<'_>,
    ) -> Begun {
        let mut boxed = match self.spare.take() {
            Some(mut spare) => {
                spare.set(Some(future));
                spare
            }
            None => Box::pin(Some(future)),
        };
        match flight::poll(&mut boxed, cx) {
            Poll::Ready(end) => {
                boxed.set(None);
                self.spare = Some(boxed);
                Begun::Over(started.done(end))
            }
            Poll::Pending => {
                let flight = Flight::new(boxed, started, self.order.clone());
                let mut book = self.outbox.book();
                if let Some(line) = book.lines.get_mut(&self.destination) {
                    line.slots.insert(flight.ticket(), flight.slot());
                    line.current = None;
                }
                drop(book);
                self.flights.push(flight);
                Begun::UnderWay
            }
        }
    }
}
