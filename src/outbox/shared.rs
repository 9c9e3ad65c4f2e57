use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::Instant;

use super::book::Book;
use super::keeper::{Job, Keeper};
use super::store::{Changes, Message, Store};
use super::unwind::unwind;
use super::{DeadLetter, OutboxError, Outcome, Receipt, Ticket};
use crate::link::Table;
use crate::{BoxError, Destination, Error, Limits, WhenFull};

/// What all handles of an outbox share, and its workers.
pub(crate) struct Shared<Req> {
    book: Mutex<Book<Req>>,
    pub(super) keeper: Keeper<Req>,
    receipts: broadcast::Sender<Receipt>,
    pub(super) settings: Settings,
    /// The number of the first call.
    pub(super) first: u64,
    epoch: Instant,
    former: Duration,
    closed: AtomicBool,
    /// It is closed, and the time is over.
    pub(super) stopped: AtomicBool,
    /// It has become empty, or a worker has ended.
    changed: Notify,
    attached: OnceLock<Attached<Req>>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) when_full: WhenFull,
    pub(super) max_age: Option<Duration>,
    pub(super) survive_cancel: bool,
}

/// The layered service that delivers.
pub(super) struct Attached<Req> {
    pub(super) table: Arc<Table>,
    pub(super) copy: fn(&Req) -> Option<Req>,
    pub(super) start: StartWorker<Req>,
}

pub(super) type StartWorker<Req> =
    Box<dyn Fn(Arc<Shared<Req>>, Destination) + Send + Sync + 'static>;

/// What becomes of a message that is put in.
pub(super) enum Put<Req> {
    Stored,
    Storing(oneshot::Receiver<Result<(), BoxError>>),
    NotStored,
    /// There may be room later.
    Room(Message<Req>),
    Full(Message<Req>),
    Closed(Message<Req>),
}

const RECEIPTS: usize = 1_024;

impl<Req: Send + 'static> Shared<Req> {
    pub(super) fn open(
        mut store: Box<dyn Store<Req>>,
        settings: Settings,
    ) -> Result<Arc<Self>, OutboxError> {
        let contents = store.contents().map_err(OutboxError::of_store)?;
        let mut book = Book::default();
        for (destination, len, bytes) in contents.destinations.into_iter().filter(|of| of.1 > 0) {
            book.len += len;
            book.bytes += bytes;
            let line = book.lines.entry(destination).or_default();
            (line.len, line.bytes) = (len, bytes);
        }
        let (keeper, start) = Keeper::new(store)?;
        let shared = Arc::new(Self {
            book: Mutex::new(book),
            keeper,
            receipts: broadcast::Sender::new(RECEIPTS),
            settings,
            first: contents.next,
            epoch: Instant::now(),
            former: contents.clock,
            closed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            changed: Notify::new(),
            attached: OnceLock::new(),
        });
        if let Some(start) = start {
            let _ = start.send(Arc::downgrade(&shared));
        }
        Ok(shared)
    }

    /// Puts a message in, if there is room.
    pub(super) fn put(self: &Arc<Self>, message: Message<Req>) -> Put<Req> {
        let Message { ticket, size, .. } = message;
        let destination = message.destination.clone();
        let limits = &self.settings.limits;
        let mut book = self.book();
        if self.is_closed() {
            return Put::Closed(message);
        }
        if !limits.have_room(0, 0, size) {
            return Put::Full(message);
        }
        let full = !book.has_room(limits, size);
        match self.settings.when_full {
            WhenFull::Reject if full => return Put::Full(message),
            WhenFull::Wait if full => return Put::Room(message),
            _ => {}
        }
        let is_new = book.add(&destination, size);
        if let Some(table) = self.table().filter(|_| is_new) {
            // In one step: whoever calls from here on goes behind it.
            table.add_boxes(1);
        }
        drop(book);
        let put = self.keep(message);
        self.book().arrived(&destination, ticket);
        if matches!(put, Put::NotStored) {
            self.gone(&destination, size);
        }
        if self.is_closed() {
            self.changed.notify_waiters();
        }
        if full {
            // The thread does it when it has stored this one.
            self.keeper.send(Job::Trim);
            self.keeper.here(|store| {
                let changes = Changes {
                    put: Vec::new(),
                    remove: self.trim(store),
                    clock: self.clock(),
                };
                store.commit(changes)
            });
        }
        if is_new {
            self.start_worker(&destination);
        }
        put
    }

    fn keep(&self, message: Message<Req>) -> Put<Req> {
        match &self.keeper {
            Keeper::Here(_) => {
                let changes = Changes {
                    put: vec![message],
                    remove: Vec::new(),
                    clock: self.clock(),
                };
                let here = |store: &mut dyn Store<Req>| unwind(|| store.commit(changes));
                match self.keeper.here(here).flatten() {
                    Some(Ok(())) => Put::Stored,
                    _ => Put::NotStored,
                }
            }
            Keeper::Thread(_) => {
                let (ack, stored) = oneshot::channel();
                self.keeper.send(Job::Put(message, ack));
                Put::Storing(stored)
            }
        }
    }

    /// Starts a worker, which is counted already, as its line is at the table.
    fn start_worker(self: &Arc<Self>, destination: &Destination) {
        if let Some(attached) = self.attached.get() {
            (attached.start)(self.clone(), destination.clone());
        }
    }

    /// Waits for room, or looks whether there is some.
    pub(super) fn wait_for_room(&self, ticket: Ticket, size: usize, waker: &Waker) -> bool {
        let mut book = self.book();
        if self.is_closed() || book.has_room(&self.settings.limits, size) {
            let mine = book.room.remove(&ticket);
            drop(book);
            drop(mine);
            return true;
        }
        let former = book.room.insert(ticket, waker.clone());
        drop(book);
        drop(former);
        false
    }

    /// Does not wait for room any more. Another one may have to look in its place.
    pub(super) fn leave_room(&self, ticket: Ticket) {
        let mut book = self.book();
        let mine = book.room.remove(&ticket);
        let next = book.room.pop_first();
        drop(book);
        drop(mine);
        next.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// One message less.
    pub(super) fn gone(&self, destination: &Destination, size: usize) {
        let mut book = self.book();
        let wakers = book.subtract(destination, size);
        let is_empty = book.len == 0;
        drop(book);
        wakers.into_iter().for_each(Waker::wake);
        if is_empty {
            self.changed.notify_waiters();
        }
    }

    /// A message has left the outbox.
    pub(super) fn left(&self, destination: &Destination, size: usize, receipt: Receipt) {
        self.gone(destination, size);
        self.tell(receipt);
    }

    /// A message will not be delivered.
    pub(super) fn bury(&self, message: Message<Req>, outcome: Outcome, error: Option<Error>) {
        let Message { ticket, size, .. } = message;
        let destination = message.destination.clone();
        self.add_dead(message, outcome, error);
        self.left(&destination, size, Receipt { ticket, outcome });
    }

    /// A message was never in the outbox, and has no caller any more.
    pub(super) fn bury_unstored(&self, message: Message<Req>, outcome: Outcome) {
        let ticket = message.ticket;
        self.add_dead(message, outcome, None);
        self.tell(Receipt { ticket, outcome });
    }

    fn add_dead(&self, message: Message<Req>, outcome: Outcome, error: Option<Error>) {
        let letter = DeadLetter {
            ticket: message.ticket,
            destination: message.destination,
            request: message.request,
            outcome,
            error,
        };
        let mut book = self.book();
        book.dead.push_back(letter);
        let old = match self.settings.limits.have_room(book.dead.len() - 1, 0, 0) {
            true => None,
            false => book.dead.pop_front(),
        };
        drop(book);
        drop(old);
    }

    pub(super) fn tell(&self, receipt: Receipt) {
        if self.receipts.receiver_count() > 0 {
            let _ = self.receipts.send(receipt);
        }
    }

    pub(super) fn attach(self: &Arc<Self>, attached: Attached<Req>) {
        let lines: Vec<_> = self.book().lines.keys().cloned().collect();
        if self.attached.set(attached).is_err() {
            panic!("an outbox belongs to one service: this one was layered before");
        }
        self.book().workers += lines.len();
        if let Some(table) = self.table() {
            table.add_boxes(lines.len().try_into().unwrap_or(isize::MAX));
        }
        lines.iter().for_each(|line| self.start_worker(line));
    }

    pub(super) fn copy(&self) -> Option<fn(&Req) -> Option<Req>> {
        Some(self.attached.get()?.copy)
    }

    pub(super) fn table(&self) -> Option<&Table> {
        Some(&self.attached.get()?.table)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book<Req>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the outbox has been open, in all.
    pub(super) fn clock(&self) -> Duration {
        self.former + self.epoch.elapsed()
    }

    pub(super) fn at(&self, clock: Duration) -> Option<Instant> {
        self.epoch.checked_add(clock.saturating_sub(self.former))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let room = std::mem::take(&mut self.book().room);
        room.into_values().for_each(Waker::wake);
    }

    /// Has all workers end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.book()
            .lines
            .values()
            .for_each(|line| line.news.notify_one());
    }

    pub(super) fn worker_ended(&self) {
        self.book().workers -= 1;
        self.changed.notify_waiters();
    }

    /// Takes out all that is left.
    pub(super) async fn take_all(&self) -> Vec<Message<Req>> {
        let Some(copy) = self.copy() else {
            return Vec::new();
        };
        let lines = std::mem::take(&mut self.book().lines);
        let mut left = Vec::new();
        for destination in lines.into_keys() {
            let mut after = None;
            loop {
                let found = self.keeper.read(&destination, after, 1_024, copy).await;
                let found = found.unwrap_or_default();
                let Some((last, _)) = found.last() else {
                    break;
                };
                after = Some(*last);
                left.extend(found.into_iter().filter_map(|(_, message)| message.ok()));
            }
            if let Some(table) = self.table() {
                table.add_boxes(-1);
            }
        }
        left.sort_by_key(|message| message.ticket);
        self.keeper.forget(&left, self.clock());
        {
            let mut book = self.book();
            (book.len, book.bytes) = (0, 0);
        }
        self.changed.notify_waiters();
        left
    }

    /// Waits until this holds.
    pub(super) async fn until(&self, holds: impl Fn(&Book<Req>) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.book()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn receipts(&self) -> broadcast::Receiver<Receipt> {
        self.receipts.subscribe()
    }
}
