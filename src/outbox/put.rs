//! How messages come in.

use std::sync::{Arc, MutexGuard};

use tokio::sync::oneshot;

use super::book::{Added, Book, Waiting};
use super::failures::StoreError;
use super::keeper::{Ack, Answer, Job, Keeper, Refusal};
use super::shared::Shared;
use super::store::{Changes, Message};
use super::{Outcome, Receipt, Ticket};
use crate::{Destination, WhenFull};

/// What becomes of a message that is put in.
pub(super) enum Put<Req> {
    Stored,
    Storing(Answer),
    NotStored(StoreError),
    /// It waits for room.
    Waits(Answer),
    Full(Message<Req>),
    Closed(Message<Req>),
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
        match self.settings.when_full {
            WhenFull::Reject if full => return Put::Full(message),
            WhenFull::Wait if full || book.room.range(..ticket).next().is_some() => {
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
        let put = match &self.keeper {
            Keeper::Here(_) => {
                let destination = message.destination.clone();
                match self.keep_here(message, needs_worker) {
                    Ok(()) => Put::Stored,
                    Err(error) => {
                        self.gone(&destination, size);
                        Put::NotStored(error)
                    }
                }
            }
            Keeper::Thread(_) => {
                let (ack, answer) = oneshot::channel();
                self.keep_there(message, needs_worker, ack);
                Put::Storing(answer)
            }
        };
        if full {
            // The thread does it when it has stored this one.
            self.keeper.send(Job::Trim);
            let mut dropped = 0;
            self.keeper.commit_here(|store| {
                let remove = self.trim(store);
                dropped = remove.len();
                Changes {
                    put: Vec::new(),
                    remove,
                    clock: self.clock(),
                }
            });
            self.removed(dropped);
        }
        put
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

    fn keep_here(
        self: &Arc<Self>,
        message: Message<Req>,
        needs_worker: bool,
    ) -> Result<(), StoreError> {
        let (destination, ticket) = (message.destination.clone(), message.ticket);
        let changes = Changes {
            put: vec![message],
            remove: Vec::new(),
            clock: self.clock(),
        };
        let stored = self.keeper.commit_here(|_| changes).unwrap_or(Ok(()));
        self.arrived(&destination, ticket, needs_worker);
        Ok(stored?)
    }

    fn keep_there(self: &Arc<Self>, message: Message<Req>, needs_worker: bool, ack: Ack) {
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

    /// One message less.
    pub(super) fn gone(self: &Arc<Self>, destination: &Destination, size: usize) {
        let mut book = self.book();
        book.subtract(destination, size);
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
                let stored = self.keep_here(message, needs_worker);
                if stored.is_err() {
                    self.book().subtract(&destination, size);
                }
                self.tell_caller(ack, ticket, stored);
            }
            book = self.book();
        }
        let is_done = book.is_done();
        drop(book);
        if is_done {
            self.changed.notify_waiters();
        }
    }

    /// If it was not stored, it is uncounted.
    pub(super) fn tell_caller(&self, ack: Ack, ticket: Ticket, stored: Result<(), StoreError>) {
        if let Err(Err(_)) = ack.send(stored.map_err(Refusal::NotStored)) {
            let outcome = Outcome::NotStored;
            self.tell(Receipt { ticket, outcome });
        }
    }
}
