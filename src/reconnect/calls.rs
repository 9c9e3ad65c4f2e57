use std::sync::{Arc, Weak};

use tower_service::Service;

use super::life::Life;
use super::line::Line;
use super::shared::Shared;

/// One of these for each connection; all who may call it, and all calls in flight on it, hold it. So it
/// tells how many there are, and when the last of them has heard of its end it is dropped: the usual
/// call pays nothing for that.
pub(super) type Generation<M, T> = Arc<Calls<M, T>>;

/// The calls of a connection.
pub(super) struct Calls<M: Service<T>, T> {
    pub(super) life: Life,
    /// Where it is handed out, so that a call need not hold that as well.
    shared: Weak<Shared<M, T>>,
    /// Those who wait hold this alone.
    pub(super) line: Arc<Line>,
}

impl<M: Service<T>, T> Calls<M, T> {
    pub(super) fn new(
        life: Life,
        shared: &Arc<Shared<M, T>>,
        line: &Arc<Line>,
    ) -> Generation<M, T> {
        line.calls_begin();
        Arc::new(Self {
            life,
            shared: Arc::downgrade(shared),
            line: Arc::clone(line),
        })
    }

    /// A call failed together with the connection, which is not handed out again.
    pub(super) fn call_failed(&self) {
        self.line.call_failed();
        // If it has gone, so have all who could be handed the connection.
        if let Some(shared) = self.shared.upgrade() {
            shared.retire(&self.line);
        }
    }

    /// Those who wait for a connection, unless nobody is left who could make one.
    pub(super) fn shared(&self) -> Option<Arc<Shared<M, T>>> {
        self.shared.upgrade()
    }
}

impl<M: Service<T>, T> Drop for Calls<M, T> {
    fn drop(&mut self) {
        self.line.calls_end();
    }
}
