use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::shared::Shared;
use super::store::{Changes, Message, Store};
use super::trim::{Came, Removes};
use super::unwind::unwind;
use super::{OutboxError, Ticket};
use crate::{BoxError, Destination};

/// Takes the messages to and from a [`Store`]: at once if that does not block, else through a thread
/// that makes one commit of all that has come in meanwhile.
pub(super) enum Keeper<Req> {
    Here(Mutex<Box<dyn Store<Req>>>),
    Thread(mpsc::Sender<Job<Req>>),
}

/// What is read: a message, or one that can't be.
pub(super) type Found<Req> = (Ticket, Result<Message<Req>, BoxError>);

pub(super) enum Job<Req> {
    Put(Message<Req>, Ack<Req>),
    Remove(Vec<(Destination, Ticket)>),
    Read {
        destination: Destination,
        after: Option<Ticket>,
        most: usize,
        found: oneshot::Sender<Result<Vec<Found<Req>>, BoxError>>,
    },
    /// The last one. Answered when the store is gone.
    End(oneshot::Sender<()>),
}

/// Gives the outbox to the thread.
type Start<Req> = oneshot::Sender<Weak<Shared<Req>>>;

/// Why a message does not come in. It is handed back, if it is still there.
pub(super) enum Refusal<Req> {
    NotStored,
    Closed(Box<Message<Req>>),
    Full(Box<Message<Req>>),
}

/// Tells a caller what became of a message, and how he hears of it.
pub(super) type Ack<Req> = oneshot::Sender<Result<(), Refusal<Req>>>;
pub(super) type Answer<Req> = oneshot::Receiver<Result<(), Refusal<Req>>>;

/// What becomes of removals.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Done,
    /// The thread will tell.
    Sent,
}

/// When what could not be removed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How many changes make one commit at most.
const BATCH: usize = 4_096;

impl<Req: Send + 'static> Keeper<Req> {
    /// `start` gives the outbox to the thread when both are there.
    pub(super) fn new(
        store: Box<dyn Store<Req>>,
    ) -> Result<(Self, Option<Start<Req>>), OutboxError> {
        if store.is_in_memory() {
            return Ok((Self::Here(Mutex::new(store)), None));
        }
        let (jobs, queue) = mpsc::channel();
        let (start, started) = oneshot::channel();
        std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || {
                if let Ok(outbox) = started.blocking_recv() {
                    let ended = Thread::new(store, outbox).run(&queue);
                    // Not before the store is gone.
                    ended.map(|ended| ended.send(()));
                }
            })
            .map_err(|error| OutboxError::of_store(error.into()))?;
        Ok((Self::Thread(jobs), Some(start)))
    }

    /// The store, if it is here.
    pub(super) fn here<T>(&self, f: impl FnOnce(&mut dyn Store<Req>) -> T) -> Option<T> {
        match self {
            Self::Here(store) => {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                Some(f(&mut **store))
            }
            Self::Thread(_) => None,
        }
    }

    /// Has the thread do it.
    pub(super) fn send(&self, job: Job<Req>) {
        if let Self::Thread(jobs) = self {
            // If the thread is gone, its end of the job's channel is dropped, which is an answer.
            let _ = jobs.send(job);
        }
    }

    /// Takes out what was delivered, or will never be.
    pub(super) fn remove(&self, remove: Vec<(Destination, Ticket)>, clock: Duration) -> Removal {
        match self {
            Self::Here(_) => {
                let put = Vec::new();
                let changes = Changes { put, remove, clock };
                self.here(|store| store.commit(changes));
                Removal::Done
            }
            Self::Thread(jobs) => match jobs.send(Job::Remove(remove)) {
                Ok(()) => Removal::Sent,
                Err(_) => Removal::Done,
            },
        }
    }

    /// What is in memory was handed out.
    pub(super) fn forget(&self, handed_out: &[Message<Req>], clock: Duration) {
        if let Self::Here(_) = self {
            let all = handed_out.iter();
            let all = all.map(|message| (message.destination.clone(), message.ticket));
            let _ = self.remove(all.collect(), clock);
        }
    }

    /// Reads so many messages that come after this one.
    pub(super) async fn read(
        &self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        copy: fn(&Req) -> Option<Req>,
    ) -> Result<Vec<Found<Req>>, BoxError> {
        if let Some(found) = self.here(|store| read(store, destination, after, most, copy)) {
            return found;
        }
        let (found, answer) = oneshot::channel();
        self.send(Job::Read {
            destination: destination.clone(),
            after,
            most,
            found,
        });
        answer.await.unwrap_or_else(|_| Err(GONE.into()))
    }

    /// Ready when all that was asked for before is done, if it can be, and the store is gone. That
    /// of a thread, that is: one in memory has nothing that others could wait for.
    pub(super) async fn end(&self) {
        if let Self::Thread(_) = self {
            let (ended, answer) = oneshot::channel();
            self.send(Job::End(ended));
            let _ = answer.await;
        }
    }
}

pub(super) const GONE: &str = "the thread of the outbox has ended";

/// Reads copies of messages.
pub(super) fn read<Req: 'static>(
    store: &mut dyn Store<Req>,
    destination: &Destination,
    after: Option<Ticket>,
    most: usize,
    copy: fn(&Req) -> Option<Req>,
) -> Result<Vec<Found<Req>>, BoxError> {
    let mut found = Vec::with_capacity(most.min(64));
    store.read(destination, after, most, &mut |ticket, message| {
        let message = message.and_then(|message| {
            let copy = unwind(|| copy(&message.request)).flatten();
            let request = copy.ok_or("the message can't be copied")?;
            Ok(Message {
                request,
                destination: message.destination.clone(),
                ..*message
            })
        });
        found.push((ticket, message));
    })?;
    Ok(found)
}

struct Thread<Req> {
    store: Box<dyn Store<Req>>,
    outbox: Weak<Shared<Req>>,
    /// The last time of the outbox that is known.
    clock: Duration,
    puts: Vec<(Message<Req>, Ack<Req>)>,
    /// Those that could not be removed yet are not there for readers.
    removes: Removes,
    /// How many were to be removed, to be told when they are.
    owed: usize,
    end: Option<oneshot::Sender<()>>,
}

impl<Req: Send + 'static> Thread<Req> {
    fn new(store: Box<dyn Store<Req>>, outbox: Weak<Shared<Req>>) -> Self {
        Self {
            store,
            outbox,
            clock: Duration::ZERO,
            puts: Vec::new(),
            removes: Removes::new(),
            owed: 0,
            end: None,
        }
    }

    /// Until nobody is left, or the end has come, which is told to this one.
    fn run(mut self, queue: &mpsc::Receiver<Job<Req>>) -> Option<oneshot::Sender<()>> {
        while self.end.is_none() {
            let first = match self.removes.is_empty() {
                true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => queue.recv_timeout(AGAIN),
            };
            let mut next = match first {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut others = Vec::new();
            while let Some(job) = next {
                match job {
                    Job::Put(message, ack) => match self.store.accept(&message) {
                        Ok(()) => self.puts.push((message, ack)),
                        Err(_) => {
                            let Message { ticket, size, .. } = message;
                            self.refuse(ack, &message.destination, ticket, size);
                        }
                    },
                    Job::Remove(gone) => self.remove(gone),
                    other => others.push(other),
                }
                let full = self.puts.len() + self.removes.len() >= BATCH;
                next = if full { None } else { queue.try_recv().ok() };
            }
            self.commit();
            others.into_iter().for_each(|job| self.answer(job));
        }
        self.end
    }

    fn remove(&mut self, gone: Vec<(Destination, Ticket)>) {
        self.owed += gone.len();
        self.removes.extend(gone);
    }

    fn commit(&mut self) {
        let (put, acks): (Vec<_>, Vec<_>) = std::mem::take(&mut self.puts).into_iter().unzip();
        if put.is_empty() && self.removes.is_empty() {
            return;
        }
        let outbox = self.outbox.upgrade();
        self.clock = outbox.as_ref().map_or(self.clock, |outbox| outbox.clock());
        let sizes: Vec<_> = put
            .iter()
            .map(|message| (message.destination.clone(), message.ticket, message.size))
            .collect();
        let changes = Changes {
            put,
            remove: self.removes.iter().cloned().collect(),
            clock: self.clock,
        };
        let committed = unwind(|| self.store.commit(changes));
        match committed.unwrap_or_else(|| Err("the store has panicked".into())) {
            Ok(()) => {
                self.removes.clear();
                let removed = std::mem::take(&mut self.owed);
                let Some(outbox) = outbox else {
                    return;
                };
                if removed > 0 {
                    outbox.removed(removed);
                }
                let mut refused = self.make_room(&outbox, &sizes);
                for (ack, (_, ticket, _)) in acks.into_iter().zip(sizes) {
                    let refused = refused.remove(&ticket);
                    let answer = refused.map_or(Ok(()), |it| Err(Refusal::Full(Box::new(it))));
                    outbox.tell_caller(ack, ticket, answer);
                }
                // What was dropped for them.
                self.commit();
            }
            Err(_) => {
                for (ack, (destination, ticket, size)) in acks.into_iter().zip(sizes) {
                    self.refuse(ack, &destination, ticket, size);
                }
            }
        }
    }

    /// Drops the oldest, if there are too many with those that have come. Which of those did not stay.
    fn make_room(
        &mut self,
        outbox: &Arc<Shared<Req>>,
        came: &[Came],
    ) -> HashMap<Ticket, Message<Req>> {
        if came.is_empty() || !outbox.drops_oldest() {
            return HashMap::new();
        }
        let dropped = outbox.make_room(&mut *self.store, came, &self.removes);
        self.remove(dropped.gone);
        let refused = dropped.refused.into_iter();
        refused.map(|message| (message.ticket, message)).collect()
    }

    /// The store does not take it. Whoever hears of it must find it uncounted.
    fn refuse(&self, ack: Ack<Req>, destination: &Destination, ticket: Ticket, size: usize) {
        if let Some(outbox) = self.outbox.upgrade() {
            outbox.not_stored(destination, size);
            outbox.tell_caller(ack, ticket, Err(Refusal::NotStored));
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
                let read = unwind(|| self.read(&destination, after, most));
                let read = read.unwrap_or_else(|| Err("the store has panicked".into()));
                let _ = found.send(read);
            }
            Job::End(ended) => self.end = Some(ended),
            Job::Put(..) | Job::Remove(_) => {}
        }
    }

    fn read(
        &mut self,
        destination: &Destination,
        mut after: Option<Ticket>,
        most: usize,
    ) -> Result<Vec<Found<Req>>, BoxError> {
        let outbox = self.outbox.upgrade().ok_or(GONE)?;
        let copy = outbox.copy().ok_or(GONE)?;
        let removes = &self.removes;
        loop {
            let mut found = read(&mut *self.store, destination, after, most, copy)?;
            let Some((last, _)) = found.last() else {
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
