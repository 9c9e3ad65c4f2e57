//! Drops the oldest messages where there are too many.

use std::sync::Arc;

use super::keeper::{self, Batch, Found};
use super::shared::Shared;
use super::store::{Message, Store};
use super::{Outcome, Receipt, Ticket};
use crate::Destination;

impl<Req: Send + 'static> Shared<Req> {
    /// Drops the oldest that wait until all is within the limits. What is to be removed.
    pub(super) fn trim(self: &Arc<Self>, store: &mut dyn Store<Req>) -> Vec<(Destination, Ticket)> {
        let mut gone = Vec::new();
        while let Some((destination, ticket, message)) = self.oldest(store, &gone) {
            match message {
                Some(message) => self.bury(message, Outcome::Dropped, None),
                None => {
                    let outcome = Outcome::Unreadable;
                    self.left(&destination, 0, Receipt { ticket, outcome });
                }
            }
            gone.push((destination, ticket));
        }
        gone
    }

    /// Takes the oldest message that waits, if there are too many.
    fn oldest(
        &self,
        store: &mut dyn Store<Req>,
        gone: &[(Destination, Ticket)],
    ) -> Option<(Destination, Ticket, Option<Message<Req>>)> {
        let destinations: Vec<_> = {
            let book = self.counted();
            let limits = self.settings.limits;
            if book.len == 0 || limits.have_room(book.len - 1, book.bytes, 0) {
                return None;
            }
            book.lines.keys().cloned().collect()
        };
        let first = |destination: Destination| {
            let (ticket, message) = self.first_waiting(store, &destination, gone)?;
            Some((ticket, destination, message))
        };
        let mut waiting: Vec<_> = destinations.into_iter().filter_map(first).collect();
        waiting.sort_by_key(|(ticket, ..)| *ticket);
        for (ticket, destination, message) in waiting {
            if self.take(&destination, ticket) {
                return Some((destination, ticket, message.ok()));
            }
        }
        None
    }

    /// The first message to a destination that is neither on its way nor gone.
    fn first_waiting(
        &self,
        store: &mut dyn Store<Req>,
        destination: &Destination,
        gone: &[(Destination, Ticket)],
    ) -> Option<Found<Req>> {
        let copy = self.copy()?;
        let mut after = None;
        loop {
            let found = keeper::read(store, destination, after, 16, copy, Batch::new()).ok()?;
            after = Some(found.back()?.0);
            let book = self.book();
            let line = book.lines.get(destination)?;
            line.run.stop();
            let waits = |(ticket, _): &Found<Req>| {
                let is_gone = gone.contains(&(destination.clone(), *ticket));
                !is_gone && line.waits(*ticket)
            };
            if let Some(found) = found.into_iter().find(waits) {
                return Some(found);
            }
        }
    }

    /// Takes a message back, if it is not on its way.
    fn take(&self, destination: &Destination, ticket: Ticket) -> bool {
        let mut book = self.book();
        let Some(line) = book.lines.get_mut(destination) else {
            return false;
        };
        line.run.stop();
        let waits = line.waits(ticket) && line.slots.get(&ticket).is_none_or(|slot| slot.take());
        if waits {
            line.slots.remove(&ticket);
            line.gone.insert(ticket);
            book.removing += 1;
        }
        waits
    }
}
