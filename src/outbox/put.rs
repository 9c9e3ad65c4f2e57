//! How messages come in.

use std::sync::{Arc, MutexGuard};

use tokio::sync::oneshot;

use super::book::{Added, Book, Waiting};
use super::failures::StoreError;
use super::keeper::{Ack, Answer, Job, Keeper, Refusal, commit};
use super::shared::Shared;
use super::store::{Changes, Message, Store};
use super::trim::Removes;
use super::unwind::unwind;
use super::{Outcome, Receipt, Ticket};
use crate::{BoxError, Destination, WhenFull};

/// What becomes of a message that is put in.
pub(super) enum Put<Req> {
    Stored,
    Storing(Answer<Req>),
    NotStored(StoreError),
    /// It waits for room.
    Waits(Answer<Req>),
    Full(Message<Req>),
    Closed(Message<Req>),
}

/// What becomes of a message that is kept here.
enum Kept<Req> {
    Stored,
    NotStored(StoreError),
    /// The oldest are dropped, and it is one of them.
    Full(Message<Req>),
}

impl<Req: Send + 'static> Shared<Req> {
    /// Puts a message in, if there is room. Where it can wait for some, it does so if it `may_wait`.
    pub(super) fn put(self: &Arc<Self>, message: Message<Req>, may_wait: bool) -> Put<Req> {
        let Message { ticket, size, .. } = message;
        let limits = &self.settings.limits;
        let mut book = self.book();
        if self.is_closed() {
            return Put::Closed(message);
        }
        if !limits.have_room(0, 0, size) {
            return Put::Full(message);
        }
        if !book.has_room(limits, size) {
            book.catch_up();
        }
        let full = !book.has_room(limits, size);
        let is_behind = || book.room.range(..ticket).next().is_some();
        match (self.settings.when_full, &self.keeper) {
            (WhenFull::Reject, _) if full => return Put::Full(message),
            // Who stores here is not quicker than the store.
            (WhenFull::DropOldest, Keeper::Here(_)) => {}
            (WhenFull::Wait | WhenFull::DropOldest, _) if full || is_behind() => {
                if !may_wait {
                    return Put::Full(message);
                }
                let (ack, answer) = oneshot::channel();
                book.room.insert(ticket, Waiting { message, ack });
                return Put::Waits(answer);
            }
            _ => {}
        }
        let needs_worker = self.count(&mut book, &message);
        drop(book);
        match &self.keeper {
            Keeper::Here(_) => {
                let destination = message.destination.clone();
                match self.keep_here(message, needs_worker) {
                    Kept::Stored => Put::Stored,
                    Kept::NotStored(error) => {
                        self.not_stored(&destination, size);
                        Put::NotStored(error)
                    }
                    Kept::Full(message) => Put::Full(message),
                }
            }
            Keeper::Thread(_) => {
                let (ack, answer) = oneshot::channel();
                self.keep_there(message, needs_worker, ack);
                Put::Storing(answer)
            }
        }
    }

    /// Whether its line needs a worker.
    fn count(&self, book: &mut Book<Req>, message: &Message<Req>) -> bool {
        let Added {
            is_new,
            needs_worker,
        } = book.add(&message.destination, message.size);
        if let Some(table) = self.table().filter(|_| is_new) {
            // In one step: whoever calls from here on goes behind it.
            table.add_boxes(1);
        }
        needs_worker
    }

    fn keep_here(self: &Arc<Self>, message: Message<Req>, needs_worker: bool) -> Kept<Req> {
        let (destination, ticket) = (message.destination.clone(), message.ticket);
        let mut removed = Ok(());
        let here = |store: &mut dyn Store<Req>| self.store_here(store, message, &mut removed);
        let kept = self.keeper.here(here).unwrap_or(Ok(Kept::Stored));
        self.arrived(&destination, ticket, needs_worker);
        let _told = self.keeper.look(removed);
        match self.keeper.look(kept) {
            Ok(kept) => kept,
            Err(error) => Kept::NotStored(error.into()),
        }
    }

    /// Stores it, and drops others for it, if the oldest are dropped. What became of that is told apart.
    fn store_here(
        self: &Arc<Self>,
        store: &mut dyn Store<Req>,
        message: Message<Req>,
        removed: &mut Result<(), BoxError>,
    ) -> Result<Kept<Req>, BoxError> {
        let drops = self.drops_oldest();
        let came = drops.then(|| (message.destination.clone(), message.ticket, message.size));
        let changes = Changes {
            put: vec![message],
            remove: Vec::new(),
            clock: self.clock(),
        };
        commit(store, changes)?;
        let Some(came) = came else {
            return Ok(Kept::Stored);
        };
        let mut dropped = self.make_room(store, &[came], &Removes::new());
        let number = dropped.gone.len();
        if number > 0 {
            let changes = Changes {
                put: Vec::new(),
                remove: dropped.gone,
                clock: self.clock(),
            };
            // At once: a worker that reads must not find them.
            *removed = commit(store, changes);
            self.removed(number);
        }
        let refused = dropped.refused.pop();
        Ok(refused.map_or(Kept::Stored, Kept::Full))
    }

    fn keep_there(self: &Arc<Self>, message: Message<Req>, needs_worker: bool, ack: Ack<Req>) {
        let (destination, ticket) = (message.destination.clone(), message.ticket);
        self.keeper.send(Job::Put(message, ack));
        self.arrived(&destination, ticket, needs_worker);
    }

    /// The keeper has got it.
    fn arrived(self: &Arc<Self>, destination: &Destination, ticket: Ticket, needs_worker: bool) {
        self.book().arrived(destination, ticket);
        if self.is_closed() {
            self.changed.notify_waiters();
        }
        if needs_worker {
            self.start_worker(destination);
        }
    }

    /// The store has not taken a message.
    pub(super) fn not_stored(self: &Arc<Self>, destination: &Destination, size: usize) {
        let mut book = self.book();
        book.not_stored(destination, size);
        self.let_in(book);
    }

    /// Does not wait for room any more. `None` if it has come in already.
    pub(super) fn take_back(self: &Arc<Self>, ticket: Ticket) -> Option<Message<Req>> {
        let mut book = self.book();
        let mine = book.room.remove(&ticket)?;
        // The next one may fit where this one did not.
        self.let_in(book);
        Some(mine.message)
    }

    /// Lets in those who wait for room, first come, first served, as long as there is some for the first
    /// of them. They need not be there: it is the outbox that has their messages.
    pub(super) fn let_in<'a>(self: &'a Arc<Self>, mut book: MutexGuard<'a, Book<Req>>) {
        while let Some(Waiting { message, ack }) = book.next_in(&self.settings.limits) {
            let needs_worker = self.count(&mut book, &message);
            drop(book);
            if let Keeper::Thread(_) = self.keeper {
                self.keep_there(message, needs_worker, ack);
            } else {
                let Message { ticket, size, .. } = message;
                let destination = message.destination.clone();
                let kept = self.keep_here(message, needs_worker);
                if let Kept::NotStored(_) = kept {
                    self.book().not_stored(&destination, size);
                }
                self.tell_caller(ack, ticket, kept.into());
            }
            book = self.book();
        }
        self.tell_if_done(book);
    }

    /// If it did not come in, it is uncounted. His waker may panic; he is told all the same.
    pub(super) fn tell_caller(
        &self,
        ack: Ack<Req>,
        ticket: Ticket,
        answer: Result<(), Refusal<Req>>,
    ) {
        if let Some(Err(Err(refusal))) = unwind(|| ack.send(answer)) {
            self.nobody_hears(ticket, refusal);
        }
    }

    /// The caller is gone. What should survive him is not lost without a word.
    pub(super) fn nobody_hears(&self, ticket: Ticket, refusal: Refusal<Req>) {
        match refusal {
            Refusal::NotStored(_) => {
                let outcome = Outcome::NotStored;
                self.tell(Receipt { ticket, outcome });
            }
            Refusal::Closed(_) if !self.settings.survive_cancel => {}
            Refusal::Closed(message) | Refusal::Full(message) => {
                self.bury_uncounted(*message, Outcome::Dropped);
            }
        }
    }
}

impl<Req> From<Kept<Req>> for Result<(), Refusal<Req>> {
    fn from(kept: Kept<Req>) -> Self {
        match kept {
            Kept::Stored => Ok(()),
            Kept::NotStored(error) => Err(Refusal::NotStored(error)),
            Kept::Full(message) => Err(Refusal::Full(Box::new(message))),
        }
    }
}
