//! Who has how many messages where.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Notify;

use super::Ticket;
use super::by_destination::ByDestination;
use super::dead::DeadLetters;
use super::keeper::Ack;
use super::oldest::Oldest;
use super::run::Run;
use super::slot::Slot;
use super::store::Message;
use super::tickets::Tickets;
use crate::{Destination, Limits};

pub(super) type Lines = HashMap<Destination, Line, ByDestination>;

/// What is behind the lock of an outbox.
pub(super) struct Book<Req> {
    pub(super) len: usize,
    pub(super) bytes: usize,
    pub(super) lines: Lines,
    /// Those whose workers may go on by themselves, so that more may be answered than is counted.
    runs: HashSet<Destination, ByDestination>,
    /// Callers who wait for room.
    pub(super) room: BTreeMap<Ticket, Waiting<Req>>,
    pub(super) dead: DeadLetters<Req>,
    /// Workers that have not ended.
    pub(super) workers: usize,
    /// Messages that are counted, and that the keeper has not got yet.
    pub(super) puts: usize,
    /// Messages that are no longer counted, and that the store still has.
    pub(super) removing: usize,
    /// Messages that can't be read.
    pub(super) unreadable: usize,
    /// If those are dropped.
    pub(super) oldest: Option<Oldest>,
}

/// What follows from a new message.
pub(super) struct Added {
    /// It is the first of its line.
    pub(super) is_new: bool,
    pub(super) needs_worker: bool,
}

/// A message for which there is no room yet.
pub(super) struct Waiting<Req> {
    pub(super) message: Message<Req>,
    /// To its caller.
    pub(super) ack: Ack<Req>,
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
    /// Its worker reads.
    pub(super) reading: bool,
    /// The first one that came meanwhile.
    pub(super) during: Option<Ticket>,
    /// The one whose delivery begins now, and those that its worker begins after it.
    pub(super) run: Run,
    /// Deliveries that are not over.
    pub(super) slots: BTreeMap<Ticket, Arc<Slot>>,
    /// Are no longer counted, but may have been read.
    pub(super) gone: Tickets,
    /// Can't be read, and are passed over.
    pub(super) unreadable: BTreeSet<Ticket>,
    /// Its worker was dropped, with its runtime.
    pub(super) deserted: bool,
    /// Those that may still be in the store when its worker, which reads, gets its answer.
    pub(super) going: Tickets,
}

impl Line {
    /// A message is there.
    fn came(&mut self, ticket: Ticket) {
        if self.read.is_some_and(|read| ticket <= read) {
            self.late = self.late.into_iter().chain([ticket]).min();
            self.run.stop();
        }
    }

    /// Its worker has read so far.
    pub(super) fn has_read(&mut self, read: Option<Ticket>) {
        self.reading = false;
        self.going.clear();
        self.read = read;
        if let Some(ticket) = self.during.take() {
            self.came(ticket);
        }
    }

    /// Its worker reads: what it finds knows of all that are gone.
    pub(super) fn reads(&mut self) {
        self.reading = true;
        std::mem::swap(&mut self.going, &mut self.gone);
        self.gone.clear();
    }

    /// Its worker begins from the first message again. What is on its way is not started again.
    pub(super) fn rewind(&mut self) {
        self.has_read(None);
        self.late = None;
        self.run.end();
    }

    /// Its delivery has not begun.
    pub(super) fn can_begin(&self, ticket: Ticket) -> bool {
        !self.gone.contains(ticket)
            && !self.slots.contains_key(&ticket)
            && !self.unreadable.contains(&ticket)
    }

    /// Whether there are messages that can be read.
    pub(super) fn has_some(&self) -> bool {
        self.len > self.unreadable.len()
    }

    /// Its worker is gone, though not all is done.
    pub(super) fn desert(&mut self) {
        self.rewind();
        self.slots.clear();
        self.deserted = true;
    }

    /// None of those from here on has begun, is gone, or can't be read.
    pub(super) fn can_all_begin(&self, first: Ticket) -> bool {
        let others = self.gone.last().max(self.unreadable.last().copied());
        self.slots.is_empty() && others.is_none_or(|last| last < first)
    }

    /// Of those that were answered one after the other, the worker has told nobody yet. `last` is the
    /// last of them, if it is known. How many there are, and how many bytes.
    fn answered(&mut self, last: Option<Ticket>) -> (usize, usize) {
        let (mut len, mut bytes) = (0, 0);
        for (ticket, size) in self.run.answered(last) {
            self.gone.insert(ticket);
            len += 1;
            bytes += size;
        }
        match len {
            0 => (0, 0),
            _ => (len, self.subtract(len, bytes)),
        }
    }

    /// Where as many deliveries are under way as may be, and one that waits comes before some of
    /// them: the last of those is taken back, to be read again.
    pub(super) fn give_way(&mut self, next: Option<Ticket>, most: usize) {
        let Some(first) = self.late.into_iter().chain(next).min() else {
            return;
        };
        if self.slots.len() < most {
            return; // one was taken back already
        }
        let mut after = self.slots.range(first..).rev();
        let last = after.find(|(_, slot)| slot.take());
        if let Some(last) = last.map(|(ticket, _)| *ticket) {
            self.slots.remove(&last);
            self.came(last);
        }
    }

    /// So many messages less. How many bytes less there are.
    fn subtract(&mut self, len: usize, size: usize) -> usize {
        self.len = self.len.saturating_sub(len);
        self.bytes = self.bytes.saturating_sub(size);
        if self.len > 0 {
            return size;
        }
        self.news.notify_one();
        // With the sizes of those that could not be read.
        size.saturating_add(std::mem::take(&mut self.bytes))
    }

    /// On its way.
    pub(super) fn is_away(&self, ticket: Ticket) -> bool {
        !self.is_gone(ticket) && !self.unreadable.contains(&ticket)
    }

    /// Is no longer counted.
    pub(super) fn is_gone(&self, ticket: Ticket) -> bool {
        self.gone.contains(ticket) || self.going.contains(ticket)
    }

    /// Its worker does not deliver it, if it waits.
    pub(super) fn take(&mut self, ticket: Ticket) -> bool {
        self.run.stop();
        let waits = self.waits(ticket) && self.slots.get(&ticket).is_none_or(|slot| slot.take());
        if waits {
            self.slots.remove(&ticket);
        }
        waits
    }

    /// Neither on its way nor gone.
    pub(super) fn waits(&self, ticket: Ticket) -> bool {
        !self.is_gone(ticket)
            && !self.unreadable.contains(&ticket)
            && !self.run.has_begun(ticket)
            && self.slots.get(&ticket).is_none_or(|slot| slot.waits())
    }
}

impl<Req> Default for Book<Req> {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: 0,
            lines: HashMap::default(),
            runs: HashSet::default(),
            room: BTreeMap::new(),
            dead: DeadLetters::new(),
            workers: 0,
            puts: 0,
            removing: 0,
            unreadable: 0,
            oldest: None,
        }
    }
}

impl<Req> Book<Req> {
    pub(super) fn has_room(&self, limits: &Limits, size: usize) -> bool {
        match &self.oldest {
            Some(oldest) => oldest.can_store(limits, size),
            None => limits.have_room(self.len, self.bytes, size),
        }
    }

    /// How many messages are in the store, and how large they are, if the oldest are dropped.
    pub(super) fn stored(&self) -> (usize, usize) {
        let oldest = self.oldest.as_ref();
        oldest.map_or((0, 0), |oldest| oldest.stored_of(self.len, self.bytes))
    }

    /// The store has not taken a message.
    pub(super) fn not_stored(&mut self, destination: &Destination, size: usize) {
        if let Some(oldest) = &mut self.oldest {
            oldest.not_stored(size);
        }
        self.subtract(destination, size);
    }

    /// A line without messages ends.
    pub(super) fn end(&mut self, destination: &Destination) {
        self.lines.remove(destination);
        self.runs.remove(destination);
        if let Some(oldest) = &mut self.oldest {
            oldest.forget(destination);
        }
    }

    /// The first who waits for room, if there is some.
    pub(super) fn next_in(&mut self, limits: &Limits) -> Option<Waiting<Req>> {
        let (_, first) = self.room.first_key_value()?;
        if !self.has_room(limits, first.message.size) {
            return None;
        }
        Some(self.room.pop_first()?.1)
    }

    /// Nothing is left that could be delivered, not even in the store.
    pub(super) fn is_done(&self) -> bool {
        self.len == self.unreadable && self.removing == 0
    }

    /// A message comes in.
    pub(super) fn add(&mut self, destination: &Destination, size: usize) -> Added {
        self.len += 1;
        self.bytes += size;
        self.puts += 1;
        if let Some(oldest) = &mut self.oldest {
            oldest.counted(size);
        }
        let is_new = !self.lines.contains_key(destination);
        let line = self.lines.entry(destination.clone()).or_default();
        line.len += 1;
        line.bytes += size;
        let needs_worker = is_new || std::mem::take(&mut line.deserted);
        self.workers += usize::from(needs_worker);
        Added {
            is_new,
            needs_worker,
        }
    }

    /// The lines that have no worker get one from here on. Which they are.
    pub(super) fn take_deserted(&mut self) -> Vec<Destination> {
        let deserted = self.lines.iter_mut().filter(|(_, line)| line.deserted);
        let taken = deserted.map(|(destination, line)| {
            line.deserted = false;
            destination.clone()
        });
        let taken: Vec<_> = taken.collect();
        self.workers += taken.len();
        taken
    }

    /// The keeper has got a message: who reads from now on finds it.
    pub(super) fn arrived(&mut self, destination: &Destination, ticket: Ticket) {
        self.puts -= 1;
        if let Some(line) = self.lines.get_mut(destination) {
            if line.reading {
                line.during = line.during.into_iter().chain([ticket]).min();
            } else {
                line.came(ticket);
            }
            line.news.notify_one();
        }
    }

    /// A worker may go on by itself.
    pub(super) fn goes_on(&mut self, destination: &Destination) {
        if !self.runs.contains(destination) {
            self.runs.insert(destination.clone());
        }
    }

    /// Counts what was answered meanwhile.
    pub(super) fn catch_up(&mut self) {
        let mut all = (0, 0);
        let lines = &mut self.lines;
        self.runs.retain(|destination| {
            let Some(line) = lines.get_mut(destination) else {
                return false;
            };
            let (len, bytes) = line.answered(None);
            all = (all.0 + len, all.1 + bytes);
            line.run.goes_on()
        });
        self.have_left(all);
    }

    /// Messages were answered one after the other, this one last.
    pub(super) fn answered(&mut self, destination: &Destination, last: Ticket) {
        if let Some(line) = self.lines.get_mut(destination) {
            let answered = line.answered(Some(last));
            self.have_left(answered);
        }
    }

    /// The store still has them.
    fn have_left(&mut self, (len, bytes): (usize, usize)) {
        self.removing += len;
        self.len = self.len.saturating_sub(len);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// A message is gone.
    pub(super) fn subtract(&mut self, destination: &Destination, size: usize) {
        self.len = self.len.saturating_sub(1);
        let line = self.lines.get_mut(destination);
        let bytes = line.map_or(size, |line| line.subtract(1, size));
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The delivery of a message is over, and the store still has it. If it has `left`, it is gone, and
    /// was so large.
    pub(super) fn over(&mut self, destination: &Destination, ticket: Ticket, left: Option<usize>) {
        self.removing += 1;
        let mut bytes = left.unwrap_or(0);
        if let Some(line) = self.lines.get_mut(destination) {
            line.slots.remove(&ticket);
            line.run.end();
            line.gone.insert(ticket);
            bytes = left.map_or(0, |size| line.subtract(1, size));
        }
        self.len = self.len.saturating_sub(left.map_or(0, |_| 1));
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
