use std::sync::{Arc, Weak};

use tower_service::Service;

use super::calls::{Calls, Generation};
use super::life::Life;
use super::line::Line;
use super::shared::Shared;

/// A clone of the connection, and which one it is. Counts as a call.
pub(super) struct Lease<M: Service<T>, T> {
    pub(super) conn: M::Response,
    pub(super) generation: Generation<M, T>,
    /// It was made while this caller waited for it.
    pub(super) fresh: bool,
}

/// The same, for who waits until the connection takes the request. Does not count as a call.
pub(super) struct Reservation<M: Service<T>, T> {
    pub(super) conn: M::Response,
    calls: Weak<Calls<M, T>>,
    pub(super) line: Arc<Line>,
    pub(super) fresh: bool,
}

impl<M: Service<T>, T> Lease<M, T> {
    pub(super) fn reserve(self) -> Reservation<M, T> {
        Reservation {
            conn: self.conn,
            calls: Arc::downgrade(&self.generation),
            line: Arc::clone(&self.generation.line),
            fresh: self.fresh,
        }
    }
}

impl<M: Service<T>, T> Reservation<M, T> {
    /// From here on it counts as a call.
    pub(super) fn begin(&self, shared: &Arc<Shared<M, T>>) -> Generation<M, T> {
        let calls = self.calls.upgrade();
        // It is not handed out any more (it is too old, perhaps), but good for those who wait for it.
        calls.unwrap_or_else(|| Calls::new(Life::default(), shared, &self.line))
    }
}
