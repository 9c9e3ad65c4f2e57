//! Deliveries under way, and their end.

use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tower_service::Service;

use super::super::flight::{Done, End, Flight};
use super::super::keeper::Batch;
use super::super::meanwhile::meanwhile;
use super::super::store::Message;
use super::super::unwind::unwind;
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
            End::Refused(error) => {
                self.bury(ticket, Outcome::Refused, Some(error), size).await;
            }
            End::Panicked => self.bury(ticket, Outcome::Refused, None, size).await,
        }
    }

    /// Will not be delivered.
    async fn bury(&mut self, ticket: Ticket, outcome: Outcome, error: Option<Error>, size: usize) {
        match self.read_again(ticket).await {
            Some(Some(Ok(message))) => {
                self.over(ticket);
                self.outbox.bury(message, outcome, error);
            }
            Some(Some(Err(_))) => self.pass_over(ticket),
            Some(None) => self.leaves(ticket, size, outcome),
            // It is left in the store.
            None => {}
        }
    }

    /// Reads a message for the second time, if it is still there. As often as it takes, unless the
    /// outbox is stopped meanwhile.
    async fn read_again(
        &mut self,
        ticket: Ticket,
    ) -> Option<Option<Result<Message<Req>, BoxError>>> {
        let before = ticket.get().checked_sub(1).map(Ticket::new);
        let copy = self.outbox.copy()?;
        while !self.outbox.stopped.load(Ordering::Acquire) {
            let keeper = &self.outbox.keeper;
            let read = keeper.read(&self.destination, before, 1, copy, Batch::new());
            let found = meanwhile(&mut self.flights, &mut self.landed, read).await;
            if let Ok(mut found) = found {
                let found = found.pop_front().filter(|(found, _)| *found == ticket);
                return Some(found.map(|(_, message)| message));
            }
            let again = tokio::time::sleep(AGAIN);
            meanwhile(&mut self.flights, &mut self.landed, again).await;
        }
        None
    }

    pub(super) fn pass_over(&mut self, ticket: Ticket) {
        self.outbox.pass_over(&self.destination, ticket);
    }

    /// Is not there any more, and counted until it is told where it went.
    pub(super) fn over(&mut self, ticket: Ticket) {
        self.outbox.book().over(&self.destination, ticket, None);
        self.owe(ticket);
    }

    /// Some delivery has not called the service yet.
    pub(super) fn waits_for_call(&self) -> bool {
        !self.flights.iter().all(Flight::has_called)
    }

    /// When the first delivery under way is too old.
    pub(super) fn first_ends(&self) -> Option<Instant> {
        let limit = self.outbox.settings.max_age;
        let ends = self.flights.iter().filter_map(|flight| flight.ends(limit));
        let at = self.outbox.at(ends.min()?)?;
        // If it is, an attempt is in flight, which may succeed.
        let now = Instant::now();
        Some(if at > now { at } else { now + AGAIN })
    }

    /// Takes back what is too old, unless an attempt is in flight.
    pub(super) async fn expire(&mut self) {
        let limit = self.outbox.settings.max_age;
        let now = self.outbox.clock();
        let old = |flight: &&Flight<S, P, R, Req>| flight.ends(limit).is_some_and(|at| at <= now);
        let old = self.flights.iter().filter(old);
        let taken: Vec<_> = old
            .filter(|flight| flight.slot().take())
            .map(Flight::ticket)
            .collect();
        for ticket in taken {
            self.bury(ticket, Outcome::Expired, None, 0).await;
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

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req>,
    Req: Send + 'static,
{
    /// Those that were answered leave the outbox, though nobody goes on. What was refused stays, and is
    /// tried again.
    pub(super) fn land_answered(&mut self) {
        while let Some(Done { ticket, size, end }) = self.landed.pop_front() {
            if let End::Answered = end {
                self.leaves(ticket, size, Outcome::Delivered);
            }
        }
    }

    /// Leaves the outbox, and no dead letter.
    fn leaves(&mut self, ticket: Ticket, size: usize, outcome: Outcome) {
        self.outbox
            .book()
            .over(&self.destination, ticket, Some(size));
        self.owe(ticket);
        // Who waits for room may panic when he is woken.
        unwind(|| self.outbox.let_in(self.outbox.book()));
        self.outbox.tell(Receipt { ticket, outcome });
    }

    /// It is to be removed from the store.
    fn owe(&mut self, ticket: Ticket) {
        self.remove.push(ticket);
        if self.remove.len() >= BATCH {
            self.settle();
        }
    }
}
