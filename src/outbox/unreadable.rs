//! Messages that can't be read: they stay in the store, in case another version of the program can.

use std::sync::Arc;

use super::book::Book;
use super::shared::Shared;
use super::{Outcome, Receipt, Ticket};
use crate::Destination;

impl<Req: Send + 'static> Shared<Req> {
    /// A worker can't read a message, and goes on with the next.
    pub(super) fn pass_over(self: &Arc<Self>, destination: &Destination, ticket: Ticket) {
        let mut book = self.book();
        book.pass_over(destination, ticket);
        self.let_in(book);
        let outcome = Outcome::Unreadable;
        self.tell(Receipt { ticket, outcome });
    }

    /// Somebody has found that a message can't be read, which waits.
    pub(super) fn pass_over_waiting(&self, destination: &Destination, ticket: Ticket) {
        let mut book = self.book();
        let passed_over = book.pass_over_waiting(destination, ticket);
        if let Some(oldest) = book.oldest.as_mut().filter(|_| passed_over) {
            oldest.remove(ticket);
        }
        self.tell_if_done(book);
        if passed_over {
            let outcome = Outcome::Unreadable;
            self.tell(Receipt { ticket, outcome });
        }
    }

    /// Removes what can't be read. How many that are.
    pub(super) fn discard_unreadable(self: &Arc<Self>) -> usize {
        let mut book = self.book();
        let all = book.give_up_unreadable();
        self.let_in(book);
        for (destination, tickets) in &all {
            self.remove(destination, tickets);
        }
        all.iter().map(|(_, tickets)| tickets.len()).sum()
    }
}

impl<Req> Book<Req> {
    /// A message can't be read: it stays in the store, and is passed over.
    fn pass_over(&mut self, destination: &Destination, ticket: Ticket) {
        if let Some(line) = self.lines.get_mut(destination) {
            line.slots.remove(&ticket);
            line.run.end();
            self.unreadable += usize::from(line.unreadable.insert(ticket));
        }
    }

    /// The same of one that is found by somebody else than its worker. Not if it is on its way, or gone.
    fn pass_over_waiting(&mut self, destination: &Destination, ticket: Ticket) -> bool {
        let Some(line) = self.lines.get_mut(destination) else {
            return false;
        };
        let waits = line.take(ticket);
        self.unreadable += usize::from(waits && line.unreadable.insert(ticket));
        waits
    }

    /// Those that can't be read are to be removed. Which they are.
    fn give_up_unreadable(&mut self) -> Vec<(Destination, Vec<Ticket>)> {
        let lines = self.lines.iter_mut();
        let all = lines.map(|(destination, line)| {
            let tickets = std::mem::take(&mut line.unreadable);
            (destination.clone(), tickets.into_iter().collect::<Vec<_>>())
        });
        let all: Vec<_> = all.filter(|(_, tickets)| !tickets.is_empty()).collect();
        for (destination, tickets) in &all {
            for ticket in tickets {
                // Its worker may be on its way from one message to the next.
                if let Some(line) = self.lines.get_mut(destination) {
                    line.gone.insert(*ticket);
                }
                self.removing += 1;
                self.subtract(destination, 0);
            }
        }
        self.unreadable = 0;
        all
    }
}
