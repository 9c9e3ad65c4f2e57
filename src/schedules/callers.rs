//! Callers who leave, and callers who stall.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A future that is dropped when its handle says so, or not polled any more.
pub(super) struct Cancelled<F> {
    future: Option<Pin<Box<F>>>,
    order: Arc<Mutex<Order>>,
}

#[derive(Default)]
struct Order {
    given: bool,
    waker: Option<Waker>,
}

/// Cancels the future.
pub(super) struct Cancel(Arc<Mutex<Order>>);

impl<F> Cancelled<F> {
    pub(super) fn new(future: F) -> (Self, Cancel) {
        let order = Arc::<Mutex<Order>>::default();
        let cancel = Cancel(order.clone());
        let future = Some(Box::pin(future));
        (Self { future, order }, cancel)
    }
}

impl Cancel {
    pub(super) fn now(&self) {
        let mut order = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        order.given = true;
        let waker = order.waker.take();
        drop(order);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<F: Future> Future for Cancelled<F> {
    /// `None` if it was cancelled.
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let given = order.given;
        order.waker = Some(cx.waker().clone());
        drop(order);
        if given {
            self.future = None;
        }
        match &mut self.future {
            Some(future) => future.as_mut().poll(cx).map(Some),
            None => Poll::Ready(None),
        }
    }
}

/// A future that is polled so many times, and then kept.
pub(super) struct Stalls<F> {
    future: Option<Pin<Box<F>>>,
    polls: u64,
}

impl<F> Stalls<F> {
    pub(super) fn new(future: F, polls: u64) -> Self {
        let future = Some(Box::pin(future));
        Self { future, polls }
    }
}

impl<F: Future<Output = ()>> Future for Stalls<F> {
    /// What is left of it.
    type Output = Option<Pin<Box<F>>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls > 0 {
            self.polls -= 1;
            let future = self.future.as_mut();
            match future.map(|future| future.as_mut().poll(cx)) {
                Some(Poll::Ready(())) | None => return Poll::Ready(None),
                Some(Poll::Pending) if self.polls > 0 => return Poll::Pending,
                Some(Poll::Pending) => {}
            }
        }
        Poll::Ready(self.future.take())
    }
}
