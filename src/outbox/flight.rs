use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use super::Ticket;
use super::order::Order;
use super::slot::Slot;
use super::store::Message;
use super::unwind::unwind;
use crate::mode::Delivery;
use crate::{BoxError, ConnErrorPolicy, Error, RequestModel, ResponseFuture};

/// What is known of a message while it is on its way.
#[derive(Clone, Copy)]
pub(super) struct Started {
    ticket: Ticket,
    size: usize,
    since: Duration,
    max_age: Option<Duration>,
}

/// A delivery that is over.
pub(super) struct Done {
    pub(super) ticket: Ticket,
    pub(super) size: usize,
    pub(super) end: End,
}

pub(super) enum End {
    /// The message was taken back.
    Taken,
    Answered,
    Refused(Error),
    Panicked,
}

impl<Req> Message<Req> {
    /// When it is too old, on the outbox's clock. `limit` is for all.
    pub(super) fn ends(&self, limit: Option<Duration>) -> Option<Duration> {
        ends(self.since, self.max_age, limit)
    }
}

fn ends(since: Duration, own: Option<Duration>, limit: Option<Duration>) -> Option<Duration> {
    since.checked_add(own.into_iter().chain(limit).min()?)
}

impl<Req> From<&Message<Req>> for Started {
    fn from(message: &Message<Req>) -> Self {
        Self {
            ticket: message.ticket,
            size: message.size,
            since: message.since,
            max_age: message.max_age,
        }
    }
}

impl Started {
    pub(super) fn done(self, end: End) -> Done {
        let Self { ticket, size, .. } = self;
        Done { ticket, size, end }
    }
}

pub(super) type Delivering<S, P, R, Req> = Pin<Box<ResponseFuture<S, Req, P, R, Delivery>>>;

/// Polls a delivery. What panics is over.
pub(super) fn poll<S, P, R, Req>(
    future: Pin<&mut ResponseFuture<S, Req, P, R, Delivery>>,
    cx: &mut Context<'_>,
) -> Poll<End>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
{
    end(unwind(|| future.poll(cx)))
}

/// What a poll says of a delivery.
pub(super) fn end<T>(polled: Option<Poll<Result<T, Error>>>) -> Poll<End> {
    match polled {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(Ok(_))) => Poll::Ready(End::Answered),
        Some(Poll::Ready(Err(error))) => Poll::Ready(End::Refused(error)),
        None => Poll::Ready(End::Panicked),
    }
}

/// A delivery under way.
pub(super) struct Flight<S: Service<Req>, P, R, Req> {
    /// `None` when it is over.
    future: Option<Delivering<S, P, R, Req>>,
    started: Started,
    slot: Arc<Slot>,
    called: bool,
    /// If it is strict.
    order: Option<Arc<Order>>,
}

impl<S: Service<Req>, P, R, Req> Flight<S, P, R, Req> {
    pub(super) fn new(
        future: Delivering<S, P, R, Req>,
        started: Started,
        order: Option<Arc<Order>>,
    ) -> Self {
        let called = future.is_in_attempt();
        let flight = Self {
            future: Some(future),
            started,
            slot: Arc::new(Slot::new(called)),
            called,
            order,
        };
        flight.tell(called);
        flight
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.started.ticket
    }

    /// When it is too old, on the outbox's clock.
    pub(super) fn ends(&self, limit: Option<Duration>) -> Option<Duration> {
        ends(self.started.since, self.started.max_age, limit)
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        self.slot.clone()
    }

    /// It has called the service.
    pub(super) fn has_called(&self) -> bool {
        self.called
    }

    fn is_in_attempt(&self) -> bool {
        let future = self.future.as_ref();
        future.is_some_and(|future| future.is_in_attempt())
    }

    fn look(&mut self) -> bool {
        let in_attempt = self.is_in_attempt();
        self.called |= in_attempt;
        self.tell(in_attempt);
        in_attempt
    }

    /// Tells the others.
    fn tell(&self, in_attempt: bool) {
        match &self.order {
            Some(order) if in_attempt => order.began(self.started.ticket),
            Some(order) => order.ended(self.started.ticket),
            None => {}
        }
    }
}

impl<S: Service<Req>, P, R, Req> Drop for Flight<S, P, R, Req> {
    fn drop(&mut self) {
        self.tell(false);
    }
}

impl<S, P, R, Req> Future for Flight<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
{
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done> {
        if !self.slot.begin(cx.waker()) {
            return Poll::Ready(self.started.done(End::Taken));
        }
        if let Some(order) = self.order.as_ref().filter(|_| !self.is_in_attempt()) {
            order.asks(self.started.ticket);
        }
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        if let Poll::Ready(end) = poll(future.as_mut(), cx) {
            // What is dropped may panic.
            let over = self.future.take();
            unwind(|| drop(over));
            return Poll::Ready(self.started.done(end));
        }
        let in_attempt = self.look();
        self.slot.end(in_attempt);
        Poll::Pending
    }
}
