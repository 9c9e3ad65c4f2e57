use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::Table;
use super::alert::Alert;
use super::state::{Answer, Id, Time};
use crate::Destination;

/// A place in a backlog, and with it perhaps the turn or the probe. Given up on drop.
pub(crate) struct Place {
    table: Arc<Table>,
    destination: Destination,
    /// [`ENDED`] when there is nothing to give up any more.
    id: Id,
    /// Of the attempt in flight.
    alert: Option<Arc<Alert>>,
}

/// No call's number: those have 63 bits. A flag beside it would take eight bytes.
const ENDED: Id = Id::MAX;

/// The bit that says that it is no place, but a probe alone.
const UNHELD: Id = 1 << 63;

impl Place {
    pub(super) fn new(table: Arc<Table>, destination: Destination, id: Id) -> Self {
        Self {
            table,
            destination,
            id,
            alert: None,
        }
    }

    /// The probe of a request that is not held.
    pub(super) fn unheld(table: Arc<Table>, destination: Destination, id: Id) -> Self {
        Self::new(table, destination, id | UNHELD)
    }

    pub(crate) fn is_held(&self) -> bool {
        self.id & UNHELD == 0
    }

    fn id(&self) -> Id {
        self.id & !UNHELD
    }

    /// Is it this one's turn? An attempt that it starts now is over at `ends`.
    pub(crate) fn ask(&mut self, ends: Option<Time>, waker: &Waker) -> Answer {
        if let Some(alert) = self.alert.take() {
            alert.end();
        }
        self.table
            .ask(&self.destination, self.id(), ends, waker.clone())
    }

    /// The attempt has called the service.
    pub(crate) fn called(&self) {
        self.table.called(&self.destination, self.id());
    }

    /// The waker for a poll of the attempt in flight.
    pub(crate) fn alert(&mut self, task: &Waker) -> Waker {
        if let Some(alert) = &self.alert {
            alert.polled(&self.table, task);
            return Waker::from(alert.clone());
        }
        let alert = Alert::new(&self.table, &self.destination, self.id(), task);
        Waker::from(self.alert.insert(alert).clone())
    }

    /// Whether what broke may be put down to this attempt: it shared its connection with no other
    /// one of the drain.
    pub(crate) fn was_alone(&self) -> bool {
        self.table.was_alone(&self.destination, self.id())
    }

    /// The attempt was answered; `well` if without any error.
    pub(crate) fn answered(mut self, well: bool) {
        let id = self.id();
        self.id = ENDED;
        self.table.answered(&self.destination, id, well);
    }

    /// The table has freed it already.
    pub(crate) fn forget(mut self) {
        self.id = ENDED;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.id != ENDED {
            self.table.leave(&self.destination, self.id());
        }
    }
}

/// A place in the queue for a place. Given up on drop.
pub(crate) struct Room {
    table: Arc<Table>,
    destination: Destination,
    /// [`ENDED`] when there is nothing to give up any more.
    id: Id,
    again: Option<Time>,
}

impl Room {
    pub(super) fn new(
        table: Arc<Table>,
        destination: Destination,
        id: Id,
        again: Option<Time>,
    ) -> Self {
        Self {
            table,
            destination,
            id,
            again,
        }
    }

    /// When it may have to look again, woken or not: one before it may be stalled.
    pub(crate) fn again(&self) -> Option<Instant> {
        self.table.instant(self.again?)
    }

    /// Its turn may have come: [`Table::hold`] takes it from here.
    pub(crate) fn forget(mut self) {
        self.id = ENDED;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.id == ENDED {
            return;
        }
        let waited = self.table.run(|state, now, effects| {
            let waited = state.leave_room(self.id, now, effects);
            if waited.is_none() {
                // It has got a place, and does not know yet.
                effects.passes = true;
                state.given.remove(&self.id);
                state.link(&self.destination, effects, |entry, wakes| {
                    entry.link.leave(self.id, now, wakes);
                });
            }
            waited
        });
        drop(waited); // its waker is the user's, so not under the lock
    }
}
