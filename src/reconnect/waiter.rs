use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use tower_service::Service;

use super::alarm::Alarm;
use super::shared::{PATIENCE, Shared};

/// One caller's place among those who wait for a connection. Dropping it gives the place up, and
/// nobody else is held up by that.
pub(super) struct Waiter<M: Service<T>, T> {
    shared: Arc<Shared<M, T>>,
    pub(super) place: Option<u64>,
    pub(super) joined: bool,
    /// How many attempts it has begun.
    pub(super) begun: u32,
    /// Runs while it lets others go first.
    pub(super) patience: Option<Patience>,
}

pub(super) struct Patience {
    /// Who is to go first.
    first: u64,
    alarm: Alarm,
}

impl Patience {
    fn with(first: u64) -> Self {
        Self {
            first,
            alarm: Alarm::at(Instant::now() + PATIENCE),
        }
    }
}

impl<M: Service<T>, T> Waiter<M, T> {
    /// Takes its place now: the order is that of the calls, not that of the first polls.
    pub(super) fn new(shared: &Arc<Shared<M, T>>) -> Self {
        let place = shared.waiters.register(None, Waker::noop()).ok();
        Self {
            shared: Arc::clone(shared),
            place,
            joined: false,
            begun: 0,
            patience: None,
        }
    }

    /// Takes over a place that was kept for it.
    pub(super) fn at(shared: &Arc<Shared<M, T>>, place: u64) -> Self {
        Self {
            shared: Arc::clone(shared),
            place: Some(place),
            joined: false,
            begun: 0,
            patience: None,
        }
    }

    /// Ready when it has waited long enough for this one, who is to go first. (It may let many go first,
    /// on many connections where those are short, but each in its time.)
    pub(super) fn poll_patience(&mut self, first: u64, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience.take_if(|patience| patience.first == first);
        let patience = patience.unwrap_or_else(|| Patience::with(first));
        self.patience.insert(patience).alarm.poll(cx)
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
