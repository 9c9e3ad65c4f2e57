//! What one worker's deliveries know of each other, where order is strict.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Ticket;
use crate::Destination;
use crate::link::Table;

/// How long a probe waits at most for earlier deliveries to hear that their connection broke.
const PATIENCE: Duration = Duration::from_secs(1);

/// While the link is down, no delivery makes an attempt before all earlier ones have heard that theirs
/// failed. Attempts that broke together end one by one, each when its connection's task gets to run,
/// which may take longer than the link waits by itself.
pub(super) struct Order {
    table: Arc<Table>,
    destination: Destination,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_attempt: BTreeSet<Ticket>,
    /// Since when probes wait.
    since: Option<Instant>,
}

impl Order {
    /// None if order is not strict.
    pub(super) fn new(table: &Arc<Table>, destination: &Destination) -> Option<Arc<Self>> {
        table.config().in_order.then(|| {
            Arc::new(Self {
                table: table.clone(),
                destination: destination.clone(),
                state: Mutex::default(),
            })
        })
    }

    pub(super) fn began(&self, ticket: Ticket) {
        self.state().in_attempt.insert(ticket);
    }

    /// If it failed, its message is back in line already.
    pub(super) fn ended(&self, ticket: Ticket) {
        self.state().in_attempt.remove(&ticket);
    }

    /// This one waits, and is about to ask whether it is its turn.
    pub(super) fn asks(&self, ticket: Ticket) {
        let mut state = self.state();
        let is_behind = state.in_attempt.first().is_some_and(|it| *it < ticket);
        if !is_behind || self.table.is_up(&self.destination) {
            state.since = None;
            return;
        }
        let since = *state.since.get_or_insert_with(Instant::now);
        drop(state);
        if since.elapsed() < PATIENCE {
            self.table.postpone_probe(&self.destination);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
