//! Deliveries under way, and their end.

use tokio::time::Instant;
use tower_service::Service;

use super::super::flight::{Done, End, Flight};
use super::super::keeper::Batch;
use super::super::meanwhile::meanwhile;
use super::super::store::Message;
use super::super::{Outcome, Receipt, Ticket};
use super::{AGAIN, BATCH, WINDOW, Worker};
use crate::{BoxError, ConnErrorPolicy, Error, RequestModel};

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    Req: Send + 'static,
{
    /// A delivery is over.
    pub(super) async fn land(&mut self, done: Done) {
        let Done { ticket, size, end } = done;
        match end {
            // It was counted where it was taken.
            End::Taken => {}
            End::Answered => self.leaves(ticket, size, Outcome::Delivered),
            End::Refused(error) => self.refuse(ticket, size, Some(error)).await,
            End::Panicked => self.refuse(ticket, size, None).await,
        }
    }

    pub(super) async fn refuse(&mut self, ticket: Ticket, size: usize, error: Option<Error>) {
        match self.read_again(ticket).await {
            Some(message) => {
                self.over(ticket);
                self.outbox.bury(message, Outcome::Refused, error);
            }
            None => self.leaves(ticket, size, Outcome::Refused),
        }
    }

    pub(super) async fn read_again(&mut self, ticket: Ticket) -> Option<Message<Req>> {
        let before = ticket.get().checked_sub(1).map(Ticket::new);
        let copy = self.outbox.copy()?;
        let keeper = &self.outbox.keeper;
        let read = keeper.read(&self.destination, before, 1, copy, Batch::new());
        let found = meanwhile(&mut self.flights, &mut self.landed, read).await;
        let (found, message) = found.ok()?.into_iter().next()?;
        message.ok().filter(|_| found == ticket)
    }

    /// It can't be read.
    pub(super) fn lose(&mut self, ticket: Ticket) {
        self.leaves(ticket, 0, Outcome::Unreadable);
    }

    /// Leaves the outbox, and no dead letter.
    fn leaves(&mut self, ticket: Ticket, size: usize, outcome: Outcome) {
        let mut book = self.outbox.book();
        book.over(&self.destination, ticket, Some(size));
        self.outbox.let_in(book);
        self.outbox.tell(Receipt { ticket, outcome });
        self.owe(ticket);
    }

    /// Is not there any more, and counted until it is told where it went.
    pub(super) fn over(&mut self, ticket: Ticket) {
        self.outbox.book().over(&self.destination, ticket, None);
        self.owe(ticket);
    }

    /// It is to be removed from the store.
    fn owe(&mut self, ticket: Ticket) {
        self.remove.push(ticket);
        if self.remove.len() >= BATCH {
            self.settle();
        }
    }

    /// Some delivery has not called the service yet.
    pub(super) fn waits_for_call(&self) -> bool {
        !self.flights.iter().all(Flight::has_called)
    }

    /// When the first delivery under way is too old.
    pub(super) fn first_ends(&self) -> Option<Instant> {
        let limit = self.outbox.settings.max_age?;
        let first = self.flights.iter().map(Flight::since).min()?;
        let at = self.outbox.at(first.checked_add(limit)?)?;
        // If it is, an attempt is in flight, which may succeed.
        let now = Instant::now();
        Some(if at > now { at } else { now + AGAIN })
    }

    /// Takes back what is too old, unless an attempt is in flight.
    pub(super) async fn expire(&mut self) {
        let Some(limit) = self.outbox.settings.max_age else {
            return;
        };
        let now = self.outbox.clock();
        let old = |flight: &&Flight<S, P, R, Req>| now.saturating_sub(flight.since()) >= limit;
        let old = self.flights.iter().filter(old);
        let taken: Vec<_> = old
            .filter(|flight| flight.slot().take())
            .map(Flight::ticket)
            .collect();
        for ticket in taken {
            match self.read_again(ticket).await {
                Some(message) => {
                    self.over(ticket);
                    self.outbox.bury(message, Outcome::Expired, None);
                }
                None => self.lose(ticket),
            }
        }
    }

    /// What came late goes before what is under way and waits.
    pub(super) fn give_way(&self) {
        let mut book = self.outbox.book();
        if let Some(line) = book.lines.get_mut(&self.destination) {
            let mut batch = self.batch.iter().map(|(ticket, _)| *ticket);
            let next = batch.find(|ticket| line.can_begin(*ticket));
            line.give_way(next, WINDOW);
        }
    }
}
