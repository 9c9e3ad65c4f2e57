//! What the link hears of the attempts that are in flight.

use std::sync::{Arc, PoisonError, Weak};
use std::task::{Wake, Waker};

use super::Table;
use super::state::Id;
use crate::Destination;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

impl Table {
    /// The attempt has something to say.
    pub(super) fn woken(&self, destination: &Destination, id: Id) {
        self.run(|state, now, effects| {
            state.link(destination, effects, |entry, wakes| {
                entry.link.woken(id, now, wakes)
            });
        });
    }

    /// Its caller has come to hear it.
    pub(super) fn polled(&self, destination: &Destination, id: Id) {
        self.run(|state, now, effects| {
            effects.in_task = true;
            state.link(destination, effects, |entry, wakes| {
                entry.link.polled(id, now, wakes)
            });
        });
    }

    pub(super) fn was_alone(&self, destination: &Destination, id: Id) -> bool {
        let links = &self.lock().links;
        links
            .get(destination)
            .is_none_or(|entry| entry.link.was_alone(id))
    }
}

/// Wakes the task of a caller with an attempt in flight, and has the link know: a caller who is not
/// polled then is stalled, and others need not wait for it.
pub(super) struct Alert {
    table: Weak<Table>,
    destination: Destination,
    id: Id,
    task: Mutex<Waker>,
    /// It has gone off at least once.
    went_off: AtomicBool,
    /// The attempt is over: whoever still has this has nothing to say about the next one.
    over: AtomicBool,
}

impl Alert {
    pub(super) fn new(
        table: &Arc<Table>,
        destination: &Destination,
        id: Id,
        task: &Waker,
    ) -> Arc<Self> {
        Arc::new(Self {
            table: Arc::downgrade(table),
            destination: destination.clone(),
            id,
            task: Mutex::new(task.clone()),
            went_off: AtomicBool::new(false),
            over: AtomicBool::new(false),
        })
    }

    /// The attempt is over.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The task polls.
    pub(super) fn polled(&self, table: &Table, task: &Waker) {
        let mut current = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let former = match current.will_wake(task) {
            true => None,
            false => Some(std::mem::replace(&mut *current, task.clone())),
        };
        drop(current);
        drop(former); // it can be anything
        // Each time: the one that goes off now may not have told the link yet. It wakes the task
        // after that, and so this comes once more.
        if self.went_off.load(Ordering::Relaxed) {
            table.polled(&self.destination, self.id);
        }
    }
}

impl Wake for Alert {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.went_off.store(true, Ordering::Relaxed);
        let over = self.over.load(Ordering::Relaxed);
        if let Some(table) = self.table.upgrade().filter(|_| !over) {
            table.woken(&self.destination, self.id);
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = task.clone();
        drop(task);
        waker.wake();
    }
}
