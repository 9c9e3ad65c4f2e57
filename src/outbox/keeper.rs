//! Between an outbox and its store.

mod thread;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::failures::{Failures, StoreError};
use super::shared::Shared;
use super::store::{Changes, Message, Store};
use super::unwind::{caught, unwind};
use super::{OutboxError, Ticket};
use crate::{BoxError, Destination, Observer};
use thread::Thread;

/// Takes the messages to and from a [`Store`]: at once if that does not block, else through a thread
/// that makes one commit of all that has come in meanwhile.
pub(super) enum Keeper<Req> {
    Here(Here<Req>),
    Thread(ToThread<Req>),
}

/// A store that does not block.
pub(super) struct Here<Req> {
    store: Mutex<Box<dyn Store<Req>>>,
    failures: Failures,
}

/// One that does has a thread of its own.
pub(super) struct ToThread<Req> {
    jobs: mpsc::Sender<Job<Req>>,
    failures: Failures,
}

/// What is read: a message, or one that can't be.
pub(super) type Found<Req> = (Ticket, Result<Message<Req>, BoxError>);

/// What is read at once.
pub(super) type Batch<Req> = VecDeque<Found<Req>>;

pub(super) enum Job<Req> {
    Put(Message<Req>, Ack<Req>),
    Remove(Destination, Vec<Ticket>),
    Read {
        destination: Destination,
        after: Option<Ticket>,
        most: usize,
        found: oneshot::Sender<Result<Batch<Req>, BoxError>>,
    },
    /// Tickets below this number may be given.
    Reserve(u64),
    /// The last one. Answered when the store is gone.
    End(oneshot::Sender<()>),
}

/// Gives the outbox to the thread.
type Start<Req> = oneshot::Sender<Weak<Shared<Req>>>;

/// Why a message does not come in. It is handed back, if it is still there.
pub(super) enum Refusal<Req> {
    NotStored(StoreError),
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

impl<Req: Send + 'static> Keeper<Req> {
    /// `start` gives the outbox to the thread when both are there.
    pub(super) fn new(
        store: Box<dyn Store<Req>>,
    ) -> Result<(Self, Option<Start<Req>>), OutboxError> {
        let failures = Failures::default();
        if store.is_in_memory() {
            let store = Mutex::new(store);
            return Ok((Self::Here(Here { store, failures }), None));
        }
        let (jobs, queue) = mpsc::channel();
        let (start, started) = oneshot::channel();
        let tells = failures.clone();
        std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || {
                if let Ok(outbox) = started.blocking_recv() {
                    let ended = Thread::new(store, outbox, tells).run(&queue);
                    // Not before the store is gone.
                    ended.map(|ended| ended.send(()));
                }
            })
            .map_err(|error| OutboxError::of_store(error.into()))?;
        Ok((Self::Thread(ToThread { jobs, failures }), Some(start)))
    }

    /// Who is told when the store fails.
    pub(super) fn watched_by(&self, observer: Option<Arc<dyn Observer>>) {
        self.failures().watched_by(observer);
    }

    fn failures(&self) -> &Failures {
        match self {
            Self::Here(here) => &here.failures,
            Self::Thread(thread) => &thread.failures,
        }
    }

    /// The store, if it is here.
    pub(super) fn here<T>(&self, f: impl FnOnce(&mut dyn Store<Req>) -> T) -> Option<T> {
        match self {
            Self::Here(Here { store, .. }) => {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                Some(f(&mut **store))
            }
            Self::Thread(_) => None,
        }
    }

    /// Commits at once, where the store is here.
    pub(super) fn commit_here(
        &self,
        changes: impl FnOnce(&mut dyn Store<Req>) -> Changes<Req>,
    ) -> Option<Result<(), BoxError>> {
        self.change_here(|store| {
            let changes = changes(store);
            commit(store, changes)
        })
    }

    fn change_here(
        &self,
        change: impl FnOnce(&mut dyn Store<Req>) -> Result<(), BoxError>,
    ) -> Option<Result<(), BoxError>> {
        let done = self.here(change)?;
        Some(self.look(done))
    }

    /// Tells what went wrong, if it did. Not for callers who hold a lock.
    pub(super) fn look<T>(&self, done: Result<T, BoxError>) -> Result<T, BoxError> {
        self.failures().look(done)
    }

    /// Has the thread do it.
    pub(super) fn send(&self, job: Job<Req>) {
        if let Self::Thread(ToThread { jobs, .. }) = self {
            // If the thread is gone, its end of the job's channel is dropped, which is an answer.
            let _ = jobs.send(job);
        }
    }

    /// Takes out what was delivered, or will never be.
    pub(super) fn remove(
        &self,
        destination: &Destination,
        tickets: &[Ticket],
        clock: Duration,
    ) -> Removal {
        match self {
            Self::Here(_) => {
                let _told = self.change_here(|store| {
                    caught(STORE, || store.remove(destination, tickets, clock))
                });
                Removal::Done
            }
            Self::Thread(ToThread { jobs, .. }) => {
                match jobs.send(Job::Remove(destination.clone(), tickets.to_vec())) {
                    Ok(()) => Removal::Sent,
                    Err(_) => Removal::Done,
                }
            }
        }
    }

    /// Tickets below this number may be given. What became of it, if that is known already.
    #[cold]
    pub(super) fn reserve(&self, next: u64) -> Option<Result<(), BoxError>> {
        self.send(Job::Reserve(next));
        self.change_here(|store| caught(STORE, || store.reserve(next)))
    }

    /// What is in memory was handed out.
    pub(super) fn forget(&self, handed_out: &[Message<Req>], clock: Duration) {
        let all = handed_out.iter();
        let all = all.map(|message| (message.destination.clone(), message.ticket));
        let _told = self.commit_here(|_| Changes {
            put: Vec::new(),
            remove: all.collect(),
            clock,
        });
    }

    /// Reads so many messages that come after this one, into an empty buffer.
    pub(super) async fn read(
        &self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        copy: fn(&Req) -> Option<Req>,
        buffer: Batch<Req>,
    ) -> Result<Batch<Req>, BoxError> {
        if let Self::Here(_) = self {
            let here = self.here(|store| read(store, destination, after, most, copy, buffer));
            return self.look(here.unwrap_or_else(|| Err(GONE.into())));
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

/// Who panics.
const STORE: &str = "the store";

/// Its panic is an error like others.
pub(super) fn commit<Req: 'static>(
    store: &mut dyn Store<Req>,
    changes: Changes<Req>,
) -> Result<(), BoxError> {
    caught(STORE, || store.commit(changes))
}

/// Reads copies of messages.
pub(super) fn read<Req: 'static>(
    store: &mut dyn Store<Req>,
    destination: &Destination,
    after: Option<Ticket>,
    most: usize,
    copy: fn(&Req) -> Option<Req>,
    mut found: Batch<Req>,
) -> Result<Batch<Req>, BoxError> {
    found.reserve(most.min(64));
    let mut show = |ticket, message: Result<&Message<Req>, BoxError>| {
        let copied =
            |message| copy_of(message, copy).ok_or_else(|| "the message can't be copied".into());
        found.push_back((ticket, message.and_then(copied)));
    };
    caught(STORE, || store.read(destination, after, most, &mut show))?;
    Ok(found)
}

fn copy_of<Req>(message: &Message<Req>, copy: fn(&Req) -> Option<Req>) -> Option<Message<Req>> {
    let request = unwind(|| copy(&message.request)).flatten()?;
    Some(Message {
        request,
        destination: message.destination.clone(),
        ..*message
    })
}
