use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use super::Ticket;
use super::slot::Slot;
use super::store::Message;
use crate::mode::Delivery;
use crate::{BoxError, ConnErrorPolicy, Error, RequestModel, ResponseFuture};

/// What is known of a message while it is on its way.
#[derive(Clone, Copy)]
pub(super) struct Started {
    ticket: Ticket,
    size: usize,
    since: Duration,
}

/// A delivery that is over. No outcome: the message was taken back.
pub(super) struct Done {
    pub(super) ticket: Ticket,
    pub(super) size: usize,
    pub(super) outcome: Option<Result<(), Error>>,
}

impl<Req> From<&Message<Req>> for Started {
    fn from(message: &Message<Req>) -> Self {
        Self {
            ticket: message.ticket,
            size: message.size,
            since: message.since,
        }
    }
}

impl Started {
    pub(super) fn done(self, answer: Result<(), Error>) -> Done {
        Done {
            ticket: self.ticket,
            size: self.size,
            outcome: Some(answer),
        }
    }
}

/// A delivery under way.
pub(super) struct Flight<S: Service<Req>, P, R, Req> {
    #[allow(clippy::type_complexity)]
    future: Pin<Box<Option<ResponseFuture<S, Req, P, R, Delivery>>>>,
    started: Started,
    slot: Arc<Slot>,
    called: bool,
}

impl<S: Service<Req>, P, R, Req> Flight<S, P, R, Req> {
    #[allow(clippy::type_complexity)]
    pub(super) fn new(
        future: Pin<Box<Option<ResponseFuture<S, Req, P, R, Delivery>>>>,
        started: Started,
    ) -> Self {
        let of = future.as_ref().get_ref().as_ref();
        let called = of.is_some_and(ResponseFuture::is_in_attempt);
        Self {
            future,
            started,
            slot: Arc::new(Slot::new(called)),
            called,
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.started.ticket
    }

    pub(super) fn since(&self) -> Duration {
        self.started.since
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        self.slot.clone()
    }

    /// It has called the service.
    pub(super) fn has_called(&self) -> bool {
        self.called
    }

    fn look(&mut self) -> bool {
        let future = self.future.as_ref().get_ref();
        let in_attempt = future.as_ref().is_some_and(ResponseFuture::is_in_attempt);
        self.called |= in_attempt;
        in_attempt
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
        let Started { ticket, size, .. } = self.started;
        let taken = Poll::Ready(Done {
            ticket,
            size,
            outcome: None,
        });
        if !self.slot.begin(cx.waker()) {
            return taken;
        }
        let answer = match self.future.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Pending,
        };
        if let Poll::Ready(answer) = answer {
            return Poll::Ready(self.started.done(answer.map(drop)));
        }
        let in_attempt = self.look();
        self.slot.end(in_attempt);
        Poll::Pending
    }
}
