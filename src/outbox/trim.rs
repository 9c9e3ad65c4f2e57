//! Drops the oldest messages where there are too many.

use std::collections::HashSet;
use std::sync::Arc;

use super::book::Book;
use super::keeper::{self, Batch};
use super::shared::Shared;
use super::store::{Message, Store};
use super::unwind::unwind;
use super::{Outcome, Ticket};
use crate::{BoxError, Destination, WhenFull};

/// What is to be removed from a store, and could not be yet.
pub(super) type Removes = HashSet<(Destination, Ticket)>;

/// A message that has come into the store, and its size.
pub(super) type Came = (Destination, Ticket, usize);

/// What had to make room.
pub(super) struct Dropped<Req> {
    /// To be removed from the store.
    pub(super) gone: Vec<(Destination, Ticket)>,
    /// Those that have just come. Nobody was told yet that they are the outbox's.
    pub(super) refused: Vec<Message<Req>>,
}

impl<Req> Default for Dropped<Req> {
    fn default() -> Self {
        Self {
            gone: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl<Req: Send + 'static> Shared<Req> {
    pub(super) fn drops_oldest(&self) -> bool {
        self.settings.when_full == WhenFull::DropOldest
    }

    /// These messages are in the store now. If that makes too many, the oldest that wait go.
    ///
    /// If one that has just come would be among those, it is the first to go: it can't stay, and so
    /// nothing is dropped for it. A panic of the user's ends nothing here: what is no longer counted must be
    /// removed from the store.
    pub(super) fn make_room(
        self: &Arc<Self>,
        store: &mut dyn Store<Req>,
        came: &[Came],
        removes: &Removes,
    ) -> Dropped<Req> {
        let mut book = self.book();
        if let Some(oldest) = &mut book.oldest {
            for (destination, ticket, size) in came {
                oldest.stored(destination, *ticket, *size);
            }
        }
        drop(book);
        let dropped = match (self.fits(), self.copy()) {
            (false, Some(copy)) => {
                let trim = Trim {
                    outbox: self,
                    store,
                    removes,
                    came: came.iter().map(|(_, ticket, _)| *ticket).collect(),
                    copy,
                    dropped: Dropped::default(),
                };
                trim.run()
            }
            _ => Dropped::default(),
        };
        let mut book = self.book();
        if let Some(oldest) = &mut book.oldest {
            oldest.landed();
        }
        // Who waits until all is done may panic when it is woken. What was dropped is none the less gone.
        unwind(|| self.let_in(book));
        dropped
    }

    /// Whether what is in the store is within the limits. What is on its way there may be refused, and
    /// then nothing had to be dropped for it.
    fn fits(&self) -> bool {
        let within = |book: &Book<Req>| {
            let (len, bytes) = book.stored();
            self.are_within(len, bytes)
        };
        within(&self.book()) || within(&self.counted())
    }

    fn are_within(&self, len: usize, bytes: usize) -> bool {
        len == 0 || self.settings.limits.have_room(len - 1, bytes, 0)
    }
}

/// A message that is to be dropped.
struct Chosen {
    destination: Destination,
    ticket: Ticket,
    has_just_come: bool,
}

/// Where a message is that has been in the store.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Waits,
    /// On its way.
    Away,
    /// No longer there, or it can't be read.
    Gone,
}

enum Step {
    Dropped,
    /// There is room.
    Enough,
    /// It is on its way now, or can't be read.
    Missed,
    /// The store can't be read.
    Failed,
}

/// The oldest messages go in one pass.
struct Trim<'a, Req> {
    outbox: &'a Arc<Shared<Req>>,
    store: &'a mut dyn Store<Req>,
    removes: &'a Removes,
    came: HashSet<Ticket>,
    copy: fn(&Req) -> Option<Req>,
    dropped: Dropped<Req>,
}

impl<Req: Send + 'static> Trim<'_, Req> {
    fn run(mut self) -> Dropped<Req> {
        self.look_at_unseen();
        let mut again = true;
        while std::mem::take(&mut again) {
            for chosen in self.choose() {
                // The copy of a request may panic when it is dropped.
                match unwind(|| self.drop(chosen)).unwrap_or(Step::Failed) {
                    Step::Enough => break,
                    Step::Missed => again = true,
                    Step::Dropped | Step::Failed => {}
                }
            }
        }
        self.dropped
    }

    /// Finds the first message of each line that nobody has looked at.
    fn look_at_unseen(&mut self) {
        let outbox = self.outbox;
        let take = || outbox.book().oldest.as_mut().map(|of| of.take_unseen());
        let mut failed = take().unwrap_or_default();
        failed.retain(|destination| {
            let mut first = None;
            let read = self.read(destination, None, 1, |ticket, _| first = Some(ticket));
            if read.is_some() {
                if let Some(oldest) = &mut outbox.book().oldest {
                    oldest.found(destination, first);
                }
            }
            read.is_none()
        });
        if let Some(oldest) = &mut outbox.book().oldest {
            oldest.put_back(failed);
        }
    }

    /// As many of the oldest that wait as are too many.
    fn choose(&mut self) -> Vec<Chosen> {
        let mut chosen = Vec::new();
        let (mut len, mut bytes) = self.outbox.counted().stored();
        let mut after = None;
        while !self.outbox.are_within(len, bytes) {
            let Some((ticket, destination, place)) = self.next(after) else {
                break;
            };
            after = Some(ticket);
            if let Some(size) = self.look(&destination, ticket, place) {
                (len, bytes) = (len - 1, bytes.saturating_sub(size));
                chosen.push(Chosen {
                    destination,
                    ticket,
                    has_just_come: self.came.contains(&ticket),
                });
            }
        }
        chosen.sort_by_key(|it| !it.has_just_come);
        chosen
    }

    /// The next one that is known, and where it is.
    fn next(&self, after: Option<Ticket>) -> Option<(Ticket, Destination, Place)> {
        let book = self.outbox.book();
        let (ticket, destination) = book.oldest.as_ref()?.next(after)?;
        let place = match book.lines.get(&destination) {
            Some(line) if line.waits(ticket) => Place::Waits,
            Some(line) if line.is_away(ticket) => Place::Away,
            _ => Place::Gone,
        };
        drop(book);
        let key = (destination, ticket);
        let place = match self.removes.contains(&key) {
            true => Place::Gone,
            false => place,
        };
        Some((ticket, key.0, place))
    }

    /// The size of a message, if it is there and waits. What comes behind it is known then.
    fn look(&mut self, destination: &Destination, ticket: Ticket, place: Place) -> Option<usize> {
        let waits = place == Place::Waits;
        let is_last = self.is_last(destination, ticket);
        let (mut own, mut next) = (None, None);
        if waits || is_last {
            let (before, most) = match waits {
                true => (ticket.get().checked_sub(1).map(Ticket::new), 2),
                false => (Some(ticket), 1),
            };
            let show = |found, message: Result<&Message<Req>, BoxError>| {
                if found == ticket {
                    own = Some(message.map(|message| message.size));
                } else if next.is_none() {
                    next = Some(found);
                }
            };
            let most = if is_last { most } else { 1 };
            self.read(destination, before, most, show)?;
        }
        let mut book = self.outbox.book();
        let oldest = book.oldest.as_mut()?;
        if is_last {
            oldest.found(destination, next);
        }
        if place == Place::Gone || (waits && own.is_none()) {
            oldest.remove(ticket);
        }
        drop(book);
        match own.filter(|_| waits)? {
            Ok(size) => Some(size),
            Err(_) => {
                self.outbox.pass_over_waiting(destination, ticket);
                None
            }
        }
    }

    fn is_last(&self, destination: &Destination, ticket: Ticket) -> bool {
        let book = self.outbox.book();
        let oldest = book.oldest.as_ref();
        oldest.is_some_and(|oldest| oldest.is_last(destination, ticket))
    }

    fn drop(&mut self, chosen: Chosen) -> Step {
        if self.outbox.fits() {
            return Step::Enough;
        }
        let Chosen {
            destination,
            ticket,
            has_just_come,
        } = chosen;
        let before = ticket.get().checked_sub(1).map(Ticket::new);
        let read = keeper::read(self.store, &destination, before, 1, self.copy, Batch::new());
        let Ok(mut found) = read else {
            return Step::Failed;
        };
        let message = match found.pop_front() {
            Some((found, Ok(message))) if found == ticket => message,
            Some((found, Err(_))) if found == ticket => {
                self.outbox.pass_over_waiting(&destination, ticket);
                return Step::Missed;
            }
            _ => return Step::Missed, // it was delivered meanwhile
        };
        if !self.outbox.take(&destination, ticket) {
            return Step::Missed;
        }
        let size = message.size;
        self.dropped.gone.push((destination.clone(), ticket));
        match has_just_come {
            true => self.dropped.refused.push(message),
            // Who waits for a dead letter may panic when it is woken.
            false => {
                unwind(|| self.outbox.bury_uncounted(message, Outcome::Dropped));
            }
        }
        self.outbox.book().subtract(&destination, size);
        Step::Dropped
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        mut show: impl FnMut(Ticket, Result<&Message<Req>, BoxError>),
    ) -> Option<()> {
        let read = unwind(|| self.store.read(destination, after, most, &mut show));
        read?.ok()
    }
}

impl<Req: Send + 'static> Shared<Req> {
    /// Takes a message back, if it is not on its way.
    fn take(&self, destination: &Destination, ticket: Ticket) -> bool {
        let mut book = self.book();
        let Some(line) = book.lines.get_mut(destination) else {
            return false;
        };
        let waits = line.take(ticket);
        if waits {
            line.gone.insert(ticket);
            book.removing += 1;
            if let Some(oldest) = &mut book.oldest {
                oldest.remove(ticket);
            }
        }
        waits
    }
}
