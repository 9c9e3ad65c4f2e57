//! Who has how many messages where.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use tokio::sync::Notify;

use super::slot::Slot;
use super::{DeadLetter, Ticket};
use crate::{Destination, Limits};

/// What is behind the lock of an outbox.
pub(super) struct Book<Req> {
    pub(super) len: usize,
    pub(super) bytes: usize,
    pub(super) lines: HashMap<Destination, Line>,
    /// Callers who wait for room.
    pub(super) room: BTreeMap<Ticket, Waker>,
    pub(super) dead: VecDeque<DeadLetter<Req>>,
    /// Workers that have not ended.
    pub(super) workers: usize,
}

/// The messages for one destination.
#[derive(Default)]
pub(super) struct Line {
    pub(super) len: usize,
    pub(super) bytes: usize,
    /// Something has changed.
    pub(super) news: Arc<Notify>,
    /// The last one that its worker has read.
    pub(super) read: Option<Ticket>,
    /// The first one that came later than one that was read before it.
    pub(super) late: Option<Ticket>,
    /// The one whose delivery begins now.
    pub(super) current: Option<Ticket>,
    /// Deliveries that are not over.
    pub(super) slots: BTreeMap<Ticket, Arc<Slot>>,
    /// Are no longer counted, but may have been read.
    pub(super) gone: BTreeSet<Ticket>,
}

impl Line {
    /// Neither on its way nor gone.
    pub(super) fn waits(&self, ticket: Ticket) -> bool {
        !self.gone.contains(&ticket)
            && self.current != Some(ticket)
            && self.slots.get(&ticket).is_none_or(|slot| slot.waits())
    }
}

impl<Req> Default for Book<Req> {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: 0,
            lines: HashMap::new(),
            room: BTreeMap::new(),
            dead: VecDeque::new(),
            workers: 0,
        }
    }
}

impl<Req> Book<Req> {
    pub(super) fn has_room(&self, limits: &Limits, size: usize) -> bool {
        limits.have_room(self.len, self.bytes, size)
    }

    /// A message comes in. Whether it is the first of its line.
    pub(super) fn add(&mut self, destination: &Destination, ticket: Ticket, size: usize) -> bool {
        self.len += 1;
        self.bytes += size;
        let is_new = !self.lines.contains_key(destination);
        let line = self.lines.entry(destination.clone()).or_default();
        line.len += 1;
        line.bytes += size;
        if line.read.is_some_and(|read| ticket <= read) {
            line.late = line.late.into_iter().chain([ticket]).min();
        }
        is_new
    }

    /// A message is gone. Whom to wake: the first two who wait for room, since one may be stalled.
    pub(super) fn subtract(&mut self, destination: &Destination, size: usize) -> Vec<Waker> {
        self.len = self.len.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        if let Some(line) = self.lines.get_mut(destination) {
            line.len = line.len.saturating_sub(1);
            line.bytes = line.bytes.saturating_sub(size);
            if line.len == 0 {
                line.news.notify_one();
            }
        }
        let first = self.room.pop_first();
        let second = self.room.pop_first();
        let wakers = first.into_iter().chain(second).map(|(_, waker)| waker);
        wakers.collect()
    }
}
