//! The thread of a store that blocks.

use std::collections::{HashMap, VecDeque};
use std::sync::Weak;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Ack, Batch, GONE, Job, Refusal, STORE, commit, copy_of, read};
use crate::outbox::Ticket;
use crate::outbox::failures::{Failures, StoreError};
use crate::outbox::shared::Shared;
use crate::outbox::store::{Changes, Message, Store};
use crate::outbox::trim::{Came, Removes};
use crate::outbox::unwind::{caught, unwind};
use crate::{BoxError, Destination};

/// When what could not be removed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How much of the time that messages have waited may be unknown to who opens the store after a kill.
const CLOCK: Duration = Duration::from_secs(60);

/// How many changes make one commit at most.
const BATCH: usize = 4_096;

/// For how long one commit waits for those who were in the one before it, at most. They have other things
/// to do, too.
const PATIENCE: Duration = Duration::from_millis(5);

pub(super) struct Thread<Req> {
    store: Box<dyn Store<Req>>,
    outbox: Weak<Shared<Req>>,
    failures: Failures,
    /// The last time of the outbox that is known.
    clock: Duration,
    puts: Vec<(Message<Req>, Waiting<Req>)>,
    /// Those that could not be removed yet are not there for readers.
    removes: Removes,
    /// How many were to be removed, to be told when they are.
    owed: usize,
    /// Could not be removed, and are tried again then.
    again: Option<Instant>,
    /// What is done when the changes before it are.
    others: VecDeque<Job<Req>>,
    /// How many callers were told just now. They may be about to call again.
    told: usize,
    /// For how long it is worth waiting for them.
    patience: Duration,
    end: Option<oneshot::Sender<()>>,
}

/// The caller of a message that is not stored yet.
struct Waiting<Req> {
    destination: Destination,
    ticket: Ticket,
    size: usize,
    ack: Ack<Req>,
}

impl<Req> Waiting<Req> {
    fn came(&self) -> Came {
        (self.destination.clone(), self.ticket, self.size)
    }
}

impl<Req: Send + 'static> Thread<Req> {
    pub(super) fn new(
        store: Box<dyn Store<Req>>,
        outbox: Weak<Shared<Req>>,
        failures: Failures,
    ) -> Self {
        let clock = outbox.upgrade().map_or(Duration::ZERO, |it| it.clock());
        Self {
            store,
            outbox,
            failures,
            clock,
            puts: Vec::new(),
            removes: Removes::new(),
            owed: 0,
            again: None,
            others: VecDeque::new(),
            told: 0,
            patience: Duration::ZERO,
            end: None,
        }
    }

    /// Until nobody is left, or the end has come, which is told to this one.
    pub(super) fn run(mut self, queue: &mpsc::Receiver<Job<Req>>) -> Option<oneshot::Sender<()>> {
        // All wait for this thread, so nothing may end it: what it calls is guarded, call by call, and
        // what is not (a request's own drop) costs one turn.
        while self.end.is_none() && unwind(|| self.turn(queue)) != Some(false) {}
        self.end
    }

    /// Does all that has come in. Whether there may be more.
    fn turn(&mut self, queue: &mpsc::Receiver<Job<Req>>) -> bool {
        let mut next = match self.wait(queue) {
            Ok(first) => Some(first),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let told = std::mem::take(&mut self.told);
        let mut until = None;
        while let Some(job) = next {
            match job {
                Job::Put(message, ack) => self.put(message, ack),
                Job::Remove(destination, tickets) => {
                    let gone = tickets.into_iter();
                    self.remove(gone.map(|ticket| (destination.clone(), ticket)));
                }
                other => self.others.push_back(other),
            }
            let removes = self.again.map_or(self.removes.len(), |_| 0);
            let full = self.puts.len() + removes >= BATCH;
            next = if full { None } else { queue.try_recv().ok() };
            // Without this, the first who calls again would have a commit of its own, and all others
            // would wait for that.
            if next.is_none() && (1..told).contains(&self.puts.len()) && self.others.is_empty() {
                let until = *until.get_or_insert_with(|| Instant::now() + self.patience);
                let left = until.saturating_duration_since(Instant::now());
                next = queue.recv_timeout(left).ok();
            }
        }
        self.commit();
        self.keep_clock(CLOCK);
        while let Some(job) = self.others.pop_front() {
            self.answer(job);
        }
        true
    }

    fn wait(&self, queue: &mpsc::Receiver<Job<Req>>) -> Result<Job<Req>, RecvTimeoutError> {
        // Left by a turn that panicked.
        let is_behind = !self.puts.is_empty() || !self.others.is_empty();
        let limit = match self.again {
            _ if is_behind => Some(Duration::ZERO),
            Some(again) => Some(again.saturating_duration_since(Instant::now())),
            None if !self.removes.is_empty() => Some(AGAIN),
            None => self.has_messages().then_some(CLOCK),
        };
        match limit {
            Some(limit) => queue.recv_timeout(limit),
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn has_messages(&self) -> bool {
        let outbox = self.outbox.upgrade();
        outbox.is_some_and(|outbox| outbox.book().len > 0)
    }

    /// What waits gets older though nothing else changes. Not if that was kept so shortly ago.
    fn keep_clock(&mut self, ago: Duration) {
        let now = self.outbox.upgrade().map(|outbox| outbox.clock());
        let is_due = now.is_some_and(|now| now.saturating_sub(self.clock) >= ago);
        if is_due && self.has_messages() {
            let _told = self.change(Vec::new(), false);
        }
    }

    fn put(&mut self, message: Message<Req>, ack: Ack<Req>) {
        let waiting = Waiting {
            destination: message.destination.clone(),
            ticket: message.ticket,
            size: message.size,
            ack,
        };
        match caught(STORE, || self.store.accept(&message)) {
            Ok(()) => self.puts.push((message, waiting)),
            Err(error) => self.refuse(waiting, error.into()),
        }
    }

    fn remove(&mut self, gone: impl ExactSizeIterator<Item = (Destination, Ticket)>) {
        self.owed += gone.len();
        self.removes.extend(gone);
    }

    /// Puts and removes, in one commit if it can be. What can't be removed is no reason not to put.
    fn commit(&mut self) {
        let puts = std::mem::take(&mut self.puts);
        let (put, waiting): (Vec<_>, Vec<_>) = puts.into_iter().unzip();
        if !put.is_empty() {
            let start = Instant::now();
            let done = self.put_all(put);
            self.patience = (start.elapsed() / 4).min(PATIENCE);
            match done {
                Ok(()) => self.stored(waiting),
                Err(error) => {
                    let refuse = |waiting| self.refuse(waiting, error.clone());
                    waiting.into_iter().for_each(refuse);
                }
            }
        }
        // With what was dropped for them.
        if self.can_remove() && self.change(Vec::new(), true).is_err() {
            self.again = Some(Instant::now() + AGAIN);
        }
    }

    fn put_all(&mut self, mut put: Vec<Message<Req>>) -> Result<(), StoreError> {
        if self.can_remove() {
            if let Some(copies) = self.copies(&put) {
                match self.change(std::mem::replace(&mut put, copies), true) {
                    Ok(()) => return Ok(()),
                    Err(_) => self.again = Some(Instant::now() + AGAIN),
                }
            }
        }
        self.change(put, false)
    }

    /// There is something to remove, and it did not fail just now.
    fn can_remove(&self) -> bool {
        let now = Instant::now();
        !self.removes.is_empty() && self.again.is_none_or(|again| again <= now)
    }

    /// For the case that a commit with removals fails, as it takes the messages with it.
    fn copies(&self, put: &[Message<Req>]) -> Option<Vec<Message<Req>>> {
        let copy = self.outbox.upgrade()?.copy()?;
        put.iter().map(|message| copy_of(message, copy)).collect()
    }

    fn change(&mut self, put: Vec<Message<Req>>, removes: bool) -> Result<(), StoreError> {
        let outbox = self.outbox.upgrade();
        self.clock = outbox.as_ref().map_or(self.clock, |outbox| outbox.clock());
        let remove = self.removes.iter().filter(|_| removes);
        let changes = Changes {
            put,
            remove: remove.cloned().collect(),
            clock: self.clock,
        };
        let committed = commit(&mut *self.store, changes);
        self.failures.look(committed)?;
        if removes {
            self.again = None;
            self.removes.clear();
            let removed = std::mem::take(&mut self.owed);
            if let Some(outbox) = outbox.filter(|_| removed > 0) {
                unwind(|| outbox.removed(removed));
            }
        }
        Ok(())
    }

    /// Tells the callers, when there is room for what they put.
    fn stored(&mut self, waiting: Vec<Waiting<Req>>) {
        self.told = waiting.len();
        let mut refused = self.make_room(&waiting);
        let outbox = self.outbox.upgrade();
        for Waiting { ticket, ack, .. } in waiting {
            let refused = refused.remove(&ticket);
            let answer = refused.map_or(Ok(()), |it| Err(Refusal::Full(Box::new(it))));
            // A caller's waker may panic.
            unwind(|| match &outbox {
                Some(outbox) => outbox.tell_caller(ack, ticket, answer),
                None => drop(ack.send(answer)),
            });
        }
    }

    /// Drops the oldest, if there are too many with those that have come. Which of those did not stay.
    fn make_room(&mut self, waiting: &[Waiting<Req>]) -> HashMap<Ticket, Message<Req>> {
        let outbox = self.outbox.upgrade();
        let Some(outbox) = outbox.filter(|outbox| outbox.drops_oldest()) else {
            return HashMap::new();
        };
        let came = waiting.iter().map(Waiting::came).collect::<Vec<_>>();
        let dropped = outbox.make_room(&mut *self.store, &came, &self.removes);
        self.remove(dropped.gone.into_iter());
        let refused = dropped.refused.into_iter();
        refused.map(|message| (message.ticket, message)).collect()
    }

    /// The store does not take it. Whoever hears of it must find it uncounted.
    fn refuse(&self, waiting: Waiting<Req>, error: StoreError) {
        if let Some(outbox) = self.outbox.upgrade() {
            unwind(|| {
                outbox.not_stored(&waiting.destination, waiting.size);
                let refusal = Err(Refusal::NotStored(error));
                outbox.tell_caller(waiting.ack, waiting.ticket, refusal);
            });
        }
    }

    fn answer(&mut self, job: Job<Req>) {
        match job {
            Job::Read {
                destination,
                after,
                most,
                found,
            } => {
                let read = self.read(&destination, after, most);
                let read = self.failures.look(read);
                unwind(|| found.send(read).is_ok());
            }
            Job::Reserve(next) => {
                let reserved = caught(STORE, || self.store.reserve(next));
                if self.failures.look(reserved).is_err() {
                    if let Some(outbox) = self.outbox.upgrade() {
                        outbox.reserved.failed();
                    }
                }
            }
            Job::End(ended) => {
                // The last chance for what could not be removed.
                self.end = Some(ended);
                self.again = None;
                self.commit();
                self.keep_clock(Duration::ZERO);
            }
            Job::Put(..) | Job::Remove(..) => {}
        }
    }

    fn read(
        &mut self,
        destination: &Destination,
        mut after: Option<Ticket>,
        most: usize,
    ) -> Result<Batch<Req>, BoxError> {
        let outbox = self.outbox.upgrade().ok_or(GONE)?;
        let copy = outbox.copy().ok_or(GONE)?;
        let removes = &self.removes;
        loop {
            let buffer = Batch::new();
            let mut found = read(&mut *self.store, destination, after, most, copy, buffer)?;
            let Some((last, _)) = found.back() else {
                return Ok(found);
            };
            after = Some(*last);
            found.retain(|(ticket, _)| !removes.contains(&(destination.clone(), *ticket)));
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests;
