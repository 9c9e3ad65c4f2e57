use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::shared::{PATIENCE, Shared};

/// One caller's place among those who wait for a connection. Dropping it gives the place up, and
/// nobody else is held up by that.
pub(super) struct Waiter<M: Service<T>, T> {
    shared: Arc<Shared<M, T>>,
    pub(super) place: Option<u64>,
    pub(super) joined: bool,
    /// Runs while it lets others go first.
    pub(super) patience: Option<Pin<Box<Sleep>>>,
}

impl<M: Service<T>, T> Waiter<M, T> {
    /// Takes its place now: the order is that of the calls, not that of the first polls.
    pub(super) fn new(shared: &Arc<Shared<M, T>>) -> Self {
        let place = shared.waiters.register(None, Waker::noop()).ok();
        Self {
            shared: Arc::clone(shared),
            place,
            joined: false,
            patience: None,
        }
    }

    /// Ready when it has waited long enough for those who came before it.
    pub(super) fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        patience.as_mut().poll(cx)
    }

    pub(super) fn leave(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        if !self.shared.waiters.leave(place) {
            self.shared.orphan();
        }
    }
}

impl<M: Service<T>, T> Drop for Waiter<M, T> {
    fn drop(&mut self) {
        self.leave();
    }
}
